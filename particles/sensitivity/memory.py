"""How the memory besides the particles is divided: half for derivatives under way, half for kept states of the run."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from particles.errors import InputError
from particles.machine import free_memory
from particles.simulation.arguments import Prepared


class Wanted(NamedTuple):
    """Which coordinates have a derivative by the start, besides those that train.

    anchor: also the start as what a pull or a displacement refers to. decay: what a weight decay does.
    """

    position: bool = False
    output_weight: bool = False
    anchor: bool = False
    decay: bool = False


class Capacity(NamedTuple):
    """How many functionals go back together, and how many states of the run are kept."""

    functionals: int
    states: int


def capacity(ready: Prepared, stages: int, memory: int, wanted: Wanted) -> Capacity:
    """What fits into `memory` bytes. Of a step of several stages each stage has directions, and the step has two."""
    count, half = ready.spec.start.count, memory // 2
    copies = (1 if stages == 1 else stages + 2) + wanted.anchor
    direction = copies * _bytes(ready, wanted) + 8  # 8 for the derivative by the particle's weight, in float64
    states = half // (count * _bytes(ready, Wanted()))
    return Capacity(max(1, half // (count * direction)), max(2, min(len(ready.problem.sizes) + 1, states)))


def _bytes(ready: Prepared, wanted: Wanted) -> int:
    """Bytes of a particle's coordinates that train or are wanted."""
    net, d = ready.problem.net, int(ready.problem.samples.x.shape[1])
    inputs, outputs = "input" in net.train or wanted.position, "output" in net.train or wanted.output_weight
    return (d * inputs + net.outputs * outputs) * np.dtype(ready.spec.dtype).itemsize


def check_results(ready: Prepared, iterations: Sequence[int], stages: int, wanted: Wanted) -> None:
    """InputError where the results of functionals, which are measured at these iterations, exceed the free memory."""
    spec, problem = ready.spec, ready.problem
    coordinates = 1 + problem.samples.x.shape[1] * wanted.position + problem.net.outputs * wanted.output_weight
    by_particle = 8 * spec.start.count * coordinates * len(iterations)
    slopes = 8 * problem.samples.targets(0).size * stages * sum(iterations)
    if by_particle + slopes > (free := free_memory()):
        rule = "the derivatives of all that is measured must fit into the free memory"
        got = f"{len(iterations)} numbers by {spec.start.count} particles, {(by_particle + slopes) / 2**30:.1f} GiB of "
        remedy = "Measure fewer numbers: a lower `record_every`, fewer test samples; or take fewer particles."
        raise InputError(rule, f"{got}{free / 2**30:.1f} GiB", remedy)
