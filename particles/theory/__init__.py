"""What the paper's theories say, computed: the tangent kernel and its limit, spectra, bounds, the margin.

Names are loaded on first use; `__init__.pyi` lists them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
