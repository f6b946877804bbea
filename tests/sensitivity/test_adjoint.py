"""The pass back against JAX's derivative of the whole run: every loss, method, layer, activation and observable."""

import numpy as np
import pytest
from references import stored
from support import adjoints

import particles as mf
from particles.sensitivity.tables import BY

JAX = stored("adjoint")
CASES = adjoints.cases()
PARTS = {"b": "position", "s": "output_weight", "step": "step", "decay": "weight_decay", "target": "target",
         "sample": "sample"}  # fmt: skip
DAILY = {case.key for case in CASES if case.activation == "tanh"}  # all layers, one and three outputs


def close(found, wanted, tolerance=1e-12):
    """Equal where the wanted numbers are known."""
    assert found.shape == wanted.shape
    found, wanted = (a[~np.isnan(wanted)] for a in (found, wanted))
    assert np.abs(found - wanted).max(initial=0.0) <= tolerance * max(1.0, np.abs(wanted).max(initial=0.0))


def daily(case):
    return case if case.key in DAILY else pytest.param(case, marks=pytest.mark.slow)


def by_of(case):
    """All that there is a derivative by."""
    whole, mixed = adjoints.METHODS[case.method].batch is None, mf.LOSSES[case.loss].mixed
    refused = {"target": not (whole and mixed), "sample": not whole}
    return [name for name in BY if not refused.get(name)]


def found_of(case, by=None, **more):
    by = by_of(case) if by is None else by
    return mf.sensitivity(**adjoints.settings(case, adjoints.arrays(case)), of=case.of, by=by, **more)


@pytest.mark.filterwarnings("ignore:the limit's derivative lacks")  # ReLU with unequal weights
@pytest.mark.parametrize("case", [daily(case) for case in CASES], ids=lambda case: case.key)
def test_sensitivity__is_the_derivative_that_jax_finds(case):
    """By particles, positions, output weights, steps, weight decay, targets and samples, at two times."""
    ds, w, whole = (
        found_of(case).dataset.isel(time=slice(1, None)),
        adjoints.arrays(case).w,
        adjoints.METHODS[case.method].batch is None,
    )
    for name in case.of:
        key = f"{case.key}-{name}"
        close(ds[name].values, JAX[key])
        by_weight = JAX[f"{key}-weight"]
        close(ds[f"{name}_variation"].values, by_weight - (by_weight @ w)[..., None])
        for part, ending in PARTS.items():
            variable = f"{name}_by_{ending}"
            if variable in ds:
                close(ds[variable].values, JAX[f"{key}-{part}"])
            else:
                assert ending in ("target", "sample") and not (whole and (ending == "sample" or case.loss == "squared"))


def test_cases__meet_every_part():
    for field, table in (("activation", mf.ACTIVATIONS), ("layer", adjoints.LAYERS), ("method", adjoints.METHODS),
                         ("loss", mf.LOSSES), ("rule", adjoints.RULES)):  # fmt: skip
        assert {getattr(case, field) for case in CASES} == set(table)
    measured = {name for case in CASES for name in case.of}
    assert measured == {name for name, row in mf.OBSERVABLES.items() if row.differential}
    assert len({case.key for case in CASES}) == len(CASES) and {case.beta for case in CASES} == {0.5, 1.0}
