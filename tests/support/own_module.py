"""A module of a user's own: an activation, a loss, a law, an observable and a method, for configurations."""

import importlib

TEXT = '''
import math
import pathlib
from dataclasses import dataclass
from typing import Annotated

import numpy as np

import particles as mf
from particles.checks import Setting
from particles.kernels.elementwise import lanewise
from particles.methods.base import Method, Step, Stepper
from particles.population.messages import Update

pathlib.Path(__file__).with_suffix(".imported").touch()


def _swish(v):
    return v / (1.0 + math.exp(-v))


def _swish_slope(v):
    e = 1.0 / (1.0 + math.exp(-v))
    return e * (1.0 + v * (1.0 - e))


swish = mf.Activation("swish", lanewise(_swish), lanewise(_swish_slope), 1.1, 0.5, linear_growth=True)
huber = mf.Loss(
    "clipped",
    value=lambda z, y: np.where(abs(z - y) < 1.0, 0.5 * (z - y) ** 2, abs(z - y) - 0.5),
    slope=lambda z, y: np.clip(z - y, -1.0, 1.0),
    curvature=1.0,
    binary=False,
    bend=lambda slope: np.where(abs(slope) < 1.0, 1.0, 0.0),
)
bent = huber._replace(slope=lambda z, y: 2.0 * np.clip(z - y, -1.0, 1.0))
worst = mf.Observable("worst", "largest error", "section 3", (), lambda at: float(np.abs(at.g - at.y).max()))
plain = mf.SGD


class Signs(Stepper):
    def move(self, iteration, g):
        field = self.problem.field(iteration, g)
        slope = self.method.size * np.sign(field.slope) / len(g)
        return Update(field._replace(slope=slope), float(self.problem.sizes[iteration]))


@dataclass(frozen=True)
class SignDescent(Method):
    """Descent along the signs of the errors."""

    step: Step
    size: Annotated[float, Setting("the slope's absolute value", above=0.0)] = 1.0
    scheme: Annotated[str, Setting("which signs", choices=("all", "few"))] = "all"

    stepper = Signs


@dataclass(frozen=True)
class Corner(mf.Law):
    """The corners of a cube."""

    dim: int
    side: Annotated[float, Setting("half the side", above=0.0, most=4.0)] = 1.0

    def __post_init__(self):
        super().__post_init__()
        if self.dim < 2:
            raise mf.InputError("a corner needs two dimensions", str(self.dim), "")

    def draw(self, random, count):
        return self.from_cube(random.random((count, self.dim)))

    def from_cube(self, u):
        return self.side * np.where(u < 0.5, -1.0, 1.0)


@dataclass(frozen=True)
class Bare(mf.Law):
    """A law whose size no configuration can give."""

    dim: int
    side: float

    draw = Corner.draw
    from_cube = Corner.from_cube
'''


def write(folder, name, text=TEXT):
    """The module as a file NAME.py of this folder, which must be on Python's path."""
    path = folder / f"{name}.py"
    path.write_text(text)
    importlib.invalidate_caches()
    return path
