r"""What classification takes (section 3.3, Theorem 3): the smallest M, T and n whose test error is at most eps.

Claims: Theorem 3 is sufficient, so its powers of $1/\epsilon$ bound the measured ones from above; for $\mathbb{P}[Y
g(X) \le 0] \le \epsilon$ (i) $M = \Omega(\epsilon^{-1/(1 - \beta)})$, $T = \Omega(\epsilon^{-2})$, $n =
\widetilde{\Omega}(\epsilon^{-4})$ are enough at any $\beta$ in $[0, 1)$; (ii) $M =
\widetilde{\Theta}(\epsilon^{-3/2})$, $T = \widetilde{\Theta}(\epsilon^{-1})$, $n = \widetilde{\Omega}(\epsilon^{-2})$
are enough at $\beta = 0$. In flow time the steps eps^-2 / T of (i), with T at its smallest, and Theta(1/M) M of (ii)
are constants. One of M, T, n is varied while the others are generous; M and n are the smallest from which on every
larger one on the ladder does, T the first iteration that does.

The labels are y = sign(q(x)), q(x) = x_1 x_2 + x_3 x_4 + ..., on the sphere in R^d where |q(x)| >= gap. What was found:
M does not grow, 8 neurons (12 for one seed) do for every eps, so the theorem's M is far from necessary here; n grows as
eps^-0.6. T grows as eps^-1.2 at beta = 0, interval [0.7, 1.8] over 6 seeds, far below (i)'s power 2; of (ii)'s power 1
this says no more than that it is not refuted. These are powers at small eps: with a gap of 0.05 and eps from 0.1 to
0.035 T grew as eps^-1.3, [1.07, 1.56], faster than (ii) allows in the limit, where single steps reach the larger eps.
Regression's M at the same samples, n^6 / lam_inf^4 of Theorem 1 for ReLU, stands beside: more than 10^20.

    python drivers/studies/classification.py [--quick]      full size: about 5 minutes; quick: under a minute
"""

import sys

import numpy as np
from pydantic import Field

import particles as mf
from particles.analysis.convergence import fit_exponent
from particles.experiments.claims import Claim, Settings, at_most, below, study, vacuous
from particles.measures.random_streams import Purpose
from particles.plotting.style import THEORY, legend, panels, series, styled, theory, ticks
from particles.theory.bounds import assumption_2, theorem_1, theorem_3_powers
from particles.theory.bounds.max_margin import margin
from particles.theory.tangent.limit_kernel import limit_gram


class Classification(Settings):
    """What classification takes (section 3.3, Theorem 3)."""

    activation: str
    dim: int = Field(ge=2, multiple_of=2)
    gap: float = Field(gt=0, lt=0.5)
    betas: list[float]
    eps: list[float] = Field(min_length=2)
    widths: list[int] = Field(min_length=2)
    samples: list[int] = Field(min_length=2)
    seeds: int = Field(ge=1)
    step: float = Field(gt=0)
    steps: int = Field(ge=1)
    test: int = Field(ge=1)
    margin_samples: int = Field(ge=2)

    @property
    def cases(self):
        """(setting of the theorem, beta)."""
        return [("i", beta) for beta in self.betas] + [("ii", 0.0)] * (0.0 in self.betas)


RARE = 2**12  # points that are drawn for one outside the gap, at most


def form(x):
    """x_1 x_2 + x_3 x_4 + ...: (n, d) -> (n,)."""
    return np.sum(x[:, ::2] * x[:, 1::2], axis=1)


def labelled(settings, count, seed, purpose=Purpose.INPUT):
    """The first `count` points of this seed outside the gap, and the signs of their forms."""
    x, drawn = np.empty((0, settings.dim)), count
    while len(x) < count:
        drawn *= 2
        if drawn > RARE * count:
            rule, got = (
                "`gap` must leave room for points",
                f"{settings.gap:g}, {len(x)} of {drawn // 2} points outside it",
            )
            raise mf.InputError(rule, got, "Lower `gap` or `dim`: |q(x)| is about dim^(-1/2).")
        x = mf.Sphere(settings.dim).rows(seed, 0, drawn, purpose)
        x = x[np.abs(form(x)) >= settings.gap]
    return mf.Dataset(x[:count], np.sign(form(x[:count])))


def run(shared, job):
    """(iterations, the smallest test error so far, the margin) of one network, at `points` iterations or fewer."""
    settings, test = shared
    beta, M, n, seed, points = job
    found = mf.simulate(
        mf.Network(settings.activation, beta=beta),
        mf.Sphere(settings.dim).sample(M, seed, signs="symmetric"),
        labelled(settings, n, seed),
        mf.GradientDescent(settings.step),
        steps=settings.steps,
        loss="logistic",
        record=("test_misclassification", "margin"),
        record_every=np.unique(np.geomspace(1, settings.steps, points).astype(int)).tolist(),
        test=test,
        engine=mf.Local(1),
    ).dataset
    least = np.minimum.accumulate(found["test_misclassification"].values)
    return found["iteration"].values, least, found["margin"].values


def runs(settings):
    """Least errors (beta, M, seed) and (beta, n, seed), and of the last M and n iterations (t,), least errors so far
    and margins (beta, seed, t)."""
    last, seeds = (settings.widths[-1], settings.samples[-1]), range(settings.seeds)
    by_M = [(M, last[1]) for M in settings.widths[:-1]]
    by_n = [(last[0], n) for n in settings.samples[:-1]]
    looks = dict.fromkeys(by_M + by_n, 10) | {last: 60}  # testing costs more than training does where n is small
    jobs = [(beta, *pair, seed, looks[pair]) for beta in settings.betas for pair in looks for seed in seeds]
    jobs.sort(key=lambda job: -job[1] * job[2])  # the longest first, so that no core waits at the end
    test = labelled(settings, settings.test, 0, Purpose.SPLIT)
    found = {jobs[number][:4]: result for number, result in mf.Local().tasks(run, (settings, test), jobs)}

    def ended(pairs):
        return [[[found[beta, *pair, seed][1][-1] for seed in seeds] for pair in pairs] for beta in settings.betas]

    curves = [np.array([[found[beta, *last, s][k] for s in seeds] for beta in settings.betas]) for k in (1, 2)]
    return np.array(ended([*by_M, last])), np.array(ended([*by_n, last])), found[jobs[0][:4]][0], *curves


def least(ladder, good):
    """The first rung from which on all are good, NaN where the last is not: good (k, seeds) -> (seeds,)."""
    held = np.logical_and.accumulate(good[::-1])[::-1]
    return np.where(held[-1], np.asarray(ladder, dtype=float)[np.argmax(held, axis=0)], np.nan)


def needs(settings, by_M, by_n, t, errors):
    """The smallest M, T and n of every beta: three times (beta, eps, seed)."""
    needed = np.empty((3, len(settings.betas), len(settings.eps), settings.seeds))
    for at, e in np.ndindex(needed.shape[1:3]):
        eps = settings.eps[e]
        needed[0, at, e] = least(settings.widths, by_M[at] <= eps)
        reached = errors[at] <= eps
        needed[1, at, e] = np.where(reached[:, -1], t[np.argmax(reached, axis=1)], np.nan)
        needed[2, at, e] = least(settings.samples, by_n[at] <= eps)
    return needed


def regression_width(settings, n):
    """n^6 / lam_inf^4 of Theorem 1 for ReLU at the first n samples."""
    x = labelled(settings, n, 0).x
    gram = limit_gram(mf.Network("relu", beta=0.5), mf.Sphere(settings.dim), x)
    return theorem_1(gram, min(settings.eps), x).width


def claims_of(settings, needed, apart, regression):
    inverse, rows = 1.0 / np.array(settings.eps), []
    for setting, beta in settings.cases:
        powers, tables = theorem_3_powers(beta, setting), needed[:, settings.betas.index(beta)]
        for name, bound, table in zip("MTn", powers[:3], tables, strict=True):
            told = f"({setting}) beta = {beta:g}: smallest {name}, power of 1/eps"
            fit = np.round(fit_exponent(inverse, table)[:3], 9)  # a constant M has a power of rounding
            rows.append(at_most(told, "Theorem 3", bound, *fit))
    ratio = np.nanmax(needed[0, :, -1]) / regression[-1]
    return [  # the ratio cannot fail where no network is as wide as regression's bound
        *rows,
        Claim(
            "margin of the samples, certified from below",
            "(7)",
            "> 0",
            apart.lower,
            apart.lower,
            apart.upper,
            apart.lower > 0.0,
        ),
        vacuous(
            below("largest M at the smallest eps / (n^6 / lam^4)", "Theorems 1, 3", 1.0, ratio),
            regression[-1] >= max(settings.widths),
        ),
    ]


@styled
def draw(settings, t, needed, margins):
    figure, axes = panels(4)
    inverse = 1.0 / np.array(settings.eps)
    for k, (name, what) in enumerate(zip("MTn", ("Neurons", "Iterations", "Samples"), strict=True)):
        means = np.exp(np.log(needed[k]).mean(axis=-1))
        for b, (beta, mean) in enumerate(zip(settings.betas, means, strict=True)):
            axes[k].plot(inverse, mean, label=rf"$\beta$ = {beta:g}", ms=max(3, 9 - 2 * b), **series(b))
        powers = sorted({theorem_3_powers(beta, setting)[k] for setting, beta in settings.cases})
        for number, power in enumerate(powers):
            guide = means[0, 0] * (inverse / inverse[0]) ** power
            theory(axes[k], inverse, guide, None if number else "powers of Theorem 3")
            told = "   " * (1 + 2 * (number % 2)) + rf"$\epsilon^{{-{power:.3g}}}$"  # neighbours' labels apart
            axes[k].text(inverse[-1], guide[-1], told, fontsize=8, va="center")
        axes[k].set(xscale="log", yscale="log", xlabel=r"$1/\epsilon$", ylabel=f"smallest ${name}$")
        axes[k].set_xlim(right=1.45 * inverse[-1])  # room for the powers
        ticks(axes[k], np.round(inverse))
        axes[k].set_title(f"{what} that reach a test error of $\\epsilon$")
    for b, (beta, margin_of) in enumerate(zip(settings.betas, margins, strict=True)):
        line = margin_of.mean(axis=0)[1:]
        axes[3].plot(settings.step * t[1:], line, label=rf"$\beta$ = {beta:g}", markevery=0.15, **series(b))
    axes[3].axhline(0.0, **THEORY, label="separated: above it")
    axes[3].set(xscale="log", xlabel="flow time $t$", ylabel=r"$\min_i\, y_i g(x_i)$")
    axes[3].set_title(f"Margin at M = {settings.widths[-1]}, n = {settings.samples[-1]}")
    for place, room in zip(axes, (0.15, 0.2, 0.15, 0.1), strict=True):
        legend(place, room)
    return figure


def dataset(settings, found, needed, regression):
    import xarray

    def of(dims, values, text, equation="Theorem 3"):
        return dims, values, {"long_name": text, "units": "1", "equation": equation}

    by_M, by_n, t, errors, margins = found
    dims = ("beta", "eps", "seed")
    return xarray.Dataset(
        {
            "error_of_M": of(("beta", "M", "seed"), by_M, "smallest test error within T, largest n"),
            "error_of_n": of(("beta", "n", "seed"), by_n, "smallest test error within T, largest M"),
            "error_of_T": of(("beta", "seed", "iteration"), errors, "smallest test error so far, largest M and n"),
            "margin": of(("beta", "seed", "iteration"), margins, "smallest y g(x) of the training samples", "3.3"),
            "needed_M": of(dims, needed[0], "smallest M with test error <= eps"),
            "needed_T": of(dims, needed[1], "first iteration with test error <= eps"),
            "needed_n": of(dims, needed[2], "smallest n with test error <= eps"),
            "regression_M": of("eps", regression, "n^6 / lam_inf^4 at the largest needed n", "Theorem 1"),
        },
        coords={
            "beta": settings.betas,
            "eps": settings.eps,
            "M": settings.widths,
            "n": settings.samples,
            "iteration": t,
        },
    )


def main():
    asked = study("classification", Classification)
    settings = asked.settings
    found = runs(settings)
    needed = needs(settings, *found[:4])
    used = np.nanmax(needed[2], axis=(0, 2))
    regression = np.array([regression_width(settings, int(n)) for n in used])
    few, net = labelled(settings, settings.margin_samples, 0), mf.Network(settings.activation, beta=settings.betas[0])
    apart = margin(net, mf.Sphere(settings.dim), few.x, few.y, nodes=1024)
    for told in assumption_2(net, few.x, few.y, mf.Sphere(settings.dim)):
        print(f"Assumption 2: {told}")
    print("eps, largest n needed, largest M needed, regression's M:")
    for row in zip(settings.eps, used, np.nanmax(needed[0], axis=(0, 2)), regression, strict=True):
        print("  {:.3g}  {:.0f}  {:.0f}  {:.2g}".format(*row))
    data = dataset(settings, found, needed, regression)
    claims = claims_of(settings, needed, apart, regression)
    return asked.finish(claims, data, draw(settings, found[2], needed, found[4]))


if __name__ == "__main__":
    sys.exit(main())
