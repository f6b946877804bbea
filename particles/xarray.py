"""`import particles.xarray` registers `ds.mf` on every dataset of xarray, also on files that plain xarray opened.

>>> import particles.xarray
>>> import xarray
>>> xarray.Dataset().mf
ds.mf: no dataset of particles

Whatever hands out a dataset of this package imports it, so `run.dataset.mf` needs no import. `import particles` alone
does not load xarray, which takes half a second.
"""

import importlib
from typing import Any

from xarray import Dataset as Dataset, register_dataset_accessor


def _accessor(data: Dataset) -> Any:
    """The accessor's room is above those that import this module, so it is imported on first use, by its name."""
    return importlib.import_module("particles.experiments.accessor").Accessor(data)


register_dataset_accessor("mf")(_accessor)  # type: ignore[no-untyped-call]
