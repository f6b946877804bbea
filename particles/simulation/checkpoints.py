"""Where a run keeps the states that it can go on from."""

from dataclasses import dataclass
from pathlib import Path

from particles.checks import number, whole


@dataclass(frozen=True)
class Checkpoints:
    """A folder of checkpoints, and how often one is written.

    Parameters
    ----------
    folder
        Where the states are. A run goes on from a state of its own configuration that is there, with the same bits.
        Runs of different configurations may share a folder; the same run twice at once is refused.
    every
        The shortest time between two checkpoints, in seconds of the clock.
    keep
        Besides the two newest checkpoints each `keep`-th one stays; 0 keeps no others.

    Raises
    ------
    InputError
        For a negative number.

    Examples
    --------
    >>> states = mf.Checkpoints("states", every=60.0)
    >>> net, start = mf.Network("tanh"), mf.Gaussian(2).sample(16, seed=0)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> mf.simulate(net, start, data, mf.GradientDescent(0.5), steps=4, checkpoints=states).status
    'finished'
    """

    folder: str | Path
    every: float = 30.0
    keep: int = 0

    def __post_init__(self) -> None:
        number("every", self.every, 0.0, remedy="Use 0 for a checkpoint at each iteration.")
        whole("keep", self.keep, 0, remedy="Use 0 to keep the two newest only.")


def checkpoints_of(given: Checkpoints | str | Path | None) -> Checkpoints | None:
    """Checkpoints as given; of a folder alone with the defaults, and none where there is no folder."""
    return given if isinstance(given, Checkpoints) else Checkpoints(given) if given else None
