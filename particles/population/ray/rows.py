"""The rows that a user added to the package's tables travel with a run, and are compiled where they arrive."""

import pickle
from functools import cache
from typing import Any

from particles.errors import ClusterError
from particles.kernels.compile import registered
from particles.model import activations, losses
from particles.population import observables

# Each with the rows that the package itself has.
TABLES: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = (
    (activations.ACTIVATIONS, activations.OURS),
    (losses.LOSSES, losses.OURS),
    (observables.OBSERVABLES, observables.OURS),
    (observables.INTEGRALS, observables.OUR_INTEGRALS),
)


def packed(ray: Any, activation: str | None = None) -> bytes:
    """The user's rows, formulas by value where no other process can import them: one activation's, or all tables'."""
    rows = [{name: row for name, row in table.items() if ours.get(name) is not row} for table, ours in TABLES]
    if activation is not None:
        rows = [{name: row for name, row in rows[0].items() if name == activation}, {}, {}, {}]
    try:
        return bytes(ray.cloudpickle.dumps(rows))
    except (TypeError, AttributeError, pickle.PicklingError) as error:
        names = ", ".join(name for table in rows for name in table)
        raise ClusterError(
            f"a row of your own cannot be sent to other processes ({names}): {_line(error)}. "
            "Let its formulas name functions and numbers only."
        ) from error


@cache
def adopt(message: bytes) -> None:
    """Put the rows of `packed` into this process's tables, once: each new function is compiled anew."""
    try:
        rows = pickle.loads(message)
    except (ImportError, AttributeError) as error:
        raise ClusterError(
            f"a row of your own could not be read by a process of the cluster: {_line(error)}. Put the module where "
            "all machines find it (PYTHONPATH), or define the row in the script."
        ) from error
    for (table, _), mine in zip(TABLES, rows, strict=True):
        table.update(mine)
    for name, row in rows[0].items():
        formulas = {part: registered(getattr(row, part)) for part in ("sigma", "derivative", "pair")}
        activations.ACTIVATIONS[name] = row._replace(**formulas)


def _line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0] or type(error).__name__
