"""progress=True: one bar where somebody looks on, nothing where nobody does; a callable is called as ever."""

import os
import pty
import re
import subprocess
import sys
import termios

import nbformat
import pytest

import particles as mf

RUN = """
import particles as mf
data = mf.datasets.load("circle", n=32)
run = mf.simulate(mf.Network("tanh"), mf.Gaussian(2).sample(512, seed=0), data, mf.GradientDescent(step=0.1),
                  steps=3000, record="loss", record_every=3000, progress=True)
"""


@pytest.mark.slow
def test_bar__is_silent_where_nobody_looks_on():
    done = subprocess.run([sys.executable, "-W", "error", "-c", RUN], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_bar__on_a_terminal_is_one_line_on_stderr():
    master, terminal = pty.openpty()
    termios.tcsetwinsize(master, (24, 100))  # tqdm shows nothing in a terminal of no size
    words = [sys.executable, "-c", RUN + "print(run.status)"]
    env = os.environ | {"TERM": "xterm"}
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=terminal, text=True, env=env) as process:
        os.close(terminal)
        shown = b""
        while True:
            try:
                part = os.read(master, 4096)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            shown += part
        assert process.stdout.read() == "finished\n"
    os.close(master)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    last = text.rstrip().rpartition("\r")[2]
    assert text.count("\n") == 1 and last.startswith("iteration: 100%") and "3000/3000" in last


@pytest.mark.filterwarnings("default")  # of Jupyter's own parts
@pytest.mark.slow
def test_bar__in_a_notebook_is_one_output_that_stays():
    from nbclient import NotebookClient

    stop = RUN.replace("progress=True", "progress=lambda iteration, steps: iteration == 3")
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in (RUN, stop)])
    NotebookClient(book, timeout=120, coalesce_streams=True).execute()
    (output,) = book.cells[0].outputs
    assert (output.output_type, output.name) == ("stream", "stderr")
    assert "3000/3000" in output.text.rpartition("\r")[2]
    assert book.cells[1].outputs == []


def test_progress__that_is_false_or_a_callable_is_as_ever(samples, cloud):
    def go(progress):
        return mf.simulate(mf.Network("tanh"), cloud(), samples(), mf.GradientDescent(0.1), steps=5, progress=progress)

    seen = []
    assert go(lambda *at: seen.append(at)).status == go(False).status == "finished"
    assert seen == [(iteration, 5) for iteration in range(6)]
    assert go(lambda iteration, steps: iteration == 2).status == "stopped"
