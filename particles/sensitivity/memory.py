"""How the memory besides the particles is divided: half for derivatives under way, half for kept states of the run."""

from typing import NamedTuple

import numpy as np

from particles.simulation.arguments import Prepared


class Wanted(NamedTuple):
    """Which coordinates have a derivative by the start, besides those that train.

    anchor: also the start as what a pull or a displacement refers to.
    """

    position: bool = False
    output_weight: bool = False
    anchor: bool = False


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
