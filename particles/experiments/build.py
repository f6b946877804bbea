"""A configuration turned into objects, once, at the top; nothing below knows that there was one."""

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from particles.checks import settings_of
from particles.configuration.references import Modules, is_reference, modules_of, resolve
from particles.configuration.schema import Config, DataConfig, TeacherConfig
from particles.configuration.sections import DRAWN_LAWS, LAWS, AtomsFile, Kinds, OwnConfig, built, own_section
from particles.data.data_file import RELATIVE, parsed
from particles.data.dataset import Dataset
from particles.data.datasets import load, teacher
from particles.data.scaling import refuse_marks
from particles.errors import InputError, ParticlesError, StorageError
from particles.files.npz_file import NpzFile
from particles.files.reading import check_room, content_of, digest_of, size_of
from particles.measures.laws import Atoms, Law, Sphere
from particles.measures.measure import check_dim
from particles.methods.base import Method
from particles.methods.registry import METHODS
from particles.model.losses import loss
from particles.model.network import Network
from particles.model.regularisers import REGULARISERS, Regulariser
from particles.population.observables import Observable, observable
from particles.population.targets import check_recorded, check_targets
from particles.simulation.record import Record

if TYPE_CHECKING:
    from particles.experiments.plan import Case


class Parts(NamedTuple):
    """The objects of one run, but for its start."""

    net: Network
    law: Law
    train: Dataset
    test: Dataset | None
    method: Method
    regulariser: Regulariser | None


Data = tuple[Dataset, Dataset | None]  # samples to train on and to test with
Identity = dict[str, Any]  # what decides a run's numbers, as plain values


def parts(config: Config, folder: Path, identity: Identity, known: Data | None = None) -> Parts:
    """The objects that a configuration describes, of files whose hashes are those in its identity; known: its data."""
    train, test = known or data(config.data, folder, identity)
    net = config.network.network(named(config.network.activation, identity), train.outputs)
    if net.outputs > 1 and config.start.signs == "positive" and "output" not in net.train:
        rule, remedy = "`start.signs` must tell several outputs apart", 'Use "random", "unit" or "gaussian".'
        raise InputError(rule, '"positive", which is the default', remedy)
    joint = train.outputs if config.start.signs == "joint" else 0
    law = _built(config.law, LAWS, identity, dim=train.x.shape[1] + net.bias + joint)
    if isinstance(law, AtomsFile):
        law = _atoms(folder / law.file, identity["law"].get("sha256", ""), law.dim)
    return Parts(net, law, train, test, method_of(config, identity), regulariser_of(config))


def named(name: str, identity: Identity) -> Any:
    """What a configuration names: the name itself, of a row of the package, or the user's object."""
    return resolve(name, identity.get("modules", {})) if is_reference(name) else name


def records(config: Config, identity: Identity) -> list[Record]:
    """What is recorded at each cadence."""
    return [
        Record([named(name, identity) for name in record.variables], record.every, record.positions)
        for record in config.records
    ]


def rows(config: Config, identity: Identity) -> list[Observable]:
    """Every quantity that is recorded."""
    return [observable(named(name, identity)) for record in config.records for name in record.variables]


def _own(part: Any, kinds: Kinds, modules: Modules) -> tuple[Any, Kinds]:
    """A section and its classes; where it names a class of the user's own, as that one's settings have it."""
    if not isinstance(part, OwnConfig):
        return part, kinds
    kind = resolve(part.name, modules)
    return own_section(part.name, kind).model_validate(part.model_dump()), {part.name: kind}


def _built(part: Any, kinds: Kinds, identity: Identity, **more: Any) -> Any:
    return built(*_own(part, kinds, identity.get("modules", {})), **more)


@lru_cache(maxsize=8)
def _data(text: str, folder: Path, sha256: str, modules: tuple[tuple[str, str], ...]) -> Data:
    config = DataConfig.model_validate_json(text)
    if config.file is not None:
        path = folder / config.file
        whole = parsed(_verified(path, sha256), path, config.choice(), config.labels)
        for scale, name, values in ((config.scale, "x", whole.x), (config.target_scale, "y", whole.y[:, None])):
            if scale == "standard":  # before the split, so that rows are the file's
                refuse_marks(name, values)
    elif config.teacher is not None:
        whole = _taught(config, config.teacher, dict(modules))
    else:
        whole = load(str(config.name), **config.options())
    train, test = whole.split(config.test, config.split_seed) if config.test is not None else (whole, None)
    train = train.scaled(config.scale, config.target_scale)
    return train, test.scaled_like(train) if test else None


def _taught(config: DataConfig, taught: TeacherConfig, modules: Modules) -> Dataset:
    """The samples of the set `teacher`."""
    dim = config.dim or 1
    activation = named(taught.activation, {"modules": modules})
    net = Network(activation, taught.beta, taught.bias, outputs=taught.outputs or 1)
    law = built(taught.law, DRAWN_LAWS, dim=dim + taught.bias)
    inputs = built(config.inputs, DRAWN_LAWS, dim=dim) if config.inputs else Sphere(dim)
    options = {key: value for key, value in config.options().items() if key != "dim"}
    return teacher(net, law, inputs, taught.count, signs=taught.signs, **options)


def data_key(config: Config) -> str:
    """What tells the data of a sweep's runs apart."""
    return config.data.model_dump_json()


def data(config: DataConfig, folder: Path, identity: Identity) -> Data:
    """The samples (train, test); the runs of a sweep share one copy."""
    modules = tuple(identity.get("modules", {}).items()) if config.teacher else ()
    return _data(config.model_dump_json(), folder, identity["data"].get("sha256", ""), modules)


def identity(config: Config, folder: Path, hashes: dict[Path, str], modules: Modules) -> Identity:
    """What decides a run's numbers, as plain values: the configuration without its name; files and modules by contents.

    hashes: those of the files that were read before, so that all runs of a sweep have one; others are added.
    """
    plain = config.model_dump(exclude={"name", "limit"}, exclude_none=True)
    plain["network"].pop("outputs", None)  # as many as the data have, or a fault
    if own := modules_of(plain, modules):
        plain["modules"] = own
    for name, kinds in (("law", LAWS), ("method", METHODS)):
        if isinstance(part := getattr(config, name), OwnConfig):  # 1 and 1.0 are one number
            plain[name] = _own(part, kinds, own)[0].model_dump(exclude_unset=True)
    if config.method.name in METHODS:  # another method's options decide nothing
        known = ("name", *settings_of(cast(Any, METHODS[config.method.name])))
        plain["method"] = {key: value for key, value in plain["method"].items() if key in known}
    for section in ("data", "law"):
        if (name := plain[section].get("file")) is not None:
            path = folder / name
            if path not in hashes:
                check_room(str(path), size_of(path) or 0)  # it is read later, and 2^40 bytes take hours to hash
                hashes[path] = digest_of(path, RELATIVE)
            plain[section]["sha256"] = hashes[path]
    return plain


def _verified(path: Path, sha256: str) -> bytes:
    """A file's bytes, if they are still those of the run's identity."""
    content = content_of(path, RELATIVE)
    actual = hashlib.sha256(content).hexdigest()
    if actual != sha256:
        raise StorageError(
            f"{path} was changed after its run was named: its SHA-256 is {actual}, the run's is {sha256}. "
            "Put the old file back, or run the configuration again: it then makes new runs of the new file."
        )
    return content


@lru_cache(maxsize=8)
def _atoms(path: Path, sha256: str, dim: int) -> Atoms:
    """The atoms of a file; the runs of a sweep share one copy."""
    content = _verified(path, sha256)
    try:
        arrays = NpzFile(content)
        law = Atoms(arrays["points"], arrays.get("weights"))
    except ParticlesError:
        raise
    except Exception as error:  # whatever a damaged archive brings
        raise StorageError(f"{path} cannot be read as atoms: {error}. Save an NPZ with `points` (k, dim).") from error
    check_dim(law.dim, dim)
    return law


def method_of(config: Config, identity: Identity) -> Method:
    """How the particles move."""
    return cast(Method, _built(config.method, METHODS, identity))


def regulariser_of(config: Config) -> Regulariser | None:
    """The run's own penalty, beside the method's."""
    return cast(Regulariser, built(config.regulariser, REGULARISERS)) if config.regulariser else None


def check_all(cases: "Iterable[Case]", folder: Path) -> None:
    """Make every different set of objects once: what is wrong with data or law is said before any run begins."""
    seen, several = set(), set()
    for case in cases:
        config = case.config
        start = {"count", "seed"}
        text = config.model_dump_json(exclude={"limit": True, "steps": True, "method": True, "start": start})
        if text in seen:
            continue
        seen.add(text)
        objects = parts(config, folder, case.identity)
        y, y_test = objects.train.y, objects.test.y if objects.test is not None else objects.train.y[:0]
        check_targets(objects.net, loss(named(config.loss, case.identity)), y)
        check_recorded(objects.net, rows(config, case.identity), y, y_test)
        several.add(objects.net.outputs > 1)
    if len(several) > 1:  # predictions of one output have no dimension `output`
        rule = "networks of one sweep must all have one output, or all several"
        raise InputError(rule, "both", "Make two sweeps of them.")
