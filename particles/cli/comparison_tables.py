"""`particles compare`: two results beside each other, as tables."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from particles.configuration.extent import brief
from particles.console import Console
from particles.experiments import differences
from particles.experiments.summary import FILE

if TYPE_CHECKING:
    import xarray


def show(
    console: Console, first: "tuple[xarray.DataTree, Path]", second: "tuple[xarray.DataTree, Path]"
) -> dict[str, Any]:
    """Settings that differ, exponents and last values of both; the same as plain values."""
    (one, a), (two, b) = first, second
    headings = _named(a), _named(b)
    settings, exponents = differences.settings(one, two), differences.exponents(one, two)
    last = differences.last(one, two)
    if settings:
        _settings(console, settings, headings)
    else:
        console.print("all settings are equal")
    if exponents:
        _exponents(console, exponents, headings)
    if last:
        _last(console, last, headings)
    else:
        console.print("the two recorded no quantity in common")
    plain = {"settings": [row._asdict() for row in settings], "exponents": [row._asdict() for row in exponents]}
    return {"first": a, "second": b} | plain | {"last": [row._asdict() for row in last]}


def _named(path: Path) -> str:
    """A result's own name: of a sweep its folder's."""
    return str(path.parent if path.name == FILE else path)


def _settings(console: Console, rows: list[differences.Difference], headings: tuple[str, str]) -> None:
    table = Table("setting", *headings, title="Settings that differ", title_justify="left")
    for row in rows:
        table.add_row(row.name, *("-" if value is None else brief(value) for value in (row.first, row.second)))
    console.print(table)


def _exponents(console: Console, rows: list[differences.Difference], headings: tuple[str, str]) -> None:
    title = "Exponent of the distance from the limit, 95% interval"
    table = Table("sweep at", *headings, title=title, title_justify="left")
    for row in rows:
        table.add_row(row.name or "all", *map(_exponent, (row.first, row.second)))
    console.print(table)


def _exponent(fit: dict[str, Any] | None) -> str:
    if fit is None:
        return "-"
    low, high = fit["interval"]
    return f"{fit['exponent']:.3f} [{low:.3f}, {high:.3f}]"


def _last(console: Console, rows: list[differences.Last], headings: tuple[str, str]) -> None:
    table = Table(title="Last recorded values, seeds averaged", title_justify="left")
    axes = list(dict.fromkeys(name for row in rows for name in row.where))
    for heading in (*axes, "quantity"):
        table.add_column(heading)
    for heading in headings:
        table.add_column(heading, justify="right")
    for row in rows:
        where = [str(row.where.get(axis, "-")) for axis in axes]
        values = ("-" if value is None else f"{value:.5g}" for value in (row.first, row.second))
        table.add_row(*where, row.quantity, *values)
    console.print(table)
