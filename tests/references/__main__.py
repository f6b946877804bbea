"""Make the files anew: all, or those named."""

import importlib
import sys

import numpy as np

from references import NAMES, file_of

for name in sys.argv[1:] or NAMES:
    np.savez_compressed(file_of(name), **importlib.import_module(f"references.{name}").computed())
    print("wrote", file_of(name))
