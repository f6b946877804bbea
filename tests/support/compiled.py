"""What many files of tests use, compiled once before the workers start: else several compile it at the same time."""

import itertools
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np

import particles as mf
from particles.kernels import cache

# d = 5 stands for all dimensions whose loops are not unrolled. What compiles most comes first, and no two activations
# that start together share their loops.
CASES = [
    *itertools.product(("tanh", "relu", "sigmoid"), ("float64",), (5,)),
    ("tanh", "float32", 5),
    *itertools.product(("quadratic", "linear", "tanh", "relu", "sigmoid"), ("float64",), (3, 2, 1)),
    *itertools.product(("tanh",), ("float32",), (3, 2)),
]


def compile_case(name: str, dtype: str, d: int) -> None:
    """Run what compiles the loops of one activation: a full batch, one-sample steps, the tangent kernel."""
    start, x = mf.Gaussian(d).sample(4, seed=0), np.eye(2, d) + 0.5
    data = mf.Dataset(x, [0.5, -0.5])
    for train, method in itertools.product((("input",), ("input", "output")), (mf.GradientDescent(0.1), mf.SGD(0.1))):
        mf.simulate(mf.Network(name, train=train), start, data, method, steps=2, dtype=dtype)
    if dtype == "float64":
        mf.tangent.gram(mf.Network(name, train=("input", "output")), start, x)


def warm(workers: int) -> None:
    """Compile all cases, side by side, unless this cache has them."""
    folder = cache.cache_folder()
    if folder is None or (done := folder / "tests-are-compiled").exists():
        return
    print(f"compiling what many tests use, into {folder}", file=sys.stderr)
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        list(pool.map(compile_case, *zip(*CASES, strict=True)))
    if folder.is_dir():  # not where it is not trusted or cannot be written
        done.touch()
