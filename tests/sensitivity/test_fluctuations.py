"""Draws of the Gaussian field: their covariance is the adjoint's, and no bit depends on the machine."""

import numpy as np
import pytest
from support import derivatives
from support.derivatives import digest, settings

import particles as mf

DRAWS = 4000


def field(run, **more):
    run = dict(run)
    return mf.fluctuations(run.pop("net"), run.pop("start"), **run, **more)


def covariance(run, symmetric):
    """Of the outputs at the test samples at all recorded times, from the first variations: (numbers, numbers)."""
    ds = mf.sensitivity(**run, of="test_prediction", symmetric=symmetric).dataset
    psi, w = ds.test_prediction_variation.values.reshape(-1, ds.sizes["particle"]), ds.particle_weight.values
    if symmetric:
        half = len(w) // 2
        psi, w = psi[:, :half] + psi[:, half:], w[:half]
    return psi * w @ psi.T


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("method", derivatives.METHODS)
def test_fluctuations__have_the_covariance_of_the_first_variations(method, symmetric):
    """Within 5 standard errors, sqrt((C_ii C_jj + C_ij^2) / draws) for a Gaussian; of 21 or more entries."""
    run = settings(method, M=300, steps=4) | {"record_every": 2, "regulariser": mf.L2(0.1)}
    if symmetric:
        run["start"] = mf.Gaussian(2).sample(
            300, seed=0, signs="symmetric" if run["net"].outputs == 1 else "gaussian", outputs=run["net"].outputs
        )
        if run["net"].outputs > 1:
            start = run["start"]
            run["start"] = mf.Measure(np.tile(start.b[:150], (2, 1)), np.concatenate([start.s[:150], -start.s[:150]]),
                                      start.w)  # fmt: skip
    wanted = covariance(run, symmetric)
    draws = field(run, draws=DRAWS, symmetric=symmetric).test_fluctuation.values.reshape(DRAWS, -1)
    found = draws.T @ draws / DRAWS
    error = np.sqrt((np.outer(np.diag(wanted), np.diag(wanted)) + wanted**2) / DRAWS)
    assert found.shape == wanted.shape and (error > 0.0).any()
    assert (np.abs(found - wanted) <= 5.0 * error + 1e-14).all()
    assert (np.abs(draws.mean(axis=0)) <= 5.0 * np.sqrt(np.diag(wanted) / DRAWS) + 1e-14).all()


def test_fluctuations__of_a_weighted_measure_have_the_covariance_too():
    run = settings(M=300, steps=4) | {"record_every": 2, "regulariser": None}
    w = np.random.default_rng(0).random(300)
    w[7] = 0.0
    run["start"] = run["start"]._replace(w=w / w.sum())
    wanted = covariance(run, False)
    draws = field(run, draws=DRAWS).test_fluctuation.values.reshape(DRAWS, -1)
    error = np.sqrt((np.outer(np.diag(wanted), np.diag(wanted)) + wanted**2) / DRAWS)
    assert (np.abs(draws.T @ draws / DRAWS - wanted) <= 5.0 * error).all()


def test_fluctuations__along_one_draw_are_the_linearised_run():
    """The field is linear in the change of the measure: a small one, made and run, moves outputs by it."""
    run = settings(M=40, steps=5) | {"record_every": 1, "regulariser": None}
    draw = field(run, draws=1, seed=3)
    xi = _normals(40)
    change = np.sqrt(run["start"].w) * xi
    change -= run["start"].w * change.sum()

    def at(h):
        start = run["start"]._replace(w=run["start"].w + h * change)
        return mf.simulate(**(run | {"start": start}), record="prediction").dataset.prediction.values

    quotient = (8 * (at(1e-3) - at(-1e-3)) - (at(2e-3) - at(-2e-3))) / 12e-3
    assert draw.fluctuation.values[0] == pytest.approx(quotient, rel=1e-6, abs=1e-7)


def _normals(count):
    """Those of seed 3, as documented: a Philox counter by seed, purpose and rows."""
    from particles.measures.random_streams import ROWS, Purpose, generator

    return generator(3, Purpose.FLUCTUATION, 0).standard_normal((ROWS, 1))[:count, 0]


@pytest.mark.parametrize("method", ["GD", "heun"])
def test_fluctuations__have_the_same_bits_on_any_number_of_threads(method):
    run = settings(method) | {"regulariser": None}
    assert len({digest(field(run, draws=5, engine=mf.Local(threads))) for threads in (1, 2, 3)}) == 1


def test_fluctuations__are_other_ones_with_another_seed_and_have_their_distances():
    run = settings(M=300, steps=3) | {"regulariser": None}
    one, other = (field(run, draws=4, seed=seed) for seed in (0, 1))
    assert one.sizes == {"draw": 4, "time": 4, "sample": 9, "test_sample": 2}
    assert not np.isclose(one.fluctuation, other.fluctuation).any()
    assert one.distance.values == pytest.approx(np.sqrt((one.fluctuation.values**2).mean(axis=-1)), rel=1e-14)
    assert one.sup_distance.values.tolist() == one.distance.values.max(axis=1).tolist()
