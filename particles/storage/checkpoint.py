"""Checkpoints of a run: immutable files in a folder, enough to go on to the bits it would have had.

    particles-<iteration>-<run>-<chance>-<first>.h5   the particles, written by whoever holds them (`particle_files.py`)
    rows-<iteration>-<run>.h5                         what was recorded before, from where the file before it ends
    checkpoint-<iteration>-<run>.h5                   all particles as one virtual dataset, for xarray
    checkpoint-<iteration>-<run>.json                 the manifest, written last: every file, its size and SHA-256

A checkpoint is its manifest; files without one are what a kill left. The newest checkpoint whose files all verify is
the one to go on from, by any number of shards, threads or nodes. One whose files cannot be read now may be whole: it
ends the run with an error and stays. <run> is the hash of the run's configuration: a run reads, writes and removes
files of that name only, so runs of different configurations share a folder. Two of the same exclude each other.
"""

import contextlib
import hashlib
import io
import re
import secrets
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import h5py

from particles.errors import DamagedError, StorageError
from particles.escapes import escaped
from particles.files.atomic import clear_parts, held, make_folder, remove, write_whole
from particles.files.hdf5_file import Hdf5File, opened_bytes
from particles.files.hdf5_member import Member
from particles.files.reading import names_in
from particles.machine import processor
from particles.methods.base import Memory
from particles.population.population import Population
from particles.storage.history import Columns, History
from particles.storage.manifest import Event, Manifest, Page, read_manifest
from particles.storage.particle_files import (
    check_segments,
    checked_seen,
    read_segments,
    verified_bytes,
    write_segments,
)
from particles.storage.virtual_dataset import create_virtual, format_of

_MANIFEST_NAME = re.compile(r"checkpoint-\d{12}-\w+\.json")
_NAME = re.compile(r"(checkpoint|particles|rows)-(\d{12})-([^-.]+)[-.].*")
_MEMORY = "memory"
_KEPT = 2
_SMALL = 2**24  # bytes: larger pages are left as they are, since a new page is made in memory first


class Resumed(NamedTuple):
    """Where a run goes on: after `iteration` steps, with all that happened to it, and what its method knows besides the
    particles.
    """

    iteration: int
    events: list[Event]
    memory: Memory


class CheckpointFolder:
    """The checkpoints of one run in one folder. `config_hash` names the run they belong to.

    keep_every: besides the two newest, every k-th checkpoint stays; 0 keeps no others.
    """

    def __init__(self, folder: Path, config_hash: str, keep_every: int = 0) -> None:
        self.folder, self.config_hash, self.keep_every = folder, config_hash, keep_every
        self._pages: list[Page] = []  # that the newest checkpoint stands on
        self._end = 0  # the iteration up to which they reach
        self._number = 0
        self.left_out: list[str] = []  # what to know of the last resumption, such as checkpoints that were unusable

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes from this run's files meanwhile; BusyError where one has them."""
        make_folder(self.folder)
        message = (
            f"{self.folder} is in use by another run of the same configuration. Wait for its end, or choose another "
            "folder for `checkpoints`."
        )
        with held(self.folder / f".{self.config_hash}.lock", message):
            yield

    def save(
        self, iteration: int, population: Population, history: History, events: list[Event], memory: Memory
    ) -> None:
        """Keep the rows recorded before this iteration, which a resumed run records again, and the state after it."""
        make_folder(self.folder)
        # A shard that was given up for lost may still write: under another name than its successor's.
        stem = f"particles-{iteration:012d}-{self.config_hash}-{secrets.token_hex(3)}"
        segments = [part for parts in population.each(write_segments, self.folder, stem) for part in parts]
        checked_seen(self.folder, segments)
        pages = self._written_rows(iteration, history, memory)
        manifest = Manifest(self.config_hash, iteration, self._number, segments, pages, events, processor().family)
        write_whole(self._path(iteration, "h5"), self._view(manifest, population))
        write_whole(self._path(iteration, "json"), manifest.packed())
        self._pages, self._end, self._number = pages, iteration, self._number + 1
        self._prune(iteration)

    @property
    def begun(self) -> bool:
        """Whether a run of this configuration left files here, whole or not."""
        return self.folder.is_dir() and bool(self._files())

    def resume(self, population: Population, history: History) -> Resumed | None:
        """Put the newest whole checkpoint of this run in place, its rows in `history`; None where there is none.

        Raises StorageError where one cannot be read now: an older one would be taken, and the newer be lost.
        """
        self.left_out.clear()
        self._pages, self._end, self._number = [], 0, 0
        history.clear()
        if not self.folder.is_dir():
            return None
        clear_parts(self.folder, f"*-{self.config_hash}[-.]*")
        for manifest in self._newest_first():
            try:
                memory = self._read_rows(manifest, history)
                population.each(check_segments, self.folder, manifest.segments)
                population.each(read_segments, self.folder, manifest.segments)
            except DamagedError as error:
                self._left_out(self._path(manifest.iteration, "json"), str(error))
                continue
            if manifest.processor not in ("", here := processor().family):
                self._say(
                    f"the run began on the processor {manifest.processor} and goes on on {here}: its bits may differ "
                    "from those of a run on one of them"
                )
            self._pages, self._end, self._number = manifest.pages, manifest.iteration, manifest.number + 1
            return Resumed(manifest.iteration, list(manifest.events), memory)
        history.clear()
        return None

    def _newest_first(self) -> Iterator[Manifest]:
        """Every manifest of this run that reads as one; the others are told."""
        own = self._files()
        done = {iteration for name, (kind, iteration) in own.items() if kind == "checkpoint" and name.endswith(".json")}
        begun = {iteration for kind, iteration in own.values() if kind == "particles"}
        others = 0 if own else sum(map(bool, map(_MANIFEST_NAME.fullmatch, names_in(self.folder))))
        if others:
            self._say(f"checkpoints in {self.folder} left out: all {others} are of other configurations")
        for iteration in sorted(done | begun, reverse=True):
            path = self._path(iteration, "json")
            try:
                yield self._read(path, iteration in done)
            except DamagedError as error:
                self._left_out(path, str(error))

    def _files(self) -> dict[str, tuple[str, int]]:
        """The names of this run's files with their kind and iteration."""
        matches = map(_NAME.fullmatch, names_in(self.folder))
        return {match[0]: (match[1], int(match[2])) for match in matches if match and match[3] == self.config_hash}

    def _read(self, path: Path, done: bool = True) -> Manifest:
        if not done:
            raise DamagedError(f"{path} is missing, so it was not finished")
        manifest = read_manifest(path)
        if manifest.config_hash != self.config_hash:
            raise DamagedError("it belongs to another configuration")
        if self._path(manifest.iteration, "json") != path:
            raise DamagedError("its name is that of another iteration")
        return manifest

    def _left_out(self, path: Path, why: str) -> None:
        self._say(f"checkpoint {path} left out: {why}")

    def _say(self, message: str) -> None:
        message = escaped(message)
        self.left_out.append(message)
        warnings.warn(message, stacklevel=5)

    def _prune(self, iteration: int) -> None:
        """Keep the two newest checkpoints and every k-th; files that belong to none are left by a kill."""
        own, kept, files = self._files(), 0, set[str]()
        for name in sorted((name for name in own if name.endswith(".json")), reverse=True):
            try:
                manifest = self._read(self.folder / name)
            except DamagedError:
                continue
            except StorageError as error:
                warnings.warn(f"no older checkpoint is removed: {error}", stacklevel=5)
                return
            often = self.keep_every and manifest.number % self.keep_every == 0
            # After a fall-back there may be manifests from beyond: the run is no longer there.
            if manifest.iteration > iteration or (kept >= _KEPT and not often):
                continue
            kept += 1
            files |= {name, f"{name.removesuffix('.json')}.h5"}
            files |= {segment.file for segment in manifest.segments} | {page.file for page in manifest.pages}
        for name in own.keys() - files:
            remove(self.folder / name)

    def _written_rows(self, iteration: int, history: History, memory: Memory) -> list[Page]:
        """The pages of a checkpoint, the last one new. It takes in small ones before it with at most twice its rows.

        So there are few of them however many checkpoints, and a row is written again as often as their number doubles.
        """
        pages, first = list(self._pages), self._end
        while pages and first - pages[-1].first <= 2 * (iteration - first) and pages[-1].bytes <= _SMALL:
            first = pages.pop().first
        page = io.BytesIO()
        with h5py.File(page, "w") as file:
            for group, columns in {**history.between(first, iteration), _MEMORY: memory}.items():
                for name, values in columns.items():
                    file.create_dataset(f"{group}/{name}", data=values)
        content, name = page.getbuffer(), f"rows-{iteration:012d}-{self.config_hash}.h5"
        write_whole(self.folder / name, content)
        return [*pages, Page(name, first, len(content), hashlib.sha256(content).hexdigest())]

    def _read_rows(self, manifest: Manifest, history: History) -> Memory:
        """What was recorded before a checkpoint, into `history`; the memory of its method."""
        history.clear()
        memory: Memory = {}
        ends = [page.first for page in manifest.pages[1:]] + [manifest.iteration]
        for page, end in zip(manifest.pages, ends, strict=True):
            content = verified_bytes(self.folder, page.file, page.bytes, page.sha256)
            try:
                with opened_bytes(content) as file:
                    groups = {name: _values(file, group) for name, group in file.members().items()}
            except (OSError, RuntimeError, ValueError) as error:
                raise DamagedError(f"{self.folder / page.file} does not hold what was recorded: {error}") from error
            memory = groups.pop(_MEMORY, {})
            history.put(page.first, end, groups)
        return memory

    def _view(self, manifest: Manifest, population: Population) -> memoryview:
        """All particles as one dataset that stands for the files beside it."""
        about = population.each(format_of)[0]
        page = io.BytesIO()
        with h5py.File(page, "w") as file:
            file.attrs.update({"config_hash": self.config_hash, "iteration": manifest.iteration})
            create_virtual(file, about, population.count, {segment: segment.file for segment in manifest.segments})
        return page.getbuffer()

    def _path(self, iteration: int, ending: str) -> Path:
        return self.folder / f"checkpoint-{iteration:012d}-{self.config_hash}.{ending}"


def _values(file: Hdf5File, group: Member) -> Columns:
    return {name: file.values(item) for name, item in file.members(group).items()}
