"""What a case may not do, and how it is seen."""

import os
import re
from pathlib import Path
from typing import NamedTuple

from fuzz.case import Case, Place
from fuzz.worker import BEYOND, Answer, held

SECRET_NUMBER = 271828.18284590451
SECRET_TEXT = "sesame-4711"
MARKUP = "fuzzmarkup"  # stands behind a tag of rich, which must be printed as it is
_LEAK = re.compile(rf"{SECRET_TEXT}|271828\.18|2\.7183e\+05|271828182")
# C0 but tab and newline, DEL, C1, what turns the direction of text, line and paragraph separators.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029]")
_TAKEN = re.compile(rf"(?<!\]){MARKUP}")


class Fault(NamedTuple):
    """kind: traceback, signal, time, memory, leak, executed, written, control, markup or code; text: the details."""

    case: str
    kind: str
    text: str


def snapshot(place: Place) -> dict[str, tuple[int, int]]:
    """The files outside with sizes and times, after their access times were set back."""
    found = {}
    for path in sorted(place.outside.rglob("*")):
        about = path.lstat()
        os.utime(path, ns=(0, about.st_mtime_ns), follow_symlinks=False)
        found[path.name] = about.st_size, about.st_mtime_ns
    return found


def faults(case: Case, place: Place, answer: Answer, before: dict[str, tuple[int, int]], ticking: bool) -> list[Fault]:
    """All that is wrong with what a case did. ticking: whether this file system keeps access times."""
    found = [*_of_the_process(answer, place), *_of_the_output(answer), *_of_the_files(place, before, ticking)]
    return [Fault(case.name, kind, text) for kind, text in found]


def _of_the_process(answer: Answer, place: Place) -> "list[tuple[str, str]]":
    found = []
    if answer.ended:
        kind = answer.ended if answer.ended in ("memory", "time") else "signal" if "signal" in answer.ended else "time"
        about = f"{answer.ended}: {answer.seconds:.1f} s, {answer.growth / 2**20:.0f} MiB more"
        found.append((kind, f"{about}. {answer.output[-300:]}".strip()))
    elif answer.growth > BEYOND + held(place.inside):
        found.append(("memory", f"{answer.growth / 2**20:.0f} MiB more"))
    for use in answer.uses:
        if "fault" in use:
            kind = "code" if "UndocumentedCode" in use["fault"] else "traceback"
            found.append((kind, f"{use['use']}: {use['fault']}"))
    return found


def _of_the_output(answer: Answer) -> "list[tuple[str, str]]":
    found = []
    for use in answer.uses:
        text = use["output"]
        if "Traceback (most recent" in text and "fault" not in use:
            found.append(("traceback", f"{use['use']} prints {text[-300:]!r}"))
        for kind, pattern in (("leak", _LEAK), ("control", _CONTROL), ("markup", _TAKEN)):
            if match := pattern.search(text):
                around = text[max(0, match.start() - 40) : match.end() + 40]
                found.append((kind, f"{use['use']} prints {around!r}"))
    return found


def _of_the_files(place: Place, before: dict[str, tuple[int, int]], ticking: bool) -> "list[tuple[str, str]]":
    found = []
    if place.canary.exists():
        found.append(("executed", place.canary.read_text()[:80]))
    after = {}
    for path in sorted(place.outside.rglob("*")):
        about = path.lstat()
        after[path.name] = about.st_size, about.st_mtime_ns
        if ticking and path.name in before and about.st_atime_ns:
            found.append(("leak", f"outside/{path.name} was read"))
    if after != before:
        found.append(("written", f"outside: {sorted(set(after.items()) ^ set(before.items()))[:3]}"))
    pages = {page.name: page.read_text(encoding="utf-8", errors="replace") for page in place.inside.rglob("*.html")}
    found += [("leak", f"{name} has {match[0]!r}") for name, page in pages.items() if (match := _LEAK.search(page))]
    return found


def keeps_access_times(folder: Path) -> bool:
    """Whether reading a file here changes its access time."""
    probe = folder / "probe"
    probe.write_bytes(b"probe")
    os.utime(probe, ns=(0, probe.stat().st_mtime_ns))
    probe.read_bytes()
    return probe.stat().st_atime_ns != 0
