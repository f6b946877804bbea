"""PyTorch: hand-written backward pass; in chunks, eager or compiled; in place with all activations kept. All cores."""

import os

import torch

torch.set_num_threads(len(os.sched_getaffinity(0)))
torch.set_grad_enabled(False)

ACTIVATIONS = {
    "sigmoid": (torch.sigmoid, lambda z: (lambda s: s * (1 - s))(torch.sigmoid(z))),
    "tanh": (torch.tanh, lambda z: 1 - torch.tanh(z) ** 2),
    "relu": (torch.relu, lambda z: (z > 0).to(z.dtype)),
    "gelu": (torch.nn.functional.gelu, lambda z: torch.ops.aten.gelu_backward(torch.ones_like(z), z)),
}

# sigma, in place where the slope can be had from sigma's values, and what autograd calls for the slope.
_aten = torch.ops.aten
KEPT = {
    "sigmoid": (torch.sigmoid_, lambda grad, s, out: _aten.sigmoid_backward(grad, s, grad_input=out)),
    "tanh": (torch.tanh_, lambda grad, s, out: _aten.tanh_backward(grad, s, grad_input=out)),
    "relu": (torch.relu_, lambda grad, s, out: _aten.threshold_backward(grad, s, 0, grad_input=out)),
    "gelu": (torch.nn.functional.gelu, lambda grad, z, out: _aten.gelu_backward(grad, z, grad_input=out)),
}


def step(name, b, x, y, chunk, compiled):
    """A full-batch step of the squared loss at beta = 1: a function of no arguments."""
    sigma, slope_of = ACTIVATIONS[name]
    b, x, y = (torch.from_numpy(a.copy()) for a in (b, x, y))
    M, n, xt = len(b), len(x), x.T.contiguous()

    def forward(part):
        return sigma(part @ xt).sum(0)

    def push(part, slope):
        return part - 0.1 * ((slope_of(part @ xt) * slope) @ x)

    if compiled:
        torch._dynamo.reset()  # after eight activations and shapes it would compile no more
        forward, push = torch.compile(forward), torch.compile(push)

    def run():
        total = torch.zeros(n, dtype=b.dtype)
        for first in range(0, M, chunk):
            total += forward(b[first : first + chunk])
        slope = (total / M - y) / n
        for first in range(0, M, chunk):
            b[first : first + chunk] = push(b[first : first + chunk], slope)

    return run


def kept_step(name, b, x, y, chunk):
    """A full-batch step whose activations stay in memory from the sum to the push, in place where that can be."""
    b, x, y = (torch.from_numpy(a.copy()) for a in (b, x, y))
    (M, _), n, xt = b.shape, len(x), x.T.contiguous()
    sigma, backward = KEPT[name]
    parts = [b[first : first + chunk] for first in range(0, M, chunk)]
    kept = [torch.empty((len(part), n), dtype=b.dtype) for part in parts]
    ones, total = torch.ones((1, chunk), dtype=b.dtype), torch.empty((1, n), dtype=b.dtype)

    def run():
        total.zero_()
        for part, s in zip(parts, kept, strict=True):
            torch.mm(part, xt, out=s)
            total.addmm_(ones[:, : len(s)], sigma(s))
        slope = (total / M - y) / n
        for part, s in zip(parts, kept, strict=True):
            backward(slope.expand_as(s), s, s)
            part.addmm_(s, x, alpha=-0.1)

    return run


def online(b, x, y):
    """One-sample SGD with the running average and the pull to the start."""
    start, x = torch.from_numpy(b), torch.from_numpy(x)

    def run():
        b, mean = start.clone(), start.clone()
        for t in range(len(x)):
            s = torch.sigmoid(b @ x[t])
            force = (s.mean() - y[t]) * s * (1 - s)
            b.lerp_(start, 0.001).addr_(force, x[t], alpha=-0.1)
            mean.lerp_(b, 1 / (t + 2))

    return run


def gram(b, x, chunk, blocks):
    """ReLU's tangent Gram matrix from patterns in 8-bit whole numbers; in `blocks` of rows, the upper half only."""
    b, x = torch.from_numpy(b).float(), torch.from_numpy(x).float()
    n = len(x)
    edges = [n * j // blocks // 8 * 8 if j < blocks else n for j in range(blocks + 1)]

    def run():
        total = torch.zeros((n, n), dtype=torch.int32)
        for first in range(0, len(b), chunk):
            active = (x @ b[first : first + chunk].T > 0).to(torch.int8)
            for j in range(blocks):
                rows = active[edges[j] : edges[j + 1]]
                total[edges[j] : edges[j + 1], edges[j] :] += torch._int_mm(rows, active[edges[j] :].T)
        return total * (x @ x.T) / len(b)

    return run


def many_outputs_step(name, b, a, x, y, chunk, kept):
    """A full-batch step of both layers, k outputs, in chunks; the activations made again for the push, or `kept`.

    Of sigmoid, tanh and ReLU, whose slope follows from their value.
    """
    b, a, x, y = (torch.from_numpy(part.copy()) for part in (b, a, x, y))
    M, n, xt = len(b), len(x), x.T.contiguous()
    sigma, backward = KEPT[name]
    parts = [(b[first : first + chunk], a[first : first + chunk]) for first in range(0, M, chunk)]
    values = [torch.empty((len(part), n), dtype=b.dtype) for part, _ in parts[: len(parts) if kept else 1]]
    force, total = torch.empty_like(values[0]), torch.empty((n, a.shape[1]), dtype=b.dtype)

    def value(j):
        part, s = parts[j][0], values[j if kept else 0][: len(parts[j][0])]
        return sigma(torch.mm(part, xt, out=s))

    def run():
        total.zero_()
        for j, (_, weights) in enumerate(parts):
            total.addmm_(value(j).T, weights)
        slope = (total / M - y) / n
        for j, (part, weights) in enumerate(parts):
            s = values[j] if kept else value(j)
            grad = torch.mm(weights, slope.T, out=force[: len(part)])
            weights.addmm_(s, slope, alpha=-0.1)
            backward(grad, s, grad)
            part.addmm_(grad, x, alpha=-0.1)

    return run


def derivative(b, x, y, steps, chunk):
    """The same for tanh, written by hand: states are kept, tanh and p.x of a step stay in memory from sum to push."""
    start, x, y = (torch.from_numpy(a.copy()) for a in (b, x, y))
    (M, _), n, xt = b.shape, len(x), x.T.contiguous()
    states = [torch.empty_like(start) for _ in range(steps + 1)]
    slopes = [torch.empty_like(y) for _ in range(steps + 1)]
    rows = [slice(first, min(first + chunk, M)) for first in range(0, M, chunk)]
    values, along = (torch.empty((M, n), dtype=start.dtype) for _ in range(2))
    force, p = torch.empty((chunk, n), dtype=start.dtype), torch.empty_like(start)

    def outputs(b):
        total = torch.zeros(n, dtype=b.dtype)
        for own in rows:
            total += torch.mm(b[own], xt, out=values[own]).tanh_().sum(0)
        return total / M

    def run():
        states[0].copy_(start)
        for t, b in enumerate(states):
            g = outputs(b)
            torch.div(g - y, n, out=slopes[t])
            if t < steps:
                torch.add(b, 0.0, out=states[t + 1])
                for own in rows:
                    grad = slopes[t].expand_as(values[own])
                    _aten.tanh_backward(grad, values[own], grad_input=force[: own.stop - own.start])
                    states[t + 1][own].addmm_(force[: own.stop - own.start], x, alpha=-0.1)
        p.zero_()
        for own in rows:
            grad = force[: own.stop - own.start]
            _aten.tanh_backward(slopes[steps].expand_as(grad), values[own], grad_input=grad)
            p[own].addmm_(grad, x)
        for t in reversed(range(steps)):
            change = torch.zeros(n, dtype=p.dtype)
            for own in rows:
                s, u, grad = values[own], along[own], force[: own.stop - own.start]
                torch.mm(states[t][own], xt, out=s).tanh_()
                torch.mm(p[own], xt, out=u)
                change += _aten.tanh_backward(u, s, grad_input=grad).sum(0)
            change /= M * n
            for own in rows:
                s, u, grad = values[own], along[own], force[: own.stop - own.start]
                u.mul_(s).mul_(-2.0 * slopes[t]).add_(change)
                p[own].addmm_(_aten.tanh_backward(u, s, grad_input=grad), x, alpha=-0.1)
        return float(torch.mean((g - y) ** 2) / 2), p.numpy()

    return run
