"""A stand-in for `ray job submit|logs|stop` and for ray.job_submission: a job is a folder in $FAKE_SLURM/jobs.

Like Ray's, it runs in a copy of its working directory, and a stop is a SIGTERM to the job and all that it started.
"""

import argparse
import contextlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

FOLDER = Path(os.environ["FAKE_SLURM"], "jobs")


def main(words):
    known = argparse.ArgumentParser(allow_abbrev=False)
    acts = known.add_subparsers(dest="act", required=True)
    submit, logs, stop = map(acts.add_parser, ("submit", "logs", "stop"))
    submit.add_argument("--submission-id", required=True)
    submit.add_argument("--working-dir", required=True)
    submit.add_argument("--runtime-env-json", type=json.loads, required=True)
    submit.add_argument("--no-wait", action="store_true", required=True)
    logs.add_argument("--follow", action="store_true", required=True)
    stop.add_argument("--no-wait", action="store_true", required=True)
    for act in (logs, stop):
        act.add_argument("id")
    end_of_options = words.index("--") if "--" in words else len(words)
    chosen, entrypoint = known.parse_args(words[:end_of_options]), words[end_of_options + 1 :]
    if chosen.act == "submit":
        begin(FOLDER / chosen.submission_id, chosen, shlex.join(entrypoint))
    elif chosen.act == "logs":
        follow(FOLDER / chosen.id)
    else:
        end(FOLDER / chosen.id)


def begin(job, chosen, entrypoint):
    shutil.copytree(chosen.working_dir, job / "copy")
    (job / "address").write_text(os.environ["RAY_ADDRESS"])
    script = '(eval "$1") >../log 2>&1; echo $? >../code.part; mv ../code.part ../code'
    started = subprocess.Popen(
        ["sh", "-c", script, "job", f"exec {entrypoint}"],
        env=os.environ | chosen.runtime_env_json["env_vars"],
        cwd=job / "copy",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    (job / "pid").write_text(str(started.pid))


def follow(job):
    while not (job / "code").exists():
        time.sleep(0.05)
    sys.stdout.write((job / "log").read_text())


def end(job):
    import psutil

    (job / "stopped").touch()
    with contextlib.suppress(psutil.NoSuchProcess):
        for process in psutil.Process(int((job / "pid").read_text())).children(recursive=True):
            process.terminate()


class Status(str):
    def is_terminal(self):
        return self != "RUNNING"


class JobSubmissionClient:
    def get_job_status(self, name):
        if not (FOLDER / name / "code").exists():
            return Status("RUNNING")
        if (FOLDER / name / "stopped").exists():
            return Status("STOPPED")
        return Status("FAILED" if self.get_job_info(name).driver_exit_code else "SUCCEEDED")

    def get_job_info(self, name):
        return SimpleNamespace(driver_exit_code=int((FOLDER / name / "code").read_text()))
