"""A file of the user's own, whose name tells how its samples are read: a table, or arrays by name."""

from pathlib import Path

from particles.data import array_file, columns, parquet_file, table_file
from particles.data.classes import Grouped
from particles.data.columns import Cells, Choice, Samples
from particles.data.dataset import Dataset
from particles.data.labels import is_text
from particles.errors import InputError, StorageError
from particles.files.gzip_bytes import unpacked

TABLES = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet")
KINDS = (*TABLES, ".npz", ".h5", ".hdf5", ".nc")
RELATIVE = "Paths are relative to the configuration's folder."


def checked_kind(path: Path) -> str:
    """The ending of a data file's name, which tells how it is read."""
    kind = next((kind for kind in KINDS if path.name.lower().endswith(kind)), None)
    if kind is None:
        known = f"{', '.join(KINDS[:-1])} or {KINDS[-1]}"
        raise InputError(f"a data file must end in {known}", repr(str(path)), "Save a spreadsheet as CSV.")
    return kind


def parsed(content: bytes, path: Path, choice: Choice, labels: Grouped) -> Dataset:
    """The data set that a file's bytes are; its name tells the kind."""
    labels.check()
    if not labels.there:
        return Dataset(*samples(content, path, choice)[:2])
    if len(choice.targets) > 1:
        raise InputError("classes must be in one column", f"{len(choice.targets)} of targets", "Name one as `y`.")
    return labels.samples(*samples(content, path, choice, text=True)[:2])


def samples(content: bytes, path: Path, choice: Choice, text: bool = False) -> Samples:
    """Inputs and targets as a file has them; text: the targets may be words."""
    try:
        if checked_kind(path) in TABLES:
            return columns.samples(cells(content, path, choice, text), choice, text)
        for name, given in (("x", choice.x or "x"), ("y", choice.y)):
            if not isinstance(given, str):
                raise InputError(
                    f"`{name}` must be one array's name here", str(given), "Lists of columns are for tables."
                )
        if choice.drop or choice.one_hot or choice.missing:
            rule = "`drop`, `one_hot` and `missing` are for tables"
            raise InputError(rule, f"them for {path}", f"Leave them out, or save a table: {', '.join(TABLES)}.")
        x, y = array_file.read(content, path, choice.x, choice.y, text)
        data = Dataset(x, y)
        return Samples(data.x, y if is_text(y) else data.y, 0)
    except (InputError, StorageError):
        raise
    except Exception as error:
        raise StorageError(f"{path} cannot be read: {str(error).splitlines()[0] if str(error) else error!r}") from error


def cells(content: bytes, path: Path, choice: Choice, text: bool) -> Cells:
    """The table that a file's bytes are."""
    if checked_kind(path) == ".parquet":
        return parquet_file.cells(content, path)
    return table_file.cells(plain_text(content, path), path, choice, text)


def header(content: bytes, path: Path) -> list[str]:
    """The names of a table's columns."""
    if checked_kind(path) == ".parquet":
        return parquet_file.header(content, path)
    return table_file.header(plain_text(content, path), path)


def plain_text(content: bytes, path: Path) -> bytes:
    """A table of text as it was before it was packed."""
    return unpacked(content, str(path)) if checked_kind(path).endswith(".gz") else content
