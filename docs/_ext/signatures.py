"""Signatures as a reader needs them: arrays by their short names, settings without their checks, no row of a tuple.

A parameter's shape, which napoleon sets in parentheses as it would a type, keeps its own alone.
"""

import inspect
import re
from typing import Annotated, Any, get_origin

from numpy.typing import ArrayLike
from sphinx.application import Sphinx
from sphinx.util.inspect import stringify_annotation

import particles as mf

_FIELD = type(inspect.getattr_static(mf.Measure, "b"))  # a NamedTuple's; its signature has them already
_LIKE = stringify_annotation(ArrayLike, "smart")
_ARRAY = re.compile(r"~numpy\.ndarray\[tuple\[~typing\.Any, \.\.\.\], ~numpy\.dtype\[~[\w.]+\]\]")


def _without_checks(app: Sphinx, value: Any, bound: bool) -> None:
    """A setting's type alone: `Annotated` has its checks and its description in a configuration."""
    hints = getattr(value, "__annotations__", {})
    hints |= {name: hint.__origin__ for name, hint in hints.items() if get_origin(hint) is Annotated}


def _shortened(
    app: Sphinx, what: str, name: str, value: Any, options: Any, signature: str | None, returned: str | None
) -> tuple[str | None, str | None]:
    return tuple(text and _ARRAY.sub("~numpy.ndarray", text.replace(_LIKE, "~numpy.typing.ArrayLike"))
                 for text in (signature, returned))  # type: ignore[return-value]  # fmt: skip


def _skipped(app: Sphinx, what: str, name: str, value: Any, skip: bool, options: Any) -> bool | None:
    return True if isinstance(value, _FIELD) else None


def _one_pair(app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    lines[:] = [re.sub(r"\(\*(\(.*\))\*\) --", r"*\1* --", line) for line in lines]


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("autodoc-before-process-signature", _without_checks)
    app.connect("autodoc-process-signature", _shortened)
    app.connect("autodoc-skip-member", _skipped)
    app.connect("autodoc-process-docstring", _one_pair, priority=900)  # after napoleon
    return {"parallel_read_safe": True}
