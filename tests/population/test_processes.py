"""Tasks in processes of this machine: all results, the end when asked, and a process that is lost."""

import os
import signal
import subprocess
import sys

import psutil
import pytest
from support import ROOT

PROGRAM = """
import os, sys, time
from particles.population.population import Watch
from particles.population.processes import Processes

def double(shared, job, note):
    if job == shared.get("dies"):
        os._exit(9)
    if job == shared.get("raises"):
        raise ValueError("no")
    for iteration in range(shared.get("iterations", 1)):
        if note(iteration):
            return "stopped"
        time.sleep(0.01)
    return 2 * job

def main():
    shared, seen, jobs = eval(sys.argv[1]), [], int(sys.argv[2])
    def stop():
        return "stop_after" in shared and len(seen) > shared["stop_after"]
    def look(number, iteration):
        if iteration:
            seen.append((number, iteration))
            print("begun", flush=True)
    for number, result in Processes(2).tasks(double, shared, range(jobs), Watch(look, stop)):
        print(number, type(result).__name__ if isinstance(result, Exception) else result, flush=True)

if __name__ == "__main__":
    main()
"""


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    return lambda shared, jobs: [sys.executable, str(path), repr(shared), str(jobs)]


def results(command):
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return dict(line.split() for line in done.stdout.splitlines() if line != "begun")


def test_processes__give_the_result_of_every_job(program):
    assert results(program({}, 50)) == {str(job): str(2 * job) for job in range(50)}


def test_processes__give_what_a_job_raised_as_its_result(program):
    assert results(program({"raises": 3}, 5)) == {"0": "0", "1": "2", "2": "4", "3": "ValueError", "4": "8"}


def test_processes__go_on_with_the_other_jobs_where_one_is_lost(program):
    got = results(program({"dies": 0}, 40))
    assert got["0"] == "ClusterError"
    assert set(got) == {str(job) for job in range(40)}
    assert all(result in (str(2 * int(job)), "ClusterError") for job, result in got.items())
    assert sum(result == "ClusterError" for result in got.values()) <= 20  # what was handed out: 4 batches of 5


def test_processes__begin_no_job_once_asked_to_stop(program):
    got = results(program({"iterations": 1000, "stop_after": 0}, 40))
    assert got
    assert set(got.values()) == {"stopped"}
    assert len(got) < 40


def test_processes__end_with_the_one_that_started_them(program):
    started = subprocess.Popen(program({"iterations": 10_000}, 4), cwd=ROOT, stdout=subprocess.PIPE)
    try:
        started.stdout.readline()
        children = psutil.Process(started.pid).children(recursive=True)
        assert len(children) >= 2
        os.kill(started.pid, signal.SIGKILL)
        assert psutil.wait_procs(children, timeout=20)[1] == []
    finally:
        started.kill()
        started.wait()
        started.stdout.close()


HOSTILE = "raise SystemExit('imported from the working folder')"


@pytest.mark.parametrize("name", ["selectors", "struct"])
def test_processes__import_nothing_from_the_working_folder(program, tmp_path, name):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / f"{name}.py").write_text(HOSTILE)
    done = subprocess.run(program({}, 8), cwd=folder, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr, len(done.stdout.splitlines())) == (0, "", 8)


def test_processes__go_on_where_a_signal_reaches_them_as_they_start(program, tmp_path):
    """Ctrl-C goes to all processes of a terminal, also to one that still imports."""
    kills = [f"os.kill(os.getpid(), signal.{name})" for name in ("SIGINT", "SIGTERM", "SIGUSR1")]
    (tmp_path / "struck.py").write_text("\n".join(["import os, signal", *kills]))
    path = tmp_path / "program.py"
    path.write_text(PROGRAM.replace("Processes(2)", "Processes(2, ('struck',))"))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    done = subprocess.run(program({}, 8), env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr, len(done.stdout.splitlines())) == (0, "", 8)


def test_processes__leave_signals_to_the_one_that_started_them(program):
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(program({"iterations": 30}, 8), cwd=ROOT, **options) as parent:
        assert parent.stdout.readline() == "begun\n"
        for child in psutil.Process(parent.pid).children(recursive=True):
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
                child.send_signal(number)
        out, err = parent.communicate(timeout=60)
    assert (parent.returncode, err) == (0, "")
    assert len([line for line in out.splitlines() if line != "begun"]) == 8
