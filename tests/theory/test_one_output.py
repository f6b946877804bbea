"""What is stated for one output: every entrance of the theory refuses more, and the list of entrances is whole."""

import inspect

import numpy as np
import pytest
from support.face import names

import particles as mf

K, N, D = 3, 6, 2
RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((N, D))
X /= np.linalg.norm(X, axis=1)[:, None]
GRAM = np.diag(np.arange(1.0, N + 1.0))
NOISE = {"weight_decay": 0.1, "temperature": 0.05}

# A network of three outputs and its particles, and three classes; then the same of one output.
NET, ONE_NET = mf.Network("tanh", outputs=K), mf.Network("tanh")
LAW = mf.Gaussian(D)
START, ONE_START = LAW.sample(64, 0, "random", outputs=K), LAW.sample(64, 0, "random")
DATA = mf.Dataset(X, ["a", "b", "c"] * 2)
LABELS = np.array([1.0, -1.0] * 3)
ONE_DATA = mf.Dataset(X, LABELS)
RADIAL = mf.Stream(LAW, lambda x: np.linalg.norm(x, axis=1)[:, None] * np.ones(K))
RADII = mf.Measure(np.ones((2, 1)), np.ones((2, K)), np.full(2, 0.5))
T = mf.theory

# By public name: what is stated for one output, and calls with more.
STATED = {
    "assumption_1": ("Assumption 1", [lambda: T.assumption_1(NET, X, LABELS),
                                      lambda: T.assumption_1(ONE_NET, X, DATA.y)]),
    "assumption_2": ("Assumption 2", [lambda: T.assumption_2(NET, X, LABELS),
                                      lambda: T.assumption_2(ONE_NET, X, DATA.y)]),
    "margin": ("the margin", [lambda: T.margin(NET, LAW, X, LABELS), lambda: T.margin(ONE_NET, LAW, X, DATA.y),
                              lambda: T.margin(ONE_NET, START, X, LABELS)]),
    "descent_bound": ("the descent inequality", [lambda: T.descent_bound(GRAM, DATA.y, 0.1)]),
    "kernel_iterations": ("the number of steps", [lambda: T.kernel_iterations(GRAM, DATA.y, 0.1)]),
    "theorem_1": ("Theorem 1", [lambda: T.theorem_1(GRAM, 0.1, y=DATA.y)]),
    "arora_bound": ("the bound", [lambda: T.arora_bound(GRAM, DATA.y)]),
    "entropy": ("the entropy of particles", [lambda: T.entropy(START)]),
    "free_energy": ("the free energy", [lambda: T.free_energy(NET, START, DATA, **NOISE),
                                        lambda: T.free_energy(ONE_NET, ONE_START, DATA, **NOISE),
                                        lambda: T.free_energy(NET, START, DATA, "softmax", **NOISE)]),
    "gibbs": ("the free energy", [lambda: T.gibbs(NET, DATA, **NOISE), lambda: T.gibbs(ONE_NET, DATA, **NOISE),
                                  lambda: T.gibbs(ONE_NET, ONE_DATA, signs=START, **NOISE)]),
    "proximal_gibbs": ("the free energy", [lambda: T.proximal_gibbs(NET, START, DATA, **NOISE),
                                           lambda: T.proximal_gibbs(ONE_NET, ONE_START, DATA, **NOISE)]),
    "duality_gap": ("the entropy of particles|the free energy", [
        lambda: T.duality_gap(NET, START, DATA, **NOISE), lambda: T.duality_gap(ONE_NET, ONE_START, DATA, **NOISE)]),
    "radial_flow": ("the radial reduction", [lambda: T.radial_flow(NET, LAW, T.two_gaussians(0.8, D), [1.0]),
                                             lambda: T.radial_flow(ONE_NET, LAW, RADIAL, [1.0]),
                                             lambda: T.radial_flow(ONE_NET, RADII, T.two_gaussians(0.8, D), [1.0])]),
    "isotropic_data": ("the radial reduction", [lambda: T.isotropic_data(RADIAL)]),
    "spectra.zonal_kernel": ("the zonal kernel", [lambda: T.spectra.zonal_kernel(NET, LAW)]),
    "spectra.feature_sgd": ("averaged SGD", [lambda: T.spectra.feature_sgd(lambda x: x, X[None], DATA.y[None], 0.1)]),
    "spectra.gram_sgd": ("averaged SGD", [lambda: T.spectra.gram_sgd(GRAM, DATA.y, 0.1)]),
}  # fmt: skip

# Those that take networks of several outputs, and one whose `residual` is a function of eigenvalues.
MANY = {"first_variation", "convex_optimum", "frank_wolfe", "certificates.gap", "certificates.objective"}
MANY |= {"spectra.hardest_target"}
ASKED = {"net", "measure", "data", "y", "residual", "stream"}
CALLS = [(name, place) for name, (_, calls) in STATED.items() for place in range(len(calls))]


@pytest.mark.parametrize(("name", "place"), CALLS)
def test_entrance__refuses_more_than_one_output(name, place):
    what, calls = STATED[name]
    with pytest.raises(
        mf.InputError, match=rf"({what}).* stated for one output: got outputs=3\. Use one network a class"
    ):
        calls[place]()


def test_entrances__are_all_here():
    """All public functions of the theory, kernels and distances apart, that take networks, particles or targets."""
    found = set()
    for path, value in names():
        name = path.removeprefix("particles.theory.")
        if path == name or name.startswith(("tangent.", "transport.")) or not inspect.isfunction(value):
            continue
        if ASKED & inspect.signature(value).parameters.keys():
            found.add(name.removeprefix("bounds."))
    assert found == STATED.keys() | MANY


def test_one_output__is_still_taken():
    assert T.assumption_2(mf.Network("tanh", beta=0.5), X, LABELS) == []
    assert T.kernel_iterations(GRAM, LABELS, 0.1) > 0 and T.theorem_1(GRAM, 0.1, y=LABELS).step > 0.0
    assert T.free_energy(ONE_NET, ONE_START, ONE_DATA, **NOISE).risk > 0.0


@pytest.mark.parametrize("signs", ["unit", "gaussian", "joint"])
def test_signs__that_are_not_fixed_have_no_gibbs_measure_and_no_radial_flow(signs):
    for call in (lambda: T.gibbs(ONE_NET, ONE_DATA, signs=signs, **NOISE),
                 lambda: T.radial_flow(ONE_NET, LAW, T.two_gaussians(0.8, D), [1.0], signs=signs)):  # fmt: skip
        with pytest.raises(mf.InputError, match="must be one of positive, random, symmetric here"):
            call()


def test_targets__that_do_not_belong_to_the_loss_are_refused():
    with pytest.raises(mf.InputError, match="one output a class"):
        T.free_energy(ONE_NET, ONE_START, ONE_DATA, "softmax", **NOISE)
