r"""From the tangent kernel to the mean field (sections 3.1, 3.4): the output scale a_r = +-1/M^beta, beta from 0 to 1.

Claims: in flow time the outputs begin to move at a speed that does not depend on $\beta$; particles move by $M^{\beta -
1}$, so that they move at all in the limit only at $\beta = 1$; for $\beta \le 1/2$ the outputs stay within
$O(M^{-1/2})$ of descent under the kernel $H$; at $\beta = 1$ they stay within $O(M^{-1/2})$ of the mean-field limit,
and away from that descent. The kernel drifts no more than particles do; with signs in pairs it drifts more slowly: to
first order their parts cancel.

Published setting: Chizat, Oyallon, Bach, "On lazy training in differentiable programming" (2019), figure 2: a teacher
of three unit ReLU neurons in R^100, 1000 samples on the sphere, students of 50 ReLU neurons in pairs of opposite signs
so that g = 0, weights N(0, tau^2) in both layers, both trained, step min(10, 0.1/tau^2) in the paper's parameters.
Expected, and claimed here: a small test loss for small tau, and a plateau for large ones, where training is lazy.

    python drivers/studies/lazy_to_mean_field.py [--quick]      full size: about 15 minutes; quick: half a minute
"""

import sys

import numpy as np

import particles as mf
from particles.analysis.convergence import fit_exponent
from particles.experiments.claims import Settings, below, study, within
from particles.plotting.style import LIMIT, THEORY, legend, panels, series, shades_of, styled, theory, ticks

RECORDED = ("prediction", "displacement_rms", "kernel_drift", "test_loss")


class Scales(Settings):
    """From the tangent kernel to the mean field on one time axis."""

    dim: int
    n: int
    teacher: int
    counts: list[int]
    betas: list[float]
    seeds: int
    step: float
    steps: int
    limit: int
    inputs: int
    samples: int
    width: int
    taus: list[float]
    iterations: int
    trials: int


def problem(settings):
    """Targets of a small teacher: train and test samples."""
    teacher = mf.Sphere(settings.dim, radius=2.0).sample(settings.teacher, seed=3, signs="random")
    inputs = mf.Sphere(settings.dim)
    x, test = (inputs.sample(n, seed).b for n, seed in ((settings.n, 1), (1000, 2)))
    return (mf.Dataset(z, mf.Network("tanh").predict(teacher, z)) for z in (x, test))


def measured(settings, data, test):
    """What was recorded at every beta and M, (betas, counts, seeds, T, ..); the limits' predictions; flow times."""
    law, found = mf.Gaussian(settings.dim), {name: [] for name in RECORDED}
    method = mf.GradientDescent(settings.step)
    every = {"steps": settings.steps, "record": RECORDED, "record_every": "log", "test": test}
    for beta in settings.betas:
        net = mf.Network("tanh", beta=beta)
        runs = [
            [mf.simulate(net, law.sample(M, seed, signs="symmetric"), data, method, **every).dataset
             for seed in range(settings.seeds)] for M in settings.counts
        ]  # fmt: skip
        for name in RECORDED:
            found[name].append([[run[name].values for run in row] for row in runs])
    iterations, times = runs[0][0]["iteration"].values, runs[0][0]["time"].values
    H = mf.tangent.limit_gram(net, law, data.x)
    kernel = mf.tangent.descend(H, data.y, settings.step, iterations)
    cross = mf.tangent.limit_gram(net, law, test.x, data.x)
    unseen = mf.tangent.descend(H, data.y, settings.step, iterations, cross=cross)
    kernel_test = np.mean((unseen - test.y) ** 2, axis=1) / 2
    start = law.quadrature(settings.limit, signs="symmetric", along=data.x)
    limit = mf.simulate(mf.Network("tanh"), start, data, method, **every).dataset
    return {name: np.array(values) for name, values in found.items()}, (kernel, kernel_test), limit, iterations, times


def first_speeds(settings, data):
    """dg/dt at the start for each beta, by a tiny step: (betas, n)."""
    start, step = mf.Gaussian(settings.dim).sample(settings.counts[0], 0, signs="symmetric"), 1e-5
    found = []
    for beta in settings.betas:
        net = mf.Network("tanh", beta=beta)
        moved = mf.simulate(net, start, data, mf.GradientDescent(step), steps=1, record=()).measure
        found.append(net.predict(moved, data.x) / step)
    return np.array(found)


def apart(predictions, other):
    """Largest rms distance of the run: (.., T, n) and (T, n) -> (..)."""
    return np.sqrt(np.mean((predictions - other) ** 2, axis=-1)).max(axis=-1)


def lazy(settings):
    """Test losses of the published setting: (taus, trials)."""
    net, inputs = mf.Network("relu", beta=0.0, train=("input", "output")), mf.Sphere(settings.inputs)
    found = []
    for tau in settings.taus:
        row = []
        for trial in range(settings.trials):
            chance = np.random.default_rng([trial, 5])
            teacher = inputs.sample(3, seed=100 + trial).b
            signs = chance.choice([-1.0, 1.0], 3)
            train, test = (
                mf.Dataset(x, np.maximum(x @ teacher.T, 0.0) @ signs)
                for x in (inputs.sample(settings.samples, seed=200 + 2 * trial + k).b for k in range(2))
            )
            half = settings.width // 2
            b, a = tau * chance.standard_normal((half, settings.inputs)), tau * chance.standard_normal(half)
            start = mf.Measure(np.concatenate([b, b]), np.concatenate([a, -a]), np.full(2 * half, 0.5 / half))
            step = min(10.0, 0.1 / tau**2) * 2 * half  # flow time: eta_paper = eta / M at beta = 0
            run = mf.simulate(net, start, train, mf.GradientDescent(step), steps=settings.iterations,
                              record=("test_loss",), record_every=settings.iterations, test=test)  # fmt: skip
            row.append(run.dataset["test_loss"].values[-1])
        found.append(row)
    return np.array(found)


@styled
def draw(settings, found, kernel_test, limit, times, losses):
    figure, axes = panels(3)
    counts = np.array(settings.counts, dtype=float)
    axes[0].plot(times[1:], limit["test_loss"].values[1:], label=r"mean field, $M = \infty$", **LIMIT)
    for row, (beta, colour) in enumerate(zip(settings.betas, shades_of(len(settings.betas)), strict=True)):
        style = {"color": colour, "marker": series(row)["marker"], "label": rf"$\beta$ = {beta:g}"}
        axes[0].plot(times[1:], found["test_loss"][row, -1].mean(axis=0)[1:], markevery=0.15, **style)
        moved = found["displacement_rms"][row, ..., -1].mean(axis=1)
        axes[1].plot(counts, moved, **style)
        theory(axes[1], counts, moved[0] * (counts / counts[0]) ** (beta - 1.0), None)
    theory(axes[0], times[1:], kernel_test[1:], "descent under $H$")
    axes[0].set(xscale="log", yscale="log", xlabel="flow time $t$", ylabel="test loss")
    axes[0].set_title(f"M = {settings.counts[-1]}: from kernel to mean field")
    legend(axes[0], 0.1)
    axes[1].plot([], [], label=r"theory $M^{\beta - 1}$", **THEORY)
    axes[1].set(xscale="log", yscale="log", xlabel="neurons $M$", ylabel="rms displacement of particles")
    axes[1].set_title(rf"How far particles move by $t$ = {times[-1]:g}")
    legend(axes[1], 0.25, loc="lower left")
    ticks(axes[1], settings.counts)
    mean, low, high = losses.mean(axis=1), losses.min(axis=1), losses.max(axis=1)
    axes[2].errorbar(settings.taus, mean, [mean - low, high - mean], label="mean, range of trials", **series(0))
    axes[2].set(xscale="log", yscale="log", xlabel=r"scale of the start $\tau$", ylabel="test loss")
    axes[2].set_title(f"Lazy training (2019), M = {settings.width}")
    legend(axes[2], loc="lower right")
    return figure


def main():
    import xarray

    asked = study("lazy_to_mean_field", Scales)
    settings = asked.settings
    data, test = problem(settings)
    found, (kernel, kernel_test), limit, iterations, times = measured(settings, data, test)
    losses = lazy(settings)
    g, betas = found["prediction"], np.array(settings.betas)
    away = {"kernel": apart(g, kernel), "limit": apart(g, limit["prediction"].values)}
    speeds = first_speeds(settings, data)
    first = np.abs(speeds - speeds[0]).max() / np.abs(speeds).max()
    claims = [below("speed of the outputs at the start: difference between betas", "flow time", 1e-3, first)]
    for row, beta in enumerate(betas):
        moved = fit_exponent(settings.counts, found["displacement_rms"][row, ..., -1])[:3]
        claims.append(
            within(f"displacement at beta = {beta:g}, power of M", "3.1, 3.4", beta - 1.0, *moved, slack=0.05)
        )
        drift = fit_exponent(settings.counts, found["kernel_drift"][row, ..., -1])[:3]
        if beta <= 0.5:
            power = fit_exponent(settings.counts, away["kernel"][row])[:3]
            claims.append(
                within(f"distance from descent under H at {beta:g}, power of M", "3.1", -0.5, *power, slack=0.05)
            )
            claims.append(
                below(f"kernel drift at beta = {beta:g}, power of M", "3.1", beta - 1.0 + 0.05, drift[0], *drift[1:])
            )
    mean_field = fit_exponent(settings.counts, away["limit"][-1])[:3]
    stay = fit_exponent(settings.counts, away["kernel"][-1])[:3]
    smallest, largest, before = (losses[row].mean() for row in (0, -1, -2))
    claims += [
        within("distance from the mean-field limit at beta = 1, power of M", "3.4", -0.5, *mean_field, slack=0.05),
        within("distance from descent under H at beta = 1, power of M", "3.1, 3.4", 0.0, *stay, slack=0.05),
        below("test loss at the smallest tau / at the largest", "lazy training", 0.5, smallest / largest),
        below("test loss at the two largest tau, ratio", "lazy training", 1.2, max(largest / before, before / largest)),
    ]
    about = {"units": "1", "equation": "3.1, 3.4"}
    dims = ("beta", "count", "seed", "iteration")
    data = xarray.Dataset(
        {name: (dims, found[name], about) for name in RECORDED[1:]}
        | {f"{name}_distance": (dims[:3], values, about) for name, values in away.items()}
        | {"lazy_test_loss": (("tau", "trial"), losses, {"long_name": "test loss of the published setting", **about}),
           "limit_test_loss": ("iteration", limit["test_loss"].values, about),
           "kernel_test_loss": ("iteration", kernel_test, about)},
        {"beta": betas, "count": settings.counts, "iteration": iterations, "time": ("iteration", times),
         "tau": settings.taus},
    )  # fmt: skip
    return asked.finish(claims, data, draw(settings, found, kernel_test, limit, times, losses))


if __name__ == "__main__":
    sys.exit(main())
