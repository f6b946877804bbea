"""What a run recorded, made by hand."""

import numpy as np
import xarray


def record(predictions, times=None):
    """What a run recorded, predictions (T, n)."""
    predictions = np.asarray(predictions, dtype=float)
    times = np.arange(len(predictions)) if times is None else times
    return xarray.Dataset({"prediction": (("time", "sample"), predictions)}, coords={"time": times})
