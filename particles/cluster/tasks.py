"""Independent tasks on a Ray cluster: bounded in flight, so that neither queue nor results pile up."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from particles.cluster.connection import nodes, short
from particles.errors import ClusterError

T = TypeVar("T")
RETRIES = 3  # of a task whose process or machine went away


def run_tasks(
    ray: Any, work: Callable[[Any, Any], T], shared: Any, jobs: Sequence[Any], spare: int = 2
) -> Iterator[tuple[int, T]]:
    """(number of the job, what work(shared, job) returned), as they end; the first job begins first.

    shared: sent once. spare: jobs handed out beyond the cores, so that none waits for the next. What `work` raises is
    raised here; ClusterError if a job's process was lost again and again.
    """
    sent = ray.put(shared)
    task = ray.remote(num_cpus=1, max_retries=RETRIES)(_call)
    room = sum(node.cpus for node in nodes(ray)) + spare
    waiting: dict[Any, int] = {}
    following = iter(enumerate(jobs))
    try:
        while True:
            for number, job in following:
                waiting[task.remote(work, sent, job)] = number
                if len(waiting) >= room:
                    break
            if not waiting:
                return
            for ref in ray.wait(list(waiting), num_returns=1)[0]:
                yield waiting.pop(ref), _result(ray, ref)
    finally:
        for ref in waiting:
            ray.cancel(ref, force=True)


def _call(work: Callable[[Any, Any], T], shared: Any, job: Any) -> T:
    return work(shared, job)


def _result(ray: Any, ref: Any) -> Any:
    try:
        return ray.get(ref)
    except ray.exceptions.RayTaskError as error:
        raise (error.cause if isinstance(error.cause, Exception) else error) from None
    except ray.exceptions.RayError as error:
        raise ClusterError(
            f"a task was lost {RETRIES + 1} times: {short(error)}. Look at the machines' memory."
        ) from error
