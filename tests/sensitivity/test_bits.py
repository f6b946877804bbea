"""The derivative has the same bits for any number of threads, any memory, and whatever else is asked for with it."""

import numpy as np
import pytest
from support import derivatives
from support.daily import some
from support.derivatives import OF, everything, settings

import particles as mf

CASES = [(method, dtype) for method in derivatives.METHODS for dtype in ("float64", "float32")]
DAILY = ("GD", "float64"), ("heun", "float64")
EACH = pytest.mark.parametrize("case", some(CASES, *DAILY), ids="-".join)


@EACH
def test_derivative__has_the_same_bits_on_any_number_of_threads(case):
    method, dtype = case
    run = settings(method, dtype=dtype) | {"record_every": 3}
    one, *others = (everything(**run, engine=mf.Local(threads)) for threads in (1, 2, 3))
    assert all(other == one for other in others)


@EACH
def test_derivative__has_the_same_bits_in_any_memory(case):
    """One functional at a time and two states, up to all at once."""
    method, dtype = case
    run = settings(method, dtype=dtype) | {"record_every": 3, "engine": mf.Local(1)}
    one, *others = (everything(**run, memory=memory) for memory in (2**30, 1, 300_000, 1_000_000))
    assert all(other == one for other in others)


def test_derivative__has_the_same_bits_whatever_else_is_measured_when_and_asked_for():
    run = settings() | {"engine": mf.Local(1)}
    whole = mf.sensitivity(**run, of=OF, by=derivatives.ALL, record_every=1).dataset
    for of, every in ((OF[::-1], 2), ("loss", None), (OF[1:4], (3, 5)), (("mean_position", "loss"), "log")):
        ds = mf.sensitivity(**run, of=of, by=derivatives.ALL, record_every=every).dataset
        there = whole.sel(time=ds.time)
        for name in ds.variables:
            assert ds[name].values.tobytes() == np.ascontiguousarray(there[name].values).tobytes(), name
    for by in derivatives.ALL:
        ds = mf.sensitivity(**run, of=OF, by=by).dataset
        last = whole.isel(time=[-1])
        for name in ds.variables:
            assert ds[name].values.tobytes() == np.ascontiguousarray(last[name].values).tobytes(), name


@pytest.mark.parametrize("method", derivatives.METHODS)
def test_variation__at_the_start_s_own_particles_is_that_of_the_run(method):
    run = settings(method, M=300) | {"record_every": 3}
    found = mf.sensitivity(**run, of=OF)
    again = found.variation(run["start"])
    for name in OF:
        assert again[f"{name}_variation"].values.tobytes() == found.dataset[f"{name}_variation"].values.tobytes()


@pytest.mark.parametrize("method", derivatives.METHODS)
def test_predict__of_the_start_itself_is_what_was_measured(method):
    run = settings(method, M=300) | {"record_every": 3}
    found = mf.sensitivity(**run, of=OF)
    again = found.predict(run["start"])
    for name in OF:
        assert again[name].values == pytest.approx(found.dataset[name].values, rel=1e-13, abs=1e-13)
        mean = found.dataset[f"{name}_variation"].values @ run["start"].w
        assert np.abs(mean).max() <= 1e-13 * max(1.0, np.abs(found.dataset[f"{name}_variation"]).max())


def test_std__is_the_root_of_the_mean_square_of_the_first_variation():
    run = settings(M=300)
    ds = mf.sensitivity(**run, of=OF).dataset
    for name in OF:
        square = ds[f"{name}_variation"].values ** 2 @ run["start"].w
        assert ds[f"{name}_std"].values == pytest.approx(np.sqrt(square), rel=1e-13)
    assert ds.particle_weight.values.tobytes() == run["start"].w.tobytes()


def test_std__of_pairs_is_that_of_their_sums():
    run = settings(M=300) | {"start": mf.Gaussian(2).sample(300, seed=0, signs="symmetric")}
    ds = mf.sensitivity(**run, of=OF, symmetric=True).dataset
    for name in OF:
        psi = ds[f"{name}_variation"].values
        pairs = psi[..., :150] + psi[..., 150:]
        assert ds[f"{name}_std"].values == pytest.approx(np.sqrt((pairs**2).mean(axis=-1) / 2), rel=1e-12)
