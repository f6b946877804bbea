"""What the README shows runs as it is written."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_readme__python_block_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names = {}
    exec(compile(block, "README.md", "exec"), names)
    loss = names["run"].dataset["loss"].values
    assert loss[-1] < 0.3 * loss[0] and (tmp_path / "run.h5").is_file()


def test_readme__has_one_command_that_runs_and_one_that_tests():
    commands = [line for line in README.splitlines() if line.startswith("python3 -m venv")]
    assert ["particles run configs/quickstart.toml" in line for line in commands] == [True, False]
    assert [line.endswith(".venv/bin/pytest") for line in commands] == [False, True]


def test_theory_page__python_block_runs():
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "theory.md").read_text(encoding="utf-8"), re.DOTALL)
    names = {}
    exec(compile(block, "theory.md", "exec"), names)
    assert names["f"].shape == (3, 100) and 0 < names["run"].dataset["kernel_drift"].values[-1] < 1


def test_mean_field_page__python_block_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "mean_field.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names = {}
    exec(compile(block, "mean_field.md", "exec"), names)
    assert names["limit"].error.max() < 1e-6 and (tmp_path / "cloud.gif").is_file()


@pytest.mark.parametrize("name", ["theory.md", "mean_field.md"])
def test_pages__name_drivers_that_are_there(name):
    page = (ROOT / "docs" / name).read_text(encoding="utf-8")
    named = set(re.findall(r"drivers/\w+\.py", page))
    assert named and all((ROOT / name).is_file() for name in named)
