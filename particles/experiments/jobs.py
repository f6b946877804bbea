"""What the tasks of a cluster are sent: a run each, and once what the runs share, so that no task reads the others'."""

from typing import Any

from particles.errors import ParticlesError
from particles.experiments import build
from particles.experiments.plan import Case
from particles.experiments.spec import ConfigSpec, KnownData, Shared

_SENT_BYTES = 2**28  # of configurations' data in a message to the tasks


def split(todo: list[Case]) -> tuple[KnownData, list[Case]]:
    """What runs have in common, and the runs without it, one a job."""
    objects: list[Any] = []
    places: dict[int, Shared] = {}

    def share(value: Any) -> Shared:
        if id(value) not in places:
            places[id(value)] = Shared(len(objects))
            objects.append(value)
        return places[id(value)]

    jobs = [
        case if isinstance(case.spec, ConfigSpec) else case._replace(spec=case.spec.replaced(share)) for case in todo
    ]
    return _data_of(todo) | dict(enumerate(objects)), jobs


def _data_of(todo: list[Case]) -> KnownData:
    """The data of configurations, as far as they fit in one message; more is read where it is needed."""
    known: KnownData = {}
    for spec, identity in ((case.spec, case.identity) for case in todo):
        if not isinstance(spec, ConfigSpec):
            continue  # its samples are among the objects
        config = spec.config
        if build.data_key(config) not in known:
            try:
                data = build.data(config.data, spec.folder, identity)
            except ParticlesError:
                continue  # the run itself says what is wrong
            if sum(part.x.nbytes for pair in (*known.values(), data) for part in pair if part) > _SENT_BYTES:
                break
            known[build.data_key(config)] = data
    return known
