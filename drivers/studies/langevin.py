r"""Mean-field Langevin (section 3.4 with entropy): its stationary law, how fast it comes, and its error in M.

Claims: the law of the particles tends to the Gibbs measure $\mu^* \propto e^{-V_{\mu^*} / \tau}$, computed
independently by the dual problem, at every temperature; the free energy minus its minimum lies below the duality gap of
the proximal Gibbs measure, and falls at least exponentially, with the log-Sobolev rate $2 \tau \alpha$ that the
argument of Holley and Stroock guarantees (Nitanda, Wu, Suzuki 2022, and Chizat 2022), far more slowly than is seen; the
mean squared error of $M$ neurons is $O(1/M)$ uniformly in time (Suzuki, Wu, Nitanda 2023); particle dual averaging
(Nitanda, Wu, Suzuki 2021) comes to the same free energy, and plain descent, which has no entropy, ends far above it.
(Where the guaranteed rate is so small that the gap may stay as it is all through the run, to 2%, no run could fall
short of it: it is printed beside the measured one, as vacuous.)

Neurons tanh(b x), b in R, so that the Gibbs measure has one dimension and its quadrature is the truth.

    python drivers/studies/langevin.py [--quick]      full size: about 5 minutes; quick: half a minute
"""

import sys

import numpy as np

import particles as mf
from particles.experiments.claims import Settings, above, below, study, vacuous, within
from particles.plotting.style import LIMIT, legend, panels, series, styled, theory, ticks

NET, LAW = mf.Network("tanh"), mf.Gaussian(1, std=2.0)
LEAST = 0.02  # of the free energy's gap at the start: below, the estimates are noise


class Noisy(Settings):
    """Mean-field Langevin (section 3.4 with entropy)."""

    n: int
    weight_decay: float
    temperatures: list[float]
    step: float
    steps: int
    count: int
    counts: list[int]
    seeds: int
    inner: int


def problem(n):
    x = np.linspace(-2.0, 2.0, n)[:, None]
    return mf.Dataset(x, 0.8 * np.sin(2.0 * x[:, 0]))


def exact(settings, data, temperature):
    return mf.theory.gibbs(NET, data, weight_decay=settings.weight_decay, temperature=temperature)


def free_energy(settings, measure, data, temperature):
    """F, which is infinite where particles have come to one place: a law with an atom has no density."""
    if len(np.unique(measure.b, axis=0)) < len(measure.b):
        return np.inf
    how = {"weight_decay": settings.weight_decay, "temperature": temperature}
    return mf.theory.free_energy(NET, measure, data, **how).value


def stationary(settings, data):
    """Late second moments of Langevin, their 95% half widths, and the Gibbs measure's: (temperatures, 3)."""
    found = []
    for temperature in settings.temperatures:
        method = mf.Langevin(settings.step, temperature, settings.weight_decay, seed=1)
        how = {"steps": settings.steps, "record": ("weight_moment",), "record_every": 10}
        run = mf.simulate(NET, LAW.sample(settings.count, 0), data, method, **how).dataset
        late = run["weight_moment"].sel(moment=2).values[len(run["time"]) // 2 :]
        means = late[: len(late) // 10 * 10].reshape(10, -1).mean(axis=1)  # batches, since neighbours are correlated
        truth = exact(settings, data, temperature).measure
        found.append((means.mean(), 2.262 * means.std(ddof=1) / np.sqrt(10), truth.w @ truth.b[:, 0] ** 2))
    return np.array(found)


def falling(settings, data, temperature):
    """F - min F, of Langevin, dual averaging and descent, (3, T); Langevin's duality gap and its error, (2, T);
    the times (T,).
    """
    lowest = exact(settings, data, temperature).free_energy.value
    start, decay = LAW.sample(settings.count, 0), settings.weight_decay
    methods = [
        (mf.Langevin(settings.step, temperature, decay), {}),
        (mf.DualAveraging(settings.step, temperature, decay, inner=settings.inner), {}),
        (mf.GradientDescent(settings.step), {"regulariser": mf.L2(decay)}),
    ]
    gaps, clouds = [], []
    for method, more in methods:
        how = {"steps": settings.steps, "record": ("position",), "record_every": "log", **more}
        run = mf.simulate(NET, start, data, method, **how).dataset
        clouds.append([mf.Measure(b, start.s, start.w) for b in run["position"].values])
        gaps.append([free_energy(settings, cloud, data, temperature) - lowest for cloud in clouds[-1]])
    how = {"weight_decay": decay, "temperature": temperature}
    bounds = [mf.theory.duality_gap(NET, cloud, data, **how) for cloud in clouds[0]]
    return np.array(gaps), np.array([[told.gap, told.error + told.bias] for told in bounds]).T, run["time"].values


def rate_of(gaps, times):
    """The exponential rate of a gap, from its first tenth down to where it is the estimate's noise."""
    low = np.flatnonzero(gaps <= LEAST * gaps[0])
    part = (gaps < 0.9 * gaps[0]) & (np.arange(len(gaps)) < (low[0] if len(low) else len(gaps)))
    if part.sum() < 3:
        return -np.inf
    return float(-np.polyfit(times[part], np.log(gaps[part]), 1)[0])


def guaranteed(settings, data, temperature):
    """2 tau alpha: Gaussian confinement has alpha = lam / tau, and a bounded V costs exp(-osc V / tau)."""
    slope = 1.0 + np.abs(data.y).max()  # of any iterate: |g| <= 1
    return 2.0 * settings.weight_decay * np.exp(-2.0 * slope / temperature)


def errors(settings, data, temperature):
    """Mean squares over samples of g - g_inf, early and late: (times, counts, seeds); the times."""
    steps = [settings.steps // 20, settings.steps // 4, settings.steps]
    how = {"steps": settings.steps, "record": ("prediction",), "record_every": steps}
    crowd = LAW.sample(100 * settings.counts[-1], 999)
    method = mf.Langevin(settings.step, temperature, settings.weight_decay, seed=999)
    limit = mf.simulate(NET, crowd, data, method, **how).dataset
    found = []
    for M in settings.counts:
        row = []
        for seed in range(settings.seeds):
            method = mf.Langevin(settings.step, temperature, settings.weight_decay, seed=seed)
            run = mf.simulate(NET, LAW.sample(M, seed), data, method, **how).dataset
            row.append(np.mean((run["prediction"].values - limit["prediction"].values) ** 2, axis=1)[1:])
        found.append(row)
    return np.moveaxis(np.array(found), 2, 0), limit["time"].values[1:]


def power(counts, table):
    """The power of M of a mean over seeds, with an interval by resampling them."""
    chance, logs = np.random.default_rng(0), np.log(counts)

    def slope(rows):
        return np.polyfit(logs, np.log(table[:, rows].mean(axis=1)), 1)[0]

    seeds = table.shape[1]
    draws = [slope(chance.integers(0, seeds, seeds)) for _ in range(1000)]
    return (float(slope(np.arange(seeds))), *map(float, np.percentile(draws, [2.5, 97.5])))


@styled
def draw(settings, moments, gaps, dual, times, bound, table, late, cloud, truth):
    figure, axes = panels(4)
    place = np.linspace(-6.0, 6.0, 601)
    V = mf.theory.first_variation(NET, truth, problem(settings.n), regulariser=mf.L2(settings.weight_decay))
    density = np.exp(-V.value(place[:, None], np.ones(len(place))) / settings.temperatures[-1])
    density /= np.trapezoid(density, place)
    axes[0].hist(cloud.b[:, 0], bins=60, density=True, alpha=0.6, label=f"Langevin, M = {settings.count}")
    axes[0].plot(place, density, label=r"Gibbs: $e^{-V/\tau}/Z$", **LIMIT | {"lw": 1.2, "zorder": 3})
    axes[0].set(xlim=(-6, 6), ylim=(0, 1.35 * density.max()), xlabel="$b$", ylabel="density")
    axes[0].set_title(rf"Late particles, $\tau$ = {settings.temperatures[-1]:g}")
    axes[1].errorbar(settings.temperatures, *moments[:, :2].T, ls="", label="Langevin, 95%", **series(0))
    axes[1].plot(settings.temperatures, moments[:, 2], label="Gibbs measure", **LIMIT | {"lw": 1.2})
    axes[1].set(xscale="log", yscale="log", xlabel=r"temperature $\tau$", ylabel=r"$\int b^2 d\mu$")
    axes[1].set_title("Second moment of the stationary law")
    for k, (row, label) in enumerate(zip(gaps, ("Langevin", "dual averaging", "descent"), strict=True)):
        axes[2].plot(times[1:], row[1:], label=label, **series(k))
    axes[2].plot(times[1:], dual[0, 1:], label="Langevin's duality gap", ls=":", ms=6, mfc="none", **series(3))
    theory(axes[2], times[1:], gaps[0, 0] * np.exp(-bound * times[1:]), "guaranteed rate")
    axes[2].set(xscale="log", xlabel="flow time $t$", ylabel=r"$F(\mu_t) - F(\mu^*)$")
    axes[2].set_yscale("symlog", linthresh=0.01)  # at the end the estimate's noise has both signs
    axes[2].set_title("Free energy above its minimum")
    for k, (row, time) in enumerate(zip(table, late, strict=True)):
        axes[3].plot(settings.counts, row.mean(axis=1), label=f"$t$ = {time:g}", **series(k))
    counts = np.array(settings.counts, dtype=float)
    theory(axes[3], counts, table[-1].mean(axis=1)[0] * counts[0] / counts, "theory $1/M$")
    axes[3].set(xscale="log", yscale="log", xlabel="neurons $M$", ylabel=r"mean of $(g_M - g_\infty)^2$")
    axes[3].set_title(f"Error in M, mean over {settings.seeds} seeds")
    ticks(axes[1], settings.temperatures)
    ticks(axes[3], settings.counts)
    for at, room in zip(axes, (0.0, 0.0, 0.35, 0.0), strict=True):
        legend(at, room)
    return figure


def main():
    import xarray

    asked = study("langevin", Noisy)
    settings, data = asked.settings, problem(asked.settings.n)
    middle = settings.temperatures[len(settings.temperatures) // 2]
    moments = stationary(settings, data)
    gaps, dual, times = falling(settings, data, middle)
    rate, bound = rate_of(gaps[0], times), guaranteed(settings, data, middle)
    table, late = errors(settings, data, middle)
    claims = []
    for temperature, (mean, half, truth) in zip(settings.temperatures, moments, strict=True):
        euler = settings.weight_decay * settings.step / 2 * truth  # bias of b^2 where the pull is linear
        claims.append(
            within(f"int b^2 dmu at temperature {temperature:g}", "Gibbs measure", truth, mean, mean - half,
                   mean + half, slack=4 * truth * np.sqrt(2 / settings.count) + euler)
        )  # fmt: skip
    rates = above(f"exponential rate of the free energy at {middle:g}", "log-Sobolev", bound, rate)
    claims.append(vacuous(rates, bound * times[-1] < LEAST))
    seen = gaps[0] > LEAST * gaps[0, 0]
    ratio = ((dual[0] + 2 * dual[1]) / gaps[0])[seen].min()
    claims += [
        above("(duality gap + its error) / (F - min F)", "Nitanda 2022", 1.0, ratio),
        below("dual averaging: gap at the end / at the start", "PDA 2021", 0.02, gaps[1, -1] / gaps[1, 0]),
        above("descent: (gap at the end - smallest) / at the start", "entropy", 0.5,
              (gaps[2, -1] - gaps[2].min()) / gaps[2, 0]),
    ]  # fmt: skip
    for row, time in zip(table, late, strict=True):
        claims.append(
            within(
                f"mean squared error at t = {time:g}, power of M",
                "uniform in time",
                -1.0,
                *power(settings.counts, row),
                slack=0.1,
            )
        )
    about = {"units": "1", "equation": "3.4"}
    result = xarray.Dataset(
        {
            "second_moment": (("temperature", "estimate"), moments, about),
            "free_energy_gap": (("method", "time"), gaps, about),
            "duality_gap": (("part", "time"), dual, about),
            "squared_error": (("late", "count", "seed"), table, about),
        },
        {"temperature": settings.temperatures, "estimate": ["mean", "half_width", "gibbs"], "time": times,
         "method": ["langevin", "dual_averaging", "gradient_descent"], "late": late, "count": settings.counts,
         "part": ["gap", "error"]},
    )  # fmt: skip
    method = mf.Langevin(settings.step, settings.temperatures[-1], settings.weight_decay)
    how = {"steps": settings.steps, "record": (), "record_every": settings.steps}
    cloud = mf.simulate(NET, LAW.sample(settings.count, 0), data, method, **how).measure
    truth = exact(settings, data, settings.temperatures[-1]).measure
    figure = draw(settings, moments, gaps, dual, times, bound, table, late, cloud, truth)
    return asked.finish(claims, result, figure)


if __name__ == "__main__":
    sys.exit(main())
