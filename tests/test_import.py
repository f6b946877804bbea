"""`import particles` is cheap, and every name on its face is there."""

import json
import subprocess
import sys

import pytest

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
        "import particles; particles.Network('tanh'); particles.simulate",
    ],
)
def test_import__leaves_heavy_packages_alone(statement):
    assert not modules_after(statement) & {"ray", "matplotlib", "sklearn"}


@pytest.mark.parametrize("name", mf.__all__)
def test_face__has_every_name_it_lists(name):
    assert getattr(mf, name) is not None


def test_face__lists_what_dir_shows():
    assert set(mf.__all__) <= set(dir(mf))


def test_face__has_no_other_names():
    with pytest.raises(AttributeError, match="particles"):
        _ = mf.Gausian
