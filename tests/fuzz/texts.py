"""Text that a terminal, a table, a page or a figure could take for something else."""

import json
from pathlib import Path

import h5py
import numpy as np

from fuzz.attributes import put
from fuzz.bases import copied, result
from fuzz.case import Place, family
from fuzz.judge import MARKUP

WORDS = {
    "escape": "\x1b[2J\x1b[31mred\x1b]0;title\x07\x1b]52;c;eA==\x07",
    "c0": "".join(map(chr, range(1, 32))) + "\x7f",
    "c1": "\x9b31m\x85\x90q\x9c",
    "bidi": "\u202egnp.exe\u2066x\u2069\u200f\u061c\u2028line\u2029",
    "return": "good\rbad\x08\x08\n\nparticles: all is well",
    "markup": f"[red]{MARKUP}[/red] [red]{MARKUP} [link=http://x]{MARKUP}[/] [/] [/nothing] [@click=x]",
    "page": "</pre><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}{%x%}",
    "formula": r"$\frac{a}{$ $x^{2 \input{/etc/passwd} {0.__class__} %s %(a)n",
    "surrogate": "a\ud800b",
    "long": "long " * 40_000,
}
_ORDINARY = tuple(word for word in WORDS if word != "surrogate")


def _written(text: str) -> str | np.bytes_:
    """Half a surrogate pair is bytes that are no UTF-8."""
    return np.bytes_(text.encode("utf-8", "surrogatepass")) if "\ud800" in text else text


def _run(path: Path, where: str, text: str) -> None:
    with h5py.File(path, "r+", libver="latest") as file:
        if where == "attributes":
            for name in ("status", "git", "cpu", "config_hash", "package_versions"):
                put(file, name, _written(text))
        elif where == "events":
            put(file, "events", [{"iteration": text, "what": text}, {"iteration": 1, "what": text, text: text}])
        elif where == "config":
            put(file, "config", {"name": text, text: {text: text}, "data": {"file": text}, "start": {"count": text}})
        elif where == "about":
            for name in ("long_name", "units", "equation"):
                put(file["loss"], name, _written(text))
        else:
            _named(file, text)


def _named(file: h5py.File, text: str) -> None:
    """A recorded quantity of this name, and a dimension."""
    name = text.replace("/", "|").replace("\x00", "")[:500]
    item = file.create_dataset(name, data=np.ones(len(file["time"])))
    item.dims[0].attach_scale(file["time"])
    dim = file.create_dataset(f"d{name}", data=np.ones(len(file["time"])))
    dim.make_scale(f"d{name}")
    file.create_dataset("other", data=np.ones(len(file["time"]))).dims[0].attach_scale(dim)


@family("texts", "result", [f"run-{where}-{word}" for where in ("attributes", "events", "config") for word in WORDS])
@family("texts", "result", [f"run-{where}-{word}" for where in ("about", "names") for word in _ORDINARY])
def in_runs(place: Place, random: np.random.Generator, variant: str) -> Path:
    _, where, word = variant.split("-")
    _, path = result(place, "run")
    _run(path, where, WORDS[word])
    return path


@family("texts", "result", [f"sweep-{where}-{word}" for where in ("axis", "setting") for word in _ORDINARY])
def in_sweeps(place: Place, random: np.random.Generator, variant: str) -> Path:
    """A setting of the comparison, or the name of an axis and its values."""
    _, where, word = variant.split("-")
    _, path = result(place, "sweep")
    text = WORDS[word]
    with h5py.File(path, "r+", libver="latest") as file:
        if where == "setting":
            put(file["comparison"], "setting", {text[:5000]: text[:5000], "a": [text[:500]]})
        else:
            runs = json.loads(file.attrs["runs"])
            new = {key: {name.replace("seed", text[:200]): text[:300] for name in one} | {"nodes": one["nodes"]}
                   for key, one in runs.items()}  # fmt: skip
            put(file, "runs", new)
            file.move("seed", text[:200].replace("/", "|"))
    return path


@family("texts", "result", [f"study-claims-{word}" for word in _ORDINARY])
def in_studies(place: Place, random: np.random.Generator, variant: str) -> Path:
    _, path = result(place, "study")
    text = WORDS[variant.split("-")[-1]]
    with h5py.File(path, "r+", libver="latest") as file:
        for name in ("claim_text", "claim_equation", "predicted"):
            file[name][0] = text
        put(file, "study", text)
        put(file, "settings", {text[:500]: text[:500]})
    return path


@family("texts", "result", [f"path-{word}" for word in ("escape", "bidi", "markup", "surrogate", "return")])
def in_paths(place: Place, random: np.random.Generator, variant: str) -> Path:
    """A file of such a name, a good one and then a bad one."""
    text = WORDS[variant.removeprefix("path-")].replace("/", "|").replace("\ud800", "\udcff")
    path = place.inside / f"{text[:60]}.h5"
    copied(place, "run.h5").rename(path)
    if random.random() < 0.5:
        path.write_bytes(path.read_bytes()[:3000])
    return path


@family("texts", "data", [f"csv-{where}-{word}" for where in ("header", "cell") for word in _ORDINARY])
def in_tables(place: Place, random: np.random.Generator, variant: str) -> Path:
    _, where, word = variant.split("-")
    text = '"' + WORDS[word].replace('"', "'") + '"'
    path = place.inside / "data.csv"
    header, cell = (text, "1") if where == "header" else ("b", text)
    path.write_text(f"a,{header},y\n1,{cell},2\n3,4,5\n", encoding="utf-8", newline="")
    return path


@family("texts", "data", [f"h5-{word}" for word in ("escape", "bidi", "markup", "return")])
def in_arrays(place: Place, random: np.random.Generator, variant: str) -> Path:
    """Names and attributes of a data file's arrays."""
    text = WORDS[variant.removeprefix("h5-")].replace("/", "|")
    path = place.inside / "data.h5"
    with h5py.File(path, "w") as file:
        file["x"], file[text] = np.ones((5, 2)), np.ones(5)
        file["x"].attrs.update({"units": f"{text} since {text}", "scale_factor": text})
    return path
