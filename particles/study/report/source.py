"""What a report is made from: the file of a run, of a sweep or of a study, read and told apart."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from particles.errors import DamagedError, StorageError
from particles.study.results import open_attributes, open_root, open_tree
from particles.study.summary import FILE, compared_in

if TYPE_CHECKING:
    import xarray

T = TypeVar("T")
RUN, SWEEP, STUDY = "run", "sweep", "study"
_CLAIM = ("claim_text", "claim_equation", "predicted", "measured", "measured_low", "measured_high", "holds")
_COMPARED = ("count", "seed", "exponent", "exponent_low", "exponent_high", "sup_limit_error")
_KEY = r"[0-9a-f]{16}"
_REMEDY = "Give a sweep's folder, out/NAME, its sweep.h5, a run's file, or the NAME.h5 of a study in drivers/."


class Source(NamedTuple):
    """One result. kind: RUN, SWEEP or STUDY; path: its file; root: what was recorded; config: as the file has it.

    setups: of a sweep, the comparisons with the limit by setting; limit: the limit's record; runs: by hash, where each
    is on the sweep's axes, "nodes" 0 for a finite network.
    """

    kind: str
    name: str
    path: Path
    root: "xarray.Dataset"
    config: dict[str, Any]
    setups: "list[tuple[dict[str, Any], xarray.Dataset]]"
    limit: "xarray.Dataset | None"
    runs: dict[str, dict[str, Any]]

    @property
    def attrs(self) -> dict[str, Any]:
        """What the file says of itself."""
        return dict(self.root.attrs)

    @property
    def shown(self) -> str:
        """The file's name with its folder's; the rest of the path is nobody's business."""
        return f"{self.path.absolute().parent.name}/{self.path.name}"


def read(path: Path) -> Source:
    """The result at a path; StorageError that says what to give instead where there is none."""
    path = _in_folder(path) if path.is_dir() else path
    attrs = open_attributes(path)
    if "study" in attrs:
        return _study(path)
    if "config" in attrs and "runs" in attrs:
        return _sweep(path)
    if "config" in attrs and "status" in attrs:
        root = open_root(path)
        return Source(RUN, path.stem, path, root, said(path, root.attrs, "config", dict), [], None, {})
    raise StorageError(f"{path} is no result of this program. {_REMEDY}")


def said(path: Path, attrs: Any, name: str, kind: type[T]) -> T:
    """One of a file's attributes that are JSON; StorageError where it is something else."""
    try:
        value = json.loads(str(attrs[name]))
    except (KeyError, ValueError, RecursionError) as error:
        raise DamagedError(f"{path} is damaged: its attribute {name!r} is missing or no JSON. {_REMEDY}") from error
    if not isinstance(value, kind):
        raise DamagedError(f"{path} is damaged: its attribute {name!r} is no {kind.__name__}. {_REMEDY}")
    return value


def _in_folder(folder: Path) -> Path:
    """A sweep's file in its folder, a study's, or the only one there is."""
    for name in (FILE, f"{folder.absolute().name}.h5"):
        if (folder / name).is_file():
            return folder / name
    alone = list(folder.glob("*.h5"))
    if len(alone) == 1:
        return alone[0]
    if (folder / "runs").is_dir():
        raise StorageError(f"{folder} holds no {FILE}: its sweep has not ended. Run the same command again to go on.")
    raise StorageError(f"{folder} holds no {FILE}. {_REMEDY}")


def _study(path: Path) -> Source:
    root = open_root(path)
    missing = [name for name in _CLAIM if name not in root or root[name].dims != ("claim",)]
    if missing:
        raise StorageError(f"{path} is no study's file: it lacks {', '.join(missing)} over claims. {_REMEDY}")
    settings = said(path, root.attrs, "settings", dict) if "settings" in root.attrs else {}
    return Source(STUDY, str(root.attrs["study"]), path, root, settings, [], None, {})


def _sweep(path: Path) -> Source:
    tree = open_tree(path)
    runs = said(path, tree.attrs, "runs", dict)
    known = all(isinstance(place, dict) and isinstance(place.get("nodes", 0), int) for place in runs.values())
    if not known or not all(re.fullmatch(_KEY, key) for key in runs):  # a key is a file's name: no other folder's
        raise DamagedError(f"{path} is damaged: its attribute 'runs' does not say where runs are. {_REMEDY}")
    setups = []
    for part in compared_in(tree):
        if missing := [name for name in _COMPARED if name not in part.variables]:
            raise DamagedError(f"{path} is damaged: its comparison lacks {', '.join(missing)}. {_REMEDY}")
        setting = said(path, part.attrs, "setting", dict) if "setting" in part.attrs else {}
        setups.append((setting, part))
    limit = tree["limit"].to_dataset() if "limit" in tree.children else None
    config = said(path, tree.attrs, "config", dict)
    name = path.absolute().parent.name if path.name == FILE else path.stem
    return Source(SWEEP, name, path, tree.to_dataset(), config, setups, limit, runs)
