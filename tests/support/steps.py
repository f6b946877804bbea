"""The slow, obvious twin of a run: every method's steps once more, from the formulas in `naive`.

Of the package it takes which samples an iteration draws, and a method's settings. One output is a case of k.
"""

import math

import numpy as np

import particles as mf
from particles.data.batches import Batches
from particles.methods.runge_kutta import SCHEMES
from support import naive


class Twin:
    """The particles b (M, d), s (M, k) and w (M,) of a run, and what moves them."""

    def __init__(self, net, start, data, method, formulas, rule, slope):
        (self.sigma, self.derivative), self.train = formulas, net.train
        self.b, self.s, self.w = start.b.copy(), start.s.reshape(len(start.b), -1).copy(), start.w.copy()
        self.start = self.b.copy(), self.s.copy()
        self.alpha = len(start.w) ** (1 - net.beta)
        self.bias, self.slope_of, self.method = net.bias, slope, method
        self.rule = method.rule(rule)
        self.batches = Batches(data, method.batch, method.seed)

    def samples(self, iteration):
        x, y = self.batches.at(iteration)
        x = np.column_stack([x, np.ones(len(x))]) if self.bias else x
        return x, y.reshape(len(y), -1)

    def slope(self, iteration):
        """l'(g, y) / n at the samples of an iteration."""
        x, y = self.samples(iteration)
        return self.slope_of(naive.network(self.b, self.s, self.w, x, self.sigma, self.alpha), y) / len(y)

    def speeds(self, iteration, slope):
        """The data term of both layers' velocities, 0 for one that is not trained."""
        x, _ = self.samples(iteration)
        v, vs = np.zeros_like(self.b), np.zeros_like(self.s)
        if "input" in self.train:
            v = naive.velocity(self.b, self.s, x, slope, self.derivative, self.alpha)
        if "output" in self.train:
            vs = naive.velocity_s(self.b, x, slope, self.sigma, self.alpha)
        return v, vs

    def move(self, speeds, size, rule):
        """A step of the trained layers."""
        layers = [("input", self.b, speeds[0], self.start[0]), ("output", self.s, speeds[1], self.start[1])]
        for name, layer, speed, anchor in layers:
            if name in self.train:
                layer[:] = naive.step(layer, speed, size, rule, anchor)

    def shake(self, size, iteration):
        """The noise of an iteration, of the layers that train."""
        if size:
            noise = normals(self.method.seed, iteration, len(self.b), self.b.shape[1] + self.s.shape[1])
            d = self.b.shape[1]
            self.b += size * noise[:, :d] if "input" in self.train else 0.0
            self.s += size * noise[:, d:] if "output" in self.train else 0.0


def normals(seed, iteration, count, dim):
    """The noise of an iteration of a network of one output with `dim` inputs: those of any network with as many."""
    still = mf.Dataset(np.zeros((1, dim)), np.zeros(1))
    zero = mf.Measure(np.zeros((count, dim)), np.ones(count), np.full(count, 1 / count))
    method = mf.Langevin(0.5, 1.0, seed=seed)  # sqrt(2 * 0.5 * 1) = 1
    ends = [
        mf.simulate(mf.Network("tanh"), zero, still, method, steps=steps, record=(), engine=mf.Local(1)).measure.b
        for steps in (iteration, iteration + 1)
    ]
    return ends[1] - ends[0]


def descent(twin, steps):
    """Gradient descent, SGD, averaged SGD, Langevin; the mean of the iterates."""
    method, mean = twin.method, [twin.b.copy(), twin.s.copy()]
    for t in range(steps):
        size = method.step
        twin.move(twin.speeds(t, twin.slope(t)), size, twin.rule)
        twin.shake(math.sqrt(2 * size * getattr(method, "temperature", 0.0)), t)
        mean = [old + (new - old) / (t + 2) for old, new in zip(mean, (twin.b, twin.s), strict=True)]
    return mean if method.average else None


def dual_averaging(twin, steps):
    method, slopes = twin.method, []
    for t in range(steps):
        if t % method.inner == 0:
            slopes.append(twin.slope(t))
        outer = len(slopes)
        share = 2 / ((outer + 2) * (outer + 1))
        average = share * sum((s + 1) * slope for s, slope in enumerate(slopes))
        pull = mf.L2(method.weight_decay * share * sum(range(1, outer + 1)))
        twin.move(twin.speeds(t, average), method.step, pull)
        twin.shake(math.sqrt(2 * method.step * method.temperature), t)


def fisher_rao(twin, steps):
    """V by a loop over particles: sum_i slope_i . s_r sigma(b_r . x_i), and the regulariser."""
    size, rate = twin.method.step, twin.method.rate
    for t in range(steps):
        (x, _), slope = twin.samples(t), twin.slope(t)
        potential = [
            sum(slope[i] @ s * twin.sigma(b @ x[i]) for i in range(len(x)))
            + naive.penalty([b[None]], [b[None]], np.ones(1), twin.rule)
            for b, s in zip(twin.b, twin.s, strict=True)
        ]
        speeds = twin.speeds(t, slope)
        twin.w *= np.exp(-size * rate * np.array(potential))
        twin.w /= twin.w.sum()
        twin.move(speeds, size, twin.rule)


def runge_kutta(twin, steps):
    """Steps as they are, or divided so that the root mean square of the error estimate is below the tolerance."""
    method, scheme = twin.method, SCHEMES[twin.method.scheme]
    for _ in range(steps):
        done, part = 0.0, method.step
        while done < method.step:
            part = min(part, method.step - done)
            before = twin.b.copy(), twin.s.copy()
            stages = []
            for row in ((), *scheme.rows, scheme.ends):
                twin.b[:], twin.s[:] = combined(before, stages, row, part)
                stages.append(rates(twin) if row != scheme.ends else ())
            if not method.tolerance:
                break
            stages[-1] = rates(twin)
            off = combined([np.zeros_like(a) for a in before], stages, scheme.errors, part)
            error = math.sqrt(sum(float(twin.w @ (a**2).sum(axis=1)) for a in off))
            if error <= method.tolerance:
                done = method.step if part >= method.step - done else done + part
            else:
                twin.b[:], twin.s[:] = before
            part *= min(5.0, max(0.2, 0.9 * (method.tolerance / error) ** (1 / scheme.order)))


def rates(twin):
    """The velocities of both layers with the regulariser's pull."""
    moved = []
    names, layers = ("input", "output"), (twin.b, twin.s)
    for name, layer, anchor, v in zip(names, layers, twin.start, twin.speeds(0, twin.slope(0)), strict=True):
        away = layer - (anchor if twin.rule.about == "start" else 0.0)
        moved.append(v - twin.rule.weight * away if name in twin.train else v)
    return moved


def combined(base, stages, weights, part):
    """base + part sum_j weights_j k_j, of both layers."""
    return [a + part * sum(w * k[layer] for w, k in zip(weights, stages, strict=False)) for layer, a in enumerate(base)]


RUNS = {"DualAveraging": dual_averaging, "FisherRao": fisher_rao, "RungeKutta": runge_kutta}


def end(twin, steps):
    """The measure after some steps, b, s and w, and the average's b and s where one is kept."""
    mean = RUNS.get(type(twin.method).__name__, descent)(twin, steps)
    return [twin.b, twin.s, twin.w], mean
