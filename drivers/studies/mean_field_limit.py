r"""Finite networks beside the mean-field limit (section 3.4): law of large numbers and propagation of chaos.

Claims: outputs, and the distance of each particle from its twin in the limit, fall as $M^{-1/2}$ at any time; on the
line, where empirical measures converge that fast, so does $W_2(\mu_M, \mu)$; one-sample SGD approaches the same limit
as the root of its step, since the noise of a sample moves all neurons together and does not average out.

Published setting: De Bortoli, Durmus, Fontaine, Simsekli, "Quantitative propagation of chaos for SGD in wide neural
networks" (2020): ReLU without bias, output scale 1/M, batches of 100, widths 100 to 50 000, steps M^b in the paper's
parameters with b = 1/2, 3/4, 1, so M^(b - 1) in flow time; digits in place of MNIST, squared loss, even against odd.
They find a deterministic limit for b < 1, and one that stays random at b = 1. Claimed here with its rate: two runs from
one start with independent batches differ by the root of the step, M^(-(1 - b)/2).

Published setting: Mei, Montanari, Nguyen, "A mean field view of the landscape of two-layer neural networks" (2018), on
isotropic Gaussians: d = 40, y = +-1, x | y ~ N(0, (1 +- 0.8)^2 I), 800 neurons of an activation that rises from -2.5
at 0.5 to 7.5 at 1.5, one-sample SGD (numbers from memory; our SGD is compared with our limit, not with their curves).
The measure stays radial, so that the limit is a flow on the radius, solved to a stated tolerance. Claimed: the risk of
SGD lies within four standard deviations over seeds of the limit's at any time.

    python drivers/studies/mean_field_limit.py [--quick]      full size: about 10 minutes; quick: half a minute
"""

import sys

import numpy as np

import particles as mf
from particles.analysis.convergence import fit_exponent
from particles.experiments.claims import Settings, below, study, within
from particles.kernels.compile import inline
from particles.kernels.lanes import at_most, clamp
from particles.plotting.style import LIMIT, legend, panels, series, styled, theory, ticks

NET = mf.Network("tanh")


@inline
def ramp(v):
    return clamp(10.0 * v - 7.5, -2.5, 7.5)


@inline
def ramp_slope(v):
    return at_most(v, 0.5, 0.0, at_most(v, 1.5, 10.0, 0.0))


class MeanFieldLimit(Settings):
    """Finite networks beside the mean-field limit (section 3.4)."""

    n: int
    counts: list[int]
    seeds: int
    nodes: int
    step: float
    steps: int
    line_counts: list[int]
    wide: int
    sgd_steps: list[float]
    sgd_seeds: int
    horizon: float
    published_widths: list[int]
    published_powers: list[float]
    published_seeds: int
    published_horizon: float
    radial_step: float
    radial_horizon: float
    radial_seeds: int


def problem(n, d):
    x = np.random.default_rng(0).standard_normal((n, d))
    return mf.Dataset(x, np.sin(x[:, 0]) + (0.5 * np.cos(2.0 * x[:, 1]) if d > 1 else 0.0))


def twins(settings, data):
    """Distances of outputs and of particles from their twins, (seeds, counts, T), and times."""
    law, method = mf.Gaussian(2), mf.GradientDescent(settings.step)
    limit = law.quadrature(settings.nodes, signs="random")
    every = max(1, settings.steps // 10)
    runs = [
        mf.coupled(NET, law, data, method, counts=settings.counts, limit=limit, steps=settings.steps, seed=seed,
                   signs="random", record_every=every) for seed in range(settings.seeds)
    ]  # fmt: skip
    outputs, particles = (
        np.array([run[name].values for run in runs]) for name in ("prediction_distance", "twin_distance")
    )
    return outputs, particles, runs[0]["time"].values


def on_the_line(settings):
    """W_2 between networks and the limit at the end, particles in R: (line_counts, seeds)."""
    law, data, method = mf.Ball(1, radius=2.0), problem(settings.n, 1), mf.GradientDescent(settings.step)
    how = {"steps": settings.steps, "record": (), "record_every": settings.steps}
    limit = mf.simulate(NET, law.quadrature(settings.nodes), data, method, **how).measure
    return np.array(
        [[mf.transport.wasserstein(mf.simulate(NET, law.sample(M, seed), data, method, **how).measure, limit)
          for seed in range(settings.seeds)] for M in settings.line_counts]
    )  # fmt: skip


def sampled(settings, data):
    """Outputs of one-sample SGD minus those of descent with the same steps from the same start: (steps, seeds)."""
    start, found = mf.Gaussian(2).sample(settings.wide, seed=1, signs="random"), []
    for step in settings.sgd_steps:
        steps = round(settings.horizon / step)
        how = {"steps": steps, "record": ("prediction",), "record_every": steps}
        calm = mf.simulate(NET, start, data, mf.GradientDescent(step), **how).dataset["prediction"].values[-1]
        row = []
        for seed in range(settings.sgd_seeds):
            run = mf.simulate(NET, start, data, mf.SGD(step, seed=seed), **how)
            row.append(np.sqrt(np.mean((run.dataset["prediction"].values[-1] - calm) ** 2)))
        found.append(row)
    return np.array(found)


def published(settings):
    """Distance of the outputs of two runs with independent batches / sqrt 2: (powers, widths, seeds)."""
    digits = mf.datasets.load("digits", positive=[1, 3, 5, 7, 9], negative=[0, 2, 4, 6, 8], scale="unit")
    net = mf.Network("relu")
    law, found = mf.Gaussian(digits.x.shape[1]), []
    for power in settings.published_powers:
        rows = []
        for M in settings.published_widths:
            step = M ** (power - 1.0)
            steps = round(settings.published_horizon / step)
            outputs = [
                mf.simulate(net, law.sample(M, seed // 2, signs="random"), digits, mf.SGD(step, batch=100, seed=seed),
                            steps=steps, record=("prediction",), record_every=steps).dataset["prediction"].values[-1]
                for seed in range(2 * settings.published_seeds)
            ]  # fmt: skip
            pairs = zip(outputs[::2], outputs[1::2], strict=True)
            rows.append([np.sqrt(np.mean((one - other) ** 2) / 2) for one, other in pairs])
        found.append(rows)
    return np.array(found)


def isotropic(settings):
    """Risks of SGD on the same held-out samples, (seeds, T), the limit's (T,), and the times."""
    steep = mf.Activation("ramp", ramp, ramp_slope, 10.0, np.inf, False)
    net, law, start = mf.Network(steep), mf.theory.TwoGaussians(40, 0.8), mf.Gaussian(40, 0.8 / 40**0.5)
    times, step = (
        settings.radial_horizon * np.array([0.0, 0.005, 0.015, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0]),
        settings.radial_step,
    )
    at = [round(time / step) for time in times]
    limit = mf.theory.radial_flow(net, start, mf.theory.two_gaussians(0.8, 40), times, kinks=(0.5, 1.5), tolerance=1e-4)
    held, risks = mf.Stream(law, law.label, seed=0).holdout(), []
    for seed in range(settings.radial_seeds):
        stream = mf.Stream(law, law.label, seed=seed)
        run = mf.simulate(net, start.sample(800, seed), stream, mf.SGD(step), steps=at[-1], record_every=at,
                          record=("position",), positions=800)  # fmt: skip
        clouds = (mf.Measure(b, np.ones(800), np.full(800, 1 / 800)) for b in run.dataset["position"].values)
        risks.append([np.mean((net.predict(cloud, held.x) - held.y) ** 2) for cloud in clouds])
    g = limit.predict(np.linalg.norm(held.x, axis=1) / 40**0.5)
    return np.array(risks), np.mean((g - held.y) ** 2, axis=1), times


@styled
def draw(settings, outputs, particles, times, line, sgd, chaos, radial):
    figure, axes = panels(5)
    counts = np.array(settings.counts, dtype=float)
    for number, k in enumerate((1, len(times) // 2, -1)):
        label = f"particles from twins, $t$ = {times[k]:g}"
        axes[0].plot(counts, particles[:, :, k].mean(axis=0), label=label, **series(number))
    axes[0].plot(counts, outputs[:, :, -1].mean(axis=0), label=f"outputs, $t$ = {times[-1]:g}", **series(3))
    axes[0].set(xlabel="neurons $M$", ylabel=r"rms distance from $M = \infty$", title="Propagation of chaos")
    guides = [(axes[0], counts, particles[:, 0, -1].mean(), -0.5, "$M^{-1/2}$")]
    axes[1].plot(settings.line_counts, line.mean(axis=1), label="mean over seeds", **series(0))
    axes[1].set(xlabel="neurons $M$", ylabel=r"$W_2(\mu_M, \mu)$", title="Measures on the line")
    guides.append((axes[1], np.array(settings.line_counts, dtype=float), line[0].mean(), -0.5, "$M^{-1/2}$"))
    steps = np.array(settings.sgd_steps)
    axes[2].plot(steps, sgd.mean(axis=1), label=f"M = {settings.wide}", **series(0))
    axes[2].set(xlabel=r"step $\eta$ (flow time)", ylabel="outputs - descent's, rms", title="One-sample SGD")
    guides.append((axes[2], steps, sgd[0].mean(), 0.5, r"$\eta^{1/2}$"))
    widths = np.array(settings.published_widths, dtype=float)
    for k, (power, rows) in enumerate(zip(settings.published_powers, chaos, strict=True)):
        axes[3].plot(widths, rows.mean(axis=1), label=f"steps $M^{{{power - 1:g}}}$", **series(k))
        told = r"$M^{-(1 - b)/2}$, steps $M^{b - 1}$" if k == 0 else None
        guides.append((axes[3], widths, rows[0].mean(), (power - 1) / 2, told))
    axes[3].set(xlabel="neurons $M$", ylabel="outputs of two runs apart, rms", title="SGD on digits (De Bortoli 2020)")
    for place, x, first, power, label in guides:
        theory(place, x, first * (x / x[0]) ** power, label and f"theory {label}")
        place.set(xscale="log", yscale="log")
    for place, at in zip(axes, (counts, settings.line_counts, steps, widths), strict=False):
        ticks(place, at)
    risks, limit, when = radial
    axes[4].plot(when[1:], limit[1:], label=r"$M = \infty$, on the radius", **LIMIT)
    spread = risks.std(axis=0, ddof=1)[1:]
    axes[4].errorbar(when[1:], risks.mean(axis=0)[1:], spread, ls="", label="SGD, M = 800", **series(0))
    axes[4].set(xscale="log", xlabel="flow time $t$", ylabel="risk", title=r"Two Gaussians in $R^{40}$ (Mei 2018)")
    for place, room in zip(axes, (0.4, 0.0, 0.0, 0.3, 0.0), strict=True):
        legend(place, room)
    return figure


def main():
    import xarray

    asked = study("mean_field_limit", MeanFieldLimit)
    settings, data = asked.settings, problem(asked.settings.n, 2)
    outputs, particles, times = twins(settings, data)
    line, sgd, chaos = on_the_line(settings), sampled(settings, data), published(settings)
    risks, radial, when = isotropic(settings)
    power = {
        "outputs": fit_exponent(settings.counts, outputs.max(axis=2).T)[:3],
        "end": fit_exponent(settings.counts, particles[:, :, -1].T)[:3],
        "early": fit_exponent(settings.counts, particles[:, :, 1].T)[:3],
        "line": fit_exponent(settings.line_counts, line)[:3],
        "sgd": fit_exponent(settings.sgd_steps, sgd)[:3],
    }
    claims = [
        within("distance of outputs from the limit, power of M", "3.4", -0.5, *power["outputs"], slack=0.05),
        within(
            f"particles' distance from twins at t = {times[1]:g}, power of M",
            "3.4",
            -0.5,
            *power["early"],
            slack=0.05,
        ),
        within(
            f"particles' distance from twins at t = {times[-1]:g}, power of M",
            "3.4",
            -0.5,
            *power["end"],
            slack=0.05,
        ),
        within("W_2 from the limit on the line, power of M", "3.4", -0.5, *power["line"], slack=0.05),
        within("|one-sample SGD - descent|, power of the step", "(4), 3.4", 0.5, *power["sgd"], slack=0.05),
    ]
    for b, rows in zip(settings.published_powers, chaos, strict=True):
        found = fit_exponent(settings.published_widths, rows)[:3]
        claims.append(
            within(
                f"two runs with steps M^{b - 1:g} apart, power of M", "De Bortoli 2020", (b - 1) / 2, *found, slack=0.05
            )
        )
    apart = np.abs(risks.mean(axis=0) - radial)
    claims += [
        below("|SGD's mean risk - the limit's| / deviation of seeds", "Mei 2018", 4.0,
              (apart / risks.std(axis=0, ddof=1)).max()),
        below("|SGD's mean risk - the limit's| / risk at the start", "Mei 2018", 0.02, apart.max() / radial[0]),
    ]  # fmt: skip
    about = {"units": "1", "equation": "3.4"}
    result = xarray.Dataset(
        {
            "prediction_distance": (("seed", "count", "time"), outputs, about),
            "twin_distance": (("seed", "count", "time"), particles, about),
            "wasserstein": (("line_count", "seed"), line, about),
            "sgd_distance": (("step", "sgd_seed"), sgd, about),
            "runs_apart": (("power", "width", "pair"), chaos, about),
            "radial_risk": (("radial_seed", "radial_time"), risks, about),
            "radial_limit": ("radial_time", radial, about),
        },
        {"count": settings.counts, "time": times, "line_count": settings.line_counts, "step": settings.sgd_steps,
         "power": settings.published_powers, "width": settings.published_widths, "radial_time": when},
    )  # fmt: skip
    return asked.finish(
        claims, result, draw(settings, outputs, particles, times, line, sgd, chaos, (risks, radial, when))
    )


if __name__ == "__main__":
    sys.exit(main())
