"""Regularisers: the gradient is that of the value, the proximal map minimises what defines it."""

import numpy as np
import pytest

import particles as mf

RULES = [mf.L1(0.3), mf.L2(0.3), mf.L2(0.3, about="start")]
SMALL = 1e-6


def random(*shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape)


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_gradient__is_that_of_the_value(rule):
    w, start, slope = random(3, 5), random(4, 5)[:3], random(5, 5)[:3]
    for k in range(3):
        ahead, back = w.copy(), w.copy()
        ahead[k] += SMALL
        back[k] -= SMALL
        quotient = rule.weight * (rule.value(ahead, 0, start) - rule.value(back, 0, start)) / (2 * SMALL)
        np.testing.assert_allclose(rule.gradient(slope, w, start)[k] - slope[k], quotient, atol=1e-9)


@pytest.mark.parametrize("slope", [-0.5, -0.2, 0.0, 0.2, 0.5])
def test_gradient__on_a_kink_is_the_least_of_the_subgradients(slope):
    found = mf.L1(0.3).gradient(np.array([slope]), np.zeros(1))
    several = slope + np.linspace(-0.3, 0.3, 601)
    assert found == pytest.approx(several[np.argmin(abs(several))], abs=1e-12)


@pytest.mark.parametrize("w", [-1.0, -0.05, 0.0, 0.1, 2.0])
def test_prox__minimises_the_penalty_and_half_the_square_of_the_distance(w):
    rule, step = mf.L1(0.3), 0.5
    grid = np.linspace(-2.0, 2.0, 40_001)
    best = grid[np.argmin(0.5 * (grid - w) ** 2 + step * rule.weight * rule.value(grid[None], 0))]
    assert rule.prox(np.array([w]), step) == pytest.approx(best, abs=1e-4)


def test_regulariser__enters_by_its_gradient_or_by_its_proximal_map():
    assert [(rule.pull, rule.threshold) for rule in RULES] == [(0.0, 0.3), (0.3, 0.0), (0.3, 0.0)]
    np.testing.assert_array_equal(mf.L2(0.3).prox(random(4), 0.5), random(4))


def test_potential__is_none_of_a_pull_to_the_start():
    for rule in (*RULES[:2], mf.L2(0.0, about="start")):
        rule.check_potential()
    with pytest.raises(mf.InputError, match="no function of the measure"):
        RULES[2].check_potential()
