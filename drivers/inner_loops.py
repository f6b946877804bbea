"""What the compiler makes of every inner loop, for processors that are not at hand.

    python drivers/inner_loops.py [--processors znver4 apple-m1] [--loops product end_window] [--json]

Numba compiles each loop with LLVM's description of the other processor in place of this one's; nothing of it is run.
Shown is the innermost loop that has most multiply-adds, for one turn:

    bits          of the vector registers that its multiply-adds use
    sums          registers that a turn adds to: latency times units of them keep the multiply-adds busy
    spills        instructions that use the stack; in brackets those in the kernel's other innermost loops
    cycles        what llvm-mca predicts, all data in the L1; `-` without llvm-mca or its model of the processor
    bound         cycles that the multiply-adds alone take on all units

llvm-mca is in Debian's package llvm (llvm-19 knows znver4 and neoverse-v2); the newest in PATH is used.
"""

import argparse
import ctypes
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import llvmlite.binding as llvm
from numba import types
from numba.core.codegen import JitEngine
from numba.core.registry import cpu_target

from particles.kernels import online, output, product, velocity, window
from particles.kernels.compile import inlined, specialise
from particles.kernels.lanes import LANES, Lanes
from particles.kernels.panels import tiles_for
from particles.model.activations import ACTIVATIONS


class Processor(NamedTuple):
    """Architecture, features that decide the panel, bits of all multiply-adds that can begin in a cycle, and a model.

    model: LLVM's name of the processor that llvm-mca follows.
    """

    architecture: str
    features: str
    bits: int
    model: str


PROCESSORS = {
    "haswell": Processor("x86_64", "+avx2", 512, "haswell"),
    "znver3": Processor("x86_64", "+avx2", 512, "znver3"),
    "znver4": Processor("x86_64", "+avx2,+avx512f", 512, "znver4"),
    "skylake-avx512": Processor("x86_64", "+avx2,+avx512f", 1024, "skylake-avx512"),
    # LLVM 19's own model gives it one unit for multiply-adds of 512 bits; it has two.
    "sapphirerapids": Processor("x86_64", "+avx2,+avx512f", 1024, "skylake-avx512"),
    "apple-m1": Processor("aarch64", "+neon", 512, "apple-m1"),
    "neoverse-v2": Processor("aarch64", "+neon,+sve", 512, "neoverse-v2"),
}
LOOPS = ("product", "add_outputs", "weigh_slopes", "narrow_sums", "narrow_force",
         "begin_window", "sum_iteration", "end_window")  # fmt: skip
TURNS = 1000  # that llvm-mca follows

REGISTER = re.compile(r"%([xyz])mm(\d+)|\b([vqdsz])(\d+)(?=[.,\s}]|$)")
BITS = {"x": 128, "y": 256, "z": 512}
MULTIPLY_ADD = re.compile(r"vf?n?m(add|sub)\d|fml[as]\b|fmadd\b")
JUMP = re.compile(r"(?:j\w+|b\.?\w*|cbn?z|tbn?z)\s.*?(\.LBB\d+_\d+)$")


class Loop(NamedTuple):
    """An innermost loop as the table shows it."""

    bits: int
    multiply_adds: int
    sums: int
    spills: int
    lines: list[str]


def kernel(loop: str, dtype: str, tiles: int) -> tuple[Any, tuple[Any, ...]]:
    """A kernel that has the loop, and the types it is called with."""
    row, lanes = ACTIVATIONS["sigmoid"], LANES[dtype]
    a, i, b = getattr(types, dtype)[::1], types.int64, types.boolean
    called = {
        "product": (i, a, i, i, a, i, i, a, i, i, i, i, b),
        "add_outputs": (a, i, i, Lanes(a.dtype, lanes), a),
        "weigh_slopes": (a, i, a, i, i, a, i),
        "narrow_sums": (a, i, i, a, a, i, b, b, a, i, types.float64[::1], i),
        "narrow_force": (a, i, i, a, a, i, b, b, a, i, a, i, a, i, a),
        "begin_window": (a, a, b, i, a, a, i, a),
        "sum_iteration": (a, a, a, a, i, i, i, i),
        "end_window": (a, a, a, b, i, a, a, a, a, i),
    }[loop]
    if loop == "product":
        return product.product_loops(lanes, tiles, specialise, inlined), called
    template = next(getattr(room, loop) for room in (output, velocity, window) if hasattr(room, loop))
    settled = online.settled(row.sigma, row.derivative, row.pair, dtype, "squared", inlined, tiles)
    return specialise(template, INPUTS=2, **settled), called


class Elsewhere(JitEngine):
    """In place of Numba's engine: compiles for another processor, and has no code to run."""

    def __init__(self, own: JitEngine, name: str) -> None:
        super().__init__(own._ee)  # it owns what says how large types are
        llvm.initialize_all_targets()
        llvm.initialize_all_asmprinters()
        self.triple, self.text = f"{PROCESSORS[name].architecture}-unknown-linux-gnu", ""
        target = llvm.Target.from_triple(self.triple)
        self.machine = target.create_target_machine(cpu=name, opt=3, reloc="static", jit=True)
        self.none = ctypes.create_string_buffer(64)

    def add_module(self, module: Any) -> None:
        self._load_defined_symbols(module)
        own, module.triple = module.triple, self.triple
        self.text = self.machine.emit_assembly(module)  # changes the module, as Numba's engine does
        module.triple = own

    def add_global_mapping(self, variable: Any, address: int) -> None:
        self._defined_symbols.add(variable.name)

    def finalize_object(self) -> None:
        pass

    def get_function_address(self, name: str) -> int:
        return ctypes.addressof(self.none)

    get_global_value_address = get_function_address


def assembly(loop: str, dtype: str, name: str) -> str:
    """The kernel's assembly for a processor. The first call of a process decides which: parts are compiled once."""
    codegen = cpu_target.target_context.codegen()
    if not isinstance(codegen._engine, Elsewhere):
        engine = Elsewhere(codegen._engine, name)
        codegen._engine, codegen._tm, codegen._data_layout = engine, engine.machine, str(engine.machine.target_data)
    compiled, signature = kernel(loop, dtype, tiles_for(PROCESSORS[name].features))
    compiled.compile(signature)
    return str(codegen._engine.text)


def instructions(text: str) -> Iterator[str]:
    """Labels and instructions, without comments and directives."""
    for line in text.splitlines():
        line = re.split(r"\s#\s|//", line)[0].strip()
        if line.startswith(".LBB") or (line and line[0] != "." and line[-1] != ":"):
            yield " ".join(line.split())


def innermost(text: str) -> list[Loop]:
    """The loops of one block, from a label to a jump back to it, that multiply and add."""
    lines, block, loops = list(instructions(text)), [""], []
    frame = r"\(%r[sb]p" if "movq %rsp, %rbp" in lines else r"\(%rsp|\[sp\b"
    for line in lines:
        block = [line] if line[-1] == ":" else [*block, line]
        jump = JUMP.match(line)
        if jump and block[0] == f"{jump[1]}:":
            loops.append(described(block, frame))
    return [loop for loop in loops if loop.multiply_adds]


def described(lines: list[str], frame: str) -> Loop:
    """What the table shows of a loop."""
    read: set[str] = set()  # before the turn writes it
    written: set[str] = set()
    bits = count = 0
    for line in lines:
        arm = "%" not in line
        registers = [(m[1] or m[3], m[2] or m[4]) for m in REGISTER.finditer(line)]
        if arm:  # the target comes first there
            registers.reverse()
        stores = line.startswith("st") if arm else line.endswith(")")
        if MULTIPLY_ADD.match(line):
            count, bits = count + 1, max(bits, BITS.get(registers[-1][0], 128))
            registers.append(registers[-1])  # it is read as well
        numbers = [number for _, number in registers]
        targets = [] if stores else numbers[-1:]
        read |= set(numbers if stores else numbers[:-1]) - written
        written |= set(targets)
    return Loop(bits, count, len(read & written), sum(bool(re.search(frame, line)) for line in lines), lines)


def newest_mca() -> str | None:
    """The newest llvm-mca in PATH."""
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    programs = {path for folder in folders for path in folder.glob("llvm-mca-*") if path.name[9:].isdecimal()}
    newest = max(programs, key=lambda path: int(path.name[9:]), default=None)
    return str(newest) if newest else shutil.which("llvm-mca")


def cycles(lines: list[str], name: str) -> float | None:
    """Cycles a turn by llvm-mca, or None where it is not there or has no model of the processor."""
    mca = newest_mca()
    if mca is None:
        return None
    words = [mca, f"-iterations={TURNS}", "-mtriple", PROCESSORS[name].architecture, "-mcpu", PROCESSORS[name].model]
    answer = subprocess.run(words, input="\n".join(lines), capture_output=True, text=True, check=False)
    total = re.search(r"Total Cycles:\s+(\d+)", answer.stdout)
    if total is None or "not a recognized processor" in answer.stderr:
        return None
    return int(total[1]) / TURNS


def record(loop: str, dtype: str, name: str) -> dict[str, Any]:
    """One line of the table."""
    loops = innermost(assembly(loop, dtype, name))
    bits, count, sums, spills, lines = max(loops, key=lambda one: (one.sums, one.multiply_adds))
    elsewhere = sum(one.spills for one in loops) - spills
    bound = count * bits / PROCESSORS[name].bits
    return {
        "processor": name, "loop": loop, "dtype": dtype, "bits": bits, "multiply_adds": count, "sums": sums,
        "spills": spills, "other_spills": elsewhere, "cycles": cycles(lines, name), "bound": bound,
    }  # fmt: skip


def line(row: dict[str, Any]) -> str:
    """A record as a line of the table."""
    known = row["cycles"] is not None
    turn, share = (f"{row['cycles']:.1f}", f"{row['bound'] / row['cycles']:.0%}") if known else ("-", "-")
    return (
        f"{row['processor']:15} {row['loop']:14} {row['dtype']:8} {row['bits']:5} {row['multiply_adds']:5} "
        f"{row['sums']:5} {row['spills']:5} ({row['other_spills']:2}) {turn:>8} {row['bound']:7.1f} {share:>6}"
    )


def main() -> None:
    """The table, or with --json a list of records for each processor."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processors", nargs="+", choices=PROCESSORS, default=list(PROCESSORS))
    parser.add_argument("--loops", nargs="+", choices=LOOPS, default=list(LOOPS))
    parser.add_argument("--dtypes", nargs="+", choices=LANES, default=list(LANES))
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if args.json and len(args.processors) == 1:
        os.environ["PARTICLES_CACHE"] = ""  # what is compiled here does not run here
        print(json.dumps([record(loop, dtype, *args.processors) for loop in args.loops for dtype in args.dtypes]))
        return
    if not args.json:
        print(f"{'':39} {'bits':>5} {'fma':>5} {'sums':>5} {'spills':>10} {'cycles':>8} {'bound':>7} {'share':>6}")
    for name in args.processors:  # each in a process of its own
        more = ["--json", "--processors", name, "--loops", *args.loops, "--dtypes", *args.dtypes]
        output = subprocess.run([sys.executable, __file__, *more], capture_output=True, text=True, check=True).stdout
        print(output.strip() if args.json else "\n".join(map(line, json.loads(output))), flush=True)


if __name__ == "__main__":
    main()
