"""A run's linearisation: all that the first variation at any other particles needs, without a sum over them."""

from typing import NamedTuple

import numpy as np

from particles.errors import InputError
from particles.measures.measure import Array, Measure, Source
from particles.population.messages import PopulationSpec, population_spec
from particles.population.population import Engine, Population, engine_for
from particles.sensitivity.adjoint import Adjoint, Changes, Functional
from particles.sensitivity.faults import through_faults
from particles.sensitivity.memory import Wanted, capacity
from particles.sensitivity.reverse import Measured, back
from particles.sensitivity.trajectory import Point, Trajectory
from particles.simulation.arguments import Prepared, check_start


class Linearised(NamedTuple):
    """What is kept of a run forward and back.

    points: of every step, what its stages were computed from. groups: the functionals that went back together, with the
    changes of slopes on their way. means : (J,), of the first variations under the measure at the start; functionals
    are ordered from the latest iteration on.
    """

    ready: Prepared
    engine: Engine
    memory: int
    measured: tuple[Measured, ...]
    points: tuple[tuple[Point, ...], ...]
    groups: tuple[tuple[tuple[Functional, ...], Changes], ...]
    means: Array


def first_variation(of: Linearised, particles: Measure | Source) -> Array:
    """psi at particles: (J, M). With the run's slopes known, each goes forward and back by itself."""
    spec = _spec(of.ready, particles)
    population = engine_for(of.engine, spec.start.count).populate(spec, of.ready.problem.samples)
    try:
        found = through_faults(population, lambda: _back(of, of.ready._replace(spec=spec), population))
    finally:
        population.close()
    return found - of.means[:, None]


def _spec(ready: Prepared, particles: Measure | Source) -> PopulationSpec:
    """The particles on the run's space; InputError where they are not."""
    check_start(particles)
    net, run = ready.problem.net, ready.spec
    spec = population_spec(net, particles, run.dtype, False, run.anchored)
    if spec.start.dim != run.start.dim:
        remedy = f"Draw them from a law on R^{run.start.dim}."
        raise InputError("particles must be on the space of the run's", f"dim={spec.start.dim}", remedy)
    if net.beta < 1.0 and spec.start.count != run.start.count:
        rule = "with beta < 1 other particles must be as many as the run's, since alpha is M^(1 - beta)"
        raise InputError(rule, f"{spec.start.count} for {run.start.count}", "Use beta=1.")
    return spec


def _back(of: Linearised, ready: Prepared, population: Population) -> Array:
    trajectory, none = Trajectory(ready.problem, population, list(of.points)), Wanted()
    states = capacity(ready, trajectory.scheme.stages, of.memory, none).states
    passes = (Adjoint(trajectory, functionals, changes) for functionals, changes in of.groups)
    return np.concatenate([back(trajectory, adjoint, none, states).variation for adjoint in passes])
