"""Arithmetic on lanes or on single numbers: one formula for both."""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import lower_builtin, type_callable

from particles.kernels.lanes.types import Lanes, Rows, float_of, intrinsic, lift, lifted, mapped, primitive, widest


def fma(a: Any, b: Any, c: Any) -> Any:
    """a b + c, rounded once where compiled (twice as plain Python)."""
    return a * b + c


@primitive(lambda a, b, c: widest(a, b, c), 3)(fma)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    return intrinsic(builder, "fma", *lifted(context, builder, signature, args))


def clamp(v: Any, low: Any, high: Any) -> Any:
    """v held within [low, high]; NaN passes."""
    return capped(-capped(-v, -low), high)


@primitive(lambda v, low, high: v, 3)(clamp)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    v, low, high = lifted(context, builder, signature, args)
    v = builder.select(builder.fcmp_ordered(">", v, high), high, v)
    return builder.select(builder.fcmp_ordered("<", v, low), low, v)


def capped(v: Any, high: Any) -> Any:
    """v, at most `high`; NaN passes."""
    v = np.asarray(v)
    return np.where(v > high, v.dtype.type(high), v)


@primitive(lambda v, high: v, 2)(capped)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    v, high = lifted(context, builder, signature, args)
    return builder.select(builder.fcmp_ordered(">", v, high), high, v)


def at_most(v: Any, bound: Any, a: Any, b: Any) -> Any:
    """a where v <= bound, else b (also where v is NaN)."""
    return np.where(v <= bound, a, b).astype(np.asarray(v).dtype)


@primitive(lambda v, bound, a, b: v, 4)(at_most)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    v, bound, a, b = lifted(context, builder, signature, args)
    return builder.select(builder.fcmp_ordered("<=", v, bound), a, b)


def magnitude(v: Any) -> Any:
    """|v|."""
    return abs(v)


@primitive(lambda v: v, 1)(magnitude)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    return intrinsic(builder, "fabs", *args)


def with_sign(size: Any, v: Any) -> Any:
    """`size` with the sign of v."""
    return np.copysign(size, v)


@primitive(lambda size, v: widest(size, v), 2)(with_sign)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    return intrinsic(builder, "copysign", *lifted(context, builder, signature, args))


def sqrt(v: Any) -> Any:
    """The square root."""
    return np.sqrt(v)


@primitive(lambda v: v, 1)(sqrt)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    return intrinsic(builder, "sqrt", *args)


def by_type(v: Any, double: Any, single: Any) -> Any:
    """The constant that belongs to v's float type."""
    real = np.asarray(v).dtype.type
    return real(single if real is np.float32 else double)


@primitive(lambda v, double, single: float_of(v), 3)(by_type)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    chosen = 2 if float_of(signature.args[0]) == types.float32 else 1
    return context.cast(builder, args[chosen], signature.args[chosen], signature.return_type)


def polynomial(v: Any, double: tuple[float, ...], single: tuple[float, ...]) -> Any:
    """c_0 v^m + ... + c_m with the coefficients of v's float type, highest power first (Horner)."""
    real = np.asarray(v).dtype.type
    first, *others = single if real is np.float32 else double
    value = v * real(0) + real(first)
    for c in others:
        value = value * v + real(c)
    return value


def even_part(square: Any, double: tuple[float, ...], single: tuple[float, ...]) -> Any:
    """The terms c_m + c_(m-2) v^2 + ... of that polynomial, given v^2."""
    return polynomial(square, double[::-1][0::2][::-1], single[::-1][0::2][::-1])


def odd_part(square: Any, double: tuple[float, ...], single: tuple[float, ...]) -> Any:
    """The terms c_(m-1) + c_(m-3) v^2 + ...: the polynomial's odd powers, divided by v."""
    return polynomial(square, double[::-1][1::2][::-1], single[::-1][1::2][::-1])


def _horner(start: int, by: int) -> Callable[..., Any]:
    """Emit a polynomial in the first argument over every `by`-th coefficient from the constant's + `start` up."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        chosen = 2 if float_of(signature.args[0]) == types.float32 else 1
        rising = cgutils.unpack_tuple(builder, args[chosen])[::-1][start::by]
        numbers = [lift(context, builder, c, signature.args[chosen].dtype, signature.return_type) for c in rising]
        value = numbers[-1]
        for c in numbers[-2::-1]:
            value = intrinsic(builder, "fma", value, args[0], c)
        return value

    return emit


for _function, _start, _by in ((polynomial, 0, 1), (even_part, 0, 2), (odd_part, 1, 2)):
    primitive(lambda v, double, single: v, 3)(_function)(_horner(_start, _by))


def _integers(kind: Any) -> tuple[Any, int, int]:
    """The integers behind floats: their LLVM type, how many bits the fraction has, and how many there are."""
    width = kind.width if isinstance(kind, Lanes) else 0
    bits = float_of(kind).bitwidth
    plain = ir.IntType(bits)
    return (ir.VectorType(plain, width) if width else plain), (52 if bits == 64 else 23), width


def _same(kind: Any, value: int, width: int) -> Any:
    return ir.Constant(kind, [value] * width if width else value)


def low_bits_power(v: Any) -> Any:
    """2^(n - bias) for an integer n in the low bits of v's fraction: they are moved into the exponent."""
    v = np.asarray(v)
    whole, bits = (np.uint32, 23) if v.dtype == np.float32 else (np.uint64, 52)
    return (v.view(whole) << whole(bits)).view(v.dtype)


@primitive(lambda v: v, 1)(low_bits_power)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    kind, bits, width = _integers(signature.return_type)
    moved = builder.shl(builder.bitcast(args[0], kind), _same(kind, bits, width))
    return builder.bitcast(moved, args[0].type)


def leading(v: Any) -> Any:
    """v with the lower half of its fraction cut off, so that its square is exact."""
    v = np.asarray(v)
    whole, cut = (np.uint32, 12) if v.dtype == np.float32 else (np.uint64, 27)
    return (v.view(whole) & ~whole(2**cut - 1)).view(v.dtype)


@primitive(lambda v: v, 1)(leading)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    kind, bits, width = _integers(signature.return_type)
    mask = _same(kind, -(2 ** (27 if bits == 52 else 12)), width)
    return builder.bitcast(builder.and_(builder.bitcast(args[0], kind), mask), args[0].type)


def by_bit(n: Any, bit: int, a: Any, b: Any) -> Any:
    """a where bit `bit` of n's fraction is set (0 is the last), else b; `bit` is a constant."""
    n = np.asarray(n)
    whole = np.uint32 if n.dtype == np.float32 else np.uint64
    return np.where(n.view(whole) & whole(1 << bit), a, b).astype(n.dtype)


@primitive(lambda n, bit, a, b: n if isinstance(bit, types.IntegerLiteral) else None, 4)(by_bit)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    kind, _, width = _integers(signature.return_type)
    n, a, b = (lift(context, builder, args[k], signature.args[k], signature.return_type) for k in (0, 2, 3))
    size = float_of(signature.return_type).bitwidth
    moved = builder.shl(builder.bitcast(n, kind), _same(kind, size - 1 - signature.args[1].literal_value, width))
    return builder.select(builder.icmp_signed("<", moved, _same(kind, 0, width)), a, b)  # the bit as the sign


def any_beyond(v: Any, top: Any) -> bool:
    """Whether |v| > top in any lane."""
    return bool(np.any(abs(np.asarray(v)) > top))


@primitive(lambda v, top: types.boolean, 2)(any_beyond)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    kind = signature.args[0]
    top = lift(context, builder, args[1], signature.args[1], kind)
    beyond = builder.fcmp_ordered(">", intrinsic(builder, "fabs", args[0]), top)
    if isinstance(kind, Lanes):
        bits = ir.IntType(kind.width)
        beyond = builder.icmp_unsigned("!=", builder.bitcast(beyond, bits), ir.Constant(bits, 0))
    return beyond


# Numbers times rows are all that the loops need of rows.
_OPERANDS = (Lanes, Lanes), (Lanes, types.Number), (types.Number, Lanes), (types.Number, Rows)


def _operator(plain: Any, name: str) -> None:
    def type_of(a: Any, b: Any) -> Any:
        known = any(isinstance(a, left) and isinstance(b, right) for left, right in _OPERANDS)
        return widest(a, b) if known else None

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return mapped(builder, getattr(builder, name), lifted(context, builder, signature, args))

    type_callable(plain)(lambda context: type_of)
    for pair in _OPERANDS:
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
