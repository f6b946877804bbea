"""The page itself: what its sections hold, put into the template, and written."""

import base64
import hashlib
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup
from matplotlib.figure import Figure

from particles.analysis.convergence import verdict
from particles.errors import InputError
from particles.escapes import escaped
from particles.files.atomic import write_whole
from particles.plotting.convergence import distances
from particles.plotting.style import label, optional, styled
from particles.report.curves import curves
from particles.report.film import Clouds, clouds
from particles.report.formulas import formulas
from particles.report.incidents import incidents
from particles.report.pictures import ROOM, Picture, drawn, fitting, saved
from particles.report.reproduction import reproduction
from particles.report.settings import contents, origin, settings
from particles.report.source import SWEEP, Source, read
from particles.report.verdicts import distances_by_count, outcome, summary, verdicts

FILE = "report.html"


def write(path: Path, target: Path | None = None) -> Path:
    """Write the report of a result: the page's path, by default report.html beside the file or in the folder.

    path: a sweep's folder or its sweep.h5, a run's file, or a study's. The same result gives the same page.

    Raises StorageError for what is no result, or cannot be written; InputError for a target that is the result itself.
    """
    path = Path(path)
    source = read(path)
    target = Path(target) if target else source.path.parent / FILE
    target = target / FILE if target.is_dir() else target
    if target.absolute() == source.path.absolute():
        raise InputError("a report must not overwrite its result", str(target), f"Write it to {FILE}, say.")
    write_whole(target, page(source).encode("utf-8", "replace"))  # half a surrogate pair is no letter
    return target


def page(source: Source) -> str:
    """The whole page: everything that came from the file is escaped by the template."""
    style, script = _text("page.css"), _text("page.js")
    happened, cloud = incidents(source), Clouds(None, [], [])
    figures, notes = _pictures(source)
    with optional("the cloud", cloud.notes):
        cloud = clouds(source)
    room = ROOM - sum(len(picture.source) for picture in figures) - (len(cloud.film.still.source) if cloud.film else 0)
    still, lost = fitting(cloud.pictures, max(room, 0))
    if lost:
        notes.append("The last cloud is left out: the page would be too large.")
    return _template().render(
        source=source,
        title=f"{source.kind} {source.name}",
        policy=f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'",
        style=Markup(style),
        script=Markup(script),
        lead=summary(source),
        incidents=happened,
        settings=settings(source),
        contents=contents(source),
        verdicts=verdicts(source),
        numbers=[*distances_by_count(source), outcome(source)],
        pictures=figures,
        picture_notes=notes,
        clouds=cloud._replace(pictures=still),
        origin=origin(source),
        reproduction=reproduction(source),
    )


def _pictures(source: Source) -> tuple[list[Picture], list[str]]:
    """The figures that were saved, then a curve for every quantity, as far as the page has room."""
    figures, notes = saved(source)
    if source.kind == SWEEP:
        screen = "small" if figures else ""  # the sweep's own figures have it as a panel that a phone shows too small
        figures = [picture._replace(screen="large") for picture in figures] if source.setups else figures
        for setting, compared in source.setups[:8]:
            with optional("the distance from the limit", notes):
                figures.append(_distance(setting, compared)._replace(screen=screen))
    lines, more = curves(source)
    kept, lost = fitting([*figures, *lines], ROOM * 3 // 4)
    if lost:
        more.append(f"{lost} figures are left out: the page would be too large.")
    return kept, notes + more


@styled
def _distance(setting: dict[str, Any], compared: Any) -> Picture:
    """The distance from the limit against M, of a sweep that was run without its figure."""
    figure = Figure(figsize=(4.6, 3.6))
    distances(figure.subplots(), compared)
    words = ", ".join(f"{name} = {value}" for name, value in setting.items())
    figure.suptitle(label(words, 60), fontsize=9)
    return drawn(
        figure, "Distance from the limit", f"The distance from the limit against M. {verdict(compared)}.", words
    )


def _text(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """What the page's policy knows its own style and script by."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _visible(value: Any) -> Any:
    """A value of the page: in texts, what is not visible as escapes."""
    return escaped(value, keep="\n\t") if isinstance(value, str) and not isinstance(value, Markup) else value


@lru_cache(maxsize=1)
def _template() -> Template:
    environment = Environment(
        autoescape=True, finalize=_visible, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["formulas"] = formulas
    return environment.from_string(_text("page.html.jinja"))
