"""A stand-in for the command `particles`: `run CONFIG [--out DIR] --ray ADDRESS`, connected as it would be.

It leaves DIR/started, and DIR/result.json at the end. CONFIG says what it does: "runs", "fails", "waits" for a signal
or for the file DIR/go.
"""

import argparse
import json
import signal
import sys
import time
from pathlib import Path

import ray

known = argparse.ArgumentParser(allow_abbrev=False)
known.add_argument("command", choices=["run"])
known.add_argument("config")
known.add_argument("--out", type=Path, required=True)
known.add_argument("--ray", required=True)
chosen = known.parse_args()

heard = []
for number in (signal.SIGUSR1, signal.SIGTERM):
    signal.signal(number, lambda number, frame: heard.append(number))
before = {number: signal.getsignal(number) for number in (signal.SIGUSR1, signal.SIGTERM)}
ray.init(address=chosen.ray, log_to_driver=False)
for number, handler in before.items():  # Ray takes SIGTERM
    signal.signal(number, handler)


def nodes():
    return sum(node["Alive"] for node in ray.nodes())


def cores():
    """Proof of work: one task on each core of the cluster, all at once."""
    if not hasattr(ray, "remote"):
        return None
    held = ray.remote(num_cpus=1)(lambda: time.sleep(0.5))
    count = int(ray.cluster_resources()["CPU"])
    began = time.monotonic()
    ray.get([held.remote() for _ in range(count)])
    return count if time.monotonic() - began < 60 else 0


result = {"nodes": nodes(), "cores": cores(), "address": chosen.ray}
chosen.out.mkdir(parents=True, exist_ok=True)
(chosen.out / "started").touch()
if chosen.config == "waits":
    while not heard and not (chosen.out / "go").exists():
        time.sleep(0.02)
if heard:
    time.sleep(0.3)  # a checkpoint takes its time, and needs the nodes
    result |= {"signal": signal.Signals(heard[0]).name, "nodes at the end": nodes()}
(chosen.out / "result.json").write_text(json.dumps(result))
ray.shutdown()
sys.exit(75 if heard else 1 if chosen.config == "fails" else 0)
