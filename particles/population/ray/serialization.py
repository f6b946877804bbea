"""The errors of functions of the user's that Ray cannot send to other processes, or that these cannot import."""

import contextlib
import pickle
from collections.abc import Iterator
from typing import Any

from particles.errors import ClusterError


@contextlib.contextmanager
def sending() -> Iterator[None]:
    """ClusterError in the place of Ray's report on what cannot be sent."""
    try:
        yield
    except (TypeError, pickle.PicklingError) as error:
        cause = error.__cause__ or error
        if cause is error and isinstance(error, TypeError):
            raise
        raise ClusterError(
            f"a function or an object of your own cannot be sent to other processes: {_line(cause)}. "
            "Let its formulas name functions and numbers only."
        ) from cause


def explained(cause: Any) -> Any:
    """The error that a call on another process ended with; a ClusterError where it could not import what was sent."""
    error = getattr(cause, "client_exc", None)  # of Ray's RaySystemError, which it makes of any error there
    if not isinstance(error, ImportError | AttributeError):
        return cause
    return ClusterError(
        f"a function or an object of your own could not be read by a process of the cluster: {_line(error)}. "
        "Put the module where all machines find it (PYTHONPATH), or define it in the script."
    )


def _line(error: BaseException) -> str:
    return str(error).strip().split("\n", 1)[0] or type(error).__name__
