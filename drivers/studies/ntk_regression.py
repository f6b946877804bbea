r"""Regression in the tangent-kernel regime (section 3.1, Theorem 1): ReLU, unit inputs, a_r = +-1/sqrt M, descent.

Claims: the loss stays below the contraction $(1 - \eta \lambda / n)^t$ at every $t$ [5]; particles move by
$O(M^{-1/2})$, and as many activation patterns flip; the network leaves descent under $H$ by $O(M^{-1/2})$; the loss is
$\epsilon$ within $\lVert H \rVert_F / \lambda_\infty \thinspace \log(1/\epsilon)$ iterations [16], the constant taken
as 1; $M = n^6 / \lambda_\infty^4$ neurons are enough, and too few are not. Theorem 1 is sufficient: what was enough
here is printed beside what it asks for.

The drift of the kernel since the start is bounded by M^(-1/2) as well, but falls faster, about as M^(-3/4): neurons of
opposite signs move in opposite directions, so to first order their flips cancel in K, and what is left is the scatter
of M^(1/2) flips among M neurons. So it goes with the distance from descent under the network's own first kernel.

    python drivers/studies/ntk_regression.py [--quick]      full size: about 10 minutes; quick: half a minute
"""

import sys

import numpy as np

import particles as mf
from particles.analysis.convergence import fit_exponent
from particles.experiments.claims import Settings, above, at_most, below, study, vacuous, within
from particles.plotting.style import THEORY, legend, panels, series, styled, theory, ticks

NET = mf.Network("relu", beta=0.5)
RECORDED = ("loss", "prediction", "lambda_min", "kernel_drift", "kernel_distance", "pattern_flips", "displacement_rms")


class Regression(Settings):
    """Regression in the tangent-kernel regime (section 3.1, Theorem 1)."""

    dim: int
    n: int
    counts: list[int]
    seeds: int
    steps: int
    samples: list[int]
    eps: float
    wide: int
    narrow: list[int]


class Problem:
    """n samples on the sphere with a target in [-1, 1], H, and what Theorem 1 says of them."""

    def __init__(self, dim, n, eps):
        x = mf.Sphere(dim).sample(n, seed=7).b
        noise = np.random.default_rng(7).choice([-0.5, 0.5], n)  # only many neurons fit that
        self.law, self.data = mf.Gaussian(dim), mf.Dataset(x, 0.5 * np.sin(3.0 * x[:, 0]) + noise)
        self.H = mf.tangent.limit_gram(NET, self.law, x)
        self.rates = mf.theory.theorem_1(self.H, eps, x, self.data.y)

    def run(self, count, seed, steps, record, every):
        start = self.law.sample(count, seed, signs="symmetric")
        method = mf.GradientDescent(self.rates.step)
        return mf.simulate(NET, start, self.data, method, steps=steps, record=record, record_every=every).dataset

    def apart(self, count, seed):
        """|K_w1 - H|_F / |H|_F."""
        start = self.law.sample(count, seed, signs="symmetric")
        return np.linalg.norm(mf.tangent.gram(NET, start, self.data.x) - self.H) / np.linalg.norm(self.H)


def against_width(settings, problem):
    """What was recorded, each (counts, seeds, T, ..), the iterations (T,), and |K_w1 - H| / |H|, (counts, seeds).

    limit_distance: rms over samples of the difference from descent with the same steps under H.
    """
    found = {name: [] for name in RECORDED}
    apart = []
    for count in settings.counts:
        runs = [problem.run(count, seed, settings.steps, RECORDED, "log") for seed in range(settings.seeds)]
        for name in RECORDED:
            found[name].append([run[name].values for run in runs])
        apart.append([problem.apart(count, seed) for seed in range(settings.seeds)])
    t, found = runs[0]["iteration"].values, {name: np.array(values) for name, values in found.items()}
    alone = mf.tangent.descend(problem.H, problem.data.y, problem.rates.step, t)
    found["limit_distance"] = np.sqrt(np.mean((found.pop("prediction") - alone) ** 2, axis=-1))
    return found, t, np.array(apart)


def contraction_ratio(loss, smallest, problem, t):
    """The loss divided by L_n(w_1) (1 - eta lam / n)^t, lam the smallest eigenvalue seen: (counts, seeds, T)."""
    shrink = 1.0 - problem.rates.step * smallest.min(axis=-1, keepdims=True) / len(problem.data)
    return loss / (loss[..., :1] * shrink**t)


def iterations(settings):
    """For each n: iterations until the loss is eps, of a wide network and of the kernel, and Theorem 1's count."""
    rows = []
    for n in settings.samples:
        problem = Problem(settings.dim, n, settings.eps)
        most = int(np.ceil(problem.rates.iterations))
        loss = problem.run(settings.wide, 0, most, ("loss",), 1)["loss"].values
        reached = int(np.argmax(loss <= settings.eps)) if (loss <= settings.eps).any() else np.inf
        kernel = mf.theory.kernel_iterations(problem.H, problem.data.y, settings.eps, problem.rates.step)
        rows.append((reached, kernel, problem.rates.iterations))
    return np.array(rows).T


def last_losses(settings, problem):
    """The loss of narrow networks after as many iterations as Theorem 1 says: (narrow, seeds)."""
    most = int(np.ceil(problem.rates.iterations))
    seeds = range(min(settings.seeds, 5))
    return np.array(
        [[problem.run(M, seed, most, ("loss",), most)["loss"].values[-1] for seed in seeds] for M in settings.narrow]
    )


@styled
def draw(settings, found, t, apart, table, narrow):
    figure, axes = panels(3)
    counts = np.array(settings.counts, dtype=float)
    axes[0].plot(counts, apart.mean(axis=1), label=r"$|K_{w_1} - H|_F\,/\,|H|_F$", **series(0))
    axes[0].plot(counts, found["kernel_drift"][..., -1].mean(axis=1), label="drift of $K_w$", **series(1))
    names = (("limit_distance", "distance from descent under $H$"), ("pattern_flips", "share of flipped patterns"))
    for k, (name, label) in enumerate(names, 2):
        axes[0].plot(counts, found[name].max(axis=-1).mean(axis=1), label=label, **series(k))
    theory(axes[0], counts, 1.3 * apart.mean(axis=1)[0] * (counts / counts[0]) ** -0.5, "theory $M^{-1/2}$")
    axes[0].set(xscale="log", yscale="log", xlabel="neurons $M$", ylabel="mean over seeds")
    axes[0].set_title("Distance from the kernel regime")
    ticks(axes[0], settings.counts)
    axes[1].plot(settings.samples, table[0], label=f"network, M = {settings.wide}", **series(0))
    axes[1].plot(settings.samples, table[1], label="kernel descent", ls=":", mfc="none", ms=7, **series(1))
    bound = r"Theorem 1: $\frac{|H|_F}{\lambda_\infty}\,\log\frac{1}{\epsilon}$"
    theory(axes[1], settings.samples, table[2], bound)
    axes[1].set(xscale="log", yscale="log", xlabel="samples $n$", ylabel=rf"iterations to $L_n \leq {settings.eps:g}$")
    axes[1].set_title("Iterations that are needed")
    ticks(axes[1], settings.samples)
    axes[2].plot(
        np.repeat(settings.narrow, narrow.shape[1]), narrow.ravel(), ls="", alpha=0.7, label="seeds", **series(0)
    )
    axes[2].axhline(settings.eps, label=rf"$\epsilon$ = {settings.eps:g}", **THEORY)
    axes[2].set(xscale="log", yscale="log", xlabel="neurons $M$", ylabel="$L_n$ after Theorem 1's iterations")
    axes[2].set_title("Neurons that are needed")
    ticks(axes[2], settings.narrow)
    for place, room in zip(axes, (0.37, 0.0, 0.0), strict=True):
        legend(place, room)
    return figure


def main():
    import xarray

    asked = study("ntk_regression", Regression)
    settings = asked.settings
    problem = Problem(settings.dim, settings.n, settings.eps)
    found, t, apart = against_width(settings, problem)
    table, narrow = iterations(settings), last_losses(settings, problem)
    ratio = contraction_ratio(found["loss"], found["lambda_min"], problem, t)
    limit = contraction_ratio(found["loss"][-1:], np.full((1, 1, 1), problem.rates.smallest), problem, t)
    powers = {name: fit_exponent(settings.counts, found[name].max(axis=-1))[:3] for name in found if name != "loss"}
    powers["start"] = fit_exponent(settings.counts, apart)[:3]
    enough = [M for M, row in zip(settings.narrow, narrow, strict=True) if (row <= settings.eps).all()]
    needed = float(enough[0]) if enough else np.nan
    claims = [
        below("loss / contraction by lam_min(K_w), largest", "3.1 [5]", 1.0 + 1e-9, ratio.max()),
        below("loss / contraction by lam_inf, largest M", "3.1 [5]", 1.0 + 1e-9, limit.max()),
        within("|K_w1 - H|_F / |H|_F, power of M", "3.1", -0.5, *powers["start"], slack=0.05),
        within("distance from descent under H, power of M", "3.1", -0.5, *powers["limit_distance"], slack=0.05),
        within("displacement of particles, power of M", "3.1 [5]", -0.5, *powers["displacement_rms"], slack=0.05),
        within("share of flipped patterns, power of M", "3.1 [5]", -0.5, *powers["pattern_flips"], slack=0.05),
        at_most("drift of K_w since the start, power of M", "3.1 [5]", -0.5, *powers["kernel_drift"]),
        at_most("distance from descent under K_w1, power of M", "3.1 [5]", -0.5, *powers["kernel_distance"]),
        below("iterations / (|H|_F/lam log(1/eps)), largest", "Theorem 1", 1.0, (table[0] / table[2]).max()),
        vacuous(
            below("smallest M that reached eps, all seeds", "Theorem 1", problem.rates.width, needed),
            problem.rates.width >= settings.narrow[-1],
        ),  # wider than every network that was trained
        above(f"loss / eps at M = {settings.narrow[0]}", "Theorem 1", 1.0, narrow[0].min() / settings.eps),
    ]
    about = {"units": "1", "equation": "3.1"}
    variables = {name: (("count", "seed", "iteration"), values, about) for name, values in found.items()}
    variables["start_distance"] = (("count", "seed"), apart, {"long_name": "|K_w1 - H|_F / |H|_F", **about})
    for name, values in zip(("network", "kernel", "theorem"), table, strict=True):
        variables[f"iterations_{name}"] = ("n", values, {"long_name": f"iterations to eps, {name}", **about})
    variables["narrow_loss"] = (("narrow", "trial"), narrow, {"long_name": "loss of narrow networks", **about})
    data = xarray.Dataset(
        variables, {"count": settings.counts, "iteration": t, "n": settings.samples, "narrow": settings.narrow}
    )
    return asked.finish(claims, data, draw(settings, found, t, apart, table, narrow))


if __name__ == "__main__":
    sys.exit(main())
