"""What a run recorded: for each cadence a table, for each variable one array, which is the dataset's in the end."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from particles.errors import DamagedError, InputError
from particles.measures.measure import Array
from particles.population.observables import Values

Columns = dict[str, NDArray[Any]]
ITERATION = "iteration"


class Table:
    """Variables with the same iterations. Their arrays are of full length from the first row on, `count` rows filled.

    The system gives memory to the rows that are written, so a run that stops early takes no more than it recorded.
    """

    def __init__(self, iterations: Sequence[int], names: Sequence[str]) -> None:
        self.iterations, self.names, self.count = np.array(iterations, dtype=np.int64), names, 0
        self._columns: dict[str, Array] = {}

    def add(self, iteration: int, values: Values) -> None:
        """The row of this iteration, if it is one of the table's."""
        if self.count < len(self.iterations) and iteration == self.iterations[self.count]:
            for name in self.names:
                self._column(name, values[name].shape)[self.count] = values[name]
            self.count += 1

    def _column(self, name: str, shape: tuple[int, ...]) -> Array:
        """The whole array of a variable, whose values have this shape."""
        if name not in self._columns:
            whole = (len(self.iterations), *shape)
            try:
                self._columns[name] = np.empty(whole)
            except (MemoryError, ValueError) as error:
                raise InputError("what is recorded must fit in memory", f"{name} {whole}", "Record less.") from error
        if (known := self._columns[name].shape[1:]) != shape:
            rule = f"the variable {name!r} must have the same shape at all times"
            raise InputError(rule, f"{shape} after {known}", "Check the observable.")
        return self._columns[name]

    def recorded(self) -> Columns:
        """The rows so far; nothing before the first."""
        return {name: column[: self.count] for name, column in self._columns.items()} if self.count else {}

    def between(self, first: int, last: int) -> Columns:
        """The rows of iterations [first, last), with these; nothing where there are none."""
        rows = self._rows(first, last)
        columns = {name: column[rows] for name, column in self._columns.items()}
        return columns | {ITERATION: self.iterations[rows]} if rows.start < rows.stop else {}

    def put(self, first: int, last: int, columns: Columns) -> None:
        """Rows as `between` gave them, after those before; ValueError where they are others."""
        rows = self._rows(first, last)
        count = rows.stop - rows.start
        if self.count != rows.start or columns.keys() != ({ITERATION, *self.names} if count else set()):
            raise ValueError(f"{count} rows of {sorted(self.names)} are wanted, and it has {sorted(columns)}")
        if count and not np.array_equal(columns[ITERATION], self.iterations[rows]):
            raise ValueError("its rows are of other iterations")
        for name in self.names if count else ():
            if columns[name].shape[:1] != (count,) or columns[name].dtype != np.float64:
                raise ValueError(f"{name!r} is not {count} rows of float64")
            self._column(name, columns[name].shape[1:])[rows] = columns[name]
        self.count = rows.stop

    def _rows(self, first: int, last: int) -> slice:
        return slice(*map(int, np.searchsorted(self.iterations, (first, last))))


class History:
    """All tables of a run, by their time dimension."""

    def __init__(self, tables: Mapping[str, Table]) -> None:
        self.tables = tables

    @property
    def begun(self) -> bool:
        """Whether anything was recorded."""
        return any(table.count for table in self.tables.values())

    def add(self, iteration: int, values: Values) -> None:
        """What was recorded at an iteration; they come in order."""
        for table in self.tables.values():
            table.add(iteration, values)

    def clear(self) -> None:
        """Begin anew."""
        for table in self.tables.values():
            table.count = 0

    def between(self, first: int, last: int) -> dict[str, Columns]:
        """What was recorded at iterations [first, last), by table."""
        parts = {dim: table.between(first, last) for dim, table in self.tables.items()}
        return {dim: columns for dim, columns in parts.items() if columns}

    def put(self, first: int, last: int, parts: Mapping[str, Columns]) -> None:
        """The same back, each stretch after the one before; DamagedError where it is not of this run."""
        try:
            if not parts.keys() <= self.tables.keys():
                raise ValueError(f"it has {sorted(parts)} over {sorted(self.tables)}")
            for dim, table in self.tables.items():
                table.put(first, last, parts.get(dim, {}))
        except ValueError as error:
            raise DamagedError(f"what was recorded from iteration {first} to {last} is not there: {error}") from error
