"""sigma, sigma' and sigma'' from one exponential."""

import numpy as np
import pytest

from particles.kernels.special import JETS
from particles.model.activations import ACTIVATIONS


@pytest.mark.parametrize("name", [name for name, row in ACTIVATIONS.items() if row.sigma in JETS])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_jet__is_the_three_formulas(name, dtype):
    row = ACTIVATIONS[name]
    v = np.array([0.0, 1e-9, -1e-9, 0.3, -0.3, 1.0, -2.5, 17.0, -17.0, 60.0, -60.0], dtype)
    for found, f in zip(JETS[row.sigma](v), (row.sigma, row.derivative, row.second_derivative), strict=True):
        expected = f(v)
        assert found.dtype == v.dtype
        np.testing.assert_allclose(found, expected, rtol=8 * np.finfo(dtype).eps, atol=1e-37)
