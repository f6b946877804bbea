"""JAX: hand-written backward pass, particles in chunks, sharded over the cores, everything compiled.

Whole-array automatic differentiation takes two to three times as long as this and would be no fair rival.
"""

import os

CORES = len(os.sched_getaffinity(0))
os.environ.setdefault("XLA_FLAGS", f"--xla_force_host_platform_device_count={CORES}")

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P  # noqa: E402

jax.config.update("jax_enable_x64", True)

MESH = Mesh(np.array(jax.devices()), ("particles",))


def _gelu(z):
    return jax.nn.gelu(z, approximate=False)


def _gelu_slope(z):
    return 0.5 * jax.lax.erfc(-z / 2**0.5) + z * jnp.exp(-0.5 * z * z) / (2 * jnp.pi) ** 0.5


def _sigmoid_slope(z):
    s = jax.nn.sigmoid(z)
    return s * (1 - s)


ACTIVATIONS = {
    "sigmoid": (jax.nn.sigmoid, _sigmoid_slope),
    "tanh": (jnp.tanh, lambda z: 1 - jnp.tanh(z) ** 2),
    "gelu": (_gelu, _gelu_slope),
    "relu": (lambda z: jnp.maximum(z, 0), lambda z: (z > 0).astype(z.dtype)),
}


def step(name, b, x, y, chunk, keep):
    """A full-batch step of the squared loss at beta = 1, as a function of no arguments; `keep` the pre-activations."""
    sigma, slope_of = ACTIVATIONS[name]
    (M, d), n = b.shape, len(x)

    def local(b, x, y):
        chunks = b.reshape(-1, chunk, d)

        def forward(total, part):
            z = part @ x.T
            return total + jnp.sum(sigma(z), axis=0), (z if keep else None)

        zero = jax.lax.pcast(jnp.zeros(n, b.dtype), "particles", to="varying")
        total, kept = jax.lax.scan(forward, zero, chunks)
        slope = (jax.lax.psum(total, "particles") / M - y) / n

        def push(_, part):
            part, z = part if keep else (part, part @ x.T)
            return None, part - 0.1 * ((slope_of(z) * slope) @ x)

        return jax.lax.scan(push, None, (chunks, kept) if keep else chunks)[1].reshape(-1, d)

    shared = jax.shard_map(local, mesh=MESH, in_specs=(P("particles"), P(), P()), out_specs=P("particles"))
    compiled = jax.jit(shared, donate_argnums=0)
    state = [jax.device_put(jnp.asarray(b), NamedSharding(MESH, P("particles")))]
    x, y = (jax.device_put(jnp.asarray(a), NamedSharding(MESH, P())) for a in (x, y))

    def run():
        state[0] = compiled(state[0], x, y)
        state[0].block_until_ready()

    return run


def many_outputs_step(name, b, a, x, y, chunk, keep):
    """A full-batch step of both layers, k outputs, as a function of no arguments; `keep` the pre-activations."""
    sigma, slope_of = ACTIVATIONS[name]
    (M, d), (n, k) = b.shape, y.shape

    def local(state, x, y):
        chunks = state[0].reshape(-1, chunk, d), state[1].reshape(-1, chunk, k)

        def forward(total, part):
            z = part[0] @ x.T
            return total + sigma(z).T @ part[1], (z if keep else None)

        zero = jax.lax.pcast(jnp.zeros((n, k), y.dtype), "particles", to="varying")
        total, kept = jax.lax.scan(forward, zero, chunks)
        slope = (jax.lax.psum(total, "particles") / M - y) / n

        def push(_, part):
            part, z = part if keep else (part, part[0] @ x.T)
            force = (part[1] @ slope.T) * slope_of(z)
            return None, (part[0] - 0.1 * (force @ x), part[1] - 0.1 * (sigma(z) @ slope))

        moved = jax.lax.scan(push, None, (chunks, kept) if keep else chunks)[1]
        return moved[0].reshape(-1, d), moved[1].reshape(-1, k)

    shared = jax.shard_map(local, mesh=MESH, in_specs=(P("particles"), P(), P()), out_specs=P("particles"))
    compiled = jax.jit(shared, donate_argnums=0)
    whole = [jax.device_put(jnp.asarray(part), NamedSharding(MESH, P("particles"))) for part in (b, a)]
    state = [tuple(whole)]
    x, y = (jax.device_put(jnp.asarray(part), NamedSharding(MESH, P())) for part in (x, y))

    def run():
        state[0] = compiled(state[0], x, y)
        state[0][0].block_until_ready()

    return run


def online(b, x, y, rows):
    """One-sample SGD with the running average and the pull to the start, in one `lax.scan`; b by rows or columns."""

    @jax.jit
    def sweep(b, x, y):
        start = b

        def iteration(state, sample):
            b, mean, t = state
            x, y = sample
            s = jax.nn.sigmoid(b @ x if rows else x @ b)
            force = (jnp.mean(s) - y) * s * (1 - s)
            outer = force[:, None] * x if rows else x[:, None] * force
            b = b - 0.1 * (outer + 0.01 * (b - start))
            return (b, mean + (b - mean) / (t + 2), t + 1), None

        return jax.lax.scan(iteration, (b, b, 0.0), (x, y))[0]

    b, x, y = (jax.device_put(jnp.asarray(a), jax.devices()[0]) for a in (b if rows else b.T.copy(), x, y))

    def run():
        sweep(b, x, y)[1].block_until_ready()

    return run


def gram(b, x, chunk):
    """ReLU's tangent Gram matrix from patterns in single precision, a chunk of particles at a time."""

    @jax.jit
    def whole(b, x):
        def add(total, part):
            active = (x @ part.T > 0).astype(jnp.float32)
            return total + active @ active.T, None

        zero = jnp.zeros((len(x), len(x)), jnp.float32)
        return jax.lax.scan(add, zero, b.reshape(-1, chunk, b.shape[1]))[0] * (x @ x.T) / len(b)

    b, x = (jax.device_put(jnp.asarray(a, jnp.float32), jax.devices()[0]) for a in (b, x))

    def run():
        whole(b, x).block_until_ready()

    return run


def derivative(name, b, x, y, steps, chunk, inner, checkpoint=True):
    """The loss after so many steps of one layer and M times its gradient by the particles at the start, reverse mode.

    Every step is made again on the way back, with `inner` every chunk of it as well; without `checkpoint` nothing is.
    """
    sigma, slope_of = ACTIVATIONS[name]
    (M, d), n = b.shape, len(x)
    again = jax.checkpoint if checkpoint else (lambda f: f)
    within = jax.checkpoint if inner else (lambda f: f)

    def outputs(parts, x):
        add = within(lambda total, part: (total + jnp.sum(sigma(part @ x.T), axis=0), None))
        return jax.lax.scan(add, jnp.zeros(n, x.dtype), parts)[0] / M

    def last(parts, x, y):
        def step(parts, _):
            slope = (outputs(parts, x) - y) / n
            push = within(lambda _, part: (None, part - 0.1 * ((slope_of(part @ x.T) * slope) @ x)))
            return jax.lax.scan(push, None, parts)[1], None

        end = jax.lax.scan(again(step), parts, None, length=steps)[0]
        return 0.5 * jnp.mean((outputs(end, x) - y) ** 2)

    parts = jax.device_put(jnp.asarray(b.reshape(-1, chunk, d)), NamedSharding(MESH, P(None, "particles")))
    x, y = (jax.device_put(jnp.asarray(a), NamedSharding(MESH, P())) for a in (x, y))
    compiled = jax.jit(jax.value_and_grad(last)).lower(parts, x, y).compile()

    def run():
        value, slopes = compiled(parts, x, y)
        return float(value), M * np.asarray(slopes).reshape(M, d)

    run.memory = compiled.memory_analysis().temp_size_in_bytes * CORES  # the analysis is of one device
    return run
