"""Every study holds at its quick size; `--changed` leaves out those that passed as they are."""

import subprocess
import sys

import pytest
import xarray as xr
from support import studies


@pytest.mark.study
@pytest.mark.parametrize("study", studies.names())
def test_study__holds_at_its_quick_size(study, tmp_path, record_property):
    record_property("study", study)
    command = [sys.executable, studies.ROOT / "drivers" / "studies" / f"{study}.py", "--quick", "--out", tmp_path]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    with xr.open_dataset(tmp_path / f"{study}.h5", engine="h5netcdf") as data:
        assert data.sizes["claim"] >= 5
    assert (tmp_path / f"{study}.png").is_file()


def test_theory__is_what_a_driver_reaches():
    """langevin asks for mf.theory.gibbs, whose package loads its files by name."""
    reached = {path.name for path in studies.theory_of("langevin")}
    assert {"gibbs.py", "free_energy.py", "convex_program.py", "claims.py"} <= reached
    assert not {"spectrum.py", "simulate.py"} & reached


def test_fingerprint__is_of_the_files_contents(monkeypatch):
    monkeypatch.setattr(
        studies, "theory_of", lambda name: {studies.ROOT / "particles" / "theory" / "tangent" / "tiles.py"}
    )
    before = studies.fingerprint("langevin")
    assert before == studies.fingerprint("langevin") != studies.fingerprint("convex_rates")
    monkeypatch.setattr(studies, "ALWAYS", [])
    assert studies.fingerprint("langevin") != before


def test_fingerprint__is_of_the_code_alone():
    """A docstring or a comment changes no number; a line and a word of the settings do."""
    source = '"""Old."""\n\n\ndef f(x):\n    """Old."""\n    return "a" + x  # why\n'
    same = '"""New,\nlonger."""\n\ndef f(\n    x\n):\n    return "a" + x\n'
    assert studies.code(source) == studies.code(same)
    assert studies.code(source) != studies.code(source.replace('"a"', '"b"'))


def test_record__keeps_what_others_passed_with(tmp_path, monkeypatch):
    monkeypatch.setattr(studies, "RECORD", tmp_path / "studies.json")
    studies.record({"langevin": "a", "convex_rates": "b"})
    studies.record({"langevin": "c", "gone": "d"})
    assert studies.recorded() == {"convex_rates": "b", "gone": "d", "langevin": "c"}
    studies.record({})
    assert studies.recorded() == {"convex_rates": "b", "langevin": "c"}
