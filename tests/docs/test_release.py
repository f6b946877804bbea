"""What a release is: one version, a wheel that works where no source is, a source archive that its tests run from."""

import json
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
import yaml
from support import ROOT

import particles as mf

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


def said(words, **options):
    """What a command prints; it must end well."""
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def here(folder):
    """The files of a folder of the tree, without what tools leave in it."""
    files = (path for path in (ROOT / folder).rglob("*.*") if path.is_file())
    return {path.relative_to(ROOT).as_posix() for path in files if not {"__pycache__", "_build"} & set(path.parts)}


def test_version__is_the_project_s():
    assert mf.__version__ == PROJECT["version"], "the installed package is of another version: install it again"


def test_version__is_in_no_other_file_of_the_package():
    """Written once, in pyproject.toml; the citation repeats it, and the next test compares them."""
    package = Path(mf.__file__).parent
    assert [
        path for path in package.rglob("*.py") if f'"{PROJECT["version"]}"' in path.read_text(encoding="utf-8")
    ] == []


def test_citation__agrees_with_the_project():
    assert str(CITATION["version"]) == PROJECT["version"] and CITATION["license"] == PROJECT["license"]
    assert CITATION["title"].startswith(PROJECT["name"]) and CITATION["type"] == "software"
    assert set(CITATION["keywords"]) == set(PROJECT["keywords"])


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The two files of a release, made as they are for others: the wheel from the source archive."""
    folder = tmp_path_factory.mktemp("release")
    said([sys.executable, "-m", "build", "--outdir", folder, ROOT])
    (wheel,), (source,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, source


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """An environment with the wheel; all else is what is there already."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    site = Path(said([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]).strip())
    (site / "present.pth").write_text("\n".join(path for path in sys.path if path.endswith("-packages")))
    said([python, "-m", "pip", "install", "--no-deps", "--no-compile", built[0]])
    return folder


@pytest.mark.slow
def test_wheel__has_the_package_and_nothing_else(built):
    with zipfile.ZipFile(built[0]) as wheel:
        names = set(wheel.namelist())
    assert {name.split("/")[0] for name in names} == {"particles", f"meanfield_particles-{mf.__version__}.dist-info"}
    assert {name for name in names if name.startswith("particles/")} == here("particles")
    needed = [
        "py.typed",
        "__init__.pyi",
        "theory/__init__.pyi",
        "configuration/config.schema.json",
        "report/page.html.jinja",
    ]
    assert {f"particles/{name}" for name in needed} <= names


@pytest.mark.slow
def test_source__has_what_its_tests_read(built):
    with tarfile.open(built[1]) as source:
        names = {name.partition("/")[2] for name in source.getnames()}
    for folder in ("tests", "configs", "drivers", "docs", "particles"):
        assert here(folder) <= names
    assert {"README.md", "CHANGELOG.md", "CITATION.cff", "LICENSE", "pyproject.toml"} <= names
    assert not [name for name in names if name.startswith((".", "out/")) or name.endswith(".pyc")]


@pytest.mark.slow
@pytest.mark.parametrize("which", [0, 1], ids=["wheel", "source"])
def test_release__passes_the_check_of_the_index(built, which):
    assert "PASSED" in said([sys.executable, "-m", "twine", "check", "--strict", built[which]])


CODE = """
import json, sys
import particles as mf
net, data = mf.Network("tanh"), mf.datasets.load("circle", n=16)
run = mf.simulate(net, mf.Gaussian(2).sample(32, seed=0), data, mf.GradientDescent(step=0.5), steps=5)
run.save("run.h5")
versions = json.loads(mf.open_run("run.h5").dataset.attrs["package_versions"])
loss = run.dataset["loss"].values
print(json.dumps([mf.__file__, mf.__version__, versions["meanfield-particles"], bool(loss[-1] < loss[0])]))
"""


@pytest.mark.slow
def test_wheel__works_where_no_source_is(installed, tmp_path):
    python, command = installed / "bin" / "python", installed / "bin" / "particles"
    assert said([command, "--version"], cwd=tmp_path).strip() == PROJECT["version"]
    assert json.loads(said([command, "schema"], cwd=tmp_path))["type"] == "object"
    file, *versions, falls = json.loads(said([python, "-W", "error", "-c", CODE], cwd=tmp_path))
    assert Path(file).is_relative_to(installed) and versions == [PROJECT["version"]] * 2 and falls
    said([command, "report", "run.h5"], cwd=tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<style>" in page and "</script>" in page and "numpy" in page
