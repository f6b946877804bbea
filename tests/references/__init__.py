"""Numbers that tests compare with, kept as files beside the scripts that made them: of 40 digits, and JAX's gradients.

`python -m references` in tests/ makes them anew (a minute); a slow test holds that they are what the scripts say.
"""

from pathlib import Path

import numpy as np

NAMES = ("activations", "limit", "spectrum", "special", "gradients", "adjoint")


def file_of(name: str) -> Path:
    return Path(__file__).with_name(f"{name}.npz")


def stored(name: str) -> dict[str, np.ndarray]:
    """The arrays of one script, by their keys."""
    with np.load(file_of(name), allow_pickle=False) as file:
        return dict(file)
