"""Lanes to and from memory, and the lanes of a vector one by one or in halves.

Arrays are flat and C-contiguous, places are counted in numbers, and nothing is checked: kernels only.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types

from particles.kernels.lanes.types import INDEX, LANES, Lanes, float_of, lanes_of, primitive, shuffled, zero


def address(context: Any, builder: Any, kind: Any, array: Any, place: Any) -> Any:
    return builder.gep(context.make_array(kind)(context, builder, array).data, [place])


def load_vector(context: Any, builder: Any, array: Any, pointer: Any) -> Any:
    vector = ir.VectorType(pointer.type.pointee, LANES[str(array.dtype)])
    value = builder.load(builder.bitcast(pointer, vector.as_pointer()))
    value.align = array.dtype.bitwidth // 8
    return value


def store_vector(builder: Any, value: Any, pointer: Any) -> None:
    element = 8 if isinstance(value.type.element, ir.DoubleType) else 4
    builder.store(value, builder.bitcast(pointer, value.type.as_pointer())).align = element


def at(a: Any, place: Any) -> Any:
    """One number of a flat array, without Python's check for a negative place."""
    return a[place]


@primitive(lambda a, place: a.dtype if isinstance(a, types.Array) else None, 2)(at)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    return builder.load(address(context, builder, signature.args[0], *args))


def load(a: Any, place: Any) -> Any:
    """The lanes that begin at `place`."""
    return a[place : place + LANES[a.dtype.name]].copy()


@primitive(lambda a, place: lanes_of(a) if isinstance(a, types.Array) else None, 2)(load)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    kind = signature.args[0]
    return load_vector(context, builder, kind, address(context, builder, kind, *args))


def store(a: Any, place: Any, v: Any) -> None:
    """Put the lanes at `place`: those of a vector, or of joined ones."""
    a[place : place + len(v)] = v


@primitive(lambda a, place, v: types.none, 3)(store)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    store_vector(builder, args[2], address(context, builder, signature.args[0], *args[:2]))
    return context.get_dummy_value()


def zeros(a: Any) -> Any:
    """Lanes of zeros, of the float type of array `a`."""
    return np.zeros(LANES[a.dtype.name], a.dtype)


@primitive(lambda a: lanes_of(a), 1)(zeros)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    return zero(context.get_value_type(signature.return_type))


def fold(v: Any) -> float:
    """The sum of the lanes in float64, in halves: lane j takes lane j + width/2, and so on down to one."""
    v = v.astype(np.float64)
    while len(v) > 1:
        half = len(v) // 2
        v = v[:half] + v[half:]
    return float(v[0])


@primitive(lambda v: types.float64, 1)(fold)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    width, v = signature.args[0].width, args[0]
    if signature.args[0].dtype == types.float32:
        v = builder.fpext(v, ir.VectorType(ir.DoubleType(), width))
    while width > 1:
        half = width // 2
        v = builder.fadd(shuffled(builder, v, v, range(half)), shuffled(builder, v, v, range(half, width)))
        width = half
    return builder.extract_element(v, ir.Constant(INDEX, 0))


def join(a: Any, b: Any) -> Any:
    """Two vectors as one of twice the lanes: a formula on both at once keeps the processor twice as busy."""
    return np.concatenate([a, b])


def _twice(a: Any, b: Any) -> Any:
    return Lanes(a.dtype, 2 * a.width)


@primitive(_twice, 2)(join)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    return shuffled(builder, args[0], args[1], range(signature.return_type.width))


def lower(v: Any) -> Any:
    """The first half of a joined vector."""
    return v[: len(v) // 2]


def upper(v: Any) -> Any:
    """The second half of a joined vector."""
    return v[len(v) // 2 :]


def _half(v: Any) -> Any:
    return Lanes(v.dtype, v.width // 2)


@primitive(_half, 1)(lower)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    return shuffled(builder, args[0], args[0], range(signature.return_type.width))


@primitive(_half, 1)(upper)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    width = signature.return_type.width
    return shuffled(builder, args[0], args[0], range(width, 2 * width))


def take(v: Any, j: int) -> Any:
    """Lane j (a number has one lane)."""
    return np.reshape(v, -1)[j]


@primitive(lambda v, j: float_of(v), 2)(take)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    return builder.extract_element(*args) if isinstance(signature.args[0], Lanes) else args[0]


def put(v: Any, j: int, number: Any) -> Any:
    """v with `number` in lane j."""
    copy = np.array(v)
    copy.reshape(-1)[j] = number
    return copy


@primitive(lambda v, j, number: v, 3)(put)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    v, j, number = args
    number = context.cast(builder, number, signature.args[2], float_of(signature.args[0]))
    return builder.insert_element(v, number, j) if isinstance(signature.args[0], Lanes) else number


def width_of(v: Any) -> int:
    """How many lanes v has."""
    return int(np.size(v))


@primitive(lambda v: types.intp, 1)(width_of)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    kind = signature.args[0]
    return ir.Constant(ir.IntType(64), kind.width if isinstance(kind, Lanes) else 1)
