"""Figures and movies."""

import lazy_loader

# `mf.plot` is loaded on first use: it draws.
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, ["plot"])
