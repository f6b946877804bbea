"""A complete configuration of milliseconds, and its plan."""

import copy
import tomllib
from pathlib import Path

from particles.configuration.config import override
from particles.experiments.plan import plan
from support import ROOT

SMALL_TOML = """
name = "small"
steps = 3

[data]
name = "wine"
scale = "standard"

[network]
activation = "tanh"

[law]
name = "gaussian"

[start]
count = 8

[method]
step = 0.1
"""
CONFIGS = ROOT / "configs"


def small(*settings):
    """A complete configuration of milliseconds, with `key=value` settings of its own."""
    raw = copy.deepcopy(tomllib.loads(SMALL_TOML))
    override(raw, list(settings))
    return raw


def planned(*settings, folder=Path()):
    """The plan of the small configuration with these settings."""
    return plan(small(*settings), folder)
