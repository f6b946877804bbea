"""Rows: several vectors of lanes that stay in registers around a loop."""

from collections.abc import Iterator
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
    return load_panel(a, place, 0, 1, count)


@primitive(lambda a, place, count: _rows_type(a, count), 3)(load_rows)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    return _load(context, builder, signature, [*args[:2], None], 1)


def load_panel(a: Any, place: Any, apart: Any, tiles: int, count: int) -> Any:
    """`count` rows of each of `tiles` tiles, which begin at place + u apart; both counts are constants."""
    width = count * LANES[a.dtype.name]
    parts = [a[place + u * apart : place + u * apart + width] for u in range(tiles)]
    return np.concatenate(parts).reshape(tiles * count, -1)


def _panel_type(a: Any, place: Any, apart: Any, tiles: Any, count: Any) -> Any:
    literal = isinstance(tiles, types.IntegerLiteral) and isinstance(count, types.IntegerLiteral)
    return Rows(lanes_of(a), tiles.literal_value * count.literal_value) if literal else None


@primitive(_panel_type, 5)(load_panel)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    return _load(context, builder, signature, args, signature.args[3].literal_value)


def _load(context: Any, builder: Any, signature: Any, args: Any, tiles: int) -> Any:
    rows = zero(context.get_value_type(signature.return_type))
    for q, pointer in enumerate(_pointers(context, builder, signature.args[0], args, tiles, signature.return_type)):
        rows = builder.insert_value(rows, load_vector(context, builder, signature.args[0], pointer), q)
    return rows


def _pointers(context: Any, builder: Any, kind: Any, args: Any, tiles: int, rows: Rows) -> Iterator[Any]:
    """Where the rows of a panel lie, tile by tile; args : the array, the first tile's place, the tiles' distance."""
    a, place, apart = args[:3]
    for u in range(tiles):
        for q in range(rows.count // tiles):
            yield address(context, builder, kind, a, _step(builder, place, q * rows.lanes.width))
        if u + 1 < tiles:
            place = builder.add(place, apart)


def store_rows(a: Any, place: Any, rows: Any) -> None:
    """Put the rows one after the other from `place` on."""
    store_panel(a, place, 0, 1, rows)


@primitive(lambda a, place, rows: types.none, 3)(store_rows)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    return _store(context, builder, signature, [*args[:2], None], 1, args[2])


def store_panel(a: Any, place: Any, apart: Any, tiles: int, rows: Any) -> None:
    """Put a panel's rows where `load_panel` takes them from."""
    for u, part in enumerate(np.split(rows, tiles)):
        a[place + u * apart : place + u * apart + part.size] = part.reshape(-1)


@primitive(lambda a, place, apart, tiles, rows: types.none if isinstance(tiles, types.IntegerLiteral) else None, 5)(
    store_panel
)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    return _store(context, builder, signature, args, signature.args[3].literal_value, args[4])


def _store(context: Any, builder: Any, signature: Any, args: Any, tiles: int, rows: Any) -> Any:
    kind = signature.args[-1]
    for q, pointer in enumerate(_pointers(context, builder, signature.args[0], args, tiles, kind)):
        store_vector(builder, builder.extract_value(rows, q), pointer)
    return context.get_dummy_value()


def spread(rows: Any, v: Any, x: Any, place: Any, stride: Any) -> Any:
    """rows[q] + x[place + q stride] v: one term of every row's sum. v may be rows, one for each tile of a panel."""
    tiles = np.reshape(v, (-1, 1, rows.shape[1]))
    numbers = x[place + np.arange(len(rows) // len(tiles)) * stride]
    return rows + (numbers[:, None] * tiles).reshape(rows.shape)


@primitive(lambda rows, v, x, place, stride: rows, 5)(spread)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    rows, v, x, place, stride = args
    kind, several = signature.args[0], isinstance(signature.args[1], Rows)
    tiles = [builder.extract_value(v, u) for u in range(signature.args[1].count)] if several else [v]
    count = kind.count // len(tiles)
    for q in range(count):
        number = builder.load(address(context, builder, signature.args[2], x, place))
        number = splat(builder, number, kind.lanes.width)
        for u, tile in enumerate(tiles):
            row = intrinsic(builder, "fma", number, tile, builder.extract_value(rows, u * count + q))
            rows = builder.insert_value(rows, row, u * count + q)
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
