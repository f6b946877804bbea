"""A sweep's folder as an engine of xarray, which then keeps what it has read of it.

As an entry point xarray loads this whoever's file it opens, so it imports little.
"""

import glob
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import xarray
from xarray.backends import BackendEntrypoint


class SweepBackend(BackendEntrypoint):
    """`xarray.open_dataset(folder, engine="particles")`: a sweep's folder, as `mf.open_sweep` has it."""

    description = "The folder of a sweep of meanfield-particles, each axis a dimension"
    open_dataset_parameters = ("filename_or_obj", "drop_variables")

    def open_dataset(self, filename_or_obj: Any, *, drop_variables: Iterable[str] | None = None) -> xarray.Dataset:
        """The dataset, with nothing read but coordinates."""
        from particles.experiments.sweep_dataset import opened

        return opened(Path(filename_or_obj).absolute()).drop_vars(drop_variables or (), errors="ignore")

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """Whether it is a folder with runs in it; a Zarr store may have a folder of that name."""
        if not isinstance(filename_or_obj, str | os.PathLike):
            return False
        runs = os.path.join(os.fsdecode(filename_or_obj), "runs")
        return os.path.isdir(runs) and any(glob.iglob(os.path.join(glob.escape(runs), "*.h5")))
