"""What a case is, and the table of all of them."""

import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

SEED = 19  # another one makes other random mutations


class Place(NamedTuple):
    """The folders of one case.

    inside: what its user was given. outside: files of others, which nothing may read or change. valid: files of every
    kind as the program writes them, to begin from. canary: a file that exists if something was executed.
    """

    inside: Path
    outside: Path
    valid: Path
    canary: Path


Make = Callable[[Place, np.random.Generator, str], Path | None]


class Case(NamedTuple):
    """kind: what the program is asked to do with it (`uses.py`). make: writes the files, gives the one to open."""

    family: str
    variant: str
    kind: str
    make: Make

    @property
    def name(self) -> str:
        return f"{self.family}/{self.variant}"

    def random(self) -> np.random.Generator:
        """The random numbers of this case, by its name."""
        return np.random.default_rng([SEED, zlib.crc32(self.name.encode())])


FAMILIES: dict[str, list[Case]] = {}


def family(name: str, kind: str, variants: Iterable[str]) -> Callable[[Make], Make]:
    """Enter a maker into the table, a case for each of its variants."""

    def enter(make: Make) -> Make:
        FAMILIES.setdefault(name, []).extend(Case(name, variant, kind, make) for variant in variants)
        return make

    return enter


def cases(prefix: str = "", every: int = 1) -> list[Case]:
    """Those whose name begins so; of each family every so many-th, at least one."""
    named = ([case for case in each if case.name.startswith(prefix)] for each in FAMILIES.values())
    return [case for each in named for case in each[len(each) % every // 2 :: every] or each[:1]]
