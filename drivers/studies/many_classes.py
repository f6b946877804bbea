r"""Networks of many outputs on classes (sections 2, 3.1, 3.4): the softmax loss, in the mean field and by the kernel.

Claims: networks of $k$ outputs approach their limits as $M^{-1/2}$ at a fixed flow time, the mean field at $\beta = 1$
and descent under $H \otimes \mathbb{E}[s s^\top]$ at $\beta = 1/2$; the widest network is as accurate as its limit; on
digits it is right on 95% of the test samples, and not more than 3% behind scikit-learn's MLPClassifier of equal width
and 2% behind logistic regression; where the classes depend on few directions, the mean field finds these, each particle
that of the class of its largest output weight, and the tangent kernel does not, however long it descends.

Both layers are trained, ReLU, from positions N(0, I/d) and random signs in pairs, so that g = 0. One step in flow time
serves both problems and both output scales. The problems: scikit-learn's 1797 digits, ten classes, 30% set aside; and
normal inputs in R^d, of the class o whose output |x_o| of a teacher of six neurons is the largest, o = 1, 2, 3. On the
digits the kernel is no worse: it needs more time, 20 times as long is enough. Of the teacher's classes a linear model
learns nothing. With ten outputs the kernel of a narrow network is far from H, so that the power begins at M = 1024:
from 64 to 4096 it was 0.38 on digits. The limit is exact enough: at the quick size two quadratures are 0.02 apart, a
network of 1024 is 0.05 from it on the teacher and 0.09 on digits.

    python drivers/studies/many_classes.py [--quick]      full size: about 6 minutes; quick: about 50 seconds
"""

import sys
import warnings

import numpy as np
from pydantic import Field

import particles as mf
from particles.analysis.convergence import fit_exponent
from particles.experiments.claims import Settings, above, below, study, within
from particles.model.losses import softmax
from particles.plotting.style import LIMIT, PALETTE, THEORY, dots, legend, panels, series, styled, theory, ticks

BETAS = 1.0, 0.5  # the mean field, the tangent kernel
LAYERS = "input", "output"
MODELS = "network", "limit", "lazy network", "kernel", "kernel at its best", "MLPClassifier", "LogisticRegression"


class ManyClasses(Settings):
    """Networks of many outputs: classes by the softmax loss."""

    counts: list[int] = Field(min_length=2)
    lazy_counts: list[int] = Field(min_length=2)
    lazy_steps: int = Field(ge=1)
    seeds: int = Field(ge=1)
    nodes: int
    step: float
    steps: int
    held: float = Field(gt=0, lt=1)
    dim: int = Field(ge=3)
    samples: int
    test: int
    patience: int = Field(ge=1)
    epochs: int = Field(ge=1)


def digits(settings):
    """Ten classes in R^64, pixels in [0, 1]: train and test samples."""
    raw = mf.datasets.load("digits", classes=True)
    return mf.Dataset(raw.x / 16.0, raw.y.argmax(axis=1), classes=True).split(settings.held)


def taught(settings):
    """Three classes in R^dim, the largest output of a teacher |x_1|, |x_2|, |x_3|: train and test samples."""
    b, s = np.zeros((6, settings.dim)), np.tile(np.eye(3), (2, 1))
    b[:, :3] = np.concatenate([np.eye(3), -np.eye(3)])
    teacher, net = mf.Measure(b, s, np.full(6, 1 / 6)), mf.Network("relu", outputs=3)
    inputs = mf.Gaussian(settings.dim)
    for count, seed in ((settings.samples, 1), (settings.test, 2)):
        x = inputs.sample(count, seed).b
        yield mf.Dataset(x, net.predict(teacher, x).argmax(axis=1), classes=True)


PROBLEMS = {"digits": digits, "teacher": taught}


def right(g, y):
    """The share of samples whose largest output is their class's: (.., n, k), (n, k) -> (..)."""
    return np.mean(g.argmax(axis=-1) == y.argmax(axis=-1), axis=-1)


def apart(g, other):
    """Root mean square over samples and outputs: (.., n, k), (n, k) -> (..)."""
    return np.sqrt(np.mean((g - other) ** 2, axis=(-2, -1)))


class Problem:
    """Train and test samples, and the law of the start."""

    def __init__(self, settings, name):
        self.settings, (self.train, self.test) = settings, PROBLEMS[name](settings)
        self.outputs, dim = self.train.outputs, self.train.x.shape[1]
        self.law = mf.Gaussian(dim, dim**-0.5)
        self.looks = np.unique([0, *np.geomspace(1, settings.steps, 24).round().astype(int)]).tolist()

    def run(self, start, beta, steps):
        """Outputs at the end (n, k), test accuracy at the recorded times (T,), the last measure."""
        net = mf.Network("relu", beta=beta, train=LAYERS, outputs=self.outputs)
        looks = [at for at in self.looks if at < steps] + [steps]
        run = mf.simulate(net, start, self.train, mf.GradientDescent(self.settings.step), steps=steps,
                          loss="softmax", record=("prediction", "test_accuracy"), record_every=looks,
                          test=self.test)  # fmt: skip
        return run.dataset["prediction"].values[-1], run.dataset["test_accuracy"].values, run.measure

    def limit(self):
        return self.run(
            self.law.quadrature(self.settings.nodes, "symmetric", outputs=self.outputs), 1.0, self.settings.steps
        )

    def networks(self, beta, counts, steps):
        """Of every M and seed the outputs at the end (counts, seeds, n, k) and accuracies (counts, seeds, T); the last
        measure of the widest."""
        runs = [
            [self.run(self.law.sample(M, seed, "symmetric", outputs=self.outputs), beta, steps)
             for seed in range(self.settings.seeds)] for M in counts
        ]  # fmt: skip
        ends, curves = (np.array([[run[part] for run in row] for row in runs]) for part in (0, 1))
        return ends, curves, runs[-1][0][2]

    def kernel(self):
        """Descent under H, the limit kernel of each output: outputs after `lazy_steps` (n, k), test accuracies
        (T,), and the best one up to `patience` times as long."""
        net, settings = mf.Network("relu", beta=0.5, train=LAYERS), self.settings
        H, cross = (mf.tangent.limit_gram(net, self.law, x, self.train.x) for x in (self.train.x, self.test.x))
        g, unseen = np.zeros(self.train.y.shape), np.zeros(self.test.y.shape)
        end, curve, best = g, [], 0.0
        for iteration in range(settings.patience * settings.steps + 1):
            if iteration == settings.lazy_steps:
                end = g
            if iteration in self.looks or iteration % settings.steps == 0:
                best = max(best, right(unseen, self.test.y))
                curve.append(right(unseen, self.test.y))
            push = settings.step / len(g) * (softmax(g) - self.train.y)
            g, unseen = g - H @ push, unseen - cross @ push
        return end, np.array(curve[: len(self.looks)]), best

    def others(self):
        """Test accuracies of scikit-learn's network of the largest width, and of logistic regression."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression
        from sklearn.neural_network import MLPClassifier

        width, epochs = self.settings.counts[-1], self.settings.epochs
        models = MLPClassifier((width,), max_iter=epochs, random_state=0), LogisticRegression(max_iter=5000)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # `epochs` is the most, not a fault
            for model in models:
                model.fit(self.train.x, self.train.y.argmax(axis=1))
        return [model.score(self.test.x, self.test.y.argmax(axis=1)) for model in models]


def measured(problem):
    """Distances from the mean field (counts, seeds) and from the kernel (lazy_counts, seeds), accuracies of the widest
    (betas, seeds, T), of the limit and the kernel (T,), one number a model (models,), and the cloud."""
    settings = problem.settings
    end, limit, _ = problem.limit()
    ends, *_, cloud = found = problem.networks(1.0, settings.counts, settings.steps)
    lazy = problem.networks(0.5, settings.counts[-1:], settings.steps)
    near = problem.networks(0.5, settings.lazy_counts, settings.lazy_steps)[0]
    descended, kernel, best = problem.kernel()
    curves = np.array([found[1][-1], lazy[1][-1]])
    by_beta = curves[..., -1].mean(axis=1)
    table = [by_beta[0], limit[-1], by_beta[1], kernel[-1], best, *problem.others()]
    return (apart(ends, end), apart(near, descended)), curves, limit, kernel, np.array(table), cloud


def along_class(cloud):
    """|b_o| / |b| for o the class of a particle's largest output weight, a mean weighted by |s| |b|."""
    length, own = np.linalg.norm(cloud.b, axis=1), cloud.s.argmax(axis=1)
    share = length * np.linalg.norm(cloud.s, axis=1)
    return float(np.average(np.abs(cloud.b[np.arange(len(own)), own]) / length, weights=share))


def claims_of(settings, found):
    claims, (M, dim) = [], (settings.counts[-1], settings.dim)
    for name, (distance, *_) in found.items():
        sets = settings.counts, settings.lazy_counts
        for M_of, row, limit, place in zip(
            sets, distance, ("the mean field", "H's descent"), ("3.4", "3.1"), strict=True
        ):
            power = fit_exponent(M_of, row)[:3]
            claims.append(within(f"{name}: distance from {limit}, power of M", place, -0.5, *power, slack=0.05))
    score = {name: dict(zip(MODELS, parts[4], strict=True)) for name, parts in found.items()}
    for name, of in score.items():
        gap = abs(of["network"] - of["limit"])
        claims.append(below(f"{name}: test accuracy of M = {M} - the limit's", "3.4", 0.01, gap))
    ten, three = score["digits"], score["teacher"]
    ahead = three["network"] - three["kernel at its best"]
    return [
        *claims,
        above(f"digits: test accuracy of M = {M}", "3.4", 0.95, ten["network"]),
        above("digits: ... - logistic regression's", "3.4", -0.02, ten["network"] - ten["LogisticRegression"]),
        above("digits: ... - MLPClassifier's", "3.4", -0.03, ten["network"] - ten["MLPClassifier"]),
        above("teacher: ... - MLPClassifier's", "3.4", 0.0, three["network"] - three["MLPClassifier"]),
        above("teacher: ... - the kernel's at its best", "3.1, 3.4", 0.1, ahead),
        below("teacher: logistic regression's test accuracy", "section 2", 1 / 3 + 0.1, three["LogisticRegression"]),
        above(f"teacher: |b_o| / |b|, o the class; {(2 / (np.pi * dim)) ** 0.5:.2g} at the start", "3.4", 0.7,
              along_class(found["teacher"][5])),
    ]  # fmt: skip


def accuracies(axes, settings, times, parts, title):
    """Test accuracy in flow time, of the mean field and of the kernel, and what others reach."""
    _, curves, limit, kernel, table, _ = parts
    M = settings.counts[-1]
    axes.plot(times[1:], limit[1:], label=r"mean field, $M = \infty$", **LIMIT)
    for number, (name, rows) in enumerate(zip((r"$\beta = 1$", r"$\beta = 1/2$"), curves, strict=True)):
        axes.plot(times[1:], rows.mean(axis=0)[1:], label=f"M = {M}, {name}", markevery=0.15, **series(number))
    theory(axes, times[1:], kernel[1:], "descent under $H$")
    for number, (name, value) in enumerate(zip(MODELS[-2:], table[-2:], strict=True)):
        axes.axhline(value, color=series(2 + number)["color"], lw=1, ls=":", label=name)
    axes.set(xscale="log", xlabel="flow time $t$", ylabel="test accuracy", title=title)
    legend(axes, 0.4, loc="lower right")


def clouds(axes, data, cloud, directions, colours):
    """Inputs (pale) and particles on two directions, each in the colour of its class; both to the same size."""
    kept = dots(len(cloud.b))
    particles, pale = {"ms": 3.5, "mec": "black", "mew": 0.25}, {"ms": 2.5, "alpha": 0.3, "mew": 0}
    for points, own, style in (
        (data.x - data.x.mean(axis=0), data.y.argmax(axis=1), pale),
        (cloud.b[kept], cloud.s[kept].argmax(axis=1), particles),
    ):
        places = points @ directions
        places = places / np.quantile(np.abs(places), 0.99)
        for o, colour in enumerate(colours):
            name = f"class {data.classes[o]}" if style is particles else None
            axes.plot(*places[own == o].T, "o", ls="", color=colour, label=name, **style)


@styled
def draw(settings, times, problems, found):
    import matplotlib

    figure, axes = panels(5)
    for axis, (name, parts) in zip(axes, found.items(), strict=False):
        classes = problems[name].outputs
        accuracies(axis, settings, times, parts, f"{name.capitalize()}, {classes} classes")
    number, lazy = 0, settings.step * settings.lazy_steps
    labels = f"mean field, $t$ = {times[-1]:g}", f"kernel, $t$ = {lazy:g}"
    for name, (distance, *_) in found.items():
        for of, rows, limit in zip((settings.counts, settings.lazy_counts), distance, labels, strict=True):
            counts = np.array(of, dtype=float)
            axes[2].plot(counts, rows.mean(axis=1), label=f"{name}, {limit}", **series(number))
            theory(axes[2], counts, rows[0].mean() * (counts / counts[0]) ** -0.5)
            number += 1
    axes[2].plot([], [], label="theory $M^{-1/2}$", **THEORY)
    axes[2].set(xscale="log", yscale="log", xlabel="neurons $M$", ylabel="rms distance from the limit")
    axes[2].set_title("Outputs at a fixed flow time")
    ticks(axes[2], sorted({*settings.counts, *settings.lazy_counts}))
    legend(axes[2], 0.4)
    teacher, ten = problems["teacher"], problems["digits"]
    clouds(axes[3], teacher.test, found["teacher"][5], np.eye(settings.dim)[:, :2], PALETTE[:3])
    axes[3].set(xlabel="$b_1$, $x_1$", ylabel="$b_2$, $x_2$", title="Teacher: particles, and inputs (pale)")
    legend(axes[3], 0.25)
    means = np.array([ten.train.x[ten.train.y[:, o] > 0].mean(axis=0) for o in range(ten.outputs)])
    directions = np.linalg.svd(means - means.mean(axis=0))[2][:2].T
    clouds(axes[4], ten.test, found["digits"][5], directions, matplotlib.colormaps["tab10"].colors)
    axes[4].set(xlabel="first direction of the classes' means", ylabel="second direction")
    axes[4].set_title("Digits: particles by their largest output weight, and inputs (pale)")
    legend(axes[4], 0.2, ncols=5, loc="upper center")
    return figure


def dataset(settings, problem, found):
    import xarray

    rows = (
        ("distance", ("count", "seed"), "rms distance of outputs from the limit's", lambda part: part[0][0]),
        ("lazy_distance", ("lazy_count", "seed"), "the same from descent under H", lambda part: part[0][1]),
        ("accuracy", ("beta", "seed", "iteration"), "test accuracy of the widest", lambda part: part[1]),
        ("limit_accuracy", ("iteration",), "the limit's test accuracy", lambda part: part[2]),
        ("kernel_accuracy", ("iteration",), "the kernel's test accuracy", lambda part: part[3]),
        ("final_accuracy", ("model",), "test accuracy at the end", lambda part: part[4]),
    )
    variables = {
        name: (("problem", *dims), np.array([of(part) for part in found.values()]),
               {"long_name": text, "units": "1", "equation": "3.1, 3.4"})
        for name, dims, text, of in rows
    }  # fmt: skip
    times = settings.step * np.array(problem.looks)
    return xarray.Dataset(
        variables,
        {"problem": list(found), "beta": list(BETAS), "count": settings.counts,
         "lazy_count": settings.lazy_counts, "iteration": problem.looks,
         "time": ("iteration", times), "model": list(MODELS)},
    )  # fmt: skip


def main():
    asked = study("many_classes", ManyClasses)
    settings = asked.settings
    problems = {name: Problem(settings, name) for name in PROBLEMS}
    found = {name: measured(problem) for name, problem in problems.items()}
    data = dataset(settings, problems["digits"], found)
    print("test accuracy: " + ", ".join(found))
    for row, name in enumerate(MODELS):
        print(f"  {name:20}" + "".join(f"  {parts[4][row]:.3f}" for parts in found.values()))
    figure = draw(settings, data["time"].values, problems, found)
    return asked.finish(claims_of(settings, found), data, figure)


if __name__ == "__main__":
    sys.exit(main())
