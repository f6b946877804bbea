"""The run that valid files hold: 8 particles on 4 samples in the plane."""

from pathlib import Path
from typing import Any

import numpy as np

import particles as mf

ANGLES = np.arange(4) * np.pi / 2
X = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)
Y = np.array([1.0, -1.0, 0.5, -0.5])
RECORD = ("loss", "prediction", "position", "output_weight", "weight_moment")


def of_classes() -> mf.Run:
    """A run of three classes with names."""
    data, start = mf.Dataset(X, ["a", "b", "c", "a"]), mf.Gaussian(2).sample(8, seed=0, signs="unit", outputs=3)
    return mf.simulate(
        mf.Network("tanh", outputs=3), start, data, mf.GradientDescent(0.5), steps=4, loss="softmax",
        record=(*RECORD, "accuracy"), engine=mf.Local(1),
    )  # fmt: skip


def simulate(checkpoints: Path | None, stop: int | None, **options: Any) -> mf.Run:
    """The run, from its checkpoints if there are some; stop: the iteration after which it is stopped."""
    return mf.simulate(
        mf.Network("tanh"), mf.Gaussian(2).sample(8, seed=0), mf.Dataset(X, Y), mf.GradientDescent(0.5), steps=4,
        record=RECORD, checkpoints=checkpoints and mf.Checkpoints(checkpoints, 0.0), engine=mf.Local(1),
        progress=lambda iteration, steps: iteration == stop, **options,
    )  # fmt: skip
