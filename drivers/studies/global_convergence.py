r"""Convergence to the global optimum (section 3.4 [4]): teacher and student, each end certified.

L is convex over measures, so int V dmu - min V, V the first variation, bounds L(mu) - L(nu) for every rival nu in the
ball: a certificate that needs no knowledge of the optimum. Here the optimum is known as well, 0, since the teacher lies
in the ball; so the certificate itself is checked. Claims: with many neurons from a start that spreads over directions
every run ends with a gap below $10^{-4}$; two neurons, where the teacher has four, never do; nor do 512 that start in
one point, since neurons of one sign and place stay together, so that such a network is one of two neurons.

Setting: four tanh neurons in the plane teach, n = 20 samples N(0, I), students start as N(0, 1/4 I) with random signs
(in pairs where there are two). From wider starts, N(0, I), many runs creep for long at gaps of 2e-4: not shown here.

    python drivers/studies/global_convergence.py [--quick]      full size: about 5 minutes; quick: half a minute
"""

import sys

import numpy as np

import particles as mf
from particles.experiments.claims import Settings, above, below, study
from particles.plotting.style import LIMIT, PALETTE, THEORY, panels, series, styled, ticks

NET = mf.Network("tanh")
TEACHER = mf.Measure(
    np.array([[2.0, 0.0], [-1.0, 1.5], [0.5, -2.0], [1.0, 2.0]]), np.array([1.0, -1.0, 1.0, -1.0]), np.full(4, 0.25)
)


class Global(Settings):
    """Convergence to the global optimum (section 3.4), certified."""

    n: int
    counts: list[int]
    seeds: int
    step: float
    steps: int
    radius: float
    enough: float


def problem(settings):
    x = mf.Gaussian(2).sample(settings.n, seed=3).b
    return mf.Dataset(x, NET.predict(TEACHER, x))


def ended(settings, data, start):
    """The loss and the certified gap where a student ends, and its particles."""
    how = {"steps": settings.steps, "record": ("loss",), "record_every": settings.steps}
    run = mf.simulate(NET, start, data, mf.GradientDescent(settings.step), **how)
    told = mf.theory.certificates.gap(NET, run.measure, data, radius=settings.radius, signs=(1.0, -1.0))
    return run.dataset["loss"].values[-1], told.gap if told.bound is None else told.mean - told.bound, run.measure


def students(settings, data):
    """Losses and gaps, two of (counts, seeds)."""
    law, table = mf.Gaussian(2, std=0.5), []
    for M in settings.counts:
        signs = "symmetric" if M == 2 else "random"
        table.append([ended(settings, data, law.sample(M, seed, signs))[:2] for seed in range(settings.seeds)])
    return np.moveaxis(np.array(table), 2, 0)


def huddled(settings, data):
    """The same of 512 neurons that start in one point, half of them of each sign: two of (seeds,)."""
    rows = []
    for seed in range(settings.seeds):
        point = mf.Gaussian(2, std=0.5).sample(1, seed).b
        start = mf.Measure(np.repeat(point, 512, axis=0), np.tile([1.0, -1.0], 256), np.full(512, 1 / 512))
        rows.append(ended(settings, data, start)[:2])
    return np.array(rows).T


@styled
def draw(settings, data, losses, gaps, corner):
    figure, axes = panels(3)
    spots = np.repeat(settings.counts, settings.seeds)
    axes[0].plot(spots, np.maximum(gaps, 1e-13).ravel(), ls="", alpha=0.6, label="spread start", **series(0))
    axes[0].plot(np.full(len(corner[1]), 512), corner[1], ls="", ms=6, label="512 from one point", **series(1))
    axes[0].axhline(settings.enough, label=f"claim: below {settings.enough:g}", **THEORY)
    axes[0].set(xscale="log", yscale="log", xlabel="neurons $M$", ylabel="certified gap to the optimum")
    axes[0].set_title(rf"$\int V d\mu - \min V$ at the end, {settings.seeds} seeds")
    axes[0].legend(loc="lower right")
    axes[1].plot(settings.counts, (gaps <= settings.enough).mean(axis=1), **series(0))
    axes[1].set(xscale="log", xlabel="neurons $M$", ylabel=f"share of runs, gap < {settings.enough:g}")
    axes[1].set(ylim=(-0.05, 1.05), title="Runs that end at the global optimum")
    ticks(axes[0], sorted({*settings.counts, 512}))
    ticks(axes[1], settings.counts)
    _, _, cloud = ended(settings, data, mf.Gaussian(2, std=0.5).sample(settings.counts[-1], 0, "random"))
    V = mf.theory.first_variation(NET, cloud, data)
    across, up = np.linspace(-7.0, 7.0, 141), np.linspace(-4.0, 4.0, 81)
    plane = np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2)
    height = V.value(plane, np.ones(len(plane))).reshape(81, 141)
    shown = axes[2].contourf(across, up, height, 20, cmap="Greys", alpha=0.7)
    figure.colorbar(shown, ax=axes[2], label="$V(+1, b)$ at the end", format="%.1e")
    for k, sign in enumerate((1.0, -1.0)):
        style = {"color": PALETTE[k], "marker": "os"[k], "ls": ""}
        axes[2].plot(*cloud.b[cloud.s == sign].T, ms=3, mew=0, alpha=0.7, **style)
        axes[2].plot(*TEACHER.b[TEACHER.s == sign].T, ms=9, mec=LIMIT["color"], **style)
    axes[2].set(xlim=(-7, 7), ylim=(-4, 4), xlabel="$b_1$", ylabel="$b_2$", aspect="equal", yticks=range(-4, 5, 2))
    axes[2].set_title(f"M = {settings.counts[-1]} (small), teacher (large): circles $s$ = 1, squares $s$ = -1")
    return figure


def main():
    import xarray

    asked = study("global_convergence", Global)
    settings, data = asked.settings, problem(asked.settings)
    (losses, gaps), corner = students(settings, data), huddled(settings, data)
    best = mf.theory.frank_wolfe(NET, data, radius=settings.radius, tolerance=1e-7)
    many = np.array(settings.counts) >= 32
    tightness = (gaps + 1e-12) / (losses + 1e-12)  # gaps of 1e-12 are rounding
    claims = [
        below("certified gap with 32 neurons or more, largest", "3.4 [4]", settings.enough, gaps[many].max()),
        above(
            f"loss of {settings.counts[0]} neurons, smallest (the optimum is 0)",
            "3.4 [4]",
            settings.enough,
            losses[0].min(),
        ),
        above("loss of 512 neurons that start in one point, smallest", "3.4", settings.enough, corner[0].min()),
        above("certificate / true gap, smallest", "convexity in mu", 1.0, tightness.min()),
        below("smallest loss that Frank-Wolfe finds in the ball", "convexity in mu", 1e-6, best.objective),
    ]
    about = {"units": "1", "equation": "3.4"}
    result = xarray.Dataset(
        {"loss": (("count", "seed"), losses, about), "gap": (("count", "seed"), gaps, about),
         "huddled": (("quantity", "seed"), corner, about)},
        {"count": settings.counts, "quantity": ["loss", "gap"]},
    )  # fmt: skip
    return asked.finish(claims, result, draw(settings, data, losses, gaps, corner))


if __name__ == "__main__":
    sys.exit(main())
