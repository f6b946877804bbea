"""Files of every kind as the program writes them, small; and those of others, whose bytes nobody may see."""

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
from matplotlib.figure import Figure
from scipy.io import netcdf_file

from fuzz import problem
from fuzz.judge import SECRET_NUMBER, SECRET_TEXT
from particles.cli.main import main
from particles.experiments.claims import Settings, Study, above, as_dataset
from particles.storage.provenance import provenance

SWEEP = """
name = "small"
steps = 2

[data]
name = "circle"
n = 4

[network]
activation = "tanh"

[law]
name = "gaussian"

[start]
count = [4, 8]
seed = [0, 1]

[method]
step = 0.1

[record]
variables = ["loss", "prediction", "position"]
positions = 4

[limit]
nodes = 4
"""


@contextlib.contextmanager
def nowhere() -> Iterator[None]:
    """Files made meanwhile are the same on every machine and at every commit, so that mutations are."""
    kept, known = dict(provenance()), provenance()  # one dictionary for all files
    known.update({name: "x" * 40 for name in kept if name != "package_versions"})
    known["package_versions"] = '{"numpy": "0"}'
    try:
        yield
    finally:
        known.update(kept)


def made(folder: Path) -> Path:
    """All of them in a new folder."""
    folder.mkdir()
    with nowhere():
        _results(folder)
    _data(folder)
    _secrets(folder / "outside")
    return folder


def _results(folder: Path) -> None:
    problem.simulate(None, None).save(folder / "run.h5")
    problem.of_classes().save(folder / "classes.h5")
    problem.simulate(None, None, final=folder / "apart" / "particles").save(folder / "apart" / "run.h5")
    problem.simulate(folder / "stopped", 2)
    (folder / "sweep").mkdir()
    toml = folder / "sweep" / "small.toml"
    toml.write_text(SWEEP)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
        if main(["run", str(toml), "--out", str(folder / "sweep" / "out"), "--quiet"]):
            raise RuntimeError(said.getvalue())
        _study(folder / "study")


def _study(folder: Path) -> None:
    figure = Figure(figsize=(2, 2))
    figure.subplots().plot([0, 1])
    claims = [above("a number is large", "(1)", 1.0, 2.0, 1.5, 2.5), above("another", "(2)", 1.0, 0.5, 0.4, 0.6)]
    Study("study", Settings(), folder, True).finish(claims, as_dataset(claims), figure)


def _data(folder: Path) -> None:
    x, y = problem.X, problem.Y
    rows = "\n".join(f"{a:.6g},{b:.6g},{c:.6g}" for (a, b), c in zip(x, y, strict=True))
    (folder / "data.csv").write_text(f"a,b,y\n{rows}\n")
    np.savez(folder / "data.npz", x=x, y=y)
    np.savez(folder / "atoms.npz", points=x, weights=np.full(4, 0.25))
    with h5py.File(folder / "data.h5", "w") as file:
        file.update({"x": x, "y": y})
    with netcdf_file(folder / "data.nc", "w") as file:
        for name, size in (("sample", 4), ("dim", 2)):
            file.createDimension(name, size)
        for name, values, dims in (("x", x, ("sample", "dim")), ("y", y, ("sample",))):
            file.createVariable(name, "f8", dims)[:] = values


def _secrets(folder: Path) -> None:
    """The same numbers and words in every form that some reader of the program takes."""
    folder.mkdir()
    numbers = np.full(4096, SECRET_NUMBER)
    (folder / "secret.raw").write_bytes(numbers.tobytes())
    (folder / "secret.txt").write_text(f"{SECRET_TEXT}\n" * 50)
    (folder / "secret.csv").write_text("a,b,y\n" + f"{SECRET_NUMBER!r},{SECRET_NUMBER!r},{SECRET_NUMBER!r}\n" * 4)
    with h5py.File(folder / "secret.h5", "w") as file:
        for name in ("loss", "time", "x", "y"):
            file[name] = numbers[:5]
        file["prediction"], file["position"], file["table"] = (numbers[: 5 * k].reshape(5, k) for k in (4, 2, 2))
        for name, values in (("position", numbers[:16].reshape(8, 2)), ("sign", numbers[:8]), ("weight", numbers[:8])):
            file[f"final/{name}"] = values
        for item in (file, file["final"], file["loss"]):
            item.attrs.update({"config": f'{{"name": "{SECRET_TEXT}"}}', "status": SECRET_TEXT, "units": SECRET_TEXT})
