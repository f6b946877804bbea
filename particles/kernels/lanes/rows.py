"""Rows: several vectors of lanes that stay in registers around a loop."""

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types

from particles.kernels.lanes.memory import address, load_vector, store_vector
from particles.kernels.lanes.types import LANES, Rows, intrinsic, lanes_of, primitive, splat, zero


def _step(builder: Any, place: Any, by: int) -> Any:
    return builder.add(place, ir.Constant(place.type, by)) if by else place


def _rows_type(a: Any, count: Any) -> Any:
    return Rows(lanes_of(a), count.literal_value) if isinstance(count, types.IntegerLiteral) else None


def zero_rows(a: Any, count: int) -> Any:
    """`count` rows of zeros, of the float type of array `a`; `count` is a constant."""
    return np.zeros((count, LANES[a.dtype.name]), a.dtype)


@primitive(_rows_type, 2)(zero_rows)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    return zero(context.get_value_type(signature.return_type))


def load_rows(a: Any, place: Any, count: int) -> Any:
    """`count` rows that lie one after the other from `place` on; `count` is a constant."""
    return a[place : place + count * LANES[a.dtype.name]].reshape(count, -1).copy()


@primitive(lambda a, place, count: _rows_type(a, count), 3)(load_rows)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    kind, rows = signature.return_type, zero(context.get_value_type(signature.return_type))
    for q in range(kind.count):
        pointer = address(context, builder, signature.args[0], args[0], _step(builder, args[1], q * kind.lanes.width))
        rows = builder.insert_value(rows, load_vector(context, builder, signature.args[0], pointer), q)
    return rows


def store_rows(a: Any, place: Any, rows: Any) -> None:
    """Put the rows one after the other from `place` on."""
    a[place : place + rows.size] = rows.reshape(-1)


@primitive(lambda a, place, rows: types.none, 3)(store_rows)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    kind = signature.args[2]
    for q in range(kind.count):
        pointer = address(context, builder, signature.args[0], args[0], _step(builder, args[1], q * kind.lanes.width))
        store_vector(builder, builder.extract_value(args[2], q), pointer)
    return context.get_dummy_value()


def spread(rows: Any, v: Any, x: Any, place: Any, stride: Any) -> Any:
    """rows[q] + x[place + q stride] v: one term of every row's sum."""
    return rows + x[place + np.arange(len(rows)) * stride][:, None] * v


@primitive(lambda rows, v, x, place, stride: rows, 5)(spread)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    rows, v, x, place, stride = args
    for q in range(signature.args[0].count):
        number = builder.load(address(context, builder, signature.args[2], x, place))
        number = splat(builder, number, signature.args[1].width)
        rows = builder.insert_value(rows, intrinsic(builder, "fma", number, v, builder.extract_value(rows, q)), q)
        place = builder.add(place, stride)
    return rows


def project(rows: Any, x: Any, place: Any) -> Any:
    """sum_q x[place + q] rows[q], from q = 0 up."""
    total = rows[0] * 0
    for q in range(len(rows)):
        total = x[place + q] * rows[q] + total
    return total


@primitive(lambda rows, x, place: rows.lanes if isinstance(rows, Rows) else None, 3)(project)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    rows, x, place = args
    kind = signature.args[0]
    total = zero(context.get_value_type(kind.lanes))
    for q in range(kind.count):
        number = builder.load(address(context, builder, signature.args[1], x, _step(builder, place, q)))
        number = splat(builder, number, kind.lanes.width)
        total = intrinsic(builder, "fma", number, builder.extract_value(rows, q), total)
    return total
