"""Tables in Parquet files, read by pyarrow where that is installed."""

import io
from pathlib import Path
from typing import Any

from particles.data.columns import Cells, check_once
from particles.errors import InputError
from particles.files.reading import check_room

_INDEX = "__index_level_"  # how pandas names an index without a name


def cells(content: bytes, path: Path) -> Cells:
    """All columns; a row is counted from 0."""
    file = _opened(content, path)
    names = _names(file, path)
    check_room(str(path), 8 * file.metadata.num_rows * len(names))
    frame = file.read(columns=names).to_pandas(ignore_metadata=True)
    frame.columns = range(len(names))

    def row(number: int) -> tuple[str, list[str]]:
        return f"row {number}", ["" if cell is None else str(cell) for cell in frame.iloc[number].astype(object)]

    return Cells(path, names, frame, row)


def header(content: bytes, path: Path) -> list[str]:
    """The names of the columns."""
    return _names(_opened(content, path), path)


def _names(file: Any, path: Path) -> list[str]:
    names = [name for name in file.schema_arrow.names if not name.startswith(_INDEX)]
    check_once(names, path)
    return names


def _opened(content: bytes, path: Path) -> Any:
    try:
        from pyarrow import parquet
    except ImportError as error:
        remedy = "Run `pip install pyarrow`, or save the table as .csv.gz."
        raise InputError("Parquet files need the package pyarrow", f"{path} without it", remedy) from error
    return parquet.ParquetFile(io.BytesIO(content))
