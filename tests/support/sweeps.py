"""Small sweeps run in this process, and all that their files say."""

import threading

import h5py
import numpy as np

from particles.experiments.sweep import run_sweep
from support.configs import planned

DIVERGING = ("steps=40", 'network.train=["input", "output"]', "method.step=[0.1, 30.0]")
# References to other places of the file, and what happened to a run, which changes no number.
HIDDEN = {"REFERENCE_LIST", "DIMENSION_LIST", "events"}


class Silent:
    """A monitor that says nothing; `stop_at`: the iteration after which it asks the sweep to stop."""

    def __init__(self, stop_at=None):
        self.stop_at, self.stop = stop_at, threading.Event()

    def begin(self, cases, todo): ...

    def step(self, case, iteration, steps):
        if iteration == self.stop_at:
            self.stop.set()

    def end(self, outcome): ...


def swept(out, *settings, folder=None, threads=2, checkpoint_seconds=30.0, stop_at=None):
    """Run the small configuration with these settings into `out`: the plan and its outcomes by key."""
    monitor, made = Silent(stop_at), planned(*settings, folder=folder or out)
    outcomes = run_sweep(made, out, monitor, threads, checkpoint_seconds, monitor.stop)
    assert sorted(outcome.case.key for outcome in outcomes) == sorted(case.key for case in made.tasks)
    return made, {outcome.case.key: outcome for outcome in outcomes}


def statuses(outcomes):
    return sorted(outcome.status for outcome in outcomes.values())


def contents(path):
    """All that an HDF5 file says, to the bit: arrays with their types and attributes, by path."""
    found = {}

    def look(name, item):
        found[name] = {key: (str(np.asarray(value).dtype), np.asarray(value).tolist())
                       for key, value in item.attrs.items() if key not in HIDDEN}  # fmt: skip
        if isinstance(item, h5py.Dataset):
            values = np.asarray(item.asstr()[()]).tolist() if item.dtype == object else item[()].tobytes()
            found[name]["="] = (str(item.dtype), item.shape, values)

    with h5py.File(path, "r") as file:
        look("/", file)
        file.visititems(look)
    return found


def all_contents(out):
    """The contents of every result under a folder."""
    return {str(path.relative_to(out)): contents(path) for path in sorted(out.rglob("*.h5"))}
