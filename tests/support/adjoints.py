"""Small runs whose derivative JAX has found too: what the stored script and the tests have in common.

The settings go round in cycles of different lengths, so every loss, method, regulariser, layer, activation and
observable meets many of the others.
"""

import itertools
from typing import Any, NamedTuple

import numpy as np

import particles as mf
from particles.data.batches import Batches
from support import naive

TIMES, STEPS = (1, 3), 3  # measured at these iterations
LAYERS = {"input": ("input",), "output": ("output",), "both": ("input", "output")}
METHODS = {
    "GD": mf.GradientDescent(0.3),
    "falling": mf.GradientDescent(mf.InverseSqrt(0.4)),
    "SGD-3": mf.SGD(0.3, batch=3, seed=5),
    "SGD-1": mf.SGD(0.2, seed=6),
    "heun": mf.RungeKutta(0.3, "heun"),
    "classic": mf.RungeKutta(0.3, "classic"),
    "bogacki-shampine": mf.RungeKutta(0.3, "bogacki-shampine"),
    "dormand-prince": mf.RungeKutta(0.3, "dormand-prince"),
}
RULES = {"none": None, "zero": mf.L2(0.2), "start": mf.L2(0.3, about="start")}
LOSSES = {1: tuple(naive.LOSS), 3: (*naive.LOSS, "softmax")}
SCALARS = "loss", "objective", "test_loss", "gradient_norm", "dissipation", "displacement_rms"
VECTORS = "prediction", "test_prediction", "weight_moment", "mean_position"
CLASSES = "cross_entropy", "test_cross_entropy"


class Case(NamedTuple):
    """One run: names of the tables above. weights: "equal" ones, or "some", of which one is 0."""

    activation: str
    layer: str
    k: int
    loss: str
    method: str
    rule: str
    beta: float
    bias: bool
    weights: str
    of: tuple[str, ...]

    @property
    def key(self) -> str:
        return "-".join((self.activation, self.layer, str(self.k), self.loss, self.method, self.rule))


def cases() -> list[Case]:
    made = []
    kinds = [*itertools.product(LAYERS, sorted(naive.SIGMA)), *itertools.product(("both",), sorted(naive.SIGMA))]
    for i, (layer, name) in enumerate(kinds):
        k = 3 if i % 2 else 1
        loss, method = LOSSES[k][i // 2 % len(LOSSES[k])], list(METHODS)[(i + i // 8) % len(METHODS)]
        beta = 0.5 if i % 5 == 2 else 1.0
        weights = "equal" if beta < 1.0 or i % 3 == 1 else "some"
        of = tuple(dict.fromkeys((SCALARS[i % 6], SCALARS[(i + i // 6 + 1) % 6], SCALARS[(i + 3) % 6], VECTORS[i % 4])))
        if loss == "softmax":
            of += CLASSES
        made.append(Case(name, layer, k, loss, method, list(RULES)[i // 3 % 3], beta, i % 7 == 3, weights, of))
    return made


class Arrays(NamedTuple):
    """b (M, d), s (M,) or (M, k), w (M,); x (n, inputs), y (n,) or (n, k), and of the test samples."""

    b: Any
    s: Any
    w: Any
    x: Any
    y: Any
    x_test: Any
    y_test: Any


def arrays(case: Case) -> Arrays:
    M, n, d = 5, 4, 2
    random = np.random.default_rng([ord(letter) for letter in case.key])
    more = () if case.k == 1 else (case.k,)
    b, s = random.standard_normal((M, d + case.bias)), random.standard_normal((M, *more))
    w = np.full(M, 1.0 / M)
    if case.weights == "some":
        w = random.random(M) + 0.2
        w[2] = 0.0
        w /= w.sum()
    x, x_test = random.standard_normal((n, d)), random.standard_normal((2, d))
    return Arrays(b, s, w, x, _targets(case, random, n), x_test, _targets(case, random, 2))


def _targets(case: Case, random: Any, n: int) -> Any:
    raw = random.standard_normal(n if case.k == 1 else (n, case.k))
    if case.loss == "softmax":
        return np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
    return np.where(raw > 0.0, 1.0, -1.0) if case.loss in naive.LABELLED else raw


def rows(case: Case, of: Arrays) -> list[Any]:
    """Which samples each iteration is on."""
    batches = Batches(mf.Dataset(np.arange(len(of.x))[:, None], np.zeros(len(of.x))), METHODS[case.method].batch,
                      METHODS[case.method].seed)  # fmt: skip
    return [batches.at(t)[0][:, 0].astype(int) for t in range(STEPS)]


def network(case: Case) -> mf.Network:
    return mf.Network(case.activation, case.beta, case.bias, LAYERS[case.layer], case.k)


def settings(case: Case, of: Arrays) -> dict[str, Any]:
    """Of `mf.simulate` and `mf.sensitivity`."""
    return {
        "net": network(case), "start": mf.Measure(of.b, of.s, of.w), "data": mf.Dataset(of.x, of.y),
        "method": METHODS[case.method], "steps": STEPS, "loss": case.loss, "regulariser": RULES[case.rule],
        "test": mf.Dataset(of.x_test, of.y_test), "record_every": TIMES,
    }  # fmt: skip
