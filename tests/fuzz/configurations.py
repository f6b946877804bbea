"""Configurations: numbers beyond all machines, lists without end, names that lead elsewhere, values of other types."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fuzz.case import Place, family
from fuzz.mutations import CHANGES, mutate
from fuzz.texts import WORDS

GOOD = {
    "": {"name": '"mine"', "steps": "2"},
    "data": {"name": '"circle"', "n": "4"},
    "network": {"activation": '"tanh"'},
    "law": {"name": '"gaussian"'},
    "start": {"count": "8"},
    "method": {"step": "0.1"},
}


def toml(changes: dict[str, str | None] | None = None, more: str = "") -> str:
    """The good configuration with some values changed, by dotted name; None leaves one out."""
    sections = {name: dict(values) for name, values in GOOD.items()}
    for name, value in (changes or {}).items():
        section, _, key = name.rpartition(".")
        place = sections.setdefault(section, {})
        if value is None:
            place.pop(key, None)
        else:
            place[key] = value
    lines = []
    for name, values in sections.items():
        lines += [f"[{name}]"] if name else []
        lines += [f"{key} = {value}" for key, value in values.items()]
        lines += [more] if not name and more else []
    return "\n".join(lines) + "\n"


def _numbers(count: int) -> str:
    return "[" + ",".join(map(str, range(count))) + "]"


def _quoted(text: str) -> str:
    escaped = "".join(f"\\u{ord(letter):04x}" if ord(letter) < 0x10000 else letter for letter in text)
    return f'"{escaped}"'


_WORDS = {word: _quoted(text[:200]) for word, text in WORDS.items() if word not in ("surrogate", "long")}
# Beyond all machines, or no configuration: refused by `check` and by `run`.
REFUSED: dict[str, str | bytes | Callable[[], str]] = {
    "dim": toml({"data.name": '"gaussian"', "data.dim": "1_000_000_000_000"}),
    "dim-float": toml({"data.name": '"gaussian"', "data.dim": "1e12"}),
    "dim-huge": toml({"data.name": '"sphere"', "data.dim": "9" * 4000}),
    "samples": toml({"data.n": "4294967296"}), "samples-and-dim": toml({
        "data.name": '"gaussian"', "data.n": "4_000_000", "data.dim": "4_000_000"}),
    "samples-axis": toml({"data.n": "[4, 4294967296]"}), "nodes": toml({}, "[limit]\nnodes = 1_000_000_000_000"),
    "count": toml({"start.count": "1_000_000_000_000"}), "count-beyond": toml({"start.count": "9" * 30}),
    "count-axis": toml({"start.count": "[8, 1_000_000_000_000]"}),
    "seeds": lambda: toml({"start.seed": _numbers(2 * 10**6)}),
    "seeds-many": lambda: toml({"start.seed": _numbers(10**7)}),
    "seeds-two-axes": lambda: toml({"start.seed": _numbers(2000), "start.count": _numbers(2000)}),
    "keys": lambda: "".join(f"k{k} = 1\n" for k in range(200_000)) + toml(),
    "keys-section": lambda: toml({f"start.k{k}": "1" for k in range(200_000)}),
    "keys-in-axis": lambda: toml({"law": None}).replace("[law]\nname = \"gaussian\"", "")
    + "".join(f"[[law]]\nk{k} = 1\n" for k in range(5000)),
    "sections": lambda: toml() + "".join(f"[s{k}]\n" for k in range(100_000)),
    "brackets": toml({"start.seed": "[" * 5000 + "]" * 5000}), "brackets-open": toml({"start.seed": "[" * 100_000}),
    "braces": toml({"start": "{a=" * 5000 + "1" + "}" * 5000}), "dotted": ".".join(["a"] * 5000) + " = 1\n" + toml(),
    "sections-deep": toml() + "[" + ".".join(["a"] * 20_000) + "]\n",
    "tables-deep": toml() + "[[" + "a." * 3000 + "a]]\n",
    "digits": toml({"steps": "9" * 100_000}), "float-long": toml({"method.step": "1" * 100_000 + ".0"}),
    "step-infinite": toml({"method.step": "inf"}), "step-nan": toml({"method.step": "nan"}),
    "step-tiny": toml({"method.step": "-1e-308"}), "steps-negative": toml({"steps": "-1"}),
    "steps-text": toml({"steps": '"2"'}),
    "steps-date": toml({"steps": "1979-05-27T07:32:00Z"}), "steps-truth": toml({"steps": "true"}),
    "name-parent": toml({"name": '"../x"'}), "name-absolute": toml({"name": '"/tmp/x"'}),
    "name-dots": toml({"name": '".."'}),
    "name-nul": toml({"name": r'"a\u0000b"'}), "name-newline": toml({"name": r'"a\n"'}),
    "name-long": toml({"name": f'"{"a" * 5000}"'}),
    **{f"name-{word}": toml({"name": text}) for word, text in _WORDS.items()},
    **{f"activation-{word}": toml({"network.activation": text}) for word, text in _WORDS.items()},
    "activation-cyrillic": toml({"network.activation": '"t\u0430nh"'}), "key-cyrillic": toml({'"st\u0435ps"': "2"}),
    "key-bidi": toml({'"\u202esteps"': "2"}), "key-escape": toml({r'"\u001b[2J"': "2"}),
    "section-escape": toml() + '["\\u001b[2J"]\n', "key-wide": toml({'"\uff53teps"': "2"}),
    "key-empty": toml({'""': "2"}),
    "empty": "", "nul": b"\x00" * 1000, "binary": bytes(range(256)), "utf16": toml().encode("utf-16"),
    "latin": b'name = "\xe9"\n', "control": 'name = "a\x1bb"\n' + toml({"name": None}),
    "comment": toml() + "# \x1b[2J\n",
    "twice": toml() + "[data]\n", "cut": toml({"start.count": "[8, 16"}), "python": toml({"steps": "__import__('os')"}),
    "types": toml({"data.name": "5", "network.activation": "[]", "start.count": "{}", "method.step": '"x"'}),
    "lists": toml({"data.name": "[[[]]]", "steps": "[[2]]", "method.step": "[{}, []]"}),
    "variables": toml({"record.variables": '["__class__", "../loss"]'}), "variables-many": lambda: toml(
        {"record.variables": "[" + ",".join(f'"v{k}"' for k in range(50_000)) + "]"}),
    "module-law": toml({"law.name": '"evil:Law"'}), "module-method": toml({"method.name": '["sgd", "evil:Method"]'}),
    "module-known": toml({"network.activation": '"os:system"'}),
    "module-records": toml({}, '[[record]]\nvariables = ["loss"]\n[[record]]\nvariables = ["evil:x"]'),
    "file-fifo": toml({"data.name": None, "data.n": None, "data.file": '"fifo.csv"'}),
    "file-device": toml({"data.name": None, "data.n": None, "data.file": '"device.csv"'}),
    "file-nul": toml({"data.name": None, "data.n": None, "data.file": r'"a\u0000.csv"'}),
    "file-long": toml({"data.name": None, "data.n": None, "data.file": f'"{"a" * 5000}.csv"'}),
    "file-escape": toml({"data.name": None, "data.n": None, "data.file": r'"\u001b[2J\u202e.csv"'}),
    "law-device": toml({"law.name": '"atoms"', "law.file": '"device.csv"'}),
    "large": lambda: "# " + "x" * 2**25 + "\n" + toml(),
    "batch": toml({"method.name": '"sgd"', "method.batch": "9" * 30}), "every": toml({"record.every": "0"}),
    "seed-negative": toml({"start.seed": "-1"}), "seed-huge": toml({"start.seed": "9" * 25}),
    "schedule": toml({"method.step": '{schedule = "x", c = 1e999}'}), "positions": toml({"record.positions": "9" * 18}),
}  # fmt: skip


@family("configurations", "config", REFUSED)
def refused(place: Place, random: np.random.Generator, variant: str) -> Path:
    content = REFUSED[variant]
    content = content() if callable(content) else content
    os.mkfifo(place.inside / "fifo.csv")
    (place.inside / "device.csv").symlink_to("/dev/zero")
    (place.inside / "evil.py").write_text(
        f"open({str(place.canary)!r}, 'w')\n"
    )  # in the working folder of the commands
    path = place.inside / "mine.toml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    return path


# Good, but of hours or of much memory: `check` may say so or not, in seconds.
LARGE = {
    "steps": toml({"steps": "1_000_000_000"}), "records": toml({"steps": "1_000_000_000", "record.every": "1"}),
    "runs": toml({"start.seed": _numbers(20_000)}), "count": toml({"start.count": "100_000_000"}),
    "every-log": toml({"steps": "1_000_000_000", "record.every": '"log"'}),
    "positions": toml({"start.count": "1_000_000", "record.positions": "1_000_000", "steps": "100_000",
                       "record.variables": '["position"]'}),
    "inner": toml({"method.name": '"dual_averaging"', "method.temperature": "0.1", "method.inner": "9" * 18}),
}  # fmt: skip


@family("configurations", "checked", [f"large-{name}" for name in LARGE])
def large(place: Place, random: np.random.Generator, variant: str) -> Path:
    path = place.inside / "mine.toml"
    path.write_text(LARGE[variant.removeprefix("large-")])
    return path


@family("configurations", "runs", [f"{change}-{k}" for change in CHANGES if change != "structure" for k in range(4)])
def changed(place: Place, random: np.random.Generator, variant: str) -> Path:
    path = place.inside / "mine.toml"
    path.write_text(toml())
    return mutate(path, variant.split("-")[0], random)
