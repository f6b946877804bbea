"""Vector lanes as values: a kernel says which numbers share a register, and every sum has its order written down.

A compiler that looks for vectors by itself must be allowed to reorder sums, or gives up on long formulas. Here `load`
gives `LANES` numbers at once (a cache line: 8 float64 or 16 float32), arithmetic works on all of them, and `fma` is a
multiply-add that rounds once. Nothing is left to the compiler, so two kernels that name the same operations give the
same bits, and no fast-math flag is needed. `Rows` are several such vectors which stay in registers around a loop.

Each primitive is an ordinary function of NumPy arrays with, beside it, how to compile it: the same kernel runs as plain
Python (in the tests) and compiled. The formulas also take single numbers, so each is written once.
"""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import lower_builtin, models, register_model, type_callable

LANES = {"float64": 8, "float32": 16}

_INDEX = ir.IntType(32)


class Lanes(types.Type):
    """Numba's type of `width` numbers in one vector value."""

    def __init__(self, dtype: Any, width: int) -> None:
        self.dtype, self.width = dtype, width
        super().__init__(name=f"Lanes({dtype} x {width})")


class Rows(types.Type):
    """Numba's type of `count` such vectors."""

    def __init__(self, lanes: Lanes, count: int) -> None:
        self.lanes, self.count = lanes, count
        super().__init__(name=f"Rows({count} of {lanes.name})")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Lanes) -> None:
        super().__init__(manager, kind, ir.VectorType(manager.lookup(kind.dtype).get_value_type(), kind.width))


@register_model(Rows)
class _RowsModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Rows) -> None:
        super().__init__(manager, kind, ir.ArrayType(manager.lookup(kind.lanes).get_value_type(), kind.count))


def _lanes_of(array: Any) -> Lanes:
    return Lanes(array.dtype, LANES[str(array.dtype)])


def _primitive(type_of: Callable[..., Any], parameters: int) -> Callable[..., Any]:
    """Teach Numba a plain function: its result's type from its arguments', and how to emit it."""

    def with_plain(plain: Any) -> Callable[..., Any]:
        type_callable(plain)(lambda context: type_of)

        def with_emit(emit: Any) -> Any:
            lower_builtin(plain, *[types.Any] * parameters)(emit)
            return plain

        return with_emit

    return with_plain


def _widest(*kinds: Any) -> Any:
    """The type of arithmetic on these: lanes if any are, else the first float; numbers follow the lanes' float type."""
    for kind in kinds:
        if isinstance(kind, Lanes):
            return kind
    for kind in kinds:
        if isinstance(kind, types.Float):
            return kind
    return types.float64


def _splat(builder: Any, value: Any, width: int) -> Any:
    vector = ir.VectorType(value.type, width)
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(_INDEX, 0))
    return _shuffled(builder, one, one, [0] * width)


def _shuffled(builder: Any, a: Any, b: Any, places: Any) -> Any:
    """The lanes at `places` of a and b laid end to end."""
    where = list(places)
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(_INDEX, len(where)), where))


def _lift(context: Any, builder: Any, value: Any, kind: Any, wanted: Any) -> Any:
    """A value as `wanted`: cast, and copied into every lane."""
    if kind == wanted:
        return value
    if isinstance(wanted, Lanes):
        return _splat(builder, context.cast(builder, value, kind, wanted.dtype), wanted.width)
    return context.cast(builder, value, kind, wanted)


def _lifted(context: Any, builder: Any, signature: Any, args: Any) -> list[Any]:
    return [_lift(context, builder, a, k, signature.return_type) for a, k in zip(args, signature.args, strict=True)]


def _call(builder: Any, name: str, *args: Any) -> Any:
    """An LLVM intrinsic of float arguments of one type."""
    kind = args[0].type
    element = kind.element if isinstance(kind, ir.VectorType) else kind
    bits = "f64" if isinstance(element, ir.DoubleType) else "f32"
    suffix = f"v{kind.count}{bits}" if isinstance(kind, ir.VectorType) else bits
    function = ir.FunctionType(kind, [kind] * len(args))
    return builder.call(cgutils.get_or_insert_function(builder.module, function, f"llvm.{name}.{suffix}"), args)


def _zero(kind: Any) -> Any:
    return ir.Constant(kind, None)


# --- arithmetic -------------------------------------------------------------------------------------------------------


def fma(a: Any, b: Any, c: Any) -> Any:
    """a b + c, rounded once where compiled (twice as plain Python)."""
    return a * b + c


@_primitive(lambda a, b, c: _widest(a, b, c), 3)(fma)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    return _call(builder, "fma", *_lifted(context, builder, signature, args))


def clamp(v: Any, low: Any, high: Any) -> Any:
    """v held within [low, high]; NaN passes."""
    return capped(-capped(-v, -low), high)


@_primitive(lambda v, low, high: v, 3)(clamp)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    v, low, high = _lifted(context, builder, signature, args)
    v = builder.select(builder.fcmp_ordered(">", v, high), high, v)
    return builder.select(builder.fcmp_ordered("<", v, low), low, v)


def capped(v: Any, high: Any) -> Any:
    """v, at most `high`; NaN passes."""
    v = np.asarray(v)
    return np.where(v > high, v.dtype.type(high), v)


@_primitive(lambda v, high: v, 2)(capped)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    v, high = _lifted(context, builder, signature, args)
    return builder.select(builder.fcmp_ordered(">", v, high), high, v)


def at_most(v: Any, bound: Any, a: Any, b: Any) -> Any:
    """a where v <= bound, else b (also where v is NaN)."""
    return np.where(v <= bound, a, b).astype(np.asarray(v).dtype)


@_primitive(lambda v, bound, a, b: v, 4)(at_most)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    v, bound, a, b = _lifted(context, builder, signature, args)
    return builder.select(builder.fcmp_ordered("<=", v, bound), a, b)


def magnitude(v: Any) -> Any:
    """|v|."""
    return abs(v)


@_primitive(lambda v: v, 1)(magnitude)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    return _call(builder, "fabs", *args)


def with_sign(size: Any, v: Any) -> Any:
    """`size` with the sign of v."""
    return np.copysign(size, v)


@_primitive(lambda size, v: _widest(size, v), 2)(with_sign)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    return _call(builder, "copysign", *_lifted(context, builder, signature, args))


def sqrt(v: Any) -> Any:
    """The square root."""
    return np.sqrt(v)


@_primitive(lambda v: v, 1)(sqrt)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    return _call(builder, "sqrt", *args)


def by_type(v: Any, double: Any, single: Any) -> Any:
    """The constant that belongs to v's float type."""
    real = np.asarray(v).dtype.type
    return real(single if real is np.float32 else double)


def _float_of(kind: Any) -> Any:
    return kind.dtype if isinstance(kind, Lanes) else kind


def _of_type(kind: Any, double: Any, single: Any) -> Any:
    return single if _float_of(kind) == types.float32 else double


@_primitive(lambda v, double, single: _float_of(v), 3)(by_type)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    chosen = 2 if _float_of(signature.args[0]) == types.float32 else 1
    return context.cast(builder, args[chosen], signature.args[chosen], signature.return_type)


def polynomial(v: Any, double: tuple[float, ...], single: tuple[float, ...]) -> Any:
    """c_0 v^m + ... + c_m with the coefficients of v's float type, highest power first (Horner)."""
    real = np.asarray(v).dtype.type
    first, *others = single if real is np.float32 else double
    found = v * real(0) + real(first)
    for c in others:
        found = found * v + real(c)
    return found


def even_part(square: Any, double: tuple[float, ...], single: tuple[float, ...]) -> Any:
    """The terms c_m + c_(m-2) v^2 + ... of that polynomial, given v^2."""
    return polynomial(square, double[::-1][0::2][::-1], single[::-1][0::2][::-1])


def odd_part(square: Any, double: tuple[float, ...], single: tuple[float, ...]) -> Any:
    """The terms c_(m-1) + c_(m-3) v^2 + ...: the polynomial's odd powers, over v."""
    return polynomial(square, double[::-1][1::2][::-1], single[::-1][1::2][::-1])


def _horner(start: int, by: int) -> Callable[..., Any]:
    """Emit a polynomial in the first argument over every `by`-th coefficient from the constant's + `start` up."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        chosen = 2 if _float_of(signature.args[0]) == types.float32 else 1
        rising = cgutils.unpack_tuple(builder, args[chosen])[::-1][start::by]
        numbers = [_lift(context, builder, c, signature.args[chosen].dtype, signature.return_type) for c in rising]
        found = numbers[-1]
        for c in numbers[-2::-1]:
            found = _call(builder, "fma", found, args[0], c)
        return found

    return emit


for _function, _start, _by in ((polynomial, 0, 1), (even_part, 0, 2), (odd_part, 1, 2)):
    _primitive(lambda v, double, single: v, 3)(_function)(_horner(_start, _by))


def _integers(kind: Any) -> tuple[Any, int, int]:
    """The integers behind floats: their LLVM type, how many bits the fraction has, and how many there are."""
    width = kind.width if isinstance(kind, Lanes) else 0
    bits = _float_of(kind).bitwidth
    plain = ir.IntType(bits)
    return (ir.VectorType(plain, width) if width else plain), (52 if bits == 64 else 23), width


def _same(kind: Any, value: int, width: int) -> Any:
    return ir.Constant(kind, [value] * width if width else value)


def low_bits_power(v: Any) -> Any:
    """2^(n - bias) for an integer n in the low bits of v's fraction: they are moved into the exponent."""
    v = np.asarray(v)
    whole, bits = (np.uint32, 23) if v.dtype == np.float32 else (np.uint64, 52)
    return (v.view(whole) << whole(bits)).view(v.dtype)


@_primitive(lambda v: v, 1)(low_bits_power)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    kind, bits, width = _integers(signature.return_type)
    moved = builder.shl(builder.bitcast(args[0], kind), _same(kind, bits, width))
    return builder.bitcast(moved, args[0].type)


def leading(v: Any) -> Any:
    """v with the lower half of its fraction cut off, so that its square is exact."""
    v = np.asarray(v)
    whole, cut = (np.uint32, 12) if v.dtype == np.float32 else (np.uint64, 27)
    return (v.view(whole) & ~whole(2**cut - 1)).view(v.dtype)


@_primitive(lambda v: v, 1)(leading)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    kind, bits, width = _integers(signature.return_type)
    mask = _same(kind, -(2 ** (27 if bits == 52 else 12)), width)
    return builder.bitcast(builder.and_(builder.bitcast(args[0], kind), mask), args[0].type)


def _operator(plain: Any, name: str) -> None:
    def type_of(a: Any, b: Any) -> Any:
        if (isinstance(a, Lanes) and isinstance(b, (Lanes, types.Number))) or (
            isinstance(b, Lanes) and isinstance(a, types.Number)
        ):
            return _widest(a, b)
        return None

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return getattr(builder, name)(*_lifted(context, builder, signature, args))

    type_callable(plain)(lambda context: type_of)
    for pair in ((Lanes, Lanes), (Lanes, types.Number), (types.Number, Lanes)):
        lower_builtin(plain, *pair)(emit)


for _plain, _name in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _operator(_plain, _name)


@type_callable(operator.neg)
def _(context: Any) -> Any:
    return lambda v: v if isinstance(v, Lanes) else None


@lower_builtin(operator.neg, Lanes)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    return builder.fneg(args[0])


# --- memory -----------------------------------------------------------------------------------------------------------
# Arrays are flat and C-contiguous, places are counted in numbers, and nothing is checked: kernels only.


def _pointer(context: Any, builder: Any, kind: Any, array: Any, place: Any) -> Any:
    return builder.gep(context.make_array(kind)(context, builder, array).data, [place])


def _load(context: Any, builder: Any, array: Any, pointer: Any) -> Any:
    vector = ir.VectorType(pointer.type.pointee, LANES[str(array.dtype)])
    value = builder.load(builder.bitcast(pointer, vector.as_pointer()))
    value.align = array.dtype.bitwidth // 8
    return value


def _store(builder: Any, value: Any, pointer: Any) -> None:
    element = 8 if isinstance(value.type.element, ir.DoubleType) else 4
    builder.store(value, builder.bitcast(pointer, value.type.as_pointer())).align = element


def _step(builder: Any, place: Any, by: int) -> Any:
    return builder.add(place, ir.Constant(place.type, by)) if by else place


def at(a: Any, place: Any) -> Any:
    """One number of a flat array, without Python's check for a negative place."""
    return a[place]


@_primitive(lambda a, place: a.dtype if isinstance(a, types.Array) else None, 2)(at)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    return builder.load(_pointer(context, builder, signature.args[0], *args))


def load(a: Any, place: Any) -> Any:
    """The lanes that begin at `place`."""
    return a[place : place + LANES[a.dtype.name]].copy()


@_primitive(lambda a, place: _lanes_of(a) if isinstance(a, types.Array) else None, 2)(load)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    kind = signature.args[0]
    return _load(context, builder, kind, _pointer(context, builder, kind, *args))


def store(a: Any, place: Any, v: Any) -> None:
    """Put the lanes at `place`."""
    a[place : place + LANES[a.dtype.name]] = v


@_primitive(lambda a, place, v: types.none, 3)(store)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    _store(builder, args[2], _pointer(context, builder, signature.args[0], *args[:2]))
    return context.get_dummy_value()


def zeros(a: Any) -> Any:
    """Lanes of zeros, of the float type of array `a`."""
    return np.zeros(LANES[a.dtype.name], a.dtype)


@_primitive(lambda a: _lanes_of(a), 1)(zeros)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    return _zero(context.get_value_type(signature.return_type))


def fold(v: Any) -> float:
    """The sum of the lanes in float64, in halves: lane j takes lane j + width/2, and so on down to one."""
    v = v.astype(np.float64)
    while len(v) > 1:
        half = len(v) // 2
        v = v[:half] + v[half:]
    return float(v[0])


@_primitive(lambda v: types.float64, 1)(fold)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    width, v = signature.args[0].width, args[0]
    if signature.args[0].dtype == types.float32:
        v = builder.fpext(v, ir.VectorType(ir.DoubleType(), width))
    while width > 1:
        half = width // 2
        v = builder.fadd(_shuffled(builder, v, v, range(half)), _shuffled(builder, v, v, range(half, width)))
        width = half
    return builder.extract_element(v, ir.Constant(_INDEX, 0))


def join(a: Any, b: Any) -> Any:
    """Two vectors as one of twice the lanes: a formula on both at once keeps the processor twice as busy."""
    return np.concatenate([a, b])


def _twice(a: Any, b: Any) -> Any:
    return Lanes(a.dtype, 2 * a.width)


@_primitive(_twice, 2)(join)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    return _shuffled(builder, args[0], args[1], range(signature.return_type.width))


def lower(v: Any) -> Any:
    """The first half of a joined vector."""
    return v[: len(v) // 2]


def upper(v: Any) -> Any:
    """The second half of a joined vector."""
    return v[len(v) // 2 :]


def _half(v: Any) -> Any:
    return Lanes(v.dtype, v.width // 2)


@_primitive(_half, 1)(lower)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    return _shuffled(builder, args[0], args[0], range(signature.return_type.width))


@_primitive(_half, 1)(upper)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    width = signature.return_type.width
    return _shuffled(builder, args[0], args[0], range(width, 2 * width))


def take(v: Any, j: int) -> Any:
    """Lane j (a number has one lane)."""
    return np.reshape(v, -1)[j]


@_primitive(lambda v, j: _float_of(v), 2)(take)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    return builder.extract_element(*args) if isinstance(signature.args[0], Lanes) else args[0]


def put(v: Any, j: int, number: Any) -> Any:
    """v with `number` in lane j."""
    found = np.array(v)
    found.reshape(-1)[j] = number
    return found


@_primitive(lambda v, j, number: v, 3)(put)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    v, j, number = args
    number = context.cast(builder, number, signature.args[2], _float_of(signature.args[0]))
    return builder.insert_element(v, number, j) if isinstance(signature.args[0], Lanes) else number


def width_of(v: Any) -> int:
    """How many lanes v has."""
    return int(np.size(v))


@_primitive(lambda v: types.intp, 1)(width_of)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    kind = signature.args[0]
    return ir.Constant(ir.IntType(64), kind.width if isinstance(kind, Lanes) else 1)


# --- rows: several lanes in registers ---------------------------------------------------------------------------------


def _rows_type(a: Any, count: Any) -> Any:
    return Rows(_lanes_of(a), count.literal_value) if isinstance(count, types.IntegerLiteral) else None


def zero_rows(a: Any, count: int) -> Any:
    """`count` rows of zeros, of the float type of array `a`; `count` is a constant."""
    return np.zeros((count, LANES[a.dtype.name]), a.dtype)


@_primitive(_rows_type, 2)(zero_rows)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    return _zero(context.get_value_type(signature.return_type))


def load_rows(a: Any, place: Any, count: int) -> Any:
    """`count` rows that lie one after the other from `place` on; `count` is a constant."""
    return a[place : place + count * LANES[a.dtype.name]].reshape(count, -1).copy()


@_primitive(lambda a, place, count: _rows_type(a, count), 3)(load_rows)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    kind, rows = signature.return_type, _zero(context.get_value_type(signature.return_type))
    for q in range(kind.count):
        pointer = _pointer(context, builder, signature.args[0], args[0], _step(builder, args[1], q * kind.lanes.width))
        rows = builder.insert_value(rows, _load(context, builder, signature.args[0], pointer), q)
    return rows


def store_rows(a: Any, place: Any, rows: Any) -> None:
    """Put the rows one after the other from `place` on."""
    a[place : place + rows.size] = rows.reshape(-1)


@_primitive(lambda a, place, rows: types.none, 3)(store_rows)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    kind = signature.args[2]
    for q in range(kind.count):
        pointer = _pointer(context, builder, signature.args[0], args[0], _step(builder, args[1], q * kind.lanes.width))
        _store(builder, builder.extract_value(args[2], q), pointer)
    return context.get_dummy_value()


def spread(rows: Any, v: Any, x: Any, place: Any, stride: Any) -> Any:
    """rows[q] + x[place + q stride] v: one term of every row's sum."""
    return rows + x[place + np.arange(len(rows)) * stride][:, None] * v


@_primitive(lambda rows, v, x, place, stride: rows, 5)(spread)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    rows, v, x, place, stride = args
    for q in range(signature.args[0].count):
        number = builder.load(_pointer(context, builder, signature.args[2], x, place))
        number = _splat(builder, number, signature.args[1].width)
        rows = builder.insert_value(rows, _call(builder, "fma", number, v, builder.extract_value(rows, q)), q)
        place = builder.add(place, stride)
    return rows


def project(rows: Any, x: Any, place: Any) -> Any:
    """sum_q x[place + q] rows[q], from q = 0 up."""
    found = rows[0] * 0
    for q in range(len(rows)):
        found = x[place + q] * rows[q] + found
    return found


@_primitive(lambda rows, x, place: rows.lanes if isinstance(rows, Rows) else None, 3)(project)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    rows, x, place = args
    kind = signature.args[0]
    found = _zero(context.get_value_type(kind.lanes))
    for q in range(kind.count):
        number = builder.load(_pointer(context, builder, signature.args[1], x, _step(builder, place, q)))
        number = _splat(builder, number, kind.lanes.width)
        found = _call(builder, "fma", number, builder.extract_value(rows, q), found)
    return found
