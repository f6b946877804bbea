r"""The generalisation bound (6) on real data (section 3.1 [3]): odd against even digits, 0 to 100% of labels shuffled.

Claims: after long training the expected loss is at most $\sqrt{2 y^\top H^{-1} y / n}$; that number, which looks at
training labels alone, grows with the share of shuffled labels and orders problems as the test loss does. The loss is
min((z - y)^2 / 2, 1), since (6) is for bounded ones. The second term of (6), O(sqrt(log(n / (lam_inf delta)) / n)), has
no stated constant and is left out, which makes the claim stronger. A bound above 1/2, the loss of z = 0, says nothing,
as it must with all labels shuffled: such rows are vacuous.

    python drivers/studies/generalization_bound.py [--quick]      full size: about 15 minutes; quick: half a minute
"""

import sys

import numpy as np

import particles as mf
from particles.experiments.claims import Settings, above, below, study, vacuous
from particles.plotting.style import LIMIT, legend, panels, series, shades_of, styled, theory

NET = mf.Network("relu", beta=0.5)
TRIVIAL = 0.5  # the loss of z = 0, whatever the labels
ABOUT = {"units": "1", "equation": "(6)"}


class Generalization(Settings):
    """The generalisation bound (6) on real data."""

    samples: list[int]
    shares: list[float]
    seeds: int
    count: int
    steps: int
    trained: int


def problem(digits, n, share, seed):
    """n training samples and the others, a share of all labels drawn anew."""
    chance = np.random.default_rng([seed, n, round(1000 * share)])
    order, labels = np.random.default_rng(seed).permutation(len(digits)), digits.y.copy()
    anew = chance.random(len(digits)) < share
    labels[anew] = chance.choice([-1.0, 1.0], int(anew.sum()))
    parts = order[:n], order[n:]
    return (mf.Dataset(digits.x[rows], labels[rows]) for rows in parts)


def measured(settings, digits, n, share, seed):
    """The bound, and the test loss of the kernel limit and of a network (NaN where none is trained)."""
    train, test = problem(digits, n, share, seed)
    law = mf.Gaussian(digits.x.shape[1])
    H = mf.tangent.limit_gram(NET, law, train.x)
    cross = mf.tangent.limit_gram(NET, law, test.x, train.x)
    network = np.nan
    if n <= settings.trained:
        start = law.sample(settings.count, seed, signs="symmetric")
        method = mf.GradientDescent(1.9 * mf.theory.descent_step(H))  # descent is stable below twice the lemma's step
        run = mf.simulate(NET, start, train, method, steps=settings.steps, record_every=settings.steps)
        network = loss(NET.predict(run.measure, test.x), test.y)
    return mf.theory.arora_bound(H, train.y, train.x), loss(cross @ np.linalg.solve(H, train.y), test.y), network


def loss(z, y):
    """min((z - y)^2 / 2, 1), its mean."""
    return float(np.mean(np.minimum((z - y) ** 2 / 2.0, 1.0)))


def under(text, losses, bound):
    """Losses divided by their bounds, where these say more than the loss of z = 0 does: vacuous if they nowhere do."""
    told = bound < TRIVIAL
    rows = told if told.any() else np.full(bound.shape, True)
    return vacuous(below(text, "(6) [3]", 1.0, (losses[rows] / bound[rows]).max()), not told.any())


@styled
def draw(settings, table):
    figure, axes = panels(2)
    bound, kernel, network = table.mean(axis=3)
    for row, (n, colour) in enumerate(zip(settings.samples, shades_of(len(settings.samples)), strict=True)):
        mark = {"color": colour, "marker": series(row)["marker"]}
        theory(axes[0], settings.shares, bound[row], color=colour)
        axes[0].plot(settings.shares, kernel[row], color=colour, label=f"$n$ = {n}")
        axes[0].plot(settings.shares, network[row], ls="", **mark)
        axes[1].plot(table[0, row].ravel(), table[1, row].ravel(), ls="", alpha=0.7, label=f"$n$ = {n}", **mark)
    theory(axes[0], [], [], "bound (6)")
    axes[0].plot([], [], color=LIMIT["color"], label=r"test loss, $M = \infty$")
    axes[0].plot([], [], "o", color=LIMIT["color"], label=f"test loss, M = {settings.count}")
    axes[0].set(xlabel="share of labels shuffled", ylabel=r"bound and test loss", yscale="log")
    axes[0].set_title(f"Means over {settings.seeds} splits of the digits")
    legend(axes[0], 0.3, ncols=2, loc="lower right")
    ends = [table[1].min(), table[1].max()]
    theory(axes[1], ends, ends, "bound = loss")
    axes[1].set(xlabel=r"$\sqrt{2\,y^T H^{-1} y\,/\,n}$", ylabel=r"test loss, $M = \infty$", xscale="log", yscale="log")
    axes[1].set_title("Every split: loss below its bound")
    legend(axes[1], loc="center")
    return figure


def main():
    import xarray
    from scipy.stats import spearmanr

    asked = study("generalization_bound", Generalization)
    settings = asked.settings
    digits = mf.datasets.load("digits", scale="unit")
    table = np.array(
        [
            [
                [measured(settings, digits, n, share, seed) for seed in range(settings.seeds)]
                for share in settings.shares
            ]
            for n in settings.samples
        ]
    )  # (n, share, seed, quantity)
    table = np.moveaxis(table, -1, 0)
    bound, kernel, network = table
    some = np.isfinite(network)
    order = [spearmanr(settings.shares, row).statistic for rows in bound for row in rows.T]
    together = [spearmanr(row[:, seed], kernel[k, :, seed]).statistic for k, row in enumerate(bound)
                for seed in range(settings.seeds)]  # fmt: skip
    claims = [
        under("kernel limit's test loss / bound, largest", kernel, bound),
        under("network's test loss / bound, largest", network[some], bound[some]),
        above("rank correlation of bound and share shuffled, smallest", "(6) [3]", 0.9, min(order)),
        above("rank correlation of bound and test loss, smallest", "(6) [3]", 0.9, min(together)),
        under("kernel limit's test loss / bound, most labels shuffled", kernel[:, -1], bound[:, -1]),
        below("|network's test loss - kernel limit's|, largest", "3.1", 0.1, np.abs(network - kernel)[some].max()),
    ]
    names = {"bound": "sqrt(2 y^T H^-1 y / n)", "kernel_loss": "test loss, limit", "network_loss": "test loss, network"}
    variables = {
        name: (("n", "share", "seed"), values, {"long_name": text, **ABOUT})
        for (name, text), values in zip(names.items(), table, strict=True)
    }
    data = xarray.Dataset(variables, {"n": settings.samples, "share": settings.shares})
    return asked.finish(claims, data, draw(settings, table))


if __name__ == "__main__":
    sys.exit(main())
