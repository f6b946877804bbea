r"""Rates of convex descent (section 2): SGD's O(1/t), averaging with larger steps, and the cost of a given gap.

Claims: with steps $c / (t + t_0)$ the expected gap $f(w_t) - f^*$ falls as $1 / (t + t_0)$; the average of the iterates
does as well with a constant step, which leaves the iterates themselves at a distance [13, 14, 15]; to reach $\epsilon$,
counted in gradients of a sample, gradient descent takes $O(n \thinspace \log(1/\epsilon))$, which grows with $n$, and
SGD $O(1/\epsilon)$, which does not. These are upper bounds: the average falls faster than 1/t, up to 1/t^2, for as long
as it still forgets its start.

Only the output weights of a network train here, so f is a parabola whose curvature and minimum are computed exactly.

    python drivers/studies/convex_rates.py [--quick]      full size: about 10 minutes; quick: half a minute
"""

import sys

import numpy as np

import particles as mf
from particles.analysis.convergence import fit_exponent
from particles.experiments.claims import Settings, at_most, below, study, within
from particles.plotting.style import legend, panels, series, styled, theory, ticks

NET = mf.Network("tanh", beta=0.5, train="output")


class Convex(Settings):
    """Rates of convex descent (section 2)."""

    features: int
    n: int
    noise: float
    steps: int
    seeds: int
    samples: list[int]
    eps: float
    cost_steps: int


class Problem:
    """A data set and its parabola in flow time: curvature from `strong` to `smooth`, smallest value `best`."""

    def __init__(self, settings, n):
        M, chance = settings.features, np.random.default_rng(0)  # one teacher and one endless sample for every n
        self.start = mf.Measure(np.diag(np.linspace(0.4, 2.0, M)), np.ones(M), np.full(M, 1.0 / M))
        teacher, drawn = chance.standard_normal(M), chance.standard_normal((n, M + 1))
        x = drawn[:, :M]
        features = np.tanh(x @ self.start.b.T) / np.sqrt(M)
        y = features @ teacher + settings.noise * drawn[:, M]
        self.data, hessian = mf.Dataset(x, y), features.T @ features / n
        self.strong, self.smooth = np.linalg.eigvalsh(hessian)[[0, -1]]
        self.roughest = np.sum(features**2, axis=1).max()  # the curvature of the worst single sample
        rest = features @ np.linalg.lstsq(features, y, rcond=None)[0] - y
        self.best = np.mean(rest**2) / 2

    def gaps(self, method, steps, every="log"):
        """(iterations, gap of the iterates, gap of their average or None)."""
        found = mf.simulate(
            NET, self.start, self.data, method, steps=steps, record=("loss",), record_every=every, engine=mf.Local(1)
        ).dataset
        mean = found["averaged_loss"].values - self.best if method.average else None
        return found["iteration"].values, found["loss"].values - self.best, mean

    def falling(self):
        """Steps 2 / (strong (t + t0)), the first as large as one sample allows."""
        c = 2.0 / self.strong
        return mf.RobbinsMonro(c, max(0.0, c * self.roughest - 1.0))


def against_time(settings):
    """Gaps against t, (k,) iterations and (k, seeds) each: falling steps, a constant step, and its average."""
    problem, columns = Problem(settings, settings.n), []
    for seed in range(settings.seeds):
        t, falling, _ = problem.gaps(mf.SGD(problem.falling(), seed=seed), settings.steps)
        _, last, mean = problem.gaps(mf.SGD(0.5 / problem.roughest, seed=seed, average=True), settings.steps)
        columns.append((falling, last, mean))
    return problem, t[1:], *(np.stack(one, axis=1)[1:] for one in zip(*columns, strict=True))


def costs(settings):
    """Gradients of one sample until the mean gap is eps of the first: (sizes,) of GD and of SGD, (sizes, seeds)."""
    whole, single = [], []
    for n in settings.samples:
        problem = Problem(settings, n)
        steps = int(4 * np.log(1 / settings.eps) * problem.smooth / problem.strong) + 10
        t, gap, _ = problem.gaps(mf.GradientDescent(1.0 / problem.smooth), steps, every=1)
        whole.append(n * t[np.argmax(gap <= settings.eps * gap[0])])
        row = []
        for seed in range(settings.seeds):
            t, gap, _ = problem.gaps(mf.SGD(problem.falling(), seed=seed), settings.cost_steps, every=10)
            row.append(t[np.argmax(gap <= settings.eps * gap[0])])
        single.append(row)
    return np.array(whole, dtype=float), np.array(single, dtype=float)


@styled
def draw(t, gaps, settings, whole, single):
    figure, axes = panels(2)
    for k, (name, gap) in enumerate(gaps.items()):
        axes[0].plot(t, gap.mean(axis=1), label=name, markevery=0.1, **series(k))
    first = gaps["steps c/t"].mean(axis=1)
    theory(axes[0], t, first[-1] * t[-1] / t, "theory $1/t$")
    axes[0].set(xscale="log", yscale="log", xlabel="iteration $t$", ylabel=r"$E\,[f(w_t) - f^*]$")
    axes[0].set_title(f"One-sample SGD, mean over {settings.seeds} seeds")
    axes[1].plot(settings.samples, whole, label="gradient descent", **series(0))
    axes[1].plot(settings.samples, single.mean(axis=1), label="SGD, mean over seeds", **series(1))
    n = np.array(settings.samples)
    theory(axes[1], n, whole[0] * n / n[0], r"theory: $O(n)$ and $O(1)$")
    theory(axes[1], n, np.full(len(n), single.mean()))
    axes[1].set(xscale="log", yscale="log", xlabel="samples $n$", ylabel="gradients of one sample")
    ticks(axes[1], settings.samples)
    axes[1].set_title(f"Cost of a gap of {settings.eps:g} of the first")
    for place in axes:
        legend(place)
    return figure


def main():
    import xarray

    asked = study("convex_rates", Convex)
    settings = asked.settings
    problem, t, *found = against_time(settings)
    gaps = dict(zip(("steps c/t", "constant step", "constant step, averaged"), found, strict=True))
    whole, single = costs(settings)
    late = t >= settings.steps / 32
    # The steps are c / (t + t0), and so is the rate.
    shifts = dict(zip(gaps, (problem.falling().t0, 0.0, 0.0), strict=True))
    fits = {name: fit_exponent(t[late] + shifts[name], gap[late]) for name, gap in gaps.items()}
    ratio = (gaps["constant step"][late] / gaps["constant step, averaged"][late]).mean()
    grows = fit_exponent(settings.samples, whole[:, None])
    stays = fit_exponent(settings.samples, single)
    claims = [
        at_most("gap of SGD with steps c/(t + t0), power of t + t0", "2 [13, 14]", -1.0, *fits["steps c/t"][:3]),
        at_most("gap of the averaged iterates, power of t", "2 [15]", -1.0, *fits["constant step, averaged"][:3]),
        within("gap of those iterates themselves, power of t", "2 [15]", 0.0, *fits["constant step"][:3]),
        below("gap of the average / gap of the iterates", "2 [15]", 0.1, 1.0 / ratio),
        within("GD's gradients to eps, power of n", "2", 1.0, *grows[:3]),
        at_most("SGD's gradients to eps, power of n", "2", 0.0, *stays[:3]),
    ]
    about = {"units": "1", "equation": "2"}
    data = xarray.Dataset(
        {
            "gap": (
                ("method", "iteration", "seed"),
                np.stack(list(gaps.values())),
                {"long_name": "f(w_t) - f*", **about},
            ),
            "gd_cost": ("n", whole, {"long_name": "GD's gradients of one sample to eps", **about}),
            "sgd_cost": (("n", "seed"), single, {"long_name": "SGD's gradients of one sample to eps", **about}),
        },
        coords={"method": list(gaps), "iteration": t, "n": settings.samples},
    )
    return asked.finish(claims, data, draw(t, gaps, settings, whole, single))


if __name__ == "__main__":
    sys.exit(main())
