"""Every study's figure on one page: docs/gallery.md with its pictures, and the README's block of the best of them.

Studies that have no result in out/ are run first, one after the other. What the page says of a study is its docstring's
first sentence, claims and times; what it says of a picture, its size and verdict, is kept in the picture.

    python drivers/gallery.py [--quick] [--only NAME ...] [--text] [--out DIR]
"""

import argparse
import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import h5py
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from particles.experiments.claims import tally
from particles.files.atomic import write_whole

ROOT = Path(__file__).resolve().parent.parent
BEST = ("lazy_to_mean_field", "mean_field_limit", "quadratic_target", "langevin", "averaged_sgd", "global_convergence")
MARKS = "<!-- gallery: written by drivers/gallery.py -->", "<!-- end of gallery -->"
LARGEST = 120_000  # bytes of a picture
WIDTHS = 1080, 900, 720  # pixels, the first that fits
COLOURS = 256  # chosen for the largest error of any, so that a series keeps its colour
HEAD = """# Gallery

One figure for every study, with the prediction of the theory and the measurement. Theory is dashed, and grey unless
each series has its own. M = infinity is black. An interval, or the spread of the seeds, is a band or a bar.

A study prints its claims as a table. It writes them with its data to `out/<name>/`, and the figure as PNG and SVG.
Times are for 2 cores. `python drivers/gallery.py` makes this page.
"""


class Study(NamedTuple):
    """What a driver's docstring says of it. sections: of the paper; times: by size."""

    name: str
    title: str
    sections: str
    claims: str
    times: dict[str, str]


def studies(root):
    """The drivers that have settings of their own, by section of the paper."""
    paths = [path for path in (root / "drivers" / "studies").glob("*.py") if path.with_suffix(".toml").is_file()]
    all_studies = [read(path.stem, ast.get_docstring(ast.parse(path.read_text("utf-8")))) for path in paths]
    return sorted(all_studies, key=lambda study: (re.findall(r"\d(?:\.\d)?", study.sections), study.name))


def read(name, docstring):
    """A study from its docstring; ValueError if that lacks a section, claims or times."""
    patterns = (
        r"(?P<title>.+?) \((?P<sections>sections? [^)]*)\)",
        r"\bClaims?: (?P<claims>.+?\.)(?= [A-Z(]|\n\n|$)",
        r"full size: (?P<full>[^;]+); quick: (?P<quick>[^\n]+)",
    )
    text = re.sub(r"(?<!\n)\n(?!\n)", " ", docstring)
    parts = {}
    for pattern in patterns:
        match = re.search(pattern, text, re.DOTALL)
        if match is None:
            raise ValueError(f"drivers/studies/{name}.py: the docstring must have {pattern!r}")
        parts |= match.groupdict()
    claims = parts["claims"][0].upper() + parts["claims"][1:]
    return Study(
        name, parts["title"], parts["sections"], claims, {size: parts[size].strip() for size in ("full", "quick")}
    )


def result(out, name):
    """The size and the verdicts of a finished study, None if there is none."""
    path = out / name / f"{name}.h5"
    if not path.is_file() or not path.with_suffix(".png").is_file():
        return None
    with h5py.File(path, "r", locking=False) as file:
        return str(file.attrs["size"]), tally(file["holds"][:])


def run(root, out, name, quick):
    """Whether a study ended well."""
    command = [
        sys.executable,
        root / "drivers" / "studies" / f"{name}.py",
        "--out",
        out / name,
        *(["--quick"] if quick else []),
    ]
    return subprocess.run(command, cwd=root, check=False).returncode == 0


def collect(source, target, size, verdict):
    """A figure as a picture for the web, which keeps what it shows, its size and verdict."""
    figure, kept = Image.open(source), PngInfo()
    for key, value in (("Description", figure.text["Description"]), ("Size", size), ("Verdict", verdict)):
        kept.add_itxt(key, value)
    target.parent.mkdir(parents=True, exist_ok=True)
    for width in WIDTHS:
        scale = min(1.0, width / figure.width)
        small = figure.convert("RGB").resize([round(scale * side) for side in figure.size], Image.Resampling.LANCZOS)
        small.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, 3, dither=Image.Dither.NONE).save(
            target, optimize=True, pnginfo=kept
        )
        if target.stat().st_size <= LARGEST:
            return
    raise ValueError(f"{source} is larger than {LARGEST} bytes at {WIDTHS[-1]} pixels")


def plain(text):
    """A docstring's text as Markdown that shows it letter by letter."""
    return re.sub(r"([\\*_\[\]<>`~$#])", r"\\\1", text)


def prose(text):
    """The same, with its formulas, `$...$`, as they are."""
    parts = re.split(r"(\$[^$]+\$)", text)
    return "".join(part if number % 2 else plain(part) for number, part in enumerate(parts))


def page(root):
    """The text of docs/gallery.md."""
    return HEAD + "".join(f"\n{section(root, study)}" for study in studies(root))


def section(root, study):
    picture = root / "docs" / "gallery" / f"{study.name}.png"
    lines = [f'<a id="{study.name}"></a>', "", f"## {plain(study.title)}", ""]
    lines += [f"{study.sections[0].upper()}{plain(study.sections[1:])}. The claims:", ""]
    claims = study.claims.removesuffix(".").split("; ")
    lines += [*(f"* {prose(claim[0].upper() + claim[1:])}." for claim in claims), ""]
    size = "full"
    if picture.is_file():
        kept = Image.open(picture).text
        size = kept["Size"]
        lines += [f"![{plain(kept['Description'])}](gallery/{study.name}.png)", ""]
        lines += [f"At the {size} size, {study.times[size]}: {kept['Verdict']}."]
    other = {"full": "quick", "quick": "full"}[size]
    script = f"drivers/studies/{study.name}.py"
    lines += [f"[{script}](../{script}); the {other} size takes {study.times[other]}.", ""]
    lines += ["```sh", f"python {script}{' --quick' if size == 'quick' else ''}", "```", ""]
    return "\n".join(lines)


def block(root):
    """The README's lines between the marks: a table of pictures that lead to the page."""
    titles = {study.name: study.title for study in studies(root)}
    rows = []
    for pair in zip(BEST[::2], BEST[1::2], strict=True):
        rows.append([plain(titles[name]) for name in pair])
        rows.append([f"[![{plain(titles[name])}](docs/gallery/{name}.png)](docs/gallery.md#{name})" for name in pair])
    rows.insert(1, ["---"] * 2)
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def within_marks(text, lines):
    """A README with these lines between the marks."""
    before, _, rest = text.partition(MARKS[0])
    _, mark, after = rest.partition(MARKS[1])
    if not mark:
        raise ValueError(f"README.md must have the lines {MARKS[0]} and {MARKS[1]}")
    return f"{before}{MARKS[0]}\n\n{lines}\n\n{MARKS[1]}{after}"


def main(argv=None, root=ROOT):
    names = [study.name for study in studies(root)]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="run studies without a result at their quick size")
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME")
    parser.add_argument(
        "--text", action="store_true", help="run and collect nothing: the page's and the README's words"
    )
    parser.add_argument("--out", type=Path, default=root / "out")
    args = parser.parse_args(argv)
    failed = []
    for name in [] if args.text else args.only:
        there = result(args.out, name)
        if there is None or (there[0] == "quick" and not args.quick):
            print(f"{name}: running", flush=True)
            if not run(root, args.out, name, args.quick):
                failed.append(name)
            there = result(args.out, name)
        if there is not None:
            collect(args.out / name / f"{name}.png", root / "docs" / "gallery" / f"{name}.png", *there)
            print(f"{name}: {there[0]} size, {there[1]}", flush=True)
    write_whole(root / "docs" / "gallery.md", page(root).encode())
    readme = root / "README.md"
    write_whole(readme, within_marks(readme.read_text("utf-8"), block(root)).encode())
    if failed:
        print(f"failed, or a claim does not hold: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
