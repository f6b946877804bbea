"""One run whose derivative has many parts, and all bits that they are made of."""

import hashlib

import numpy as np

import particles as mf

ALL = ("particle", "position", "output_weight", "step", "weight_decay", "target", "sample")
OF = ("loss", "dissipation", "test_prediction", "displacement_rms", "objective", "mean_position")
METHODS = {
    "GD": (mf.GradientDescent(0.3), 1),
    "heun": (mf.RungeKutta(0.3, "heun"), 1),
    "SGD": (mf.SGD(0.3, batch=4, seed=2), 1),
    "classes": (mf.RungeKutta(0.3, "heun"), 3),
}


def settings(method="GD", M=1100, steps=7, dtype="float64"):
    """Five blocks of particles, the last not full; both layers; a pull to the start."""
    how, k = METHODS[method]
    random = np.random.default_rng(0)
    more = () if k == 1 else (k,)
    data, test = (mf.Dataset(random.standard_normal((n, 2)), random.standard_normal((n, *more))) for n in (9, 2))
    if k > 1:
        data, test = (mf.Dataset(a.x, np.exp(a.y) / np.exp(a.y).sum(axis=1, keepdims=True)) for a in (data, test))
    start = mf.Gaussian(2).sample(M, seed=0, signs="gaussian", outputs=k)
    net = mf.Network("tanh", train=("input", "output"), outputs=k)
    return {"net": net, "start": start, "data": data, "method": how,
            "steps": steps, "regulariser": mf.L2(0.1, about="start"), "test": test, "dtype": dtype,
            "loss": "squared" if k == 1 else "softmax"}  # fmt: skip


def digest(dataset):
    """One hash of all variables, whatever their order."""
    parts = [name.encode() + np.ascontiguousarray(dataset[name].values).tobytes() for name in sorted(dataset.variables)]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def everything(of=OF, by=ALL, other=None, **more):
    """A hash of the derivative, and of the first variation at other particles and the prediction of them."""
    if more["method"].batch is not None:  # no sample has a derivative of its own then
        by = [name for name in by if name not in ("target", "sample")]
    found = mf.sensitivity(**more, of=of, by=by)
    other = mf.Gaussian(2).sample(300, seed=5, signs="gaussian", outputs=more["net"].outputs)
    return [digest(ds) for ds in (found.dataset, found.variation(other), found.predict(other))]
