"""Drivers: their modules, and studies run as a user runs them."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

from support import ROOT

DRIVERS = ROOT / "drivers"


def module_of(path: str) -> ModuleType:
    """A driver's module, such as that of `studies/langevin`; no driver is part of a package."""
    spec = importlib.util.spec_from_file_location(Path(path).name, DRIVERS / f"{path}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_study(name: str, settings: dict[str, str], out: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """A study at its quick size but for these settings."""
    changes = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    command = [sys.executable, str(DRIVERS / "studies" / f"{name}.py"), "--quick", "--out", str(out), *changes, *more]
    return subprocess.run(command, capture_output=True, text=True, check=False)
