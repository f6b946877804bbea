"""The journal of a Gram matrix's file: what was asked, then the finished tiles, a line each with its checksum."""

import json
import zlib
from collections.abc import Iterable
from io import FileIO
from pathlib import Path
from typing import Any

from particles.files.atomic import sync
from particles.files.json_text import parsed

Job = tuple[int, int]  # a tile: rows I against columns J of blocks of inputs, I <= J


def read_lines(content: bytes, blocks: int) -> tuple[list[Any], int]:
    """The journal's lines up to the first damaged one, and where that begins."""
    entries: list[Any] = []
    good = 0
    for line in content.splitlines(keepends=True):
        check, _, text = line.partition(b" ")
        if check != b"%08x" % zlib.crc32(text) or not text.endswith(b"\n"):
            break
        try:
            entries.append(_line(text, blocks) if entries else parsed(text, dict[str, Any]))
        except ValueError:
            break
        good += len(line)
    return entries, good


def _line(text: bytes, blocks: int) -> Job:
    """A line that names a tile."""
    row, column = parsed(text, list[int])
    if not 0 <= row <= column < blocks:
        raise ValueError("there is no such tile")
    return row, column


def append_lines(journal: FileIO, items: Iterable[Any]) -> None:
    texts = [json.dumps(item).encode() + b"\n" for item in items]
    journal.write(b"".join(b"%08x %s" % (zlib.crc32(text), text) for text in texts))
    sync(journal.fileno(), Path(journal.name).parent)
