"""`.. rows:: observables`: a table of the package as a table of the page, so that no page copies one."""

import inspect
import re
from collections.abc import Callable, Iterable

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import particles as mf
from particles.data.known_sets import SETS

Rows = tuple[tuple[str, ...], Iterable[tuple[str, ...]]]


def _yes(value: object) -> str:
    return "yes" if value else ""


def activations() -> Rows:
    heads = (
        "Activation",
        r":math:`\sup \lvert \sigma' \rvert`",
        r":math:`\sup \lvert \sigma'' \rvert`",
        "Assumption 1",
        "Assumption 2",
        "Kernel in closed form",
    )
    return heads, (
        (f"`{row.name}`", f"{row.slope_bound:.4g}", f"{row.curvature_bound:.4g}", _yes(row.assumption_1),
         _yes(row.assumption_2), _yes(row.slope_kernel))
        for row in mf.ACTIVATIONS.values()
    )  # fmt: skip


def losses() -> Rows:
    heads = ("Loss", r":math:`\sup \partial_z^2 \ell`", "Labels -1 and 1", "Classes")
    return heads, (
        (f"`{row.name}`", f"{row.curvature:g}", _yes(row.binary), _yes(row.classes)) for row in mf.LOSSES.values()
    )


def observables() -> Rows:
    heads = ("Name", "What it is", "Equation", "Dimensions", "Needs", "Derivative")
    asks = {"test": "`test`", "binary": "labels -1, 1", "kernel": "Gram matrices"}
    return heads, (
        (f"`{row.name}`", row.long_name, row.equation, ", ".join(("time", *row.dims)),
         ", ".join(words for name, words in asks.items() if getattr(row, name)), _yes(row.differential))
        for row in mf.OBSERVABLES.values()
    )  # fmt: skip


def datasets() -> Rows:
    heads = ("Name", "What it is", "Options")
    return heads, (
        (f"`{name}`", inspect.getdoc(make) or "", ", ".join(f"`{p.name}`" for p in _parameters(make)))
        for name, make in SETS.items()
    )


def _parameters(make: Callable[..., object]) -> Iterable[inspect.Parameter]:
    return inspect.signature(make).parameters.values()


TABLES = {"activations": activations, "losses": losses, "observables": observables, "datasets": datasets}


def marked(text: str) -> str:
    """A cell: what is in backticks is code, all else stands as it is."""
    parts = text.split("`")
    parts[::2] = [re.sub(r"([\\*|_])", r"\\\1", part) for part in parts[::2]]
    return r"\ " + "`".join(parts)  # an empty escape, so that "(2)" is no list


class RowsDirective(SphinxDirective):
    """One of TABLES by name."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        heads, rows = TABLES[self.arguments[0]]()
        lines = [".. list-table::", "   :header-rows: 1", ""]
        for row in (heads, *rows):
            lines += [f"   {' ' if place else '*'} - {marked(cell)}" for place, cell in enumerate(row)]
        return self.parse_text_to_nodes("\n".join(lines))


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("rows", RowsDirective)
    return {"parallel_read_safe": True}
