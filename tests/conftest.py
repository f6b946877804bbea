"""Small problems and clouds that many tests share."""

import contextlib
import os
import shutil
import signal
import tempfile
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: tests run side by side, and BLAS's threads spin

import h5py
import hypothesis
import numpy as np
import pytest
from support import batch, compiled, naive, studies
from xdist.scheduler import LoadScopeScheduling

import particles as mf

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # a shell's background jobs do not hear it, nor what they start
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples every time and nothing kept on disk: a failure here is a failure everywhere.
hypothesis.settings.register_profile("same", derandomize=True, deadline=None, database=None, max_examples=50)
hypothesis.settings.load_profile("same")


@pytest.fixture(scope="session", autouse=True)
def unflushed():
    """What tests write need not outlive a power failure: flushes of this process are left out."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        yield


@pytest.fixture(scope="session")
def three_nodes():
    """A Ray cluster on loopback, of three nodes of three cores each, as far as Ray knows; started by the first test."""
    from particles.population.ray import testing

    with testing.cluster(nodes=3, cpus=3) as cluster:
        yield cluster


@pytest.fixture
def samples():
    """A maker of small data sets; the targets are labels where the loss asks for them."""

    def make(n=7, d=3, loss="squared", seed=0):
        random = np.random.default_rng([seed, n, d])
        x, y = random.standard_normal((n, d)), random.standard_normal(n)
        return mf.Dataset(x, np.sign(y) if loss in naive.LABELLED else y)

    return make


@pytest.fixture
def cloud():
    """A maker of random measures: `equal` atoms with signs +-1, or any weights and output weights."""

    def make(M=5, d=3, equal=True, seed=0):
        random = np.random.default_rng([seed, M, d])
        b = random.standard_normal((M, d))
        s = random.choice([-1.0, 1.0], M)
        w = np.full(M, 1.0 / M)
        if not equal:
            s, w = random.standard_normal(M), random.random(M) + 0.1
        return mf.Measure(b, s, w / w.sum())

    return make


@pytest.fixture
def submit():
    """Starts a batch script against stand-ins; what it left is ended after the test."""
    jobs = []

    def start(*arguments, script=batch.DRIVERS / "slurm.sbatch", ray="quick", **settings):
        # Short, for Ray's sockets; and not under pytest's own folder, which is deep.
        folder = Path(tempfile.mkdtemp(prefix="mf", dir="/tmp"))
        jobs.append(batch.Job(folder, script, arguments, ray, settings))
        return jobs[-1]

    yield start
    for job in jobs:
        job.end()
        shutil.rmtree(job.folder)


@pytest.fixture
def commons():
    """A folder where everybody may put files, as in /tmp: sticky."""
    folder = Path(tempfile.mkdtemp(prefix="mf-commons-", dir="/tmp"))
    folder.chmod(0o1777)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def unreadable():
    """A maker of contexts in which HDF5 meets an error of the system where it opens one of the `chosen` files."""

    @contextlib.contextmanager
    def make(number, chosen):
        real = h5py.h5f.open

        def opened(name, *arguments, **options):
            if chosen(Path(os.fsdecode(name)).absolute()):
                raise OSError(number, os.strerror(number))
            return real(name, *arguments, **options)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(h5py.h5f, "open", opened)
            yield

    return make


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium, with the extra [browser]; CHROMIUM names another program than Debian's."""
    from playwright.sync_api import sync_playwright

    program = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=CHROMIUM)
        yield chromium
        chromium.close()


CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync"]  # fmt: skip


def pytest_addoption(parser):
    parser.addoption(
        "--changed", action="store_true", help="of the studies, those that changed since they were recorded"
    )
    parser.addoption("--record", action="store_true", help="record in tests/studies.json which studies passed")


def pytest_configure(config):
    """Where all tests are run by several workers: compile first what many of them use."""
    whole = config.args_source == pytest.Config.ArgsSource.TESTPATHS and not config.option.collectonly
    if whole and config.option.numprocesses and not hasattr(config, "workerinput"):
        compiled.warm(config.option.numprocesses)


class Files(LoadScopeScheduling):
    """A file's tests in one process: what they compile and share is made once. Files that start Ray are in turn.

    xdist's own groups do nothing with pytest 9.2 (xdist 3.8 writes a test's group where pytest no longer looks).
    """

    def _split_scope(self, nodeid):
        file = Path(nodeid.split("::")[0]).stem
        if file == "test_studies":
            return nodeid
        return "cluster" if file in CLUSTER else file


# Some of their tests look at what a cluster leaves behind.
CLUSTER = {
    "test_batch",
    "test_batch_head",
    "test_neighbours",
    "test_pages",
    "test_ray",
    "test_ray_sweep",
    "test_scale",
    "test_shards_of_derivatives",
    "test_tiles",
}


def pytest_xdist_make_scheduler(config, log):
    return Files(config, log)


def pytest_collection_modifyitems(config, items):
    """Leave out the studies that passed with the driver, the settings and the theory that are here."""
    if not config.getoption("--changed"):
        return
    known = studies.recorded()
    named = {item: item.callspec.params["study"] for item in items if item.get_closest_marker("study")}
    same = {item for item, name in named.items() if known.get(name) == studies.fingerprint(name)}
    config.hook.pytest_deselected(items=list(same))
    items[:] = [item for item in items if item not in same]


def pytest_runtest_logreport(report):
    name = dict(report.user_properties).get("study")
    if name and report.when == "call" and report.passed:
        _passed.append(name)


def pytest_sessionfinish(session):
    if session.config.getoption("--record") and not hasattr(session.config, "workerinput"):
        studies.record({name: studies.fingerprint(name) for name in _passed})


_passed = []  # the studies of this session, in xdist's controller too
