"""A model of scale: what a step costs here and on a cluster, from a few measured constants.

A step on S shards of P threads, M particles, n samples:

    time = M n c / (S P)  +  meet  +  trip + S shard  +  store + bytes / rate        bytes = 8 n k (S + branches)

c: seconds a particle-sample; trip, shard: Ray's round trip and what each further shard adds to it; bytes: the slope to
every shard, and the branches of the tree of sums back; meet: what handing work to threads costs; store: Ray's object
store, for messages above 95 kB. One-sample iterations have n = 1, their own c, and a round trip each.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from particles.data.batches import Batches
from particles.data.dataset import Dataset, Stream
from particles.kernels.assemble import BLOCK
from particles.measures.blocks import blocks_of, climb
from particles.measures.laws import Gaussian
from particles.methods.base import Method
from particles.model.losses import Loss, loss as loss_row
from particles.model.network import Network
from particles.model.regularisers import L2, NONE, Regulariser
from particles.population.messages import Drift, OnlineRun, Update, population_spec
from particles.population.observables import Observable, needs_start, observable
from particles.population.population import Engine, Local, Population, cores
from particles.population.ray.allocation import spans
from particles.population.ray.engine import Ray
from particles.population.ray.population import INLINE_BYTES
from particles.population.samples import Samples
from particles.simulation.flow import sweeps

_WIDE = 2**14, 2**17  # samples of the probes of traffic: 1/8 and 1 MiB a message
_SECONDS = 0.8  # that a probe takes
_PROBE = 2**14  # particles of a probe: 64 blocks, enough for the cache to be as in a large run's


class Work(NamedTuple):
    """What a run has to do. copies: of the particles, with the start and the average where they are kept.

    outputs: k; particle-samples of a network of k outputs are measured, not counted.
    """

    M: int
    n: int
    d: int
    steps: int
    dtype: str
    copies: int
    one_sample: bool
    outputs: int = 1

    def memory(self, particles: int) -> int:
        """Bytes of so many of the particles."""
        return particles * width_of(self.d, self.outputs) * np.dtype(self.dtype).itemsize * self.copies

    @property
    def message(self) -> int:
        """Bytes of the slope, and of a sum over particles."""
        return 8 * self.n * self.outputs


class Constants(NamedTuple):
    """Measured, in seconds: a particle-sample on one thread, a bare step here, what threads that share it add; Ray's
    round trip, what each shard adds to it, a byte sent, and a message that goes through the object store.
    """

    particle_sample: float
    step: float
    meet: float
    trip: float = 1.2e-3
    shard: float = 0.4e-3
    byte: float = 6e-9
    store: float = 0.0


class Cost(NamedTuple):
    """Seconds of a step: its arithmetic, all of it; bytes that travel a step; bytes of particles a shard."""

    shards: int
    threads: int
    arithmetic: float
    step: float
    traffic: int
    memory: int


def here(work: Work, known: Constants, threads: int) -> Cost:
    """A step on this machine's threads."""
    threads = min(threads, blocks_of(work.M))
    arithmetic = work.M * work.n * known.particle_sample / threads
    step = arithmetic + known.step + (known.meet if threads > 1 else 0.0)
    return Cost(1, threads, arithmetic, step, 0, work.memory(work.M))


def sharded(work: Work, known: Constants, shards: int, threads: int) -> Cost:
    """A step on shards of a cluster."""
    K = blocks_of(work.M)
    runs = spans(K, shards)
    largest = max(last - first for first, last in runs) * BLOCK
    branches = sum(len(climb(np.zeros(last - first), 0, first, K)) for first, last in runs)
    traffic = work.message * (shards + branches)
    arithmetic = min(largest, work.M) * work.n * known.particle_sample / min(threads, -(-largest // BLOCK))
    meet = known.meet if threads > 1 else 0.0
    step = arithmetic + known.step + meet + known.trip + shards * known.shard + traffic * known.byte
    step += known.store if work.message > INLINE_BYTES else 0.0
    return Cost(shards, threads, arithmetic, step, traffic, work.memory(min(largest, work.M)))


def best(work: Work, known: Constants, machines: int, cores: int) -> Cost:
    """The number of shards that takes the shortest time, a shard a machine with all its cores."""
    most = min(machines, blocks_of(work.M))
    tried = sorted({*range(1, min(most, 16) + 1), *(most * part // 16 for part in range(1, 17)), most} - {0})
    return min((sharded(work, known, shards, cores) for shards in tried), key=lambda cost: cost.step)


def work_of(
    net: Network,
    count: int,
    data: Dataset | Stream,
    method: Method,
    rule: Regulariser,
    steps: int,
    dtype: str = "float64",
    record: Iterable[str | Observable] = (),
    loss: str | Loss = "squared",
) -> Work:
    """What a run has to do, from its objects; rule: the regulariser, the method's own or the run's."""
    train = data.holdout() if isinstance(data, Stream) else data
    d = train.x.shape[1] + net.bias
    one = sweeps(net, method, rule, loss_row(loss))
    n, copies = method.batch or len(train), copies_of(method, rule, record)
    return Work(count, n, d, steps * method.stages, dtype, copies, one, net.outputs)


def width_of(d: int, outputs: int) -> int:
    """Numbers a particle, without the output weight of one output, which most networks have as a sign for all."""
    return d + (outputs if outputs > 1 else 0)


def copies_of(method: Method, rule: Regulariser, record: Iterable[str | Observable]) -> int:
    """How many times the particles are in memory: now, at the start, on average, and between a step's stages."""
    return 1 + bool(method.average) + needs_start(map(observable, record), rule) + method.copies


def probed(net: Network, work: Work, engine: Ray | None = None) -> Constants:
    """The constants, measured: half a second here, and some more on the engine's cluster if there is one."""
    n = min(work.n, 1000)
    size = min(work.M, _PROBE)
    whole, bare = (_seconds(Local(1), net, work, count, n) for count in (size, 1))
    particle_sample, team = max(1e-13, (whole - bare) / (size * n)), max(2, cores())
    shared = _seconds(Local(team), net, work, team * BLOCK, 1)
    known = Constants(particle_sample, bare, max(0.0, shared - bare - BLOCK * particle_sample))
    if engine is None:
        return known
    with engine.held() as machines:
        most = min(4, sum(machine.cpus for machine in machines))
        few, many = replace(engine, shards=1, threads=1), replace(engine, shards=most, threads=1)
        small = [_seconds(some, net, work, most * BLOCK, 1 if work.one_sample else 8) for some in (few, many)]
        shard = max(1e-6, (small[1] - small[0]) / (most - 1)) if most > 1 else small[0] / 4
        known = known._replace(trip=max(1e-6, small[0] - shard - bare), shard=shard)
        over, bytes_ = [], []
        for count in _WIDE:
            wide = work._replace(one_sample=False, n=count, M=most * BLOCK)
            cost = sharded(wide, known._replace(byte=0.0, store=0.0), most, 1)
            over.append(_seconds(many, net, wide, wide.M, count) - cost.step)
            bytes_.append(cost.traffic)
        byte = max(1e-11, (over[1] - over[0]) / (bytes_[1] - bytes_[0]))
        return known._replace(byte=byte, store=max(0.0, over[0] - byte * bytes_[0]))


def _seconds(engine: Engine, net: Network, work: Work, count: int, n: int) -> float:
    """The time of a step of a small population on random samples."""
    random = np.random.default_rng(0)
    rows, width = max(n, 64), work.d - net.bias
    x = random.standard_normal((rows, width))
    data = Dataset(x, random.standard_normal(rows if net.outputs == 1 else (rows, net.outputs)))
    samples = Samples(net, Batches(data, 1 if work.one_sample else None, 0), data)
    start = Gaussian(work.d).sample(count, 0, lazy=True, outputs=net.outputs)
    population = engine.populate(population_spec(net, start, work.dtype, work.one_sample, work.one_sample), samples)
    try:
        step = _sweeper(population) if work.one_sample else _stepper(population, samples)
        step()
        times: list[float] = []
        began = time.perf_counter()
        while len(times) < 5 or (time.perf_counter() - began < _SECONDS and len(times) < 400):
            start_of = time.perf_counter()
            share = step()
            times.append((time.perf_counter() - start_of) / share)
        return float(np.quantile(times, 0.25))  # others use the machine as well, and only ever slow it
    finally:
        population.close()


def _stepper(population: Population, samples: Samples) -> Callable[[], int]:
    update: Update | None = None
    squared = loss_row("squared")

    def step() -> int:
        nonlocal update
        g, _ = population.advance(update, "train", keep=True)
        update = Update(Drift("train", squared.slope(g, samples.y) / len(g), NONE), 1e-6)
        return 1

    return step


def _sweeper(population: Population) -> Callable[[], int]:
    at = 0

    def step() -> int:
        nonlocal at
        population.sweep(OnlineRun(at, at + 60, np.full(60, 1e-6), "squared", L2(1e-3, about="start"), at + 1))
        at += 60
        return 60

    return step
