"""Tables of text that are none, or too much, or something else; and files that are no files."""

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fuzz.bases import copied
from fuzz.case import Place, family
from fuzz.folders import THINGS
from fuzz.sizes import zeros

_GOOD = "a,b,y\n1,2,3\n4,5,6\n"
TABLES: dict[str, str | bytes | Callable[[], bytes]] = {
    "empty": "", "newlines": "\n" * 100_000, "header-only": "a,b,y\n", "no-y": "a,b,c\n1,2,3\n",
    "nul": "a,b,y\n1,\x00,3\n", "nuls": b"\x00" * 100_000, "nul-header": "a\x00,b,y\n1,2,3\n",
    "latin": "a,\xe9,y\n1,2,3\n".encode("latin-1"), "utf16": _GOOD.encode("utf-16"), "utf32": _GOOD.encode("utf-32"),
    "bom": "\ufeff" * 3 + _GOOD, "bom-only": "\ufeff", "binary": bytes(range(256)) * 200,
    "quote-open": 'a,b,y\n1,"2,3\n' + "4,5,6\n" * 1000, "quote-header": '"a,b,y\n1,2,3\n',
    "quotes": '"' * 200_001, "quote-nest": 'a,b,y\n"""1""",2,3\n', "field-long": "a,b,y\n1," + "2" * 300_000 + ",3\n",
    "header-long": "a" * 300_000 + ",b,y\n1,2,3\n", "columns": ",".join(f"c{k}" for k in range(20_000)) + ",y\n"
    + ",".join(["1"] * 20_001) + "\n", "columns-empty": "," * 50_000 + "\n1,2,3\n", "columns-same": "a,a,y\n1,2,3\n",
    "ragged": "a,b,y\n1,2\n3\n4,5,6,7\n", "wide-row": "a,b,y\n1,2,3\n" + "1," * 50_000 + "1\n",
    "short": "a,b,y\n1,2,3\n4,5\n", "infinite": "a,b,y\ninf,1,2\n", "nan": "a,b,y\nnan,1,2\n",
    "big": "a,b,y\n1e999,1,2\n",
    "digits": "a,b,y\n" + "9" * 5000 + ",1,2\n", "hex": "a,b,y\n0x10,1,2\n", "underscores": "a,b,y\n1_000,1,2\n",
    "arabic": "a,b,y\n\u0661,1,2\n", "fraction": "a,b,y\n\xbd,1,2\n", "minus": "a,b,y\n\u22121,1,2\n",
    "space": "a,b,y\n\xa01,2\u2003,3\n", "complex": "a,b,y\n1j,1,2\n", "formula": 'a,b,y\n=cmd|"/c calc"!A0,1,2\n',
    "python": "a,b,y\n__import__('os').system('touch canary'),1,2\n", "comments": "#\n" * 100_000 + _GOOD,
    "comment-rows": "a,b,y\n" + "#1,2\n" * 1000, "comment-quote": 'a,b,y\n#"\n1,2,3\n', "separator": "sep=;\n" + _GOOD,
    "separators": "a;b,c|d\te,y\n1;2,3|4\t5,6\n", "separator-only": "sep=,\n", "tabs": _GOOD.replace(",", "\t"),
    "decimal": "a;b;y\n1,5;2,5;3\n", "decimal-mixed": "a;b;y\n1,5;2.5;1,234\n", "returns": _GOOD.replace("\n", "\r"),
    "mixed-ends": "a,b,y\r1,2,3\n4,5,6\r\n", "names": "a,b,y\n" + "\u202e1,2,3\n",
    "many": "a,b,y\n" + "1,2,3\n" * 50_000,
    "xml": "<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>",
    "xlsx": b"PK\x03\x04" + bytes(500), "gzip": lambda: gzip.compress(_GOOD.encode()),
    "bomb": lambda: b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03" + zeros(64)[2:], "pickle": b"\x80\x04cos\nsystem\n.",
    "surrogates": b"a,b,y\n\xed\xa0\x80,1,2\n", "overlong": b"a,b,y\n\xc0\xaf,1,2\n",
    "cells-empty": "a,b,y\n" + ",,\n" * 10_000,
}  # fmt: skip


@family("tables", "data", TABLES)
def tables(place: Place, random: np.random.Generator, variant: str) -> Path:
    content = TABLES[variant]
    content = content() if callable(content) else content
    path = place.inside / "data.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    return path


_ENDINGS = ("csv", "npz", "h5", "nc")


@family("things", "data", [f"{thing}.{ending}" for thing in THINGS for ending in _ENDINGS])
def things(place: Place, random: np.random.Generator, variant: str) -> Path:
    """A FIFO, a device, a socket, a folder under a data file's name."""
    thing, ending = variant.split(".")
    THINGS[thing](path := place.inside / f"data.{ending}")
    return path


@family(
    "things",
    "data",
    ["other.txt", "other.npy", "other.pkl", "none.", "long.csv", "locked.csv", "holes.csv", "holes.npz"],
)
def others(place: Place, random: np.random.Generator, variant: str) -> Path:
    """Endings that no reader has, a name that no file can have, a file of holes."""
    name, _, ending = variant.partition(".")
    if name == "long":
        return place.inside / ("a" * 5000 + ".csv")
    path = place.inside / f"data.{ending}" if ending else place.inside / "data"
    copied(place, "data.csv").replace(path)
    if name == "locked":
        path.chmod(0)
    if name == "holes":
        os.truncate(path, 2**41)
    return path


@family("things", "law", [f"law-{thing}" for thing in THINGS])
def law_things(place: Place, random: np.random.Generator, variant: str) -> Path:
    THINGS[variant.removeprefix("law-")](path := place.inside / "atoms.npz")
    return path


@family("things", "result", [f"result-{thing}" for thing in THINGS])
def result_things(place: Place, random: np.random.Generator, variant: str) -> Path:
    THINGS[variant.removeprefix("result-")](path := place.inside / "run.h5")
    return path


@family("things", "config", [f"config-{thing}" for thing in THINGS if thing != "fifo"])
def config_things(place: Place, random: np.random.Generator, variant: str) -> Path:
    """A configuration may come through a pipe."""
    THINGS[variant.removeprefix("config-")](path := place.inside / "mine.toml")
    return path
