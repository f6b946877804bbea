"""How large a configuration may be: what is larger is refused before anything looks at it closely."""

import re
import reprlib
from typing import Any

BYTES = 2**22  # of a file: 10^5 seeds of 64 bits have half of it
VALUES = 150_000  # of a file, about; tomllib takes a second for as many
KEYS = 100  # of a section; the largest has 13
DEPTH = 8  # of lists and sections in each other; a schedule in a list of methods has 4
LETTERS = 4096  # of a text; a path has at most as many
KEY = 60  # letters of a key
LISTED = 20  # faults that a message lists
_BRIEF = reprlib.Repr()
_BRIEF.maxlevel, _BRIEF.maxstring, _BRIEF.maxlong, _BRIEF.maxother, _BRIEF.maxdict = 3, 60, 40, 60, 4
# What may hold any letter in TOML; quotes and comments that do not end go to the end of the line or of the text.
_QUOTED = re.compile(
    r"""\"{3}(?:[^\\]|\\.)*?(?:\"{3,5}|\Z)|'{3}.*?(?:'{3,5}|\Z)|"(?:[^"\\\n]|\\.)*+"?|'[^'\n]*+'?|\#[^\n]*+""",
    re.DOTALL,
)
_CHAIN = re.compile(rf"(?<![\w-])[\w-]++(?:[ \t]*+\.[ \t]*+[\w-]++){{{DEPTH}}}")


def text_excess(text: str) -> str:
    """What is too large in a text of TOML before it is parsed: tomllib's memory is quadratic in the parts of a key."""
    if len(text) > BYTES:
        return f"no configuration: larger than {BYTES} bytes"
    if sum(map(text.count, ",=[")) > VALUES:
        return f"no configuration: more than {VALUES} values"
    chain = _CHAIN.search(_QUOTED.sub(lambda part: "" if part[0][0] == "#" else "q", text))
    return f"a key has at most {DEPTH} parts: got {brief(chain[0])} and more" if chain else ""


def brief(value: Any) -> str:
    """A value in a line of a message, its middle left out where it is long."""
    return _BRIEF.repr(value)


def excess(raw: dict[str, Any]) -> str:
    """What is too large in a configuration, the first that is found; empty where nothing is."""
    level: list[tuple[str, Any]] = [("", raw)]
    for _ in range(DEPTH + 1):
        inner: list[tuple[str, Any]] = []
        for path, value in level:
            if fault := _fault(value):
                return f"{path or 'the file'}: {fault}"
            if isinstance(value, dict):
                inner += [(f"{path}.{key}" if path else key, one) for key, one in value.items()]
            elif isinstance(value, list):
                inner += [(path, one) for one in value]
        level = inner
    return f"{level[0][0]}: lists and sections may be {DEPTH} deep in each other: got more" if level else ""


def _fault(value: Any) -> str:
    """Why one value is too large, without what is in it."""
    if isinstance(value, dict):
        if len(value) > KEYS:
            return f"a section has at most {KEYS} keys: got {len(value)}, {brief(next(iter(value)))} the first"
        return next((f"a key has at most {KEY} letters: got {brief(key)}" for key in value if len(key) > KEY), "")
    if isinstance(value, str) and len(value) > LETTERS:
        return f"a text has at most {LETTERS} letters: got {len(value)}, {brief(value)}"
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return "a whole number has at most 64 bits, as TOML has them: got more"
    return ""
