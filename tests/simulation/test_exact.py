"""Networks whose evolution is known: linear neurons, and quadratic neurons on Gaussian inputs."""

import itertools

import numpy as np
import pytest
from scipy import integrate, linalg
from support import naive

import particles as mf

M, T = 7, 1.0


def linear_problem(cloud, samples):
    """g = m.x with m the mean position, so m' = -(C m - c), C = X^T X / n, c = X^T y / n."""
    start, data = cloud(M)._replace(s=np.ones(M)), samples(n=12)
    return start, data, data.x.T @ data.x / 12, data.x.T @ data.y / 12


def final(activation, start, data, step, steps):
    run = mf.simulate(mf.Network(activation), start, data, mf.GradientDescent(step), steps=steps, record=())
    return run.measure


def test_linear_neurons__have_a_mean_that_follows_its_recursion(cloud, samples):
    start, data, C, c = linear_problem(cloud, samples)
    mean = start.b.mean(axis=0)
    for _ in range(40):
        mean = mean - 0.1 * (C @ mean - c)
    assert final("linear", start, data, 0.1, 40).b.mean(axis=0) == pytest.approx(mean, rel=1e-12)


def test_linear_neurons__all_move_alike(cloud, samples):
    start, data, *_ = linear_problem(cloud, samples)
    moved = final("linear", start, data, 0.1, 40).b - start.b
    assert moved == pytest.approx(np.tile(moved[0], (M, 1)), rel=1e-12)


def test_linear_neurons__follow_the_matrix_exponential_to_first_order(cloud, samples):
    start, data, C, c = linear_problem(cloud, samples)
    rest = np.linalg.solve(C, c)
    exact = rest + linalg.expm(-T * C) @ (start.b.mean(axis=0) - rest)
    errors = [
        np.linalg.norm(final("linear", start, data, T / steps, steps).b.mean(axis=0) - exact)
        for steps in (100, 200, 400, 800)
    ]
    assert naive.order(errors) == pytest.approx(1.0, abs=0.1)


def gaussian_inputs(d):
    """Equal-weight points with the moments of N(0, I) up to degree 5: -sqrt 3, 0 (four times), sqrt 3 on each axis."""
    return np.array(list(itertools.product([-(3**0.5), 0.0, 0.0, 0.0, 0.0, 3**0.5], repeat=d)))


class Riccati:
    """Quadratic neurons g = x^T A x, A = int b b^T dmu, with the target x^T A* x and x ~ N(0, I).

    L = E (x^T D x)^2 / 2 with D = A - A*, so v = -2 E[(x^T D x)(b.x) x] = -2 (2 D + tr(D) I) b by Isserlis.
    """

    def __init__(self, d):
        random = np.random.default_rng(d)
        teacher = random.standard_normal((d, d)) / 2
        self.goal = teacher @ teacher.T
        x = gaussian_inputs(d)
        self.data = mf.Dataset(x, np.einsum("ij,jk,ik->i", x, self.goal, x))
        self.start = mf.Measure(random.standard_normal((M, d)) / 2, np.ones(M), np.full(M, 1 / M))
        self.first = self.start.b.T @ self.start.b / M

    def rate(self, A):
        D = A - self.goal
        return 2 * D + np.trace(D) * np.eye(len(D))

    def descended(self, step, steps):
        b = final("quadratic", self.start, self.data, step, steps).b
        return b.T @ b / M

    def exact(self):
        def slope(_, flat):
            A = flat.reshape(self.first.shape)
            return -2 * (self.rate(A) @ A + A @ self.rate(A)).ravel()

        found = integrate.solve_ivp(slope, (0, T), self.first.ravel(), method="DOP853", rtol=1e-10, atol=1e-12)
        return found.y[:, -1].reshape(self.first.shape)


DIMS = pytest.mark.parametrize("d", [2, 3])


@DIMS
def test_gaussian_inputs__have_the_fourth_moments_of_isserlis(d):
    x, eye = gaussian_inputs(d), np.eye(d)
    found = np.einsum("ia,ib,ic,id->abcd", x, x, x, x) / len(x)
    pairs = ("ab,cd->abcd", "ac,bd->abcd", "ad,bc->abcd")
    assert found == pytest.approx(sum(np.einsum(pair, eye, eye) for pair in pairs), abs=1e-13)


@DIMS
def test_quadratic_neurons__follow_the_matrix_recursion(d):
    problem, step = Riccati(d), 0.02
    A = problem.first
    for _ in range(50):
        P = np.eye(d) - 2 * step * problem.rate(A)
        A = P @ A @ P
    assert problem.descended(step, 50) == pytest.approx(A, rel=1e-12)


@DIMS
def test_quadratic_neurons__follow_the_riccati_equation_to_first_order(d):
    problem = Riccati(d)
    exact = problem.exact()
    errors = [np.linalg.norm(problem.descended(T / steps, steps) - exact) for steps in (200, 400, 800, 1600)]
    assert naive.order(errors) == pytest.approx(1.0, abs=0.1)
