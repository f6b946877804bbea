r"""How finite networks deviate from their limit (section 3.4): the constant of M^(-1/2), from the derivative of a run.

Claims: $M \operatorname{Var} F_M$ tends to the variance of the first variation, for the loss, the test loss and outputs
at test points, and for every smooth activation of bounded slope; $\sqrt{M} (F_M - F_\infty)$ becomes normal; the first
variation at the particles of a start predicts the deviation of that network, up to $O(1/M)$; the bias
$\mathbb{E} F_M - F_\infty$ falls as $1/M$; where the limit interpolates, fluctuations at the samples fall towards 0,
and stay below the error of resampling; near a saddle they grow by the factor of the closed form; at $\beta = 1/2$
outputs fluctuate by $O(1)$ as descent under $H$ says, and beyond that by $M^{-1/2}$ with the start's $K_w$, from whose
descent they stay $O(1/M)$.

Published setting: Chen, Rotskoff, Bruna, Vanden-Eijnden, "A dynamical central limit theorem for shallow neural
networks" (2020): without a regulariser late fluctuations at the samples are bounded by those of M fresh particles of
the trained measure, and vanish where it interpolates. Gaussian fluctuations: Sirignano, Spiliopoulos (2020), Rotskoff,
Vanden-Eijnden (2022). Here with input weights alone trained, on the diabetes data.

The bias is measured without the limit: a network of 2M particles minus the mean of its halves has no first-order part.
The normal law is tested about the mean of the networks, since the bias is $M^{-1/2}$ of a standard deviation.

ReLU has kinks: the derivative of the limit lacks what particles do that cross one. With output weights alone none does,
and the prediction holds. With input weights it is no prediction, which is claimed too: with 60 samples, M Var of the
loss over it was 1.0 at t = 10, 0.6 at t = 40 and 0.4 at t = 80, at M = 512 and 2048 alike. Activations of unbounded
slope are left out: with quadratic neurons a few particles carry the variance, so that 100 seeds do not measure it.

    python drivers/studies/fluctuations.py [--quick]      full size: about 15 minutes; quick: about a minute
"""

import sys
import warnings

import numpy as np
from pydantic import Field

import particles as mf
from particles.analysis.convergence import fit_exponent
from particles.experiments.claims import Settings, above, below, study, within
from particles.plotting.style import LIMIT, PALETTE, THEORY, legend, panels, series, styled, theory, ticks

PAIR = "tanh", "softplus"
SCALARS = "loss", "test_loss"
KERNEL = "spread", "start", "drift", "of_limit", "of_own"
POINTS = 5  # test points at which outputs are measured


class Fluctuations(Settings):
    """How finite networks deviate from their limit, to first order."""

    n: int = Field(ge=20)
    counts: list[int] = Field(min_length=2)
    seeds: int = Field(ge=8)
    predicted: int = Field(ge=8)
    nodes: int
    step: float
    steps: int
    width: int
    trials: int = Field(ge=8)
    samples: int
    long: int
    kernel_counts: list[int] = Field(min_length=2)
    kernel_seeds: int = Field(ge=8)


def problem(settings):
    """Samples of the diabetes data and a few test points, all of variance 1."""
    raw = mf.datasets.load("diabetes", scale="standard", target_scale="standard")
    data, rest = raw.split(1.0 - settings.n / len(raw.y), seed=1)
    return data, mf.Dataset(rest.x[:POINTS], rest.y[:POINTS])


def law_of(data):
    """Positions of arguments b.x of variance about 1."""
    dim = data.x.shape[1]
    return mf.Gaussian(dim, dim**-0.5)


def part(start, first, last):
    """Particles first to last of a start, as a network of their own."""
    return mf.Measure(start.b[first:last], start.s[first:last], np.full(last - first, 1.0 / (last - first)))


def values(dataset, ending=""):
    """Loss, test loss and outputs at the test points at the recorded times: (T, 2 + POINTS)."""
    columns = [dataset[name + ending].values[:, None] for name in SCALARS]
    return np.concatenate([*columns, dataset["test_prediction" + ending].values], axis=1)


def spread(F, M):
    """M Var over seeds, axis 0, and the standard error of its logarithm."""
    away = F - F.mean(axis=0)
    variance = (away**2).mean(axis=0)
    kurtosis = (away**4).mean(axis=0) / variance**2
    return M * variance * len(F) / (len(F) - 1), np.sqrt((kurtosis - 1.0) / len(F))


def interval(ratio, error):
    """A ratio of variances with its 95% interval."""
    return ratio, ratio * np.exp(-1.96 * error), ratio * np.exp(1.96 * error)


class Networks:
    """Of one activation: the limit and its derivative, networks of every M, and their halves."""

    def __init__(self, settings, name):
        self.settings, self.net, self.M = settings, mf.Network(name), settings.counts[-1]
        self.data, self.test = problem(settings)
        self.law, self.method = law_of(self.data), mf.GradientDescent(settings.step)
        self.looks = np.unique([0, *np.geomspace(1, settings.steps, 7).round().astype(int)]).tolist()
        limit = self.law.quadrature(settings.nodes, "random", along=self.data.x)
        common = {"steps": settings.steps, "by": "particle", "test": self.test}
        found = mf.sensitivity(self.net, limit, self.data, self.method, of=[*SCALARS, "test_prediction"],
                               record_every=self.looks, **common)  # fmt: skip
        self.times, self.limit = found.dataset["time"].values, values(found.dataset)
        self.std = values(found.dataset, "_std")
        self.last = mf.sensitivity(self.net, limit, self.data, self.method, of=SCALARS, **common)
        runs = [[self.of(M, seed) for seed in range(settings.seeds)] for M in settings.counts]
        self.F, self.bias = (np.array([[run[k] for run in row] for row in runs]) for k in (0, 1))
        self.foreseen = self.foresee()

    def run(self, start):
        looks = self.looks
        run = mf.simulate(self.net, start, self.data, self.method, steps=looks[-1], record_every=looks,
                          record=(*SCALARS, "test_prediction"), test=self.test)  # fmt: skip
        return values(run.dataset)

    def of(self, M, seed):
        """F_M, and twice the mean of F at its halves minus F_M: an estimate of the bias at M (T, 2 + POINTS)."""
        start = self.law.sample(M, seed, "random")
        whole, halves = self.run(start), [self.run(part(start, *at)) for at in ((0, M // 2), (M // 2, M))]
        return whole, np.mean(halves, axis=0) - whole

    def foresee(self):
        """Predicted deviations of loss and test loss at the end (2, counts, predicted): starts of one seed nest."""
        starts = [self.law.sample(self.M, seed, "random") for seed in range(self.settings.predicted)]
        b, s = (np.concatenate([getattr(start, name) for start in starts]) for name in "bs")
        psi = self.last.variation(mf.Measure(b, s, np.full(len(s), 1.0 / len(s))))
        rows = [psi[f"{name}_variation"].values.reshape(len(starts), self.M) for name in SCALARS]
        return np.array([[row[:, :M].mean(axis=1) for M in self.settings.counts] for row in rows])

    def ratios(self):
        """M Var over theory at every M: (counts, T, 2 + POINTS), with the error of its logarithm."""
        parts = [spread(F, M) for F, M in zip(self.F, self.settings.counts, strict=True)]
        return np.array([part[0] for part in parts]) / self.std**2, np.array([part[1] for part in parts])

    def deviations(self):
        """Of loss and test loss at the end, measured: (2, counts, predicted)."""
        F = self.F[:, : self.settings.predicted, -1, : len(SCALARS)]
        return np.moveaxis(F - self.limit[-1, : len(SCALARS)], -1, 0)


def power_of_mean(counts, rows):
    """The power of M of |mean over seeds|, rows (counts, seeds), with a bootstrap interval over seeds."""
    chance, centred = np.random.default_rng(0), np.log(counts) - np.mean(np.log(counts))
    picked = chance.integers(rows.shape[1], size=(2000, rows.shape[1]))
    slopes = np.log(np.abs(np.array([row[picked].mean(axis=1) for row in rows]))).T @ centred / (centred @ centred)
    mean = np.log(np.abs(rows.mean(axis=1))) @ centred / (centred @ centred)
    return mean, *np.quantile(slopes, (0.025, 0.975))


def correlation(one, other):
    """Pearson's, with its 95% interval by Fisher's transformation."""
    found = np.corrcoef(one, other)[0, 1]
    low, high = np.tanh(np.arctanh(found) + np.array([-1.96, 1.96]) / np.sqrt(len(one) - 3))
    return found, low, high


def distance_from_normal(F, std):
    """sqrt(seeds) times Kolmogorov's distance of (F - mean) / std from N(0, 1), the largest of the columns."""
    from scipy.stats import kstest

    away = (F - F.mean(axis=0)) / std
    return max(np.sqrt(len(F)) * kstest(column, "norm").statistic for column in away.T)


def by_activation(settings):
    """M Var of the loss over theory, with the error of its logarithm, for every smooth activation of bounded slope; at
    eight times the time, ReLU with input weights and with output weights alone last."""
    bounded = [row for row in mf.ACTIVATIONS.values() if np.isfinite([row.slope_bound, row.curvature_bound]).all()]
    cases = {row.name: (mf.Network(row), settings.steps) for row in bounded}
    cases |= {"relu": (mf.Network("relu"), 8 * settings.steps)}
    cases |= {"relu, output weights": (mf.Network("relu", train="output"), 8 * settings.steps)}
    data, _ = problem(settings)
    law, M, method, ratios = law_of(data), settings.width, mf.GradientDescent(settings.step), []
    limit = law.quadrature(settings.nodes, "random", along=data.x)
    for net, steps in cases.values():
        how = {"steps": steps, "record_every": steps}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of kinks: it is what this is to show
            std = mf.sensitivity(net, limit, data, method, steps=steps, by="particle").dataset["loss_std"].item()
        F = [mf.simulate(net, law.sample(M, seed, "random"), data, method, record=("loss",), **how)
             .dataset["loss"].values[-1] for seed in range(settings.trials)]  # fmt: skip
        found, error = spread(np.array(F), M)
        ratios.append((found / std**2, error))
    return list(cases), *np.array(ratios).T


def interpolation(settings):
    """Mean over the samples of M Var g at recorded times: predicted, of networks with its standard error, of fresh
    particles of the limit's measure; the limit's losses; times."""
    data, _ = problem(settings)
    data = mf.Dataset(data.x[: settings.samples], data.y[: settings.samples])
    law, net, method = law_of(data), mf.Network("tanh"), mf.GradientDescent(settings.step)
    looks = np.unique([0, *np.geomspace(1, settings.long, 9).round().astype(int)]).tolist()
    how = {"steps": settings.long, "record_every": looks}
    limit = law.quadrature(settings.nodes // 2, "random", along=data.x)
    found = mf.sensitivity(net, limit, data, method, of="prediction", by="particle", **how).dataset
    run = mf.simulate(net, limit, data, method, record=("loss", "prediction", "position"), **how).dataset
    fresh = [
        (limit.w @ np.tanh(b @ data.x.T) ** 2 - g**2).mean()
        for b, g in zip(run["position"].values, run["prediction"].values, strict=True)
    ]
    F = [mf.simulate(net, law.sample(settings.width, seed, "random"), data, method, record=("prediction",), **how)
         .dataset["prediction"].values for seed in range(settings.trials)]  # fmt: skip
    squares = settings.width * ((F - np.mean(F, axis=0)) ** 2).mean(axis=2) * len(F) / (len(F) - 1)
    predicted = (found["prediction_std"].values ** 2).mean(axis=1)
    error = squares.std(axis=0, ddof=1) / np.sqrt(len(F))
    return predicted, squares.mean(axis=0), error, np.array(fresh), run["loss"].values, run["time"].values


def saddle():
    """One sample, quadratic neurons from near 0: times, deviation of S and its closed form, sqrt(2) S0 dS/dS0."""
    std, y, steps = 0.1, 1.0, 400
    S0, method = std**2, mf.RungeKutta(0.01, scheme="classic")
    found = mf.sensitivity(mf.Network("quadratic"), mf.Gaussian(1, std).quadrature(16), mf.Dataset([[1.0]], [y]),
                           method, steps=steps, of="prediction", by="particle", record_every=5).dataset  # fmt: skip
    t = found["time"].values
    S = y / (1.0 + (y / S0 - 1.0) * np.exp(-4.0 * y * t))
    return t, found["prediction_std"].values[:, 0], (S / S0) ** 2 * np.exp(-4.0 * y * t) * np.sqrt(2.0) * S0


def kernel_scale(settings):
    """At beta = 1/2, of every M and seed (counts, seeds): by name, and the variance of outputs that H's descent says.

    spread: square of the outputs at the end minus descent under H from 0, a mean over samples; start, drift: |K_w - H|
    / |H| at the start, and how far K_w moves; of_limit, of_own: distance of outputs from descent under H and under K_w.
    """
    data, _ = problem(settings)
    data = mf.Dataset(data.x[: settings.samples], data.y[: settings.samples])
    law, net, method = law_of(data), mf.Network("tanh", beta=0.5), mf.GradientDescent(settings.step)
    H, how = mf.tangent.limit_gram(net, law, data.x), {"steps": settings.steps, "record_every": settings.steps}
    forward = np.linalg.matrix_power(np.eye(len(H)) - settings.step / len(H) * H, settings.steps)
    rows = []
    for M in settings.kernel_counts:
        for seed in range(settings.kernel_seeds):
            start = law.sample(M, seed, "random")
            run = mf.simulate(net, start, data, method, record=("prediction", "kernel_drift", "kernel_distance"),
                              **how).dataset  # fmt: skip
            K, (g0, g) = mf.tangent.gram(net, start, data.x), run["prediction"].values
            squares = (g - data.y + forward @ data.y) ** 2, (g - data.y - forward @ (g0 - data.y)) ** 2
            rows.append([squares[0].mean(), np.linalg.norm(K - H) / np.linalg.norm(H), run["kernel_drift"].values[-1],
                         np.sqrt(squares[1].mean()), run["kernel_distance"].values[-1]])  # fmt: skip
    nodes = law.quadrature(settings.nodes, "random", along=data.x)
    outputs = np.tanh(nodes.b @ data.x.T)
    covariance = forward @ outputs.T @ (nodes.w[:, None] * outputs) @ forward.T
    table = np.moveaxis(np.reshape(rows, (len(settings.kernel_counts), settings.kernel_seeds, 5)), 2, 0)
    return dict(zip(KERNEL, table, strict=True)), np.trace(covariance) / len(H)


def claims_of_networks(settings, name, networks):
    ratio, error = (rows[-1] for rows in networks.ratios())
    M, ends = settings.counts[-1], networks.F[-1][:, -1]
    predicted, measured = networks.foreseen[0], networks.deviations()[0]
    z = np.abs(np.log(ratio[:, 2:])) / error[:, 2:]
    residual = np.abs(measured - predicted)
    return [
        within(f"{name}: M Var of the loss / theory, M = {M}", "3.4", 1.0, *interval(ratio[-1, 0], error[-1, 0])),
        within(f"{name}: M Var of the test loss / theory", "3.4", 1.0, *interval(ratio[-1, 1], error[-1, 1])),
        below(f"{name}: M Var of {z.size} outputs, farthest from theory in standard errors", "3.4", 3.2, z.max()),
        below(f"{name}: Kolmogorov's distance from N(0, theory) * sqrt(seeds)", "3.4", 1.68,
              distance_from_normal(ends, networks.std[-1] / np.sqrt(M))),
        above(f"{name}: correlation of predicted and measured deviations", "3.4", 0.95,
              *correlation(predicted[-1], measured[-1])),
        within(f"{name}: measured - predicted deviation, power of M", "3.4", -1.0,
               *fit_exponent(settings.counts, residual)[:3], slack=0.05),
        within(f"{name}: bias of the loss, power of M", "3.4", -1.0,
               *power_of_mean(settings.counts, networks.bias[:, :, -1, 0]), slack=0.05),
    ]  # fmt: skip


def claims_of_rest(settings, activations, late, near, kernel):
    _, ratio, error = activations
    z = np.abs(np.log(ratio)) / error
    predicted, measured, spread_of, fresh, _, times = late
    ends = times >= times[-1] / 10.0
    t, std, exact = near
    S0, falls = std[0] / np.sqrt(2.0), t >= 3.0
    seeds, variance = kernel
    found = seeds["spread"][-1].mean() / variance
    half = 1.96 * seeds["spread"][-1].std(ddof=1) / variance / len(seeds["spread"][-1]) ** 0.5
    powers = {
        "|K_w - H| at the start": ("start", -0.5),
        "|K_w - K_w1|, random signs": ("drift", -1.0),
        "outputs - descent under H": ("of_limit", -0.5),
        "outputs - descent under K_w1": ("of_own", -1.0),
    }
    M, counts = settings.width, settings.kernel_counts
    return [
        below(f"{len(z) - 2} smooth activations: M Var of the loss, farthest in standard errors", "3.4", 2.9,
              z[:-2].max()),
        within("ReLU, output weights alone: M Var of the loss / theory", "3.4", 1.0, *interval(ratio[-1], error[-1])),
        above("ReLU, input weights: distance from the derivative without kinks, standard errors", "3.4", 3.0, z[-2]),
        below(f"{settings.samples} samples, M = {M}: Var of outputs, farthest in standard errors", "3.4", 3.0,
              (np.abs(measured - predicted) / spread_of).max()),
        below("late Var of outputs / that of fresh particles", "Chen 2020", 1.0, (predicted / fresh)[ends].max()),
        below("Var of outputs at the end / at the start, where the limit interpolates", "Chen 2020", 0.05,
              predicted[-1] / predicted[0]),
        below("saddle: relative error of the deviation beside the closed form", "3.4", 1e-6,
              np.abs(std / exact - 1.0).max()),
        within("saddle: largest deviation / the start's", "3.4", 1.0 / (4.0 * S0 * (1.0 - S0)), std.max() / std[0],
               np.nan, np.nan, slack=0.1),
        within("saddle: late rate of decay", "3.4", -4.0, np.polyfit(t[falls], np.log(std[falls]), 1)[0], np.nan,
               np.nan, slack=0.05),
        within("beta = 1/2: Var of outputs at the end / that of descent under H", "3.1", 1.0, found, found - half,
               found + half),
        *(within(f"beta = 1/2: {text}, power of M", "3.1", power, *fit_exponent(counts, seeds[name])[:3], slack=0.05)
          for text, (name, power) in powers.items()),
    ]  # fmt: skip


def scatter(axes, networks):
    """Predicted against measured deviations of the loss, the widest networks."""
    for number, (name, one) in enumerate(networks.items()):
        scale = 1e3
        x, y = scale * one.foreseen[0, -1], scale * one.deviations()[0, -1]
        axes.plot(x, y, ls="", ms=3, alpha=0.7, label=name, **series(number))
    ends = np.array(axes.get_xlim())
    theory(axes, ends, ends, "equal")
    axes.set(xlabel=r"predicted deviation of the loss, $10^{-3}$", ylabel="measured")
    legend(axes, 0.1, loc="upper left")


def constants(axes, settings, networks):
    """M Var over theory by M."""
    counts = np.array(settings.counts, dtype=float)
    for number, (name, one) in enumerate(networks.items()):
        ratio, error = one.ratios()
        for k, style in enumerate(("-", ":")):
            middle, low, high = interval(ratio[:, -1, k], error[:, -1, k])
            axes.errorbar(counts * 1.06 ** (2 * number + k - 1.5), middle, [middle - low, high - middle], ls=style,
                          label="" if k else name, **series(number))  # fmt: skip
    axes.axhline(1.0, label="theory", **THEORY)
    axes.set(xscale="log", xlabel="neurons $M$", ylabel=r"$M$ Var / theory, 95%")
    axes.set_title(f"Loss at $t$ = {one.times[-1]:g} (dotted: test loss)")
    ticks(axes, settings.counts)
    legend(axes, 0.3, loc="upper right")


def tube(axes, settings, one, name):
    """Outputs of networks at three test points over time, scaled, beside the predicted tube."""
    for number in range(3):
        away = one.F[-1][..., 2 + number] - one.limit[:, 2 + number]
        style = series(number)
        axes.plot(one.times[1:], np.sqrt(settings.counts[-1]) * away.std(axis=0, ddof=1)[1:], ls="", **style,
                  label=f"point {number + 1}")  # fmt: skip
        theory(axes, one.times[1:], one.std[1:, 2 + number], color=style["color"])
    axes.plot([], [], label="theory", **THEORY)
    axes.set(xscale="log", xlabel="flow time $t$", ylabel=r"$M^{1/2}$ std of $g$ at test points")
    axes.set_title(f"{name}, M = {settings.counts[-1]}: outputs over time")
    legend(axes, 0.3, ncols=2)


def orders(axes, settings, networks):
    """Deviation, residual and bias of the loss at the end by M."""
    counts, number = np.array(settings.counts, dtype=float), 0
    rows = {
        "deviation": lambda one: np.abs(one.deviations()[0]).mean(axis=1),
        "measured - predicted": lambda one: np.abs(one.deviations()[0] - one.foreseen[0]).mean(axis=1),
        "bias": lambda one: np.abs(one.bias[:, :, -1, 0].mean(axis=1)),
    }
    one = networks["softplus"]
    for number, (label, of) in enumerate(rows.items()):
        line = of(one)
        axes.plot(counts, line, label=label, **series(number))
        power = -0.5 if number == 0 else -1.0
        theory(axes, counts, line[-1] * (counts / counts[-1]) ** power)
    axes.plot([], [], label="theory $M^{-1/2}$, $M^{-1}$", **THEORY)
    axes.set(xscale="log", yscale="log", xlabel="neurons $M$", ylabel="mean over seeds", title="softplus: the loss")
    ticks(axes, settings.counts)
    legend(axes, 0.3, loc="lower left")


def decay(axes, settings, late):
    """Variance at the samples while the limit comes to interpolate."""
    predicted, measured, error, fresh, _, times = late
    axes.errorbar(times[1:], measured[1:], 1.96 * error[1:], ls="", label=f"networks, M = {settings.width}",
                  **series(0))  # fmt: skip
    theory(axes, times[1:], predicted[1:], r"theory: Var $\psi$")
    axes.plot(times[1:], fresh[1:], label="fresh particles of the limit", **LIMIT)
    axes.set(xscale="log", yscale="log", xlabel="flow time $t$", ylabel="$M$ Var $g$, mean over samples")
    axes.set_title(f"tanh, {settings.samples} samples interpolated")
    legend(axes, loc="lower left")


@styled
def draw(settings, networks, activations, late):
    figure, axes = panels(6)
    axes[0].set_title(f"Each network, M = {settings.counts[-1]}")
    scatter(axes[0], networks)
    constants(axes[1], settings, networks)
    tube(axes[2], settings, networks["tanh"], "tanh")
    orders(axes[3], settings, networks)
    decay(axes[4], settings, late)
    names, ratio, error = activations
    middle, low, high = interval(ratio, error)
    colours = [PALETTE[0]] * (len(names) - 2) + [PALETTE[1], PALETTE[2]]
    for k, colour in enumerate(colours):
        axes[5].errorbar([middle[k]], [k], xerr=[[middle[k] - low[k]], [high[k] - middle[k]]], fmt="o", color=colour)
    axes[5].axvline(1.0, label="theory", **THEORY)
    axes[5].set_yticks(range(len(names)), [name.replace(", ", ",\n") for name in names])
    axes[5].set(xlabel=r"$M$ Var of the loss / theory, 95%", title=f"Activations, M = {settings.width}")
    axes[5].invert_yaxis()
    axes[5].legend()
    return figure


def dataset(settings, networks, activations, late, near, kernel):
    import xarray

    names, ratio, error = activations
    ratios = [one.ratios() for one in networks.values()]
    dims, about = ("activation", "count", "time", "quantity"), {"units": "1", "equation": "3.4"}
    rows = {
        "variance_ratio": (dims, np.array([one[0] for one in ratios]), "M Var over seeds / variance of psi"),
        "variance_ratio_error": (dims, np.array([one[1] for one in ratios]), "standard error of its logarithm"),
        "limit": ((dims[0], *dims[2:]), np.array([one.limit for one in networks.values()]), "the limit's value"),
        "limit_std": ((dims[0], *dims[2:]), np.array([one.std for one in networks.values()]), "(Var psi)^(1/2)"),
        "predicted_deviation": (("activation", "scalar", "count", "seed"),
                      np.array([one.foreseen for one in networks.values()]), "deviation that psi predicts"),
        "deviation": (("activation", "scalar", "count", "seed"),
                      np.array([one.deviations() for one in networks.values()]), "deviation that was measured"),
        "bias": (dims, np.array([one.bias.mean(axis=1) for one in networks.values()]), "estimate of E F_M - F_inf"),
        "loss_ratio": ("case", ratio, "M Var of the loss / theory"),
        "loss_ratio_error": ("case", error, "standard error of its logarithm"),
        "saddle_std": ("saddle_time", near[1], "deviation of one quadratic output"),
    }  # fmt: skip
    texts = "late_predicted", "late_measured", "late_error", "late_fresh", "late_loss"
    rows |= {name: ("late_time", values_of, name) for name, values_of in zip(texts, late, strict=False)}
    rows |= {f"kernel_{name}": (("kernel_count", "kernel_seed"), part, name) for name, part in kernel[0].items()}
    quantities = [*SCALARS, *(f"g{k + 1}" for k in range(POINTS))]
    return xarray.Dataset(
        {name: (dims, part, {"long_name": text, **about}) for name, (dims, part, text) in rows.items()},
        {"activation": list(networks), "count": settings.counts, "quantity": quantities, "case": names,
         "time": next(iter(networks.values())).times, "late_time": late[-1], "saddle_time": near[0],
         "scalar": list(SCALARS), "kernel_count": settings.kernel_counts},
    )  # fmt: skip


def main():
    asked = study("fluctuations", Fluctuations)
    settings = asked.settings
    networks = {name: Networks(settings, name) for name in PAIR}
    parts = by_activation(settings), interpolation(settings), saddle(), kernel_scale(settings)
    claims = [claim for name, one in networks.items() for claim in claims_of_networks(settings, name, one)]
    claims += claims_of_rest(settings, *parts)
    figure = draw(settings, networks, *parts[:2])
    return asked.finish(claims, dataset(settings, networks, *parts), figure)


if __name__ == "__main__":
    sys.exit(main())
