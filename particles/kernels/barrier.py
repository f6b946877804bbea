"""A meeting point for the threads of one sweep: nobody goes on before all have come.

An iteration of one-sample SGD takes microseconds, less than waking a thread. So the threads wait by looking: a pause
instruction between looks, and after a thousand of them the rest of the time slice goes to whoever needs the core.
"""

import platform
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

_LOOKS = 1000


@intrinsic  # type: ignore[untyped-decorator,unused-ignore]
def meet(typing: Any, gate: Any, threads: Any) -> Any:
    """Wait until all `threads` have called this as often as the caller. gate : (1,) int64, zero at first."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        word = ir.IntType(64)
        counter = context.make_array(signature.args[0])(context, builder, args[0]).data
        team = args[1]
        come = builder.atomic_rmw("add", counter, ir.Constant(word, 1), "seq_cst")
        full = builder.mul(builder.add(builder.sdiv(come, team), ir.Constant(word, 1)), team)
        looks = cgutils.alloca_once_value(builder, ir.Constant(word, 0))
        names = ("ask", "wait", "rest", "again", "done")
        ask, wait, rest, again, done = (builder.append_basic_block(name) for name in names)
        builder.branch(ask)
        builder.position_at_end(ask)
        here = builder.load_atomic(counter, "seq_cst", 8)
        builder.cbranch(builder.icmp_signed("<", here, full), wait, done)
        builder.position_at_end(wait)
        count = builder.add(builder.load(looks), ir.Constant(word, 1))
        builder.store(count, looks)
        tired = builder.icmp_signed("==", builder.srem(count, ir.Constant(word, _LOOKS)), ir.Constant(word, 0))
        builder.cbranch(tired, rest, again)
        builder.position_at_end(rest)
        give_way = cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.IntType(32), []), "sched_yield")
        builder.call(give_way, [])
        builder.branch(again)
        builder.position_at_end(again)
        if platform.machine() in ("x86_64", "AMD64"):
            nothing = ir.FunctionType(ir.VoidType(), [])
            builder.call(cgutils.get_or_insert_function(builder.module, nothing, "llvm.x86.sse2.pause"), [])
        builder.branch(ask)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return types.none(gate, types.int64), emit
