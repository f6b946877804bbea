"""What the README shows runs as it is written."""

import re
from pathlib import Path

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


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
