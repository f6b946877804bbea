"""Checkpoints of a run: immutable segment files in a folder, enough to go on to the bits it would have had.

rows-<iteration>.h5 holds what was recorded since the segment before; state-<iteration>.h5 the particles. The rows are
written first, so a state never lacks its rows, and it lists the segments it stands on. The two newest states are kept;
`newest` is the newest that reads back whole (HDF5 checks every chunk against its checksum) and belongs to this
configuration. One run a folder: another's files are left out, but may be written over.
"""

import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from particles.errors import StorageError
from particles.files import clear_parts, write_whole
from particles.observables import Values
from particles.population import State

Row = tuple[int, Values]  # what was recorded at one iteration
_KEPT = 2


class Checkpoints:
    """The checkpoints of one run in one folder. `config_hash` names the run they belong to."""

    def __init__(self, folder: Path, config_hash: str) -> None:
        self.folder, self.config_hash = folder, config_hash
        self.segments: list[int] = []  # the rows that the newest state stands on
        self.states: list[int] = []

    def save(self, iteration: int, state: State, rows: list[Row]) -> None:
        """Keep the rows recorded since the last save, then the state after `iteration` steps."""
        recorded = {f"{at:020d}/{name}": value for at, values in rows for name, value in values.items()}
        self.segments.append(iteration)
        write_whole(self._path("rows", iteration), self._packed(recorded))
        write_whole(self._path("state", iteration), self._packed(state._asdict()))
        self.states.append(iteration)
        while len(self.states) > _KEPT:
            self._path("state", self.states.pop(0)).unlink(missing_ok=True)

    def newest(self) -> tuple[int, State, list[Row]] | None:
        """(iteration, state, rows up to it) of the newest whole checkpoint of this run, or None."""
        clear_parts(self.folder)
        found = sorted(int(path.stem.removeprefix("state-")) for path in self.folder.glob("state-*.h5"))
        for iteration in reversed(found):
            try:
                with self._open("state", iteration) as file:
                    segments = [int(at) for at in file.attrs["segments"]]
                    state = State(*(file[name][()] for name in State._fields))
                rows = [row for at in segments for row in self._read_rows(at)]
            except (OSError, KeyError, RuntimeError) as error:
                warnings.warn(f"checkpoint {self._path('state', iteration)} left out: {error}", stacklevel=2)
                continue
            self.segments = segments
            self.states = [at for at in found if at <= iteration and self._mine(at)]
            return iteration, state, rows
        return None

    def _packed(self, arrays: Mapping[str, NDArray[Any]]) -> memoryview:
        """Arrays by path as an HDF5 file in memory, with checksums where HDF5 can hold them."""
        page = io.BytesIO()
        with h5py.File(page, "w") as file:
            file.attrs["config_hash"] = self.config_hash
            file.attrs["segments"] = np.array(self.segments, dtype=np.int64)
            for name, array in arrays.items():
                file.create_dataset(name, data=array, fletcher32=True if array.ndim and array.size else None)
        return page.getbuffer()

    def _read_rows(self, iteration: int) -> list[Row]:
        with self._open("rows", iteration) as file:
            return [(int(at), {name: item[()] for name, item in group.items()}) for at, group in file.items()]

    def _mine(self, iteration: int) -> bool:
        try:
            self._open("state", iteration).close()
        except (OSError, KeyError, RuntimeError):
            return False
        return True

    def _open(self, kind: str, iteration: int) -> h5py.File:
        file = h5py.File(self._path(kind, iteration), "r")
        if file.attrs.get("config_hash") != self.config_hash:
            file.close()
            raise StorageError("it belongs to another configuration")
        return file

    def _path(self, kind: str, iteration: int) -> Path:
        return self.folder / f"{kind}-{iteration:012d}.h5"
