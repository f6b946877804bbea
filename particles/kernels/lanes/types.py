"""Numba's types for lanes, and what every primitive is declared and emitted with."""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import lower_builtin, models, register_model, type_callable

LANES = {"float64": 8, "float32": 16}

INDEX = ir.IntType(32)


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


def lanes_of(array: Any) -> Lanes:
    return Lanes(array.dtype, LANES[str(array.dtype)])


def primitive(type_of: Callable[..., Any], parameters: int) -> Callable[..., Any]:
    """Teach Numba a plain function: its result's type from its arguments', and how to emit it."""

    def with_plain(plain: Any) -> Callable[..., Any]:
        type_callable(plain)(lambda context: type_of)

        def with_emit(emit: Any) -> Any:
            lower_builtin(plain, *[types.Any] * parameters)(emit)
            return plain

        return with_emit

    return with_plain


def float_of(kind: Any) -> Any:
    return kind.dtype if isinstance(kind, Lanes) else kind


def widest(*kinds: Any) -> Any:
    """The type of arithmetic on these: rows or lanes if any are, else the first float, whose type numbers follow."""
    for wider in (Rows, Lanes, types.Float):
        for kind in kinds:
            if isinstance(kind, wider):
                return kind
    return types.float64


def splat(builder: Any, value: Any, width: int) -> Any:
    vector = ir.VectorType(value.type, width)
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(INDEX, 0))
    return shuffled(builder, one, one, [0] * width)


def shuffled(builder: Any, a: Any, b: Any, places: Any) -> Any:
    """The lanes at `places` of a and b laid end to end."""
    where = list(places)
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(INDEX, len(where)), where))


def lift(context: Any, builder: Any, value: Any, kind: Any, wanted: Any) -> Any:
    """A value as `wanted`: cast, and copied into every lane."""
    if kind == wanted:
        return value
    if isinstance(wanted, Rows):
        row = lift(context, builder, value, kind, wanted.lanes)
        return mapped(builder, lambda _: row, [zero(context.get_value_type(wanted))])
    if isinstance(wanted, Lanes):
        return splat(builder, context.cast(builder, value, kind, wanted.dtype), wanted.width)
    return context.cast(builder, value, kind, wanted)


def lifted(context: Any, builder: Any, signature: Any, args: Any) -> list[Any]:
    return [lift(context, builder, a, k, signature.return_type) for a, k in zip(args, signature.args, strict=True)]


def mapped(builder: Any, emit: Callable[..., Any], args: Any) -> Any:
    """`emit` of vectors, or of each row of rows."""
    rows = args[0]
    if not isinstance(rows.type, ir.ArrayType):
        return emit(*args)
    for q in range(rows.type.count):
        rows = builder.insert_value(rows, emit(*(builder.extract_value(a, q) for a in args)), q)
    return rows


def intrinsic(builder: Any, name: str, *args: Any) -> Any:
    """An LLVM intrinsic of float arguments of one type."""
    kind = args[0].type
    if isinstance(kind, ir.ArrayType):
        return mapped(builder, lambda *rows: intrinsic(builder, name, *rows), args)
    element = kind.element if isinstance(kind, ir.VectorType) else kind
    bits = "f64" if isinstance(element, ir.DoubleType) else "f32"
    suffix = f"v{kind.count}{bits}" if isinstance(kind, ir.VectorType) else bits
    function = ir.FunctionType(kind, [kind] * len(args))
    return builder.call(cgutils.get_or_insert_function(builder.module, function, f"llvm.{name}.{suffix}"), args)


def zero(kind: Any) -> Any:
    return ir.Constant(kind, None)
