"""All particles of a saved state as one HDF5 dataset, by reference to the files that hold them; xarray opens it."""

import secrets
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from particles.files.atomic import clear_parts, remove
from particles.population.population import Population
from particles.population.shard import Shard
from particles.storage.netcdf_writer import put_dimension, put_view
from particles.storage.particle_files import Segment, checked_seen, write_segments


class ParticleFormat(NamedTuple):
    """What the files of a run hold: dim, float type, whether an average; the weight where all are equal, else NaN.

    outputs: how many output weights a particle has.
    """

    dim: int
    dtype: str
    averaged: bool
    weight: float
    outputs: int


def format_of(shard: Shard) -> ParticleFormat:
    weight = float(shard.cloud.w[0, 0]) if shard.equal_weights else np.nan
    return ParticleFormat(shard.cloud.d, shard.dtype, bool(shard.mean_b.size), weight, shard.outputs)


class StoredMeasure(NamedTuple):
    """A measure in files of one folder, each written by the process that holds its particles."""

    folder: Path
    format: ParticleFormat
    atoms: int
    segments: list[Segment]


def store_measure(population: Population, folder: Path, name: str) -> StoredMeasure:
    """Have the shards write their particles into a folder, in place of the files of a run of that name."""
    clear_parts(folder, f"last-{name}-*")
    stem = f"last-{name}-{secrets.token_hex(3)}"
    written = [segment for parts in population.each(write_segments, folder, stem) for segment in parts]
    checked_seen(folder, written)
    for path in folder.glob(f"last-{name}-*.h5"):
        if not path.name.startswith(stem):
            remove(path)
    return StoredMeasure(folder, population.each(format_of)[0], population.count, written)


def create_virtual(group: h5py.Group, about: ParticleFormat, count: int, files: dict[Segment, str]) -> None:
    """position, sign, weight (and averaged_*) of all particles, by reference; a file that is missing reads as NaN."""
    names = ["position", "sign", *(["averaged_position", "averaged_sign"] if about.averaged else [])]
    sizes = {"atom": count, "dim": about.dim} | ({"output": about.outputs} if about.outputs > 1 else {})
    for name, size in sizes.items():
        put_dimension(group, name, size)
    for name in [*names, *(["weight"] if np.isnan(about.weight) else [])]:
        own = "dim" if name.endswith("position") else "output" if name.endswith("sign") else ""
        rest = {dim: size for dim, size in sizes.items() if dim == own}
        parts = [
            (file, (slice(part.first, part.last),), (part.last - part.first, *rest.values()))
            for part, file in files.items()
        ]
        put_view(group, name, {"atom": count} | rest, parts, "float64" if name == "weight" else about.dtype)
    if not np.isnan(about.weight):  # one number for all, never written
        equal = group.create_dataset("weight", (count,), "float64", chunks=(min(count, 2**16),), fillvalue=about.weight)
        equal.dims[0].attach_scale(group["atom"])
