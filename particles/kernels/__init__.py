"""Compiled loops on arrays: the only files that know about Numba."""

import os
import warnings

# Numba cannot be imported where this is 0, and prints a traceback where it is no number; its threads are not used here.
_THREADS = os.environ.get("NUMBA_NUM_THREADS")
if _THREADS is not None and not (_THREADS.strip().isdecimal() and int(_THREADS) > 0):
    del os.environ["NUMBA_NUM_THREADS"]
    if _THREADS:
        warnings.warn(f"NUMBA_NUM_THREADS={_THREADS} is not a whole number above 0, and ignored", stacklevel=2)
