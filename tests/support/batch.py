"""What starts a study on a cluster, run here: the scripts as they are, against the stand-ins in tests/fake_slurm.

Every process that a job starts has the job's folder as FAKE_SLURM in its environment: by that what it left behind is
found, and ended by its id.
"""

import contextlib
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import psutil

import particles as mf
from support import ROOT

HOME = Path(mf.__file__).parents[1]  # where the package is that is tested
DRIVERS = ROOT / "drivers" / "cluster"
FAKES = ROOT / "tests" / "fake_slurm"
BIN = Path(sys.executable).parent  # not resolved: the environment's own, with its `python` and `ray`
SECONDS = 20.0


class Job:
    """One script that runs here, in a folder of its own."""

    def __init__(self, folder, script, arguments, ray, settings):
        self.folder = folder
        for name in ("slurm", "tmp"):
            (folder / name).mkdir()
        self.number = str(random.randrange(10**6))
        foreign = "RAY_", "SLURM", "PARTICLES"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        job = {
            "FAKE_SLURM": str(folder / "slurm"),
            "PATH": os.pathsep.join(map(str, (FAKES / ray, FAKES / "bin", BIN, os.environ["PATH"]))),
            "PYTHONPATH": os.pathsep.join(map(str, (FAKES / ray, HOME))),
            "PARTICLES": f"python {FAKES / 'study.py'}",
            "SLURM_JOB_ID": self.number,
            "SLURM_JOB_NODELIST": "127.0.0.1,127.0.0.2,127.0.0.3",
            "SLURM_CPUS_PER_TASK": "1",
            "SLURM_SUBMIT_DIR": str(folder),
            "TMPDIR": str(folder / "tmp"),
        }
        self.output = folder / "output"
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                # Where the tests run in the background SIGINT is ignored, and bash can't undo that.
                ["env", "--default-signal=INT", "bash", script, *map(str, arguments)],
                env=kept | job | settings,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def send(self, number):
        self.process.send_signal(number)

    def ended(self, seconds=SECONDS):
        """(exit code, what it said)"""
        return self.process.wait(seconds), self.output.read_text()

    def result(self):
        return json.loads((self.folder / "r" / "result.json").read_text())

    def shared(self):
        """What lies where all nodes see it while the job runs, by name."""
        return {path.name: path for path in self.folder.glob(f"out/.job-{self.number}.*/*")}

    def requeued(self):
        file = self.folder / "slurm" / "requeued"
        return file.read_text().split() if file.exists() else []

    def left(self):
        """The processes of this job that still run."""
        mark, found = str(self.folder / "slurm"), []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("FAKE_SLURM") == mark and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def end(self):
        for process in self.left():
            with contextlib.suppress(psutil.Error):
                process.kill()
        self.process.wait(SECONDS)


def soon(true, seconds=SECONDS):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def soon_alone(job):
    """Nothing of the job runs any more; what does is said."""
    end = time.monotonic() + SECONDS
    while left := job.left():
        assert time.monotonic() < end, f"{left}; the job said: {job.output.read_text()}"
        time.sleep(0.02)
