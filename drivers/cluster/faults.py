"""Nothing is lost: a run on a cluster that meets a fault ends with the bits of an undisturbed one.

Each trial runs one population on a local cluster of several nodes (loopback), meets one fault at a random step, and is
compared by a hash of its last measure and of all that it recorded. Faults: an actor killed, a node removed, a node
frozen, memory short, the driver killed, SIGTERM and SIGUSR1, the disk full, the object store full. After the last five
the run is started again, as a person or a batch system would.

    python drivers/cluster/faults.py [--trials 50] [--only actor node ...] [--seed 0]
"""

import argparse
import contextlib
import hashlib
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np

import particles as mf
from particles.errors import ClusterError, StorageError
from particles.population.ray import testing
from particles.storage.run_file import open_run

STEPS, PARTICLES = 60, 5000
KINDS = ("actor", "node", "frozen", "memory", "driver", "SIGTERM", "SIGUSR1", "disk", "store")
METHODS = {
    "full batch": mf.GradientDescent(0.2),
    "mini-batch": mf.SGD(0.2, batch=5, average=True),
    "one sample": mf.AveragedSGD(0.1, weight_decay=0.1),
}


def last_step(name):
    """From this step on a signal may come too late to stop the run."""
    return 25 if name == "one sample" else STEPS - 8


def problem():
    """A small problem that still has twenty blocks of particles to share."""
    chance = np.random.default_rng(0)
    data = mf.Dataset(chance.standard_normal((40, 3)), chance.standard_normal(40))
    return mf.Network("tanh", beta=0.5), mf.Gaussian(3).sample(PARTICLES, seed=0, lazy=True), data


def run(name, engine=None, folder=None, progress=None, seconds=0.05):
    """One run of a method, with checkpoints in `folder`."""
    net, start, data = problem()
    return mf.simulate(
        net, start, data, METHODS[name], steps=STEPS, record=("loss", "prediction", "displacement_max"), record_every=7,
        engine=engine, checkpoints=mf.Checkpoints(folder, seconds), progress=progress,
    )  # fmt: skip


def digest(done):
    """One hash of all that a run leaves behind."""
    arrays = [
        *done.measure,
        *(done.average or ()),
        *(done.dataset[name].values for name in sorted(done.dataset.data_vars)),
    ]
    return hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()[:16]


class Fault:
    """Something that happens once, at a step; `lasted`: from there, the time until the run was further than ever."""

    def __init__(self, step, act):
        self.step, self.act, self.late, self.lasted = step, act, 0.0, 0.0
        self.happened, self.furthest, self.last = False, -1, 0.0

    def __call__(self, iteration, steps):
        now = time.monotonic()
        if iteration > self.furthest:
            if self.happened:
                self.lasted = max(self.lasted, now - self.last)
            self.furthest, self.last = iteration, now
        if not self.happened and iteration >= self.step:
            self.happened = True
            if self.late:
                threading.Timer(self.late, self.act).start()
            else:
                self.act()
        return False


def trial(kind, name, step, cluster, engine, folder, chance):
    """One fault: (hash of the run, seconds of recovery, what the run tells)."""
    fault = Fault(step, lambda: None)
    if kind == "memory":
        with testing.memory_guarded(room=3 * 2**30) as other:
            fault.act = lambda: testing.fill_memory(5 * 2**30)
            engine = replace(engine, shards=2, address=other.address)
            done = run(name, engine, folder, fault)
        return digest(done), fault.lasted, [event["what"] for event in done.events]
    if kind in ("actor", "node", "frozen"):
        with contextlib.ExitStack() as stack:
            fault.act = {
                "actor": lambda: chance.choice(testing.actors()).kill(),
                "node": lambda: cluster.remove(chance.randrange(2)),
                "frozen": lambda: stack.enter_context(cluster.frozen(chance.randrange(2))),
            }[kind]
            fault.late = 0.0 if kind != "actor" else chance.choice([0.0, 0.003, 0.02])
            done = run(name, engine, folder, fault)
        cluster.mend()
        return digest(done), fault.lasted, [event["what"] for event in done.events]
    began = time.monotonic()
    if kind == "disk":
        fault.act = lambda: [actor_limit(one) for one in testing.actors()]
        try:
            run(name, engine, folder, fault, seconds=0.0)
            raise SystemExit("the full disk was not noticed")
        except StorageError as error:
            message = str(error)
        began = time.monotonic()
        done = run(name, engine, folder)
        return digest(done), time.monotonic() - began, [message]
    if kind == "store":
        message = full_store()
        done = run(name, engine, folder)
        return digest(done), time.monotonic() - began, [message]
    number = {"driver": signal.SIGKILL}.get(kind) or getattr(signal, kind)
    codes, path = [], folder / "run.h5"
    for send in (number, None):
        codes.append(child(name, cluster.address, folder, send, step))
        began = time.monotonic() if send else began
    wanted = -signal.SIGKILL if kind == "driver" else 75
    assert codes == [wanted, 0], codes
    done = open_run(path)
    return digest(done), time.monotonic() - began, [event["what"] for event in done.events]


def actor_limit(process):
    """No file of this process may grow beyond 4 KB: what a full disk is to a writer."""
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (4096, 4096))


def full_store():
    """Samples that neither the object store nor the disk it spills to can take; what is said."""
    net, start, _ = problem()
    large = mf.Dataset(np.zeros((2**22, 3)), np.zeros(2**22))
    # Every disk is fuller than a thousandth, so nothing may be spilled to it.
    with testing.cluster(nodes=1, cpus=2, local_fs_capacity_threshold="0.001") as other:
        try:
            mf.simulate(net, start, large, METHODS["full batch"], steps=1, record=("loss",),
                        engine=mf.Ray(shards=2, address=other.address))  # fmt: skip
        except ClusterError as error:
            return str(error)
    raise SystemExit("the full object store was not noticed")


def child(name, address, folder, send, step):
    """The run in a process of its own, which gets a signal after a step; its exit code."""
    words = [sys.executable, __file__, "--child", name, "--address", address, "--folder", str(folder)]
    words += ["--signalled"] if send is not None else []
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, bufsize=1)
    try:
        for line in process.stdout:
            if send is not None and line.startswith("at ") and int(line.split()[1]) >= step:
                process.send_signal(send)
                send = None
        return process.wait(timeout=300)
    finally:
        process.kill()
        process.wait()


def as_child(name, address, folder, signalled):
    """What the child does: 75 if it was asked to stop, like `particles run`. A signal on its way is waited for: it may
    take longer than so short a run. (A one-sample run stops between windows, here after 32 steps, and not again.)
    """
    last = last_step(name)
    signals = []
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, lambda *_: signals.append(True))

    def progress(iteration, steps):
        print("at", iteration, flush=True)
        end = time.monotonic() + 60.0
        while signalled and iteration > last and not signals and time.monotonic() < end:
            time.sleep(0.01)
        return bool(signals)

    done = run(name, mf.Ray(shards=3, address=address), folder, progress)
    if done.status == "stopped":
        os._exit(75)
    done.save(folder / "run.h5")
    os._exit(0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--only", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--seed", type=int, default=0)
    for word in ("child", "address", "folder"):
        parser.add_argument(f"--{word}", help=argparse.SUPPRESS)
    parser.add_argument("--signalled", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    if chosen.child:
        as_child(chosen.child, chosen.address, Path(chosen.folder), chosen.signalled)
    chance = random.Random(chosen.seed)
    wanted = {name: digest(run(name)) for name in METHODS}
    lost, recoveries = 0, {}
    with testing.cluster(nodes=3, cpus=2) as cluster:
        for number in range(chosen.trials):
            kind = chosen.only[number % len(chosen.only)]
            name = list(METHODS)[(number // len(chosen.only) + number) % len(METHODS)]
            step = chance.randrange(1, last_step(name))
            engine = mf.Ray(shards=3, threads=1, address=cluster.address, patience=3.0)
            with tempfile.TemporaryDirectory() as folder:
                hashed, seconds, messages = trial(kind, name, step, cluster, engine, Path(folder), chance)
            same = hashed == wanted[name]
            lost += not same
            recoveries.setdefault(kind, []).append(seconds)
            print(f"{number + 1:3d} {kind:8s} {name:11s} step {step:2d} {seconds:6.2f} s "
                  f"{'same bits' if same else 'OTHER BITS'}  {json.dumps(messages[:1])[:110]}", flush=True)  # fmt: skip
    print("\nfault     trials  slowest recovery")
    for kind, seconds in recoveries.items():
        print(f"{kind:8s} {len(seconds):7d} {max(seconds):10.1f} s")
    print(f"{chosen.trials - lost} of {chosen.trials} runs have the bits of an undisturbed one")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
