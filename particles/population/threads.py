"""The threads of a shard."""

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from particles.errors import InputError


class Threads:
    """`count` threads, all begun: those of a one-sample sweep wait for each other, so none may be missing."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool = _begun(count) if count > 1 else None

    def close(self) -> None:
        """End them."""
        if self._pool:
            self._pool.shutdown()

    def share(self, work: Callable[[int, int], int | None], total: int, threads: int | None = None) -> int:
        """Run work(first, last) on equal runs of 0 .. total, a thread each; the sum of what it returns."""
        threads = threads or self.count
        if threads == 1 or not self._pool:
            return work(0, total) or 0
        edges = [total * j // threads for j in range(threads + 1)]
        jobs = [self._pool.submit(work, *pair) for pair in itertools.pairwise(edges)]
        return sum(job.result() or 0 for job in jobs)


def _begun(threads: int) -> ThreadPoolExecutor:
    """A pool whose threads have all begun."""
    pool, together = ThreadPoolExecutor(threads), threading.Barrier(threads)
    try:
        for job in [pool.submit(together.wait) for _ in range(threads)]:
            job.result()
    except RuntimeError as error:
        together.abort()
        pool.shutdown()
        raise InputError(
            "`threads` must be as many as the system starts", f"{threads} ({error})", "Lower it."
        ) from error
    return pool
