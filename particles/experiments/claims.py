"""Claims of the paper beside what was measured: the table, the files and the exit code that every study ends with.

A study is a script in drivers/studies/ with its settings beside it, in two sizes, [full] and [quick].
"""

import argparse
import io
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, ValidationError
from rich.table import Table
from rich.text import Text

from particles.configuration.config import ConfigError, override, read_toml
from particles.console import Console
from particles.errors import ParticlesError, nearest
from particles.files.atomic import write_whole
from particles.storage.provenance import provenance

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

S = TypeVar("S", bound="Settings")


class Settings(BaseModel):
    """The numbers of a study: a driver's own fields, all of them in its configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True)


VERDICTS: dict[bool | None, str] = {True: "holds", False: "does not hold", None: "vacuous"}
_CELLS: dict[bool | None, tuple[str, str]] = {True: ("yes", ""), False: ("NO", "bold red"), None: ("- vacuous", "dim")}


class Claim(NamedTuple):
    """What is claimed and where, what the paper says, what was measured with its interval, and whether it holds.

    predicted: a number or words. measured: a number; low, high: its 95% interval, NaN where there is none.
    holds: None for a vacuous claim, which nothing that could be measured contradicts: it counts neither way.
    """

    text: str
    equation: str
    predicted: float | str
    measured: float
    low: float
    high: float
    holds: bool | None

    @property
    def verdict(self) -> str:
        """In a word: VERDICTS has them."""
        return VERDICTS[self.holds]


def within(
    text: str, equation: str, predicted: float, measured: float, low: float, high: float, slack: float = 0.0
) -> Claim:
    """A claim that a number is what theory says, up to `slack`: its interval, or itself, reaches that."""
    bottom, top = (measured, measured) if np.isnan(low) or np.isnan(high) else (low, high)
    holds = bottom <= predicted + slack and top >= predicted - slack
    return Claim(text, equation, predicted, measured, low, high, bool(holds))


def at_most(text: str, equation: str, predicted: float, measured: float, low: float, high: float) -> Claim:
    """A claim that a number does not exceed what theory says, an upper bound: the interval reaches below it."""
    return Claim(text, equation, f"<= {predicted:.4g}", measured, low, high, bool(low <= predicted))


def below(text: str, equation: str, bound: float, measured: float, low: float = np.nan, high: float = np.nan) -> Claim:
    """A claim that a measured number does not exceed a bound."""
    return Claim(text, equation, f"<= {bound:.4g}", measured, low, high, bool(measured <= bound))


def above(text: str, equation: str, bound: float, measured: float, low: float = np.nan, high: float = np.nan) -> Claim:
    """A claim that a measured number is at least a bound."""
    return Claim(text, equation, f">= {bound:.4g}", measured, low, high, bool(measured >= bound))


def vacuous(claim: Claim, cannot_fail: bool) -> Claim:
    """The claim, without a verdict where it cannot fail: a bound beyond all that could be measured."""
    return claim._replace(holds=None) if cannot_fail else claim


def tally(holds: ArrayLike) -> str:
    """How many claims hold, of those that could fail: `holds` as `as_dataset` has it, or as files of old have it.

    >>> from particles.experiments.claims import tally
    >>> tally([1.0, 1.0, 0.0, np.nan])
    '2 of 3 claims hold, 1 is vacuous'
    """
    values = np.asarray(holds, dtype=np.float64)
    empty = int(np.isnan(values).sum())
    text = f"{int(np.nansum(values))} of {len(values) - empty} claims hold"
    return f"{text}, {empty} {'is' if empty == 1 else 'are'} vacuous" if empty else text


@dataclass(frozen=True)
class Study(Generic[S]):
    """A study as its command line asks for it: settings of the driver's own kind, and where results go."""

    name: str
    settings: S
    out: Path
    quick: bool

    def finish(self, claims: Sequence[Claim], data: "xarray.Dataset", figure: "Figure") -> int:
        """Print the table, write <name>.h5, .png and .svg; the exit code: 1 if a claim does not hold, else 0."""
        from particles.plotting.style import optional, save

        console = Console(width=None if sys.stdout.isatty() else 160)
        console.print(table(self.name, claims))
        columns = as_dataset(claims)
        texts = [str(name) for name, values in columns.items() if values.dtype.kind == "U"]
        whole = (
            data.assign(columns.data_vars)
            .set_coords(texts)
            .assign_attrs(
                {
                    "study": self.name,
                    "size": "quick" if self.quick else "full",
                    "settings": self.settings.model_dump_json(),
                }
                | {key: str(value) for key, value in provenance().items()}
            )
        )
        page = io.BytesIO()
        whole.to_netcdf(page, engine="h5netcdf")
        path = self.out / f"{self.name}.h5"
        write_whole(path, page.getbuffer())
        written = [path]
        with optional("the figure"):
            written += save(figure, self.out / self.name)
        console.print("written: " + ", ".join(map(str, written)))
        return int(any(claim.holds is False for claim in claims))


def study(name: str, kind: type[S], argv: Sequence[str] | None = None) -> Study[S]:
    """The command line of a driver: [--quick] [--config PATH] [--set key=value] [--out DIR].

    kind: the settings' model. Bad ones end the process with exit code 2, each fault named.
    """
    parser = argparse.ArgumentParser(prog=name, description=f"{kind.__doc__}")
    parser.add_argument("--quick", action="store_true", help="the small size, under a minute")
    parser.add_argument("--config", type=Path, help=f"default: {name}.toml beside the script")
    parser.add_argument("--set", action="append", default=[], metavar="key=value", help="one setting instead")
    parser.add_argument("--out", type=Path, default=Path("out") / name)
    given = parser.parse_args(argv)
    if argv is None:
        os.environ["MPLBACKEND"] = "agg"  # as the command line does
    path = given.config or Path(sys.argv[0]).resolve().parent / f"{name}.toml"
    try:
        settings = _settings(path, kind, "quick" if given.quick else "full", given.set)
    except ParticlesError as error:
        parser.exit(2, f"{error}\n")
    return Study(name, settings, given.out, given.quick)


def _settings(path: Path, kind: type[S], size: str, changes: list[str]) -> S:
    sizes = read_toml(path)
    if size not in sizes or not isinstance(sizes[size], dict):
        raise ConfigError(str(path), [f"[{size}] is missing: a study has the sizes [full] and [quick]"])
    raw = dict(sizes[size])
    override(raw, changes)
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(f"{path} [{size}]", [_fault(item, kind) for item in error.errors()]) from error


def _fault(item: Any, kind: type[BaseModel]) -> str:
    dotted = ".".join(map(str, item["loc"]))
    if item["type"] == "extra_forbidden":
        return f"{dotted}: unknown key. {nearest(dotted, kind.model_fields)}"
    return f"{dotted}: {item['msg'][0].lower() + item['msg'][1:]}"


def table(name: str, claims: Sequence[Claim]) -> Table:
    """Claim, predicted, measured with its interval, holds."""
    claim_table = Table(title=f"{name}: theory and measurement", title_justify="left")
    for heading in ("claim", "equation", "predicted", "measured", "95% interval", "holds"):
        claim_table.add_column(heading, justify="left" if heading in ("claim", "equation", "holds") else "right")
    for claim in claims:
        interval = "" if np.isnan(claim.low) else f"[{claim.low:.4g}, {claim.high:.4g}]"
        predicted = claim.predicted if isinstance(claim.predicted, str) else f"{claim.predicted:.4g}"
        row = (claim.text, claim.equation, predicted, f"{claim.measured:.4g}", interval)
        word, style = _CELLS[claim.holds]
        claim_table.add_row(*row, Text(word, style=style))
    return claim_table


def as_dataset(claims: Sequence[Claim]) -> "xarray.Dataset":
    """The claims as variables over the dimension `claim`."""
    import xarray

    def column(values: list[Any], text: str) -> tuple[str, ArrayLike, dict[str, str]]:
        return "claim", np.array(values), {"long_name": text, "units": "1"}

    return xarray.Dataset(
        {
            "claim_text": column([claim.text for claim in claims], "what is claimed"),
            "claim_equation": column([claim.equation for claim in claims], "where the paper says so"),
            "predicted": column([str(claim.predicted) for claim in claims], "what the paper predicts"),
            "measured": column([claim.measured for claim in claims], "what was measured"),
            "measured_low": column([claim.low for claim in claims], "lower end of the 95% interval"),
            "measured_high": column([claim.high for claim in claims], "upper end of the 95% interval"),
            "holds": column(
                [np.nan if claim.holds is None else float(claim.holds) for claim in claims],
                "1 where the claim holds, 0 where it does not, NaN where it is vacuous: nothing could contradict it",
            ),
            "verdict": column([claim.verdict for claim in claims], "the same in a word"),
        }
    )
