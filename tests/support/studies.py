"""Which studies a change may have touched: a hash of each driver, its settings and the theory that it reaches."""

import ast
import hashlib
import inspect
import io
import json
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import particles as mf
from support import ROOT

RECORD = ROOT / "tests" / "studies.json"
# What a study claims by and measures with; the loops under all of it are held to the bit by other tests.
ALWAYS = [ROOT / "particles" / name for name in ("simulation/flow.py", "methods/base.py", "methods/descent.py")]
THEORY = ("particles.theory.", "particles.analysis.", "particles.sensitivity.", "particles.experiments.claims.")


def names() -> list[str]:
    """The drivers that end with a table of claims."""
    drivers = sorted((ROOT / "drivers" / "studies").glob("*.py"))
    asks = re.compile(r"^from particles\.experiments\.claims import .*\bstudy\b", re.MULTILINE)
    return [path.stem for path in drivers if asks.search(path.read_text(encoding="utf-8"))]


def recorded() -> dict[str, str]:
    """The fingerprint with which each study last passed."""
    return json.loads(RECORD.read_text()) if RECORD.is_file() else {}


def record(passed: dict[str, str]) -> None:
    """Keep the fingerprints of studies that passed beside those of the others."""
    kept = {name: value for name, value in recorded().items() if name in names()} | passed
    RECORD.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")


def fingerprint(name: str) -> str:
    """A hash of the code in all files that decide what the study claims and how it is computed."""
    digest = hashlib.sha256()
    own = [ROOT / "drivers" / "studies" / f"{name}{suffix}" for suffix in (".py", ".toml")]
    for path in [*own, *ALWAYS, *sorted(theory_of(name))]:
        text = path.read_text(encoding="utf-8")
        digest.update(f"{path.relative_to(ROOT).as_posix()}\0{code(text) if path.suffix == '.py' else text}\0".encode())
    return digest.hexdigest()


def code(source: str) -> str:
    """The tokens of a module without comments, docstrings and line breaks inside statements: what is run."""
    nodes = (node for node in ast.walk(ast.parse(source)) if isinstance(getattr(node, "body", None), list))
    first = [node.body[0] for node in nodes if node.body]
    docs = {
        node.lineno
        for node in first
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    }
    words = [""]
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        documents = token.type == tokenize.STRING and token.start[0] in docs
        if token.type in (tokenize.INDENT, tokenize.DEDENT):
            words.append("{" if token.type == tokenize.INDENT else "}")
        elif token.type == tokenize.NEWLINE and words[-1] not in ("", "{", ";"):
            words.append(";")
        elif token.string.strip() and token.type != tokenize.COMMENT and not documents:
            words.append(token.string)
    return " ".join(words)


def theory_of(name: str) -> set[Path]:
    """The files of the theory that the driver reaches, by its imports and by what it asks of `mf`."""
    source = (ROOT / "drivers" / "studies" / f"{name}.py").read_text(encoding="utf-8")
    reached, waiting = set(), {*_imported(source), *_of_the_face(source)}
    while waiting:
        for path in _files(waiting.pop()) - reached:
            reached.add(path)
            waiting |= set(_imported(path.read_text(encoding="utf-8")))
    return reached


def _files(module: str) -> set[Path]:
    """The files of a module of the theory; of a package all, since it loads them by name."""
    path = ROOT.joinpath(*module.split("."))
    if not f"{module}.".startswith(THEORY):
        return set()
    return set(path.glob("*.py")) if path.is_dir() else {path.with_suffix(".py")}


def _imported(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            folder = ROOT.joinpath(*node.module.split("."))
            inside = [alias.name for alias in node.names if (folder / f"{alias.name}.py").is_file()]
            yield from (f"{node.module}.{name}" for name in inside)
            if len(inside) < len(node.names):
                yield node.module


def _of_the_face(source: str) -> Iterator[str]:
    """The modules behind `mf.NAME`, `mf.theory.NAME` and the like."""
    for node in ast.walk(ast.parse(source)):
        names = []
        while isinstance(node, ast.Attribute):
            names.insert(0, node.attr)
            node = node.value
        if isinstance(node, ast.Name) and node.id == "mf":
            found = mf
            for name in names:
                found = getattr(found, name) if inspect.ismodule(found) else found
            if inspect.isroutine(found) or inspect.isclass(found):
                yield found.__module__
