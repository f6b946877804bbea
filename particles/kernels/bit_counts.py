"""Bits counted in bytes: how many particles of four are active in both of two samples, by a table or by `ctpop`.

For a pair of rows (i, i + 1) and one position the 16 bytes of a table say, for each possible nibble of a column, how
many of the four are active in both it and row i (low half of the byte) and row i + 1 (high half). One byte-shuffle
instruction looks up 32 columns at once: with the adding, 256 pairs of bits in 3 vector instructions. Counts are whole
numbers, so their order does not matter.

Measured on one AVX2 core: 210 to 240 pairs of bits a cycle; counting 64-bit words could reach 85 at most.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import lower_builtin, type_callable

from particles.kernels.lanes import Lanes

PASS = 63  # positions whose counts, at most 4 each, fit a byte
STRIP = 128  # columns counted together: four AVX2 registers

_BYTES = ir.VectorType(ir.IntType(8), 32)
_INDEX = ir.IntType(32)


def tables() -> Any:
    """tables[r0 + 16 r1][v] = bits of v & r0, plus 16 times bits of v & r1: (256, 16) uint8."""
    ones = np.array([[int(r & v).bit_count() for v in range(16)] for r in range(16)], dtype=np.uint8)
    return (ones[None, :, :] + 16 * ones[:, None, :]).reshape(256, 16)


def positive_bits(v: Any) -> int:
    """Bit j is whether lane j is positive."""
    return int(sum(1 << j for j, one in enumerate(v) if one > 0))


@type_callable(positive_bits)
def _(context: Any) -> Any:
    return lambda v: types.uint64 if isinstance(v, Lanes) else None


@lower_builtin(positive_bits, types.Any)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    (v,) = args
    marks = builder.fcmp_ordered(">", v, ir.Constant(v.type, None))
    return builder.zext(builder.bitcast(marks, ir.IntType(v.type.count)), ir.IntType(64))


def count_pass(tables: Any, pairs: Any, pair: Any, width: Any, nibbles: Any, place: Any, sums: Any, into: Any) -> None:
    """sums[into ..] += the counts of rows 2 pair and 2 pair + 1 against a strip of columns, over one pass.

    tables : flat (256, 16); pairs : flat (PASS, width) from `pair` on; nibbles : flat (PASS, STRIP) from `place` on,
    both uint8; sums : flat uint16, 2 STRIP of it written
    """
    for q in range(PASS):
        index = pairs[pair + q * width]
        data = nibbles[place + q * STRIP : place + (q + 1) * STRIP]
        counts = tables[16 * int(index) : 16 * int(index) + 16][data]
        sums[into : into + STRIP] += counts & 15
        sums[into + STRIP : into + 2 * STRIP] += counts >> 4


@type_callable(count_pass)
def _(context: Any) -> Any:
    return lambda tables, pairs, pair, width, nibbles, place, sums, into: types.none


def _has_shuffle(context: Any) -> bool:
    """Whether the code will run where there is AVX2's byte shuffle."""
    return "+avx2" in str(getattr(context.codegen(), "_tm_features", ""))


def _looked_up(builder: Any, shuffle: bool, table: Any, data: Any) -> Any:
    """Both rows' counts for 32 columns."""
    if shuffle:
        kind = ir.FunctionType(_BYTES, [_BYTES, _BYTES])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.avx2.pshuf.b")
        return builder.call(function, [table, data])
    count = cgutils.get_or_insert_function(builder.module, ir.FunctionType(_BYTES, [_BYTES]), "llvm.ctpop.v32i8")
    low, high = (builder.call(count, [builder.and_(row, data)]) for row in table)
    return builder.add(low, builder.shl(high, _all(4)))


def _all(value: int) -> Any:
    return ir.Constant(_BYTES, [value] * 32)


def _byte(builder: Any, value: Any) -> Any:
    one = builder.insert_element(ir.Constant(_BYTES, ir.Undefined), value, ir.Constant(_INDEX, 0))
    where = ir.Constant(ir.VectorType(_INDEX, 32), [0] * 32)
    return builder.shuffle_vector(one, one, where)


@lower_builtin(count_pass, *[types.Any] * 8)
def _(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    def data_of(position: int) -> Any:
        return context.make_array(signature.args[position])(context, builder, args[position]).data

    tables, pairs, nibbles, sums = (data_of(position) for position in (0, 1, 4, 6))
    pair, width, place, into = args[2], args[3], args[5], args[7]
    word, shuffle = ir.IntType(64), _has_shuffle(context)
    registers = STRIP // 32
    whole = [cgutils.alloca_once_value(builder, _all(0)) for _ in range(registers)]
    high = [cgutils.alloca_once_value(builder, _all(0)) for _ in range(registers)]
    with cgutils.for_range(builder, ir.Constant(word, PASS // 3)) as loop:
        three: list[Any] = [None] * registers
        for q in range(3):
            position = builder.add(builder.mul(loop.index, ir.Constant(word, 3)), ir.Constant(word, q))
            index = builder.load(builder.gep(pairs, [builder.add(pair, builder.mul(position, width))]))
            if shuffle:
                start = builder.gep(tables, [builder.shl(builder.zext(index, word), ir.Constant(word, 4))])
                half = ir.VectorType(ir.IntType(8), 16)
                row = builder.load(builder.bitcast(start, half.as_pointer()))
                row.align = 1
                twice = ir.Constant(ir.VectorType(_INDEX, 32), [*range(16), *range(16)])
                table = builder.shuffle_vector(row, row, twice)
            else:
                table = [
                    _byte(builder, builder.and_(index, ir.Constant(index.type, 15))),
                    _byte(builder, builder.lshr(index, ir.Constant(index.type, 4))),
                ]
            row_start = builder.add(place, builder.mul(position, ir.Constant(word, STRIP)))
            for c in range(registers):
                column = builder.gep(nibbles, [builder.add(row_start, ir.Constant(word, 32 * c))])
                data = builder.load(builder.bitcast(column, _BYTES.as_pointer()))
                data.align = 1
                looked_up = _looked_up(builder, shuffle, table, data)
                three[c] = looked_up if q == 0 else builder.add(three[c], looked_up)
        for c in range(registers):  # three positions fill at most 12 of a half-byte's 15
            shorts = ir.VectorType(ir.IntType(16), 16)
            moved = builder.lshr(builder.bitcast(three[c], shorts), ir.Constant(shorts, [4] * 16))
            up = builder.and_(builder.bitcast(moved, _BYTES), _all(15))
            builder.store(builder.add(builder.load(whole[c]), three[c]), whole[c])
            builder.store(builder.add(builder.load(high[c]), up), high[c])
    wide = ir.VectorType(ir.IntType(16), 32)
    for c in range(registers):
        upper = builder.load(high[c])
        lower = builder.sub(builder.load(whole[c]), builder.shl(upper, _all(4)))  # modulo 256, and it is below 256
        for value, offset in ((lower, 32 * c), (upper, STRIP + 32 * c)):
            pointer = builder.gep(sums, [builder.add(into, ir.Constant(word, offset))])
            pointer = builder.bitcast(pointer, wide.as_pointer())
            old = builder.load(pointer)
            old.align = 2
            builder.store(builder.add(old, builder.zext(value, wide)), pointer).align = 2
    return context.get_dummy_value()
