"""`import particles` is cheap, and every name on its face is there."""

import ast
import builtins
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from support.commands import LIMIT
from support.configs import SMALL_TOML

import particles as mf


def modules_after(statement):
    code = f"import json, sys\n{statement}\nprint(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in json.loads(done.stdout)}


@pytest.mark.parametrize(
    "statement",
    [
        "import particles",
        "import particles; particles.Gaussian(2).sample(8, seed=0)",
        "import particles; particles.Network('tanh'); particles.simulate; particles.datasets",
    ],
)
def test_import__leaves_heavy_packages_alone(statement):
    assert not modules_after(statement) & {"ray", "matplotlib", "sklearn", "pandas"}


@pytest.mark.parametrize("name", mf.__all__)
def test_face__has_every_name_it_lists(name):
    assert getattr(mf, name) is not None


def exported(path):
    """The names that a file of `from x import y as y` lines exports."""
    lines = [node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.ImportFrom)]
    assert all(name.asname == name.name for line in lines for name in line.names)
    return {name.name for line in lines for name in line.names}


@pytest.mark.parametrize("module", [mf, mf.theory], ids=["particles", "theory"])
def test_face__is_its_stub_s(module):
    assert set(module.__all__) == exported(Path(module.__file__).with_suffix(".pyi"))
    assert len(module.__all__) == len(set(module.__all__)) and not [n for n in module.__all__ if n.startswith("_")]


@pytest.mark.parametrize(
    "module", [mf.tangent, mf.transport, mf.theory.spectra], ids=["tangent", "transport", "spectra"]
)
def test_face__of_a_theory_is_what_its_file_says(module):
    public = {name for name, value in vars(module).items() if name[0] != "_" and not isinstance(value, ModuleType)}
    assert public == exported(Path(module.__file__))


def test_face__lists_what_dir_shows():
    assert set(mf.__all__) <= set(dir(mf))


def test_face__imported_with_a_star_shadows_nothing():
    names = {}
    exec("from particles import *", names)
    assert set(mf.__all__) <= set(names) and not set(mf.__all__) & set(dir(builtins))


def test_face__has_no_other_names():
    with pytest.raises(AttributeError, match="particles"):
        _ = mf.Gausian


@pytest.mark.parametrize(("name", "now"), [("load", "mf.datasets.load"), ("save", r"run\.save\(path\)")])
def test_face__says_where_a_name_of_the_first_release_is(name, now):
    with pytest.raises(AttributeError, match=f"no attribute '{name}': it is {now} now"):
        getattr(mf, name)


def test_face__keeps_a_function_when_its_file_is_loaded():
    """Loading a file sets it in its package under its name, in place of a function of that name."""
    for package in (mf, mf.theory):
        stub = ast.parse(Path(package.__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
        lines = [node for node in stub.body if isinstance(node, ast.ImportFrom) and node.module]
        assert lines and not [line.module for line in lines if line.module in {name.name for name in line.names}]


def test_run__of_a_sweep_on_this_machine_loads_neither_ray_nor_what_draws(tmp_path):
    (tmp_path / "small.toml").write_text(SMALL_TOML)
    words = ["run", f"{tmp_path}/small.toml", "--out", f"{tmp_path}/out", "--quiet", "--json", *LIMIT[:2]]
    loaded = modules_after(
        "import contextlib, io\nfrom particles.cli.main import main\n"
        f"with contextlib.redirect_stdout(io.StringIO()):\n    assert main({words!r}) == 0"
    )
    assert not loaded & {"ray", "matplotlib", "dask", "h5netcdf", "netCDF4", "IPython", "tqdm"}
    assert (tmp_path / "out" / "small" / "sweep.h5").is_file()
