"""JAX's derivatives of whole runs, by reverse mode through every step in float64, of the cases of `support.adjoints`.

`KEY-OBSERVABLE` is its value at the recorded iterations, `KEY-OBSERVABLE-BY` the derivative: `weight` by the particles'
weights, `b` and `s` by positions and output weights over the particle's weight (NaN at an atom of weight 0), `step`,
`decay`, `target` and `sample`. Needs JAX as `gradients` does, and 5 minutes to compile: pip install jax.
"""

import jax
import jax.numpy as jnp
import numpy as np
from support import adjoints
from support.adjoints import Arrays, Case

SQRT_HALF, WIDTH = 0.5**0.5, 0.1
SIGMA = {
    "relu": lambda v: jnp.maximum(v, 0.0),
    "smooth_relu": lambda v: (v + jnp.sqrt(v * v + WIDTH**2)) / 2,
    "sigmoid": jax.nn.sigmoid,
    "tanh": jnp.tanh,
    "erf": jax.lax.erf,
    "gelu": lambda v: v * (1 + jax.lax.erf(v * SQRT_HALF)) / 2,
    "softplus": lambda v: jnp.logaddexp(v, 0.0),
    "sin": jnp.sin,
    "cos": jnp.cos,
    "quadratic": lambda v: v * v,
    "linear": lambda v: v,
}
LOSS = {
    "squared": lambda z, y: (z - y) ** 2 / 2,
    "logistic": lambda z, y: jnp.logaddexp(0.0, -y * z),
    "huber": lambda z, y: jnp.where(abs(z - y) < 1, (z - y) ** 2 / 2, abs(z - y) - 0.5),
    "smooth_hinge": lambda z, y: jnp.where(y * z >= 1, 0.0, jnp.where(y * z > 0, (1 - y * z) ** 2 / 2, 0.5 - y * z)),
    "exponential": lambda z, y: jnp.exp(-y * z),
}
# rows of stages, ends: Heun; Kutta 1901; Bogacki and Shampine 1989; Dormand and Prince 1980
SCHEMES = {
    "heun": (((), (1,)), (1 / 2, 1 / 2)),
    "classic": (((), (1 / 2,), (0, 1 / 2), (0, 0, 1)), (1 / 6, 1 / 3, 1 / 3, 1 / 6)),
    "bogacki-shampine": (((), (1 / 2,), (0, 3 / 4)), (2 / 9, 1 / 3, 4 / 9)),
    "dormand-prince": (
        ((), (1 / 5,), (3 / 40, 9 / 40), (44 / 45, -56 / 15, 32 / 9),
         (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
         (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656)),
        (35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
    ),
}  # fmt: skip
SIZES = {"GD": 0.3, "SGD-3": 0.3, "SGD-1": 0.2}


def sizes_of(case: Case) -> np.ndarray:
    if case.method == "falling":
        return 0.4 / np.sqrt(1.0 + np.arange(adjoints.STEPS))
    return np.full(adjoints.STEPS, SIZES.get(case.method, 0.3))


def losses(case: Case, z, y):
    """l of each sample, (n,)."""
    if case.loss == "softmax":
        return jax.nn.logsumexp(z, axis=1) - jnp.sum(y * z, axis=1)  # also where y does not sum to 1
    each = LOSS[case.loss](z, y)
    return each if each.ndim == 1 else each.sum(axis=1)


class Run:
    """One case as a function of (b, s, w, sizes, decay, y, c), c the samples' weights in the loss."""

    def __init__(self, case: Case, of: Arrays) -> None:
        self.case, self.of, self.rows = case, of, adjoints.rows(case, of)
        self.sigma = SIGMA[case.activation]
        self.slope = jax.vmap(jax.vmap(jax.grad(self.sigma)))
        self.alpha = len(of.w) ** (1.0 - case.beta)
        both = (np.hstack([x, np.ones((len(x), 1))]) if case.bias else x for x in (of.x, of.x_test))
        self.inputs, self.inputs_test = map(jnp.array, both)

    def outputs(self, at, x):
        b, s, w = at
        return self.alpha * jnp.einsum("ir,r...->i...", self.sigma(x @ b.T), (w * s.T).T)

    def velocity(self, at, start, x, y, c, decay):
        b, s, _ = at
        n = len(x)
        by_output = jax.grad(lambda z: jnp.sum(c * losses(self.case, z, y)) / n)(self.outputs(at, x)).reshape(n, -1)
        v = -jnp.einsum("io,ro,ir,id->rd", by_output, s.reshape(len(b), -1), self.slope(x @ b.T), x) / self.alpha
        vs = -(self.sigma(x @ b.T).T @ by_output).reshape(s.shape) / self.alpha
        about = start if self.case.rule == "start" else (jnp.zeros_like(b), jnp.zeros_like(s))
        moves = [name in adjoints.LAYERS[self.case.layer] for name in ("input", "output")]
        return (v - decay * (b - about[0])) * moves[0], (vs - decay * (s - about[1])) * moves[1]

    def __call__(self, b, s, w, sizes, decay, y, c):
        """What is measured, by observable, at the recorded iterations. Loops of JAX: unrolled they compile for long."""
        start, rows, ends = (b, s), *SCHEMES.get(self.case.method, (((),), (1,)))
        table = np.array([[*row, *[0.0] * (len(ends) - len(row))] for row in rows])

        def step(at, now):
            own, size = now

            def stage(found, at_stage):
                number, row = at_stage
                moved = [a + size * jnp.tensordot(row, k, 1) for a, k in zip(at, found, strict=True)]
                v = self.velocity((*moved, w), start, self.inputs[own], y[own], c[own], decay)
                return tuple(k.at[number].set(one) for k, one in zip(found, v, strict=True)), None

            none = tuple(jnp.zeros((len(ends), *a.shape)) for a in at)
            found, _ = jax.lax.scan(stage, none, (jnp.arange(len(ends)), jnp.array(table)))
            after = tuple(a + size * jnp.tensordot(jnp.array(ends), k, 1) for a, k in zip(at, found, strict=True))
            return after, after

        _, (all_b, all_s) = jax.lax.scan(step, start, (jnp.array(self.rows), sizes))
        recorded = np.array(adjoints.TIMES) - 1
        at = all_b[recorded], all_s[recorded]
        return jax.vmap(lambda b, s: self.measured((b, s, w), start, y, c, decay))(*at)

    def measured(self, at, start, y, c, decay):
        b, s, w = at
        g, g_test = self.outputs(at, self.inputs), self.outputs(at, self.inputs_test)
        v, vs = self.velocity(at, start, self.inputs, y, c, decay)
        speed = jnp.sum(w * (jnp.sum(v**2, axis=1) + jnp.sum(vs.reshape(len(w), -1) ** 2, axis=1)))
        away = jnp.sum(w * jnp.sum((b - start[0]) ** 2, axis=1))
        loss, penalty = jnp.mean(losses(self.case, g, y)), 0.0
        for name, now, then in (("input", b, start[0]), ("output", s, start[1])):
            if name in adjoints.LAYERS[self.case.layer]:
                rest = (now - (then if self.case.rule == "start" else 0.0)).reshape(len(w), -1)
                penalty += decay / 2 * jnp.sum(w * jnp.sum(rest**2, axis=1))
        moves, size = "input" in adjoints.LAYERS[self.case.layer], jnp.sqrt(jnp.sum(b**2, axis=1))
        found = {
            "loss": loss, "objective": loss + self.alpha**2 * penalty, "dissipation": self.alpha**2 * speed,
            "test_loss": jnp.mean(losses(self.case, g_test, self.of.y_test)), "gradient_norm": jnp.sqrt(speed),
            "displacement_rms": jnp.sqrt(away) if moves else 0.0 * away, "prediction": g, "test_prediction": g_test,
            "weight_moment": jnp.stack([jnp.sum(w * size**p) for p in (1, 2, 4)]), "mean_position": w @ b,
        }  # fmt: skip
        if self.case.loss == "softmax":
            found |= {"cross_entropy": loss, "test_cross_entropy": found["test_loss"]}
        return {name: found[name] for name in self.case.of}


def computed() -> dict[str, np.ndarray]:
    jax.config.update("jax_enable_x64", True)
    found = {}
    for case in adjoints.cases():
        of = adjoints.arrays(case)
        run, decay = Run(case, of), {"none": 0.0, "zero": 0.2, "start": 0.3}[case.rule]
        at = tuple(jnp.array(a) for a in (of.b, of.s, of.w, sizes_of(case), decay, of.y, np.ones(len(of.y))))
        values, by = jax.jit(run)(*at), jax.jit(jax.jacrev(run, range(7)))(*at)
        for name in case.of:
            of_b, of_s, weight, step, shrink, target, sample = (np.asarray(a) for a in by[name])
            before = values[name].ndim
            parts = {"weight": weight, "step": step, "decay": shrink, "target": target, "sample": sample}
            for key, whole in (("b", of_b), ("s", of_s)):
                per_weight = np.divide(1.0, of.w, out=np.full_like(of.w, np.nan), where=of.w > 0.0)
                parts[key] = whole * per_weight.reshape(-1, *[1] * (whole.ndim - before - 1))
            found |= {f"{case.key}-{name}": np.asarray(values[name])}
            found |= {f"{case.key}-{name}-{key}": part for key, part in parts.items()}
    return found
