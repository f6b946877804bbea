"""Section 3.3 as numbers, Theorem 3: what descent on the logistic loss takes to classify."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from particles.checks import number, share, vector
from particles.errors import InputError
from particles.measures.laws import Atoms, Ball, Gaussian, Law, Sphere, Uniform
from particles.model.network import Network
from particles.theory.one_output import one_output, width

_EXACT = 1e-9  # how far a norm or a count may be off by rounding


class Costs(NamedTuple):
    """What Theorem 3 takes; from `mf.theory.theorem_3_powers`, the powers of 1/eps instead.

    Attributes
    ----------
    width
        Neurons M.
    iterations
        Iterations T.
    samples
        Samples n.
    step : flow time
        `eta`.
    paper_step
        The same in the paper's parameters, `eta M^(2 beta - 1)`.
    """

    width: float
    iterations: float
    samples: float
    step: float
    paper_step: float


def theorem_3_powers(beta: float = 0.0, setting: str = "i") -> Costs:
    """How Theorem 3's quantities grow: the powers k of (1/eps)^k, logarithms left out [7], with the smallest T.

    Parameters
    ----------
    beta
        The output scale: in [0, 1) for setting "i", 0 for setting "ii".
    setting
        "i" or "ii", the two cases of the theorem.

    Returns
    -------
    Costs
        The powers.

    Raises
    ------
    InputError
        For another setting, and an output scale that it does not have.

    Notes
    -----
    The flow steps, eps^-2 / T in (i) and Theta(1/M) M in (ii), are both of order 1.

    References
    ----------
    Section 3.3, Theorem 3.

    Examples
    --------
    >>> mf.theory.theorem_3_powers(beta=0.5).width, mf.theory.theorem_3_powers(setting="ii").width
    (2.0, 1.5)
    """
    if setting not in ("i", "ii"):
        raise InputError('`setting` must be "i" or "ii"', repr(setting), "")
    beta = number("beta", beta, 0.0, 1.0, remedy="1 is the mean field, not Theorem 3's.")
    if beta == 1.0 or (setting == "ii" and beta != 0.0):
        rule = "Theorem 3 needs `beta` in [0, 1), and 0 in setting ii"
        raise InputError(rule, f"beta={beta:g} in setting {setting}", "Use beta=0.")
    if setting == "ii":
        return Costs(1.5, 1.0, 2.0, 0.0, -1.5)
    width = 1.0 / (1.0 - beta)
    return Costs(width, 2.0, 4.0, 0.0, (2.0 * beta - 1.0) * width)


def theorem_3(eps: float, beta: float = 0.0, setting: str = "i", T: float | None = None) -> Costs:
    """What `P[Y g(X) <= 0] <= eps` takes by Theorem 3 [7], with constants 1.

    Parameters
    ----------
    eps
        The error rate, in (0, 1).
    beta
        The output scale: in [0, 1) for setting "i", 0 for setting "ii".
    setting
        "i" or "ii", the two cases of the theorem.
    T
        More iterations than the smallest number, in setting "i" only; the flow step is then eps^-2 / T.

    Returns
    -------
    Costs
        Rates: the theorem's Theta and Omega hide constants and logarithms.

    Raises
    ------
    InputError
        For another setting, an output scale that it does not have, and a T below the smallest.

    Notes
    -----
    Assumption 2 is checked by `mf.theory.assumption_2`, its margin (7) by `mf.theory.margin`.

    References
    ----------
    Section 3.3, Theorem 3.

    Examples
    --------
    >>> costs = mf.theory.theorem_3(0.1, beta=0.5)
    >>> round(costs.width), round(costs.iterations), round(costs.samples)
    (100, 100, 10000)
    """
    eps, powers = share("eps", eps), theorem_3_powers(beta, setting)
    costs = Costs(*(eps**-power for power in powers))
    if T is None:
        return costs
    T = number("T", T, above=0.0)
    if setting == "ii" or costs.iterations * (1.0 - _EXACT) > T:
        rule = f"`T` may be chosen in setting i only, from eps^-2 = {eps**-2:g} on"
        raise InputError(rule, f"T={T:g} in setting {setting}", "Leave it out for the smallest.")
    slower = costs.iterations / T
    return costs._replace(iterations=T, step=costs.step * slower, paper_step=costs.paper_step * slower)


def assumption_2(net: Network, x: ArrayLike, y: ArrayLike, law: Law | None = None) -> list[str]:
    """The conditions of Assumption 2 and of Theorem 3's setting, but for the margin (7), that do not hold.

    Parameters
    ----------
    net
        The network.
    x : (n, d)
        Inputs, as the network is given them.
    y : (n,)
        Labels, -1 or 1.
    law
        The initial law `mu0`; checked if given.

    Returns
    -------
    list of str
        Empty if all conditions hold. The margin is checked by `mf.theory.margin`.

    Raises
    ------
    InputError
        For more than one output.

    References
    ----------
    Section 3.3, Assumption 2.

    Examples
    --------
    >>> mf.theory.assumption_2(mf.Network("tanh", beta=0.5), np.eye(2), [1.0, -1.0], law=mf.Gaussian(2))
    []
    >>> mf.theory.assumption_2(mf.Network("tanh"), np.eye(2), [1.0, -1.0])
    ['the output scale must have beta in [0, 1): 1 is the mean field']
    """
    row, largest = net.activation, float(np.linalg.norm(net.inputs(x), axis=1).max())
    one_output("Assumption 2", net.outputs, width("y", y))
    labels = vector("y", y, len(net.inputs(x)))
    known = law is None or isinstance(law, Gaussian | Sphere | Ball | Uniform | Atoms)
    checks = [
        (row.assumption_2, f"{row.name} lacks |sigma'| <= K1 or |sigma''| <= K2"),
        (largest <= 1.0 + _EXACT, f"|x| <= 1 fails: {largest:g} (a bias counts)"),
        (bool((np.abs(labels) == 1.0).all()), "labels must be -1 or 1"),
        (net.beta < 1.0, "the output scale must have beta in [0, 1): 1 is the mean field"),
        (known, f"mu0 must be sub-Gaussian, which is not known of {law!r}"),
    ]
    return [message for good, message in checks if not good]
