"""How often a stated error holds: each function that states one, on random problems, beside a much finer truth.

A problem is drawn from its seed: law, activation, dimension, method, data. It counts as covered if the true error is at
most the stated one; a refusal (InputError) is no answer and is not counted. `most` is the largest true error as a
multiple of the stated one, `median` the median of the same. Wilson's 95% interval of the coverage stands beside it.
A check whose coverage is below 95% is named at the end with its chance: that of so few if each problem had 95%. The
driver fails if one of them is below 1%.

    python drivers/stated_errors.py [--only NAME] [--problems 40]      all of it: some minutes

The checks are in drivers/stated/, one module a subject: CHECKS maps a function's public name to seed -> (stated, true).
"""

import argparse
import importlib
import pkgutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.stats import binom

sys.path.insert(0, str(Path(__file__).parent))

import stated

from particles.errors import InputError

IMPROBABLE = 0.01
Check = Callable[[int], tuple[float, float] | None]


class Coverage(NamedTuple):
    """Problems that were answered, how many of the answers were covered, true / stated of each, seconds in all."""

    answered: int
    covered: int
    ratios: list[float]
    seconds: float

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95% interval of the share that is covered."""
        n, z = max(self.answered, 1), 1.96
        middle = (self.covered / n + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * (self.covered / n * (1 - self.covered / n) / n + z * z / (4 * n * n)) ** 0.5
        return middle - half, middle + half

    @property
    def chance(self) -> float:
        """That no more are covered, if each is with probability 95%."""
        return float(binom.cdf(self.covered, self.answered, 0.95))


def checks() -> dict[str, Check]:
    """Every check of every module in drivers/stated."""
    modules = [importlib.import_module(f"stated.{item.name}") for item in pkgutil.iter_modules(stated.__path__)]
    return {name: check for module in modules for name, check in module.CHECKS.items()}


def coverage(check: Check, problems: int) -> Coverage:
    """One check on the problems of seeds 0 to problems - 1."""
    begin = time.perf_counter()
    answers = [answer for seed in range(problems) if (answer := _asked(check, seed)) is not None]
    ratios = [_ratio(*answer) for answer in answers]
    return Coverage(len(answers), sum(ratio <= 1.0 for ratio in ratios), ratios, time.perf_counter() - begin)


def _asked(check: Check, seed: int) -> tuple[float, float] | None:
    try:
        return check(seed)
    except InputError:
        return None


def _ratio(error: float, truth: float) -> float:
    if error > 0.0:
        return truth / error
    return np.inf if truth > 0.0 else 0.0


def lines(chosen: dict[str, Check], problems: int) -> Iterator[tuple[str, Coverage]]:
    """The table, a line a check as it is done."""
    print(f"{'function':<34}{'answered':>9}{'covered':>9}{'95% interval':>16}{'median':>9}{'most':>8}{'s':>7}")
    for name, check in chosen.items():
        row = coverage(check, problems)
        low, high = row.interval
        median, most = (np.median(row.ratios), max(row.ratios)) if row.ratios else (np.nan, np.nan)
        share, between = f"{100 * row.covered / max(row.answered, 1):.0f}%", f"[{low:.2f}, {high:.2f}]"
        cells = f"{row.answered:>9}{share:>9}{between:>16}{median:>9.2f}{most:>8.2f}{row.seconds:>7.0f}"
        print(f"{name:<34}{cells}", flush=True)
        yield name, row


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", metavar="NAME", help="checks whose name contains this")
    parser.add_argument("--problems", type=int, default=40, metavar="N", help="random problems each (40)")
    asked = parser.parse_args()
    chosen = {name: check for name, check in checks().items() if asked.only in name}
    short = {name: row for name, row in lines(chosen, asked.problems) if row.covered < 0.95 * row.answered}
    for name, row in short.items():
        print(f"covered less than 95%: {name}, {row.covered} of {row.answered}, chance {row.chance:.2g}")
    return any(row.chance < IMPROBABLE for row in short.values())


if __name__ == "__main__":
    sys.exit(main())
