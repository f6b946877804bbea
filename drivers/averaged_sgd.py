"""Averaged SGD at its optimal rate (section 3.2, Theorem 2): fresh samples, a pull to the start, the mean of iterates.

Claims: with lam = T^(-beta / (2 r beta + 1)) and 4 (6 + lam) eta = 1 the excess risk is at most alpha
T^(-2 r beta / (2 r beta + 1)) (1 + |Sigma^-r g|^2), beta = 1 + 1/(d - 1) for ReLU; a network of M neurons adds a term
that vanishes with M, here as M^(-1/2) in distance; the last iterate, for contrast, stays at its noise.

The theorem bounds the worst target of a source ball |Sigma^-r g| <= R, and one target falls slower or faster. So beside
one fixed target, which satisfies the condition for r only just, the hardest of the ball is run anew at each T: the
eigenfunction on which the pull weighs most. The paper does not state the bound's constant alpha; bias and variance,
mode by mode, predict the risk of the worst target at every T up to 2^30, and alpha is the largest ratio there. The
rate is reached slowly at large r. On the circle M = infinity is run in Fourier modes, on spheres by the Gram matrix.

    python drivers/averaged_sgd.py [--quick]      full size: about 20 minutes; quick: under a minute
"""

import sys

import numpy as np

import particles as mf
from particles.study.claims import Claim, Settings, below, panels, study, within
from particles.study.compare import fit_exponent
from particles.theory.kernel_sgd import averaged_residual, expected_risk, feature_sgd, gram_sgd
from particles.theory.source import hardest_target, source_target
from particles.theory.spectrum import fourier, spectrum
from particles.theory.zonal import zonal_kernel

NET = mf.Network("relu", beta=0.5)
RADIUS = 1.0


class Averaged(Settings):
    """Averaged SGD at its optimal rate (section 3.2, Theorem 2)."""

    powers: list[int]
    r: list[float]
    noise: float
    seeds: int
    degree: int
    spheres: list[int]
    sphere_powers: list[int]
    sphere_seeds: int
    counts: list[int]
    network_T: int
    network_seeds: int


def rates(T, r, d):
    """Theorem 2's step and pull."""
    lam = mf.theory.weight_decay(T, r, mf.theory.relu_decay(d))
    return mf.theory.averaged_step(lam), lam


def worst_at(known, T, r, d):
    """The target of the source ball of which T iterations leave most, those that had too little time included."""
    eta, lam = rates(T, r, d)
    return hardest_target(known, lam, r, lambda values: averaged_residual(values, T, eta, lam), RADIUS)


def stream(target, d, noise, seed):
    return mf.Stream(mf.Sphere(d), target, noise=noise, seed=seed)


class Circle:
    """M = infinity on the circle, in the Fourier modes whose eigenvalue is not 0."""

    def __init__(self, degree):
        self.spectrum = spectrum(zonal_kernel(NET, mf.Gaussian(2)), 2, degree)
        values = np.repeat(self.spectrum.values, self.spectrum.counts.astype(int))
        self.kept, self.degree = np.flatnonzero(values > 0.0), degree
        self.size = np.sqrt(values[self.kept])

    def features(self, x):
        return fourier(x, self.degree)[:, self.kept] * self.size

    def risks(self, target, T, r, noise, seeds):
        """Excess risk of the average and of the last iterate: (2, seeds). Modes left out are lost on both sides."""
        seen = [stream(target, 2, noise, seed).rows(0, T) for seed in range(seeds)]
        found = feature_sgd(
            self.features, np.stack([s.x for s in seen]), np.stack([s.y for s in seen]), *rates(T, r, 2)
        )
        cosines = np.zeros(2 * self.degree + 1)
        cosines[np.r_[0, 1 : 2 * self.degree : 2]] = target.coefficients
        rest = np.delete(cosines, self.kept)
        off = [(c * self.size - cosines[self.kept]) ** 2 for c in (found.average, found.last)]
        return np.array([part.sum(axis=1) + rest @ rest for part in off])


def on_circle(settings):
    """Risks over (r, target, T, average or last, seed), those predicted, (r, target, T), and the bound, (r, T).

    The targets are the fixed and the hardest one.
    """
    circle, risks, expected, bounds = Circle(settings.degree), [], [], []
    for r in settings.r:
        fixed = source_target(circle.spectrum, r, radius=RADIUS)
        rows, known = [[], []], [[], []]
        for power in settings.powers:
            T = 2**power
            hardest = hardest_target(circle.spectrum, rates(T, r, 2)[1], r, radius=RADIUS)
            for k, target in enumerate((fixed, hardest)):
                rows[k].append(circle.risks(target, T, r, settings.noise, settings.seeds))
                known[k].append(predicted(circle.spectrum, target, T, r, 2, settings.noise))
        risks.append(rows)
        expected.append(known)
        alpha = constant(circle.spectrum, r, 2, settings.noise)
        bounds.append(mf.theory.averaged_bound(2.0 ** np.array(settings.powers), r, 2.0, RADIUS, alpha))
    return np.array(risks), np.array(expected), np.array(bounds)


def on_sphere(settings, d):
    """The average's risks over (r, T, seed) on the sphere in R^d, a fixed target for each r, and the bound, (r, T)."""
    law, points = mf.Gaussian(d), mf.Sphere(d).sample(4096, 999).b
    known = spectrum(zonal_kernel(NET, law), d, 60)
    most, found = (
        2 ** max(settings.sphere_powers),
        np.zeros((len(settings.r), len(settings.sphere_powers), settings.sphere_seeds)),
    )
    for seed in range(settings.sphere_seeds):
        x = stream(lambda x: x[:, 0], d, 0.0, seed).rows(0, most).x
        H, cross = mf.tangent.limit_gram(NET, law, x), mf.tangent.limit_gram(NET, law, points, x)
        for i, r in enumerate(settings.r):
            target = source_target(known, r, radius=RADIUS)
            y = stream(target, d, settings.noise, seed).rows(0, most).y
            for j, power in enumerate(settings.sphere_powers):
                T = 2**power
                c = gram_sgd(H[:T, :T], y[:T], *rates(T, r, d)).average
                found[i, j, seed] = np.mean((cross[:, :T] @ c - target(points)) ** 2)
    T, beta = 2.0 ** np.array(settings.sphere_powers), mf.theory.relu_decay(d)
    alphas = [constant(known, r, d, settings.noise) for r in settings.r]
    return found, np.array(
        [mf.theory.averaged_bound(T, r, beta, RADIUS, a) for r, a in zip(settings.r, alphas, strict=True)]
    )


def networks(settings):
    """|g_M - g_inf|_L2 of the average iterate on the same samples: (counts, seeds)."""
    circle, T, r = Circle(settings.degree), settings.network_T, 1.0
    target, (eta, lam) = source_target(circle.spectrum, r, radius=RADIUS), rates(T, r, 2)
    angle = 2.0 * np.pi * (np.arange(1024) + 0.5) / 1024
    grid, away = np.stack([np.cos(angle), np.sin(angle)], axis=1), []
    for seed in range(settings.network_seeds):
        fresh = stream(target, 2, settings.noise, seed)
        seen = fresh.rows(0, T)
        limit = circle.features(grid) @ feature_sgd(circle.features, seen.x[None], seen.y[None], eta, lam).average[0]
        row = []
        for count in settings.counts:
            start = mf.Gaussian(2).sample(count, seed, signs="symmetric")
            method = mf.AveragedSGD(eta, weight_decay=lam)
            run = mf.simulate(NET, start, fresh, method, steps=T, record_every=T)
            row.append(np.sqrt(np.mean((NET.predict(run.average, grid) - limit) ** 2)))
        away.append(row)
    return np.array(away).T


def slope(risks, powers):
    """Local slope in T between neighbouring T's with its 95% interval: risks (T, seeds) -> (T - 1, 3)."""
    mean, error = risks.mean(axis=1), risks.std(axis=1, ddof=1) / np.sqrt(risks.shape[1])
    gap = np.diff(powers) * np.log(2.0)
    middle = np.diff(np.log(mean)) / gap
    half = 1.96 * np.hypot(error[1:] / mean[1:], error[:-1] / mean[:-1]) / gap
    return np.stack([middle, middle - half, middle + half], axis=1)


def predicted(known, target, T, r, d, noise):
    """The risk by bias and variance, with this spectrum."""
    eta, lam = rates(T, r, d)
    return expected_risk(known.values, known.counts, target.coefficients, T, eta, lam, noise)


def constant(known, r, d, noise):
    """alpha of Theorem 2: the largest predicted risk of the worst target over the bound, T from 2^4 to 2^30."""
    ratios = []
    for power in range(4, 31):
        hardest = worst_at(known, 2**power, r, d)
        bound = float(mf.theory.averaged_bound(2**power, r, mf.theory.relu_decay(d), RADIUS))
        ratios.append(predicted(known, hardest, 2**power, r, d, noise) / bound)
    return max(ratios)


def draw(settings, risks, bounds, spheres, away):
    figure, axes = panels(3)
    T = 2.0 ** np.array(settings.powers)
    for i, r in enumerate(settings.r):
        axes[0].plot(T, risks[i, 1, :, 0].mean(axis=-1), "o-", color=f"C{i}", label=f"hardest, r = {r:g}")
        axes[0].plot(T, risks[i, 0, :, 0].mean(axis=-1), "x--", color=f"C{i}", label=f"fixed, r = {r:g}")
        axes[0].plot(T, bounds[i], ":", color=f"C{i}")
    axes[0].plot(T, risks[-1, 1, :, 1].mean(axis=-1), "-", color="0.6", label=f"last iterate, r = {settings.r[-1]:g}")
    axes[0].set(xlabel="iterations $T$", ylabel=r"$\|g_{\bar w} - g_\rho\|^2$", title="Circle, bound dotted")
    for k, (d, (found, _)) in enumerate(spheres.items()):
        for i, r in enumerate(settings.r):
            mean = found[i].mean(axis=-1)
            axes[1].plot(
                2.0 ** np.array(settings.sphere_powers),
                mean,
                "os"[k] + "-",
                color=f"C{i}",
                ms=4,
                label=f"d = {d}, r = {r:g}",
            )
    axes[1].set(xlabel="iterations $T$", title="Spheres, fixed targets")
    axes[2].plot(settings.counts, away, "o", color="C0", ms=3)
    mean = away.mean(axis=1)
    axes[2].plot(
        settings.counts, mean[0] * (np.array(settings.counts) / settings.counts[0]) ** -0.5, ":k", label="$M^{-1/2}$"
    )
    axes[2].set(xlabel="neurons $M$", ylabel=r"$\|g_M - g_\infty\|$", title=f"Networks, T = {settings.network_T}")
    for place in axes:
        place.set(xscale="log", yscale="log")
        place.legend(fontsize=6)
    return figure


def main():
    import xarray

    asked = study("averaged_sgd", Averaged)
    settings = asked.settings
    risks, expected, bounds = on_circle(settings)
    spheres = {d: on_sphere(settings, d) for d in settings.spheres}
    away = networks(settings)
    claims: list[Claim] = []
    for i, r in enumerate(settings.r):
        theory = mf.theory.relu_exponent(r, 2)
        last = slope(risks[i, 1, :, 0], settings.powers)[-1]
        claims.append(
            within(f"circle, r = {r:g}: hardest target's slope, largest T", "Theorem 2", theory, *last, slack=0.07)
        )
        for k, kind in enumerate(("fixed", "hardest")):
            worst = (risks[i, k, :, 0].mean(axis=-1) / bounds[i]).max()
            claims.append(below(f"circle, r = {r:g}: risk over the bound, {kind}", "Theorem 2", 1.0, worst))
        for d, (found, bound) in spheres.items():
            worst = (found[i].mean(axis=-1) / bound[i]).max()
            claims.append(below(f"d = {d}, r = {r:g}: risk over the bound, fixed", "Theorem 2", 1.0, worst))
    apart = np.abs(risks[:, :, :, 0].mean(axis=-1) / expected - 1.0).max()
    claims.append(below("risk against bias and variance, largest difference", "3.2", 0.15, apart))
    ratio = risks[:, :, -1, 0].mean(axis=-1) / risks[:, :, -1, 1].mean(axis=-1)
    claims.append(below("averaged risk over the last iterate's, largest", "3.2", 1.0, ratio.max()))
    claims.append(
        within(
            "distance of networks from M = infinity, power of M",
            "Theorem 2",
            -0.5,
            *fit_exponent(settings.counts, away)[:3],
        )
    )
    about = {"units": "1", "equation": "Theorem 2"}
    names = ("r", "target", "power", "iterate", "seed")
    variables = {
        "risk": (names, risks, {"long_name": "excess risk on the circle", **about}),
        "expected": (names[:3], expected, {"long_name": "risk by bias and variance", **about}),
        "bound": (("r", "power"), bounds, {"long_name": "Theorem 2's bound", **about}),
        "network_distance": (("count", "network_seed"), away, {"long_name": "|g_M - g_inf|", **about}),
    }
    for d, (found, _) in spheres.items():
        variables[f"risk_{d}"] = (
            ("r", "sphere_power", "sphere_seed"),
            found,
            {"long_name": f"excess risk, d = {d}", **about},
        )
    data = xarray.Dataset(
        variables,
        {
            "r": settings.r, "target": ["fixed", "hardest"], "power": settings.powers, "iterate": ["average", "last"],
            "sphere_power": settings.sphere_powers, "count": settings.counts,
        },
    )  # fmt: skip
    return asked.finish(claims, data, draw(settings, risks, bounds, spheres, away))


if __name__ == "__main__":
    sys.exit(main())
