"""The stored numbers are what the scripts beside them compute."""

import importlib

import numpy as np
import pytest
import references


@pytest.mark.slow
@pytest.mark.parametrize("name", references.NAMES)
def test_references__are_what_their_script_says(name):
    if name in ("gradients", "adjoint"):
        pytest.importorskip("jax")  # the program does without
    now, kept = importlib.import_module(f"references.{name}").computed(), references.stored(name)
    assert set(now) == set(kept)
    digits = 1e-12 if name in ("gradients", "adjoint") else 1e-15
    for key, values in now.items():
        np.testing.assert_allclose(values, kept[key], rtol=digits, atol=1e-6 if key.endswith("_rest") else 0.0)
