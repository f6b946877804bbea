"""A configuration turned into objects, once, at the top; nothing below knows that there was one."""

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np

from particles.data import Dataset, checked_labels
from particles.datasets import load, read, scaled, standard_targets
from particles.errors import InputError, StorageError
from particles.laws import Atoms, Law
from particles.losses import loss
from particles.measure import Measure, Source
from particles.methods import Method
from particles.network import Network
from particles.observables import OBSERVABLES
from particles.regularisers import L1, L2, Regulariser
from particles.schedules import InverseSqrt, RobbinsMonro, Schedule
from particles.study.relations import LAW_OPTIONS, LAWS, METHOD_OPTIONS, METHODS
from particles.study.schema import Config, DataConfig, LawConfig, MethodConfig, RegulariserConfig, StepConfig


class Parts(NamedTuple):
    """The objects of one run, but for its start."""

    net: Network
    law: Law
    train: Dataset
    test: Dataset | None
    method: Method
    regulariser: Regulariser | None


Data = tuple[Dataset, Dataset | None]  # samples to train on and to test with


def parts(config: Config, folder: Path, known: Data | None = None) -> Parts:
    """The objects that a configuration describes; its files are looked for from `folder`; known: its data."""
    train, test = known or data(config.data, folder)
    net = Network(config.network.activation, config.network.beta, config.network.bias, tuple(config.network.train))
    law = _law(config.law, train.x.shape[1] + net.bias, folder)
    return Parts(net, law, train, test, _method(config.method), _regulariser(config.regulariser))


@lru_cache(maxsize=8)
def _data(text: str, folder: Path, sha256: str) -> Data:
    config = DataConfig.model_validate_json(text)
    if config.file is not None:
        whole = read(folder / config.file, config.x, config.y, config.positive, config.negative)
    else:
        whole = load(str(config.name), **config.options())
    train, test = whole.split(config.test, config.split_seed) if config.test is not None else (whole, None)
    if config.target_scale is not None:
        train, test = standard_targets(train, test)
    return scaled(train, test, config.scale)


def data_key(config: Config) -> str:
    """What tells the data of a sweep's runs apart."""
    return config.data.model_dump_json()


def data(config: DataConfig, folder: Path) -> Data:
    """The samples (train, test); the runs of a sweep share one copy."""
    return _data(config.model_dump_json(), folder, _file_hash(folder / config.file) if config.file else "")


def identity(config: Config, folder: Path) -> dict[str, Any]:
    """What decides a run's numbers, as plain values: the configuration less its name, files by their contents."""
    plain = config.model_dump(exclude={"name", "limit"}, exclude_none=True)
    takes = METHOD_OPTIONS[config.method.name] | {"name"}  # another method's options decide nothing
    plain["method"] = {key: value for key, value in plain["method"].items() if key in takes}
    for section in ("data", "law"):
        if (name := plain[section].get("file")) is not None:
            plain[section]["sha256"] = _file_hash(folder / name)
    return plain


def _file_hash(path: Path) -> str:
    try:
        status = path.stat()
        return _hash_of(path, status.st_mtime_ns, status.st_size)
    except OSError as error:
        raise StorageError(f"no such data file: {path}. Paths are relative to the configuration's folder.") from error


@lru_cache(maxsize=64)
def _hash_of(path: Path, changed: int, size: int) -> str:
    """A file's hash, computed once for all runs of a sweep as long as the file stays as it is."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _law(config: LawConfig, dim: int, folder: Path) -> Law:
    if config.name == "atoms":
        return _atoms(folder / str(config.file), dim)
    kind: Any = LAWS[config.name]
    return cast(Law, kind(dim=dim, **{key: getattr(config, key) for key in LAW_OPTIONS[config.name]}))


def _atoms(path: Path, dim: int) -> Law:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            law = Atoms(arrays["points"], arrays.get("weights"))
    except (OSError, ValueError, KeyError) as error:
        raise StorageError(f"{path} cannot be read as atoms: {error}. Save an NPZ with `points` (k, dim).") from error
    if law.dim != dim:
        raise InputError("atoms must have the inputs' dimension, a bias counted in", f"{law.dim} for {dim}", "")
    return law


def _method(config: MethodConfig) -> Method:
    values = {key: getattr(config, key) for key in METHOD_OPTIONS[config.name]}
    values |= {key: _schedule(values[key]) for key in ("step", "temperature") if key in values}
    kind: Any = METHODS[config.name]
    return cast(Method, kind(**{key: value for key, value in values.items() if value is not None}))


def _schedule(config: float | StepConfig) -> float | Schedule:
    if isinstance(config, float | int):
        return float(config)
    if config.schedule == "robbins_monro":
        return RobbinsMonro(config.c, config.t0)
    return InverseSqrt(config.c)


def _regulariser(config: RegulariserConfig | None) -> Regulariser | None:
    if config is None:
        return None
    return L1(config.weight) if config.name == "l1" else L2(config.weight, config.about)


def check_all(configs: Iterable[Config], folder: Path) -> None:
    """Make every different set of objects once: what is wrong with data or law is said before any run begins."""
    seen = set()
    for config in configs:
        text = config.model_dump_json(exclude={"start", "limit", "steps", "method"})
        if text in seen:
            continue
        seen.add(text)
        made = parts(config, folder)
        wanted = [OBSERVABLES[name] for name in config.record.variables]
        if loss(config.loss).binary or any(row.binary for row in wanted):
            checked_labels(made.train.y)
        if made.test is not None and any(row.binary and row.test for row in wanted):
            checked_labels(made.test.y)


def start(config: Config, made: Parts, nodes: int | None) -> Measure | Source:
    """The first measure: M particles made where they are needed, or at least `nodes` quadrature atoms."""
    if nodes is None:
        return made.law.particles(config.start.count, config.start.seed, config.start.signs)
    return made.law.quadrature(nodes, config.start.signs, along=made.net.inputs(made.train.x))
