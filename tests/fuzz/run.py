"""Cases one after the other: files made, used, judged, removed."""

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from fuzz import judge, valid
from fuzz.case import Case, Place
from fuzz.judge import Fault
from fuzz.worker import SECONDS, Answer, Worker


class Done(NamedTuple):
    """A case that was tried, and what was wrong; answer: None where this system cannot make its files."""

    case: Case
    answer: Answer | None
    faults: list[Fault]


class Fuzzer:
    """A folder to work in, with valid files of all kinds; the child that opens what is made from them."""

    def __init__(self, folder: Path, seconds: float = SECONDS) -> None:
        self.folder, self.valid = folder, valid.made(folder / "valid")
        self.worker = Worker(folder, seconds)
        self._ticking = judge.keeps_access_times(folder)

    def tried(self, case: Case, keep: bool = False) -> Done:
        """One case; its folder stays if `keep`."""
        root = self.folder / "case"
        shutil.rmtree(root, ignore_errors=True)
        place = Place(root / "inside", root / "outside", self.valid, root / "canary")
        place.inside.mkdir(parents=True)
        shutil.copytree(self.valid / "outside", place.outside)
        path = case.make(place, case.random(), case.variant)
        if path is None:
            return Done(case, None, [])
        before = judge.snapshot(place)
        answer = self.worker.ask(path, case.kind)
        found = judge.faults(case, place, answer, before, self._ticking)
        if not keep:
            shutil.rmtree(root, ignore_errors=True)
        return Done(case, answer, found)

    def all(self, cases: Iterable[Case]) -> Iterator[Done]:
        """Cases in turn."""
        with self.worker:
            yield from map(self.tried, cases)
