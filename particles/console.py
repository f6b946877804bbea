"""The console that commands print tables, lines and progress to: text is text, whatever file it came from."""

import sys
from typing import Any

from rich import console
from rich.text import Text

from particles.escapes import escaped


class Console(console.Console):
    """rich's console without markup, emoji codes and colours of numbers; what is not visible is printed as escapes.

    Texts are escaped before they are laid out, so that columns stay columns.
    """

    def __init__(self, **options: Any) -> None:
        stream = sys.stderr if options.get("stderr") else sys.stdout
        settings: Any = {"file": getattr(stream, "styled", None), "markup": False, "emoji": False, "highlight": False}
        super().__init__(**(settings | options))

    def render_str(self, text: str, **options: Any) -> Text:
        """Every plain string that is printed, in a table or alone, becomes a `Text` here."""
        return super().render_str(escaped(text), **options)

    def print(self, *objects: Any, **options: Any) -> None:
        """A `Text` comes from prints by others while a bar is shown: it has lines."""
        lines = (Text(escaped(one.plain, keep="\n")) if isinstance(one, Text) else one for one in objects)
        super().print(*lines, **options)


def duration(seconds: float) -> str:
    """A time in words of two units at most; what is below a second is said so."""
    whole = round(seconds)
    if whole < 1:
        return "less than a second"
    for (large, length), (small, part) in (
        (("d", 86400), ("h", 3600)),
        (("h", 3600), ("min", 60)),
        (("min", 60), ("s", 1)),
    ):
        if whole >= length:
            rest = whole % length // part
            return f"{whole // length} {large}" + (f" {rest} {small}" if rest else "")
    return f"{whole} s"
