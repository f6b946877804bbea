"""The manifest of a checkpoint: what it consists of, as JSON with the hash of its own contents."""

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

from particles.errors import DamagedError, StorageError
from particles.files.json_text import checked, parsed
from particles.files.reading import content_of
from particles.storage.particle_files import Segment

Event = dict[str, Any]  # what happened to a run: iteration, what
FORMAT = 2


class Page(NamedTuple):
    """A file of rows recorded from iteration `first` to that of the next file, and what tells that it is whole."""

    file: str
    first: int
    bytes: int
    sha256: str


class Manifest(NamedTuple):
    """What one checkpoint consists of."""

    config_hash: str
    iteration: int
    number: int  # how many checkpoints of this run were written before it
    segments: list[Segment]
    pages: list[Page]
    events: list[Event]
    processor: str = ""  # the family of the one that wrote it; not of those that held the shards

    def packed(self) -> bytes:
        """The contents of its file."""
        content = {"format": FORMAT, **self._asdict()}
        content["segments"] = [segment._asdict() for segment in self.segments]
        content["pages"] = [page._asdict() for page in self.pages]
        return json.dumps({**content, "sha256": _digest(content)}, indent=1).encode()


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read_manifest(path: Path) -> Manifest:
    """A manifest from its file; DamagedError says what is wrong with it."""
    try:
        content = parsed(content_of(path), dict[str, Any])
        digest = content.pop("sha256")
        if digest != _digest(content):
            raise DamagedError(f"{path} is damaged: its SHA-256 is not what was written")
        if content.pop("format") != FORMAT:
            raise StorageError(f"{path} was written by another version of this program. Go on with that, or remove it.")
        manifest: Manifest = checked(content, Manifest)
        if not manifest.pages:
            raise ValueError("it lists no rows")
        return manifest
    except StorageError:
        raise
    except (ValueError, KeyError) as error:
        raise DamagedError(f"{path} cannot be read as a manifest ({error})") from error
