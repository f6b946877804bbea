"""The result that a path on the command line names."""

from pathlib import Path
from typing import TYPE_CHECKING

from particles.errors import StorageError

if TYPE_CHECKING:
    import xarray


def result_at(path: Path) -> "tuple[xarray.DataTree, Path]":
    """A result's tree and its file, of a file or of a sweep's folder; of a run without its last measure.

    The last measure may be any number of particles.
    """
    from particles.experiments.summary import FILE

    if path.is_dir():
        if not (path / FILE).is_file():
            raise StorageError(
                f"{path} holds no {FILE}. Give a sweep's folder, out/NAME, or a file under its runs/; "
                "`particles run CONFIG` makes them, and `particles ls FOLDER` lists what is there."
            )
        path = path / FILE
    return _tree(path), path


def _tree(path: Path) -> "xarray.DataTree":
    import xarray

    from particles.experiments.summary import compared_in
    from particles.storage import forms
    from particles.storage.run_file import open_attributes, open_root, open_tree

    attrs = open_attributes(path)
    if "config_hash" not in attrs:
        raise StorageError(f"{path} is no result of this program. Give a file under runs/, a sweep.h5 or its folder.")
    if "status" in attrs:
        return xarray.DataTree(forms.checked_run(path, open_root(path)))
    tree = open_tree(path)
    forms.checked_sweep(path, tree.to_dataset())
    for part in compared_in(tree):
        forms.checked_comparison(path, part)
    return tree
