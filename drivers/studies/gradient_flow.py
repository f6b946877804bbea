r"""Descent of the particles is a discretised gradient flow over measures (section 3.4 [2]).

Claims: $L((\mathrm{id} + \xi)_\sharp \mu) = L(\mu) + \langle \nabla L, \xi \rangle_\mu + O(\lVert \xi \rVert^2)$, so
the remainder has power 2 in $\lVert \xi \rVert$; along the flow the loss falls by $\alpha^2 \int \lvert v \rvert^2
d\mu$ per unit of time; descent with step $\eta$ leaves the flow by $O(\eta)$, Heun's steps by $O(\eta^2)$, and so on;
$L$ is convex along mixtures $(1 - c) \mu + c \nu$, as the loss is convex in outputs, and it is not along lines between
the particles of two networks, which is why minimisation over parameters is not convex.

    python drivers/studies/gradient_flow.py [--quick]      full size: a minute; quick: a quarter of a minute
"""

import sys

import numpy as np

import particles as mf
from particles.analysis.convergence import fit_exponent
from particles.experiments.claims import Settings, above, below, study, within
from particles.plotting.style import PALETTE, THEORY, legend, panels, series, styled, theory, ticks

NET = mf.Network("tanh")
SCHEMES = {"descent (Euler)": 1, "heun": 2, "bogacki-shampine": 3, "classic": 4}


class GradientFlow(Settings):
    """Descent of the particles as a discretised gradient flow over measures (section 3.4)."""

    dim: int
    n: int
    count: int
    horizon: float
    shifts: list[float]
    fields: int
    steps: list[int]
    pairs: int
    records: int


def risk(measure, data):
    return float(np.mean((NET.predict(measure, data.x) - data.y) ** 2) / 2)


def remainders(settings, start, data):
    """|L((id + xi)_# mu) - L(mu) - <grad, xi>| for random smooth fields of every size: (shifts, fields)."""
    chance, V = np.random.default_rng(0), mf.theory.first_variation(NET, start, data)
    _, gradient = V.both(start.b, start.s)
    found = []
    for _ in range(settings.fields):
        # xi(b) = A sin(B b + c): any smooth field will do, along the gradient or not.
        A, B = (chance.standard_normal((settings.dim, settings.dim)) for _ in range(2))
        xi = np.sin(start.b @ B.T + chance.uniform(0, 2 * np.pi, settings.dim)) @ A.T
        xi /= np.sqrt(start.w @ np.sum(xi**2, axis=1))
        slope = start.w @ np.sum(gradient * xi, axis=1)
        found.append(
            [abs(risk(start._replace(b=start.b + size * xi), data) - risk(start, data) - size * slope)
             for size in settings.shifts]
        )  # fmt: skip
    return np.array(found).T


def followed(settings, start, data):
    """The flow to 10 digits: times, losses, dissipation (T,), and where the particles end."""
    method = mf.RungeKutta(settings.horizon / settings.records, tolerance=1e-11)
    run = mf.simulate(NET, start, data, method, steps=settings.records, record=("loss", "dissipation"))
    return run.dataset["time"].values, run.dataset["loss"].values, run.dataset["dissipation"].values, run.measure.b


def errors(settings, start, data, exact):
    """Root mean square distance of particles from the flow's at the horizon: (schemes, steps)."""
    found = []
    for scheme in SCHEMES:
        row = []
        for steps in settings.steps:
            eta = settings.horizon / steps
            method = mf.GradientDescent(eta) if scheme.startswith("descent") else mf.RungeKutta(eta, scheme)
            run = mf.simulate(NET, start, data, method, steps=steps, record=(), record_every=steps)
            row.append(np.sqrt(np.mean(np.sum((run.measure.b - exact) ** 2, axis=1))))
        found.append(row)
    return np.array(found)


def bends(settings, law, data):
    """Chord - loss at the middle, of mixtures and of lines between particles: two of (pairs,); convex is >= 0."""
    mixed, moved = [], []
    for pair in range(settings.pairs):
        # Networks that have been trained from different starts, where valleys lie.
        ends = [
            mf.simulate(NET, law.sample(64, 2 * pair + k, signs="random"), data, mf.GradientDescent(1.0), steps=50,
                        record=(), record_every=50).measure for k in range(2)
        ]  # fmt: skip
        one, other = ends
        chord = (risk(one, data) + risk(other, data)) / 2
        both = mf.Measure(np.concatenate([one.b, other.b]), np.concatenate([one.s, other.s]),
                          np.concatenate([one.w, other.w]) / 2)  # fmt: skip
        order, mate = np.argsort(one.s, kind="stable"), np.argsort(other.s, kind="stable")
        same = one.s[order] == other.s[mate]  # lines between neurons of one sign; the rest stay where they are
        middle = one.b[order].copy()
        middle[same] = (one.b[order][same] + other.b[mate][same]) / 2
        far = one.b[order].copy()
        far[same] = other.b[mate][same]
        line = [one._replace(b=b, s=one.s[order]) for b in (one.b[order], middle, far)]
        mixed.append(chord - risk(both, data))
        moved.append((risk(line[0], data) + risk(line[2], data)) / 2 - risk(line[1], data))
    return np.array(mixed), np.array(moved)


@styled
def draw(settings, left, table, times, losses, given, mixed, moved):
    figure, axes = panels(4)
    sizes = np.array(settings.shifts)
    lines = axes[0].plot(sizes, left, lw=0.7, ms=3, **series(0))
    lines[0].set_label(f"{settings.fields} smooth fields")
    theory(axes[0], sizes, left[0].mean() * (sizes / sizes[0]) ** 2, r"theory $|\xi|^2$")
    axes[0].set(xscale="log", yscale="log", xlabel=r"$|\xi|_{L_2(\mu)}$", ylabel="remainder of the expansion")
    axes[0].set_title(r"$L((id + \xi)_\# \mu)$ minus its first-order part")
    axes[1].plot(times, losses[0] - losses, color=PALETTE[0], lw=2.5, label=r"$L(\mu_0) - L(\mu_t)$")
    theory(axes[1], times, given, r"$\int_0^t \alpha^2 \int |v|^2 d\mu\, ds$")
    axes[1].set(xlabel="flow time $t$", ylabel="energy", title="Loss lost and energy dissipated")
    steps = settings.horizon / np.array(settings.steps)
    for k, ((scheme, order), row) in enumerate(zip(SCHEMES.items(), table, strict=True)):
        axes[2].plot(steps, row, label=f"{scheme}, order {order}", **series(k))
        theory(axes[2], steps, row[-1] * (steps / steps[-1]) ** order)
    axes[2].set(
        xscale="log",
        yscale="log",
        xlabel=r"step $\eta$ (flow time)",
        title=f"Schemes and the flow at $t$ = {settings.horizon:g}",
    )
    axes[2].set(ylabel="rms distance from the flow")
    theory(axes[2], [], [], "theory")
    ticks(axes[2], steps)
    axes[3].hist([mixed, moved], bins=30, label=["mixtures of measures", "lines between particles"])
    axes[3].axvline(0.0, **THEORY, label="convex: right of it")
    axes[3].set(xlabel="chord - loss at the middle", ylabel="pairs of networks", title="Convexity of $L$")
    axes[3].ticklabel_format(axis="x", style="sci", scilimits=(0, 0))
    for place, room in zip(axes, (0.0, 0.0, 0.4, 0.0), strict=True):
        legend(place, room)
    return figure


def main():
    import xarray
    from scipy.integrate import cumulative_simpson

    asked = study("gradient_flow", GradientFlow)
    settings, law = asked.settings, mf.Gaussian(asked.settings.dim)
    x = np.random.default_rng(1).standard_normal((settings.n, settings.dim))
    data = mf.Dataset(x, np.sin(x[:, 0]) + 0.5 * np.cos(x[:, 1]))
    start = law.sample(settings.count, seed=0, signs="random")
    left = remainders(settings, start, data)
    times, losses, rate, exact = followed(settings, start, data)
    given = cumulative_simpson(rate, x=times, initial=0.0)
    table = errors(settings, start, data, exact)
    mixed, moved = bends(settings, law, data)
    power = fit_exponent(settings.shifts, left)[:3]
    claims = [
        within("remainder of the expansion, power of |xi|", "3.4 [2]", 2.0, *power, slack=0.05),
        below("|loss lost - energy dissipated| / loss lost", "3.4, 3.1", 1e-6,
              np.abs(losses[0] - losses - given).max() / (losses[0] - losses[-1])),
        below("largest rise of the loss along the flow", "3.4", 0.0, np.diff(losses).max()),
    ]  # fmt: skip
    etas = settings.horizon / np.array(settings.steps)
    for (scheme, order), row in zip(SCHEMES.items(), table, strict=True):
        last = float(np.log(row[-2] / row[-1]) / np.log(etas[-2] / etas[-1]))
        claims.append(within(f"order of {scheme}, last two steps", "3.4", order, last, np.nan, np.nan, slack=0.1))
    claims += [
        above("chord - loss on mixtures, smallest", "3.4", -1e-12, mixed.min()),
        below("chord - loss on lines of particles, smallest", "3.4", 0.0, moved.min()),
    ]
    about = {"units": "1", "equation": "3.4"}
    data = xarray.Dataset(
        {
            "remainder": (("shift", "field"), left, about), "loss": ("time", losses, about),
            "dissipated": ("time", given, about), "flow_distance": (("scheme", "steps"), table, about),
            "mixture_bend": ("pair", mixed, about), "line_bend": ("pair", moved, about),
        },
        {"shift": settings.shifts, "time": times, "scheme": list(SCHEMES), "steps": settings.steps},
    )  # fmt: skip
    return asked.finish(claims, data, draw(settings, left, table, times, losses, given, mixed, moved))


if __name__ == "__main__":
    sys.exit(main())
