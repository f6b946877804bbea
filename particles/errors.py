"""Errors and what they say: the rule, what was got, the remedy."""

import difflib
from collections.abc import Iterable

from particles.escapes import escaped


class ParticlesError(Exception):
    """The base class of every error that this package raises on purpose.

    Notes
    -----
    Its text may quote names from files. Control characters in it are escaped; each argument is a line.

    Examples
    --------
    >>> try:
    ...     mf.datasets.read("missing.csv")
    ... except mf.ParticlesError as error:
    ...     print(isinstance(error, mf.StorageError))
    True
    """

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(map(escaped, lines)))


class InputError(ParticlesError, ValueError):
    """A value from a user breaks a rule; also a `ValueError`.

    Notes
    -----
    The message is `rule: got value. remedy`.

    Examples
    --------
    >>> mf.Network("tanhh")
    Traceback (most recent call last):
        ...
    particles.errors.InputError: `activation` must be an mf.Activation or the name of one: got 'tanhh'. ...
    """

    def __init__(self, rule: str, got: object, remedy: str) -> None:
        text = got if isinstance(got, str) else repr(got)
        super().__init__(f"{rule}: got {text}. {remedy}".rstrip())
        self.parts = rule, text, remedy

    def __reduce__(self) -> tuple[type["InputError"], tuple[str, str, str]]:
        return type(self), self.parts


class StorageError(ParticlesError, OSError):
    """A file could not be read or written; also an `OSError`.

    Notes
    -----
    What was there before is untouched.

    Examples
    --------
    >>> mf.open_run("missing.h5")
    Traceback (most recent call last):
        ...
    particles.errors.StorageError: no such file: missing.h5. ...
    """


class DamagedError(StorageError):
    """A file that can be read is not what was written: cut, a failed checksum, no HDF5, a part missing.

    Every other StorageError of a read leaves the file's contents open: it may be whole, and is never replaced.
    """


class MissingError(DamagedError):
    """A file that must be there is not."""


class BusyError(StorageError):
    """Another process holds these files. Nothing was changed."""


class DivergedError(ParticlesError, ArithmeticError):
    """A value of a run is no longer finite, or its loss diverges; also an `ArithmeticError`.

    Attributes
    ----------
    run
        The `Run` with what was recorded before.
    iteration
        At which it was seen; None where time has no iterations.
    remedy
        What to do; empty where it is a smaller step.

    Notes
    -----
    The message has the iteration, the likely cause and a step that theory allows.

    Examples
    --------
    >>> net, law = mf.Network("tanh"), mf.Gaussian(2)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> try:
    ...     mf.simulate(net, law.sample(8, seed=0), data, mf.GradientDescent(50.0), steps=999, regulariser=mf.L2(1.0))
    ... except mf.DivergedError as error:
    ...     print(error.run.status, error.run.dataset.sizes["time"] < 1000)
    diverged True
    """

    run: object = None
    iteration: int | None
    remedy: str

    def __init__(self, message: str, iteration: int | None = None, remedy: str = "") -> None:
        super().__init__(message)
        self.iteration, self.remedy = iteration, remedy


class LostError(ParticlesError):
    """A part of the cluster does not answer any more. What was saved is untouched; a run goes on from there."""


class ClusterError(ParticlesError, RuntimeError):
    """The cluster cannot do the work: cores are missing, there is no connection, or faults came again and again.

    Notes
    -----
    Also a `RuntimeError`.
    """


def nearest(name: str, known: Iterable[str]) -> str:
    """A remedy sentence that names the known word closest to `name`, or else all of them."""
    words = sorted(known)
    close = difflib.get_close_matches(name, words, n=1)
    return f"Did you mean {close[0]!r}?" if close else f"Choose one of: {', '.join(words)}."
