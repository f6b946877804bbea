"""Every code block of the README and the pages runs as it is written, in the page's order, in one folder.

Blocks in `python` share one namespace, `sh` blocks run beside configs/ and drivers/, a `toml` block under
`<!-- file: NAME -->` is written to NAME. What cannot run here says why: `<!-- not run: reason -->`. A `text` block is a
scheme; under `<!-- printed -->` it is what the block before printed, up to rounding.
"""

import contextlib
import io
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest
from support import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(
    r"(?:^<!-- (?P<note>[^\n]*?) -->\n)?^```(?P<language>[\w{}]*)\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE
)
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?")


class Block(NamedTuple):
    """One fenced block: its language, its text, and what the comment above it says ("" if there is none)."""

    language: str
    code: str
    note: str


def blocks(page):
    found = BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [Block(one["language"], one["code"], one["note"] or "") for one in found]


def runnable(page):
    """Whether a page has code; the gallery's studies, each with its command, are of `test_studies.py`."""
    return page.name != "gallery.md" and any(map(runs, blocks(page)))


def runs(block):
    return block.language in ("python", "sh") and not block.note.startswith("not run: ")


def named(page):
    """Quick pages are of every day; slow are four that compile much, and those that call programs, which start Ray."""
    programs = any(block.language == "sh" and runs(block) for block in blocks(page))
    marks = (
        [pytest.mark.slow]
        if programs or page.stem in ("coming_from", "extending", "fluctuations", "mean_field")
        else []
    )
    return pytest.param(page, id=page.stem, marks=marks)


def shell(code, folder):
    there = dict(os.environ, PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", COLUMNS="120")
    done = subprocess.run(["bash", "-euc", code], cwd=folder, env=there, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def same(printed, expected):
    """Whether every line expected was printed, in words exactly and in numbers to a hundredth; "..." is any lines."""
    lines = iter(printed.splitlines())

    def alike(one, other):
        if NUMBER.sub("#", one).split() != NUMBER.sub("#", other).split():
            return False
        pairs = zip(NUMBER.findall(one), NUMBER.findall(other), strict=True)
        return all(float(a) == pytest.approx(float(b), rel=1e-2) for a, b in pairs)

    return all(
        any(alike(line, wanted) for line in lines) for wanted in expected.splitlines() if wanted.strip() != "..."
    )


@pytest.mark.parametrize("page", [named(page) for page in PAGES if runnable(page)])
def test_page__code_runs_as_written(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("configs", "drivers"):
        (tmp_path / name).symlink_to(ROOT / name)
    names, printed = {"__name__": page.stem}, ""
    for block in blocks(page):
        if block.note.startswith("file: "):
            (tmp_path / block.note.removeprefix("file: ")).write_text(block.code, encoding="utf-8")
        elif block.language == "text" and block.note == "printed":
            assert same(printed, block.code), f"printed:\n{printed}\nexpected:\n{block.code}"
        elif not runs(block):
            continue
        elif block.language == "sh":
            printed = shell(block.code, tmp_path)
        else:
            with contextlib.redirect_stdout(io.StringIO()) as said:
                exec(compile(block.code, page.name, "exec"), names)
            printed = said.getvalue()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page__says_of_every_block_what_it_is(page):
    for block in blocks(page):
        assert block.language in ("python", "sh", "toml", "text", "{toctree}"), f"{page.name}: {block.code[:60]!r}"
        if block.language == "toml":
            tomllib.loads(block.code)
        if block.note.startswith("not run"):
            assert len(block.note) > len("not run: ") + 10, f"{page.name}: why not? {block.code[:60]!r}"


@pytest.mark.parametrize(
    ("expected", "there"),
    [("loss 0.1250 at 3", True), ("loss 0.1252 at 3", True), ("loss 0.15 at 3", False), ("gap 0.125 at 3", False)],
)
def test_printed__is_compared_in_words_and_numbers(expected, there):
    assert same("first\nloss 0.125 at 3\nlast", f"...\n{expected}\n") is there


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent.name == "docs"], ids=lambda page: page.stem)
def test_page__names_files_that_are_there(page):
    named = re.findall(r"`((?:drivers|configs|particles|tests|docs)/[\w/.]+\.\w+)`", page.read_text(encoding="utf-8"))
    assert [name for name in named if not (ROOT / name).is_file()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page__links_lead_somewhere(page):
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not target.startswith(("http://", "https://", "#")):
            assert (page.parent / target.split("#")[0]).exists(), target
