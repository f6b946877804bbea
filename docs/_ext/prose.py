"""Docstrings not yet in NumPy's form, prose with `code` and |g - y|, s_r and M^-beta, become reStructuredText.

Outside backticks nothing is markup. A sentence about a parameter becomes a list item, a public name in backticks a
link, an indented paragraph a formula; `>>>` examples stay as they are.
"""

import inspect
import itertools
import re
from types import ModuleType
from typing import Any

from sphinx.application import Sphinx

import particles as mf

_SECTION = re.compile(r"(?:Parameters|Attributes|Returns|Raises|Notes|References|Examples)\n-+")


def _known() -> dict[str, str]:
    """What a name in backticks may mean: `simulate`, `mf.simulate`, `theory.gibbs`, `tangent.gram`, ..."""
    found: dict[str, str] = {}
    for path, face in {"": mf, "theory.": mf.theory, "tangent.": mf.tangent, "transport.": mf.transport}.items():
        for name in getattr(face, "__all__", vars(face)):
            if not name.startswith("_") and not isinstance(getattr(face, name), ModuleType):
                for words in (f"mf.{path}{name}", f"particles.{path}{name}", f"{path}{name}", name):
                    found.setdefault(words, f"particles.{path}{name}")
    return found


KNOWN = _known()


def marked(text: str, own: set[str]) -> str:
    """A text with its code as code, public names as links unless they are the object's own, all else as it stands.

    It begins with an empty escape, so that "(2)" is no list.
    """

    def code(words: str) -> str:
        goal = None if words in own else KNOWN.get(words)
        return rf"\ :py:obj:`{words} <{goal}>`\ " if goal else rf"\ ``{words}``\ "

    parts = text.split("`")
    return r"\ " + "".join(
        code(part) if at % 2 else re.sub(r"([\\*|_])", r"\\\1", part) for at, part in enumerate(parts)
    )


def rendered(lines: list[str], names: set[str]) -> list[str]:
    """A docstring's lines as reStructuredText; names: of the object's parameters."""
    one = "|".join(map(re.escape, names)) or r"(?!)"
    cut = re.compile(rf"(?:^|(?<=[.;] ))(?=(?:{one})(?:, (?:{one}))* ?: |Raises )")
    head = re.compile(rf"((?:{one})(?:, (?:{one}))*) ?: (.*)")
    out: list[str] = []
    for paragraph in re.split(r"\n\s*\n", "\n".join(lines).strip()):
        rows = paragraph.split("\n")
        if rows[0].startswith(">>>"):
            out += [*rows, ""]
        elif all(row.startswith(" ") for row in rows):
            out += ["::", "", *rows, ""]
        else:
            for part in cut.split(" ".join(row.strip() for row in rows)):
                if found := head.match(part):
                    out += [f"* **{found[1].replace('_', chr(92) + '_')}**: {marked(found[2], names)}", ""]
                elif part:
                    out += [marked(part, names), ""]
    return out


def _names(what: str, made: Any) -> set[str]:
    if what not in ("function", "class", "method"):
        return set()
    return set(inspect.signature(made).parameters)


def _docstring(app: Sphinx, what: str, name: str, made: Any, options: Any, lines: list[str]) -> None:
    if any(_SECTION.fullmatch(f"{title}\n{rule}") for title, rule in itertools.pairwise(lines)):
        return  # in NumPy's form: napoleon's
    lines[:] = rendered(lines, _names(what, made))
    if what in ("attribute", "property"):
        lines.insert(0, r"\ ")  # else napoleon takes what stands before a colon for a type


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", _docstring)
    return {"parallel_read_safe": True}
