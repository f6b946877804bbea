"""The command line of the fuzzer."""

import argparse
import collections
import shutil
import tempfile
import time
from pathlib import Path

from fuzz import families  # noqa: F401  (fills the table)
from fuzz.case import cases
from fuzz.run import Done, Fuzzer
from fuzz.worker import SECONDS


def main() -> int:
    """Try cases and print what went wrong; 1 if anything did."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("names", nargs="*", default=[""], help="names of cases, or how they begin (default: all)")
    parser.add_argument("--list", action="store_true", help="print the names only")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="of each family every N-th only")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of processor time for a case (default: 20)")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where the last case's files stay")
    parser.add_argument("--verbose", action="store_true", help="what every use came to")
    chosen = parser.parse_args()
    wanted = [case for name in chosen.names for case in cases(name, chosen.every)]
    if chosen.list:
        print("\n".join(case.name for case in wanted))
        return 0
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        done = _tried(Fuzzer(Path(folder), chosen.seconds), wanted, chosen)
        if chosen.keep:
            shutil.copytree(Path(folder) / "case", chosen.keep, symlinks=True)
    print(summary(done, time.perf_counter() - begin))
    return int(any(one.faults for one in done))


def _tried(fuzzer: Fuzzer, wanted: list, chosen: argparse.Namespace) -> list[Done]:
    done = []
    with fuzzer.worker:
        for case in wanted:
            done.append(one := fuzzer.tried(case, bool(chosen.keep)))
            for fault in one.faults:
                print(f"{fault.case}  {fault.kind}  {fault.text}", flush=True)
            if chosen.verbose and one.answer:
                print(f"{case.name}  {one.answer.seconds:.2f} s  {one.answer.growth / 2**20:.0f} MiB", flush=True)
                for use in one.answer.uses:
                    ended = use.get("value") or f"{use.get('error') or 'fault'} {use.get('text', '')}"
                    print(f"    {use['use']}: {ended}\n        {use['output'][-300:]!r}", flush=True)
    return done


def summary(done: list[Done], seconds: float) -> str:
    """Cases and faults by family and kind, the slowest and the largest."""
    lines = []
    for family in dict.fromkeys(one.case.family for one in done):
        own = [one for one in done if one.case.family == family]
        kinds = collections.Counter(kind for one in own for kind in {fault.kind for fault in one.faults})
        told = ", ".join(f"{kind} {number}" for kind, number in sorted(kinds.items())) or "none"
        lines.append(f"{family}: {len(own)} cases, {sum(bool(one.faults) for one in own)} with faults ({told})")
    tried = [one for one in done if one.answer]
    lines.append(f"{len(done)} cases, {sum(bool(one.faults) for one in done)} with faults, {seconds:.0f} s")
    if tried:
        lines.append(f"{sum(one.answer.seconds for one in tried):.0f} s of processor time")
        slow = max(tried, key=lambda one: one.answer.seconds)
        large = max(tried, key=lambda one: one.answer.growth)
        lines.append(f"slowest {slow.case.name} {slow.answer.seconds:.1f} s of processor time")
        lines.append(f"largest {large.case.name} {large.answer.growth / 2**20:.0f} MiB more")
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
