"""The README's two commands are where the gate looks for them; `test_pages.py` runs the rest."""

from support import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_readme__has_one_command_that_runs_and_one_that_tests():
    commands = [line for line in README.splitlines() if line.startswith("python3 -m venv")]
    assert ["particles run configs/quickstart.toml" in line for line in commands] == [True, False]
    assert [line.endswith(".venv/bin/pytest") for line in commands] == [False, True]
