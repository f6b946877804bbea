"""Samples: data sets, streams, batches, scaling, and the files that they are read from."""

import lazy_loader

# `mf.datasets` is loaded on first use: it reads files.
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, ["datasets"])
