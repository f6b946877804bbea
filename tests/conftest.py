"""Small problems and clouds that many tests share."""

import contextlib
import os
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: tests run side by side, and BLAS's threads spin

import h5py
import hypothesis
import numpy as np
import pytest

import particles as mf

# The same examples every time and nothing kept on disk: a failure here is a failure everywhere.
hypothesis.settings.register_profile("same", derandomize=True, deadline=None, database=None, max_examples=50)
hypothesis.settings.load_profile("same")


@pytest.fixture
def samples():
    """A maker of small data sets; the targets are labels where the loss asks for them."""

    def make(n=7, d=3, loss="squared", seed=0):
        random = np.random.default_rng([seed, n, d])
        x, y = random.standard_normal((n, d)), random.standard_normal(n)
        return mf.Dataset(x, np.sign(y) if loss == "logistic" else y)

    return make


@pytest.fixture
def cloud():
    """A maker of random measures: `equal` atoms with signs +-1, or any weights and output weights."""

    def make(M=5, d=3, equal=True, seed=0):
        random = np.random.default_rng([seed, M, d])
        b = random.standard_normal((M, d))
        s = random.choice([-1.0, 1.0], M)
        w = np.full(M, 1.0 / M)
        if not equal:
            s, w = random.standard_normal(M), random.random(M) + 0.1
        return mf.Measure(b, s, w / w.sum())

    return make


@pytest.fixture
def unreadable():
    """A maker of contexts in which HDF5 meets an error of the system where it opens one of the `chosen` files."""

    @contextlib.contextmanager
    def make(number, chosen):
        real = h5py.File

        def opened(name, *arguments, **options):
            if isinstance(name, str | Path) and chosen(Path(name).absolute()):
                raise OSError(number, os.strerror(number))
            return real(name, *arguments, **options)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(h5py, "File", opened)
            yield

    return make
