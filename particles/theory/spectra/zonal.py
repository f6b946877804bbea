"""The limiting tangent kernel of section 3.2 on unit inputs, as a function of the angle between them.

It depends on the angle alone where mu0 is isotropic. In the angle the kernels are smooth on [0, pi], also those with a
square root of 1 - x.x' in them.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from particles.checks import real_array
from particles.errors import InputError
from particles.measures.laws import Law
from particles.measures.measure import Array
from particles.model.network import Network
from particles.theory.one_output import one_output
from particles.theory.tangent.limit_kernel import limit

AngleKernel = Callable[[Array], Array]

_LOOK = 65  # angles at which the error is asked for


class ZonalKernel(NamedTuple):
    """A kernel between unit inputs as a function of their angle; call it with angles.

    Attributes
    ----------
    values : (n,) -> (n,)
        The kernel at angles in [0, pi].
    error
        An estimate of its largest absolute error.
    """

    values: AngleKernel
    error: float

    def __call__(self, angle: Array) -> Array:
        return self.values(angle)


def zonal_kernel(net: Network, law: Law) -> ZonalKernel:
    r"""The limiting tangent kernel between unit inputs as a function of their angle (3.2, flow time).

    Parameters
    ----------
    net
        The network. With a bias the angle is the one between the inputs before the bias is appended.
    law
        The initial law `mu0`: a centred Gaussian, a Sphere or a Ball in two dimensions or more.

    Returns
    -------
    ZonalKernel
        The kernel, (n,) angles in [0, pi] -> (n,), with an estimate of its error.

    Raises
    ------
    InputError
        If a rotation changes the law, and for more than one output.

    Notes
    -----
    The kernel depends on the angle alone because the law is isotropic:

    .. math:: k_\infty(x, x') = x \cdot x' \, E_{b \sim \mu_0}[\sigma'(b \cdot x) \, \sigma'(b \cdot x')]

    It is computed as `mf.tangent.limit` does: by a closed form, or by quadrature with its error.

    References
    ----------
    Section 3.2, `k_inf`.

    Examples
    --------
    >>> angle = mf.theory.spectra.zonal_kernel(mf.Network("relu", beta=0.5), mf.Gaussian(2))
    >>> angle(np.array([0.0, np.pi / 3])).round(4)
    array([0.5   , 0.1667])
    """
    one_output("the zonal kernel", net.outputs)
    d = law.dim - net.bias
    if not law.isotropic or d < 2:
        rule = "a zonal kernel needs an isotropic law on two inputs or more"
        raise InputError(rule, repr(law), "Use a centred Gaussian, a Sphere or a Ball.")
    pole = np.eye(1, d)

    def points(angle: Array) -> Array:
        inputs = np.zeros((len(angle), d))
        inputs[:, 0], inputs[:, 1] = np.cos(angle), np.sin(angle)
        return inputs

    def values(angle: Array) -> Array:
        between = real_array("`angle`", angle)
        gram = limit(net, law, points(between.ravel()), pole).gram
        return np.asarray(gram.reshape(between.shape))

    return ZonalKernel(values, limit(net, law, points(np.linspace(0.0, np.pi, _LOOK)), pole).error)
