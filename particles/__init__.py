"""Wide two-layer networks as clouds of particles: finite M, the limit M = infinity, and everything between.

    import particles as mf

Names are loaded on first use, so that importing costs next to nothing; `__init__.pyi` lists them.
"""

import lazy_loader

_named, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


# Names of the first release, and where they are now.
_MOVED = {
    "BirthDeath": "mf.FisherRao",
    "load": "mf.datasets.load",
    "open": "mf.open_run",
    "read": "mf.datasets.read",
    "save": "run.save(path)",
}


def __getattr__(name: str) -> object:
    if name in _MOVED:
        raise AttributeError(f"module 'particles' has no attribute {name!r}: it is {_MOVED[name]} now")
    if name != "__version__":
        return _named(name)
    from importlib import metadata  # only who asks for it waits

    return metadata.version("meanfield-particles")
