"""xarray's arrival: datasets get `ds.mf` when xarray is loaded, before this package or after it.

xarray takes half a second to load, `import particles` ten milliseconds; and whoever imports in alphabetical order
imports particles first. So a finder waits for the name "xarray", has it loaded as ever, registers the accessor, and is
gone.
"""

import importlib
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_ACCESSOR = "particles.experiments.accessor"


class _Waiting:
    """A finder on sys.meta_path that finds nothing itself."""

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != "xarray":
            return None
        others = [finder for finder in sys.meta_path if finder is not self]
        spec = next((found for finder in others if (found := finder.find_spec(name, path, target))), None)
        if spec is not None and spec.loader is not None:  # it may be asked for without being loaded then
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                if self in sys.meta_path:
                    sys.meta_path.remove(self)
                importlib.import_module(_ACCESSOR)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def expect() -> None:
    """Register the accessor now if xarray is there, else when it comes."""
    if "xarray" in sys.modules:
        importlib.import_module(_ACCESSOR)
    else:
        sys.meta_path.insert(0, _Waiting())
