"""JAX's gradients of the loss of several outputs, by reverse mode in float64 (`ACTIVATION-LOSS-K-b`, `-s`, `-loss`).

The start `b`, `s`, the inputs `x` with a bias and the targets `y-LOSS-K` are kept beside them. The only script here
that needs JAX: pip install jax.
"""

import jax
import jax.numpy as jnp
import numpy as np

M, N, D = 24, 7, 5
ALPHA, DECAY = M**0.5, 0.3  # beta = 1/2
ACTIVATIONS = {
    "tanh": jnp.tanh,
    "gelu": lambda v: jax.nn.gelu(v, approximate=False),
    "sigmoid": jax.nn.sigmoid,
}
LOSSES = {
    "squared": lambda z, y: 0.5 * jnp.sum((z - y) ** 2, axis=1),
    "softmax": lambda z, y: -jnp.sum(y * jax.nn.log_softmax(z), axis=1),
    "logistic": lambda z, y: jnp.sum(jnp.logaddexp(0.0, -y * z), axis=1),
}


def targets(loss: str, raw: np.ndarray) -> np.ndarray:
    """Random numbers as targets that the loss takes."""
    if loss == "softmax":
        return np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
    return np.sign(raw) if loss == "logistic" else raw


def computed() -> dict[str, np.ndarray]:
    jax.config.update("jax_enable_x64", True)
    random, found = np.random.default_rng(0), {}
    start, x = random.standard_normal((M, D)), random.standard_normal((N, D))
    x[:, -1] = 1.0
    found |= {"b": start, "x": x}
    for k in (3, 10):
        found[f"s-{k}"], raw = random.standard_normal((M, k)), random.standard_normal((N, k))
        for loss, value in LOSSES.items():
            found[f"y-{loss}-{k}"] = y = targets(loss, raw)
            for name, sigma in ACTIVATIONS.items():

                def objective(b, s, x=x, sigma=sigma, value=value, y=y):
                    g = ALPHA * sigma(x @ b.T) @ s / M
                    return jnp.mean(value(g, y)) + ALPHA**2 * DECAY / 2 * (jnp.sum(b**2) + jnp.sum(s**2)) / M

                at = jnp.array(start), jnp.array(found[f"s-{k}"])
                total, (of_b, of_s) = jax.value_and_grad(objective, (0, 1))(*at)
                parts = {"b": of_b, "s": of_s, "loss": total}
                found |= {f"{name}-{loss}-{k}-{part}": np.asarray(a) for part, a in parts.items()}
    return found
