"""What a report is made from: the file of a run, of a sweep or of a study, read and told apart."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from particles.errors import StorageError
from particles.experiments.summary import FILE, compared_in
from particles.storage.attributes import attribute
from particles.storage.forms import checked_comparison, checked_run, checked_study, checked_sweep
from particles.storage.run_file import open_attributes, open_root, open_tree

if TYPE_CHECKING:
    import xarray

RUN, SWEEP, STUDY = "run", "sweep", "study"
_REMEDY = "Give a sweep's folder, out/NAME, its sweep.h5, a run's file, or the NAME.h5 of a study in drivers/studies/."


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
        root = checked_run(path, open_root(path))
        return Source(RUN, path.stem, path, root, attribute(path, attrs, "config"), [], None, {})
    raise StorageError(f"{path} is no result of this program. {_REMEDY}")


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
    root = checked_study(path, open_root(path))
    settings = attribute(path, root.attrs, "settings", {})
    return Source(STUDY, attribute(path, root.attrs, "study"), path, root, settings, [], None, {})


def _sweep(path: Path) -> Source:
    tree = open_tree(path)
    root = checked_sweep(path, tree.to_dataset())
    config, runs = (attribute(path, root.attrs, name) for name in ("config", "runs"))
    setups = [
        (attribute(path, part.attrs, "setting", {}), checked_comparison(path, part)) for part in compared_in(tree)
    ]
    limit = tree["limit"].to_dataset() if "limit" in tree.children else None
    name = path.absolute().parent.name if path.name == FILE else path.stem
    return Source(SWEEP, name, path, root, config, setups, limit, runs)
