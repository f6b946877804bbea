"""Wide two-layer networks as clouds of particles: finite M, the limit M = infinity, and everything between.

    import particles as mf

Names are loaded on first use, so that importing costs next to nothing; `__init__.pyi` lists them.
"""

import lazy_loader

from particles import arrival

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

arrival.expect()
