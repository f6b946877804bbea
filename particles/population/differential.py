"""The derivative of an observable at one time: by the outputs, and by the particles themselves."""

from collections.abc import Callable
from typing import NamedTuple

from particles.measures.measure import Array
from particles.population.messages import BlockView


class Integrand(NamedTuple):
    """The derivative of an integral `int f dmu` on one block: f at its particles, and the gradient of f.

    value : (m,); b : (d, m), s : (m,) or (k, m), 0 where f does not depend on them. start: whether f is a function of
    where particles are less where they began.
    """

    value: Array
    b: Array | float = 0.0
    s: Array | float = 0.0
    start: bool = False


class Differential(NamedTuple):
    """The derivative of an observable at one time, which a pass back through the run begins with.

    Parameters
    ----------
    train : (n,) or (n, k)
        By the outputs at the training samples; None where it does not depend on them.
    test
        The same by those at the test samples.
    particles
        Of an observable that is, to first order, an integral `int f dmu`: from a block of particles, as in
        `mf.Reduction`, to f at them, (m,), its gradient by `b`, (d, m), and by `s`, like `s`, or 0.
    speed
        The factor of the derivative of `int |v|^2 dmu`, v the velocity.
    penalty
        The factor of the derivative of `h(w) / alpha^2`, h the regulariser.
    target : (n,) or (n, k)
        By the targets of the training samples, where they enter otherwise than through the particles.

    Examples
    --------
    >>> worst = mf.Observable("first", "output at the first sample", "section 3", (), lambda at: float(at.g[0]),
    ...                       differential=lambda at, index: mf.Differential(train=np.eye(len(at.g))[0]))
    >>> net, law = mf.Network("tanh"), mf.Gaussian(2)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> ds = mf.sensitivity(net, law.quadrature(256), data, mf.GradientDescent(0.5), steps=4, of=worst)
    >>> ds["first_std"].dims
    ('time',)
    """

    train: Array | None = None
    test: Array | None = None
    particles: Callable[[BlockView], Integrand] | None = None
    speed: float = 0.0
    penalty: float = 0.0
    target: Array | None = None
