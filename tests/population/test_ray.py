"""Shards on a Ray cluster of several nodes (loopback): the same bits as on this machine, and nothing left behind."""

import contextlib
import hashlib
import math
import os
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import psutil
import pytest
from support.batch import soon
from support.daily import some

import particles as mf
from particles.errors import ClusterError, LostError
from particles.kernels.compile import inline
from particles.kernels.elementwise import lanewise
from particles.kernels.window import WINDOW
from particles.machine import Processor, processor
from particles.measures.blocks import climb, root, tree_sum
from particles.population.messages import OnlineRun, population_spec
from particles.population.online import ShardSweep, sweep_blocks
from particles.population.ray import population as shards_module, tasks, testing
from particles.population.ray.allocation import spans
from particles.population.ray.connection import connected, reread_authentication
from particles.population.shard import Shard
from particles.simulation import runner

STEPS = 10
PARTICLES = 12 * 256 - 100  # twelve blocks, the last not full
METHODS = {
    "GD": (mf.GradientDescent(0.3), {"regulariser": mf.L2(0.1, about="start")}),
    "GD-both": (mf.GradientDescent(0.3, average=True), {"train": ("input", "output")}),
    "SGD-7": (mf.SGD(0.3, batch=7), {}),
    "SGD-1": (mf.AveragedSGD(0.3, weight_decay=0.1), {}),
    "adaptive": (mf.RungeKutta(0.3, tolerance=1e-6), {}),
    "Langevin": (mf.Langevin(0.3, 0.01, weight_decay=0.1), {}),
    "dual averaging": (mf.DualAveraging(0.3, 0.01, weight_decay=0.1, inner=3), {}),
    "weighing": (mf.FisherRao(0.3), {"beta": 1.0}),
    "classes": (mf.GradientDescent(0.3, average=True), {"train": ("input", "output"), "outputs": 10}),
    "classes-SGD-1": (mf.SGD(0.3), {"outputs": 10}),
    "classes-Langevin": (mf.Langevin(0.3, 0.01, weight_decay=0.1), {"train": ("input", "output"), "outputs": 10}),
    "classes-adaptive": (mf.RungeKutta(0.3, tolerance=1e-6), {"train": ("output",), "outputs": 10}),
    "classes-weighing": (mf.FisherRao(0.3), {"beta": 1.0, "outputs": 10}),
}
RECORD = ("loss", "prediction", "test_loss", "dissipation", "displacement_max", "mean_position", "position")


def run(method, engine=None, dtype="float64", start=None, **settings):
    chance = np.random.default_rng(0)
    data, test = (mf.Dataset(chance.standard_normal((9, 3)), chance.standard_normal(9)) for _ in range(2))
    how, more = METHODS[method]
    outputs = more.get("outputs", 1)
    if outputs > 1:
        data, test = (mf.Dataset(a.x, chance.integers(0, outputs, 9), classes=range(outputs)) for a in (data, test))
    net = mf.Network("tanh", beta=more.get("beta", 0.5), train=more.get("train", ("input",)), outputs=outputs)
    start = start or mf.Gaussian(3).sample(PARTICLES, seed=0, signs="random", lazy=True, outputs=outputs)
    return mf.simulate(
        net, start, data, how, steps=STEPS, record=RECORD, record_every=4, test=test, engine=engine, dtype=dtype,
        loss="squared" if outputs == 1 else "softmax", regulariser=more.get("regulariser"), **settings,
    )  # fmt: skip


def digest(done):
    """One hash of all that a run leaves behind."""
    arrays = [*done.measure, *(done.average or ()), *(done.dataset[name].values for name in sorted(done.dataset))]
    return hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()


def on(cluster, shards, **settings):
    settings = {"patience": 60.0} | settings  # more shards than cores, and some still compile
    return mf.Ray(shards=shards, threads=1, address=cluster.address, **settings)


# Several processors


@pytest.mark.slow
def test_processors__of_several_families_are_told_and_recorded(three_nodes, monkeypatch):
    """The nodes are this machine; the driver pretends to be another."""
    with connected(three_nodes.address) as ray:
        assert tasks.processors(ray) == [processor()] * 3
        assert mf.Ray(address=three_nodes.address).notice() == ""
    monkeypatch.setattr(shards_module, "processor", lambda: Processor("Another", "other 0"))
    with pytest.warns(UserWarning, match="run on different processors"):
        done = run("GD", on(three_nodes, 2))
    assert [event["iteration"] for event in done.events] == [0] and "1 x Another (other)" in done.events[0]["what"]


# The same bits


@pytest.mark.parametrize(("K", "shards"), [(1, 1), (7, 3), (12, 7), (12, 12), (3907, 2), (1000, 64), (100_000, 3)])
def test_spans__share_all_blocks_out_evenly(K, shards):
    runs = spans(K, shards)
    assert [first for first, _ in runs[1:]] == [last for _, last in runs[:-1]]
    sizes = [last - first for first, last in runs]
    assert (runs[0][0], runs[-1][1], len(runs)) == (0, K, shards) and min(sizes) >= 1
    assert max(sizes) <= 1.01 * K / shards + 1


@pytest.mark.parametrize("K", [1, 2, 3, 7, 12, 13, 64, 100])
@pytest.mark.parametrize("shards", [1, 2, 3, 7])
def test_root__of_any_sharing_out_is_the_tree_sum(K, shards):
    if shards > K:
        shards = K
    parts = np.random.default_rng(K).standard_normal((K, 2))
    branches = [climb(parts[first:last], 0, first, K) for first, last in spans(K, shards)]
    assert root(branches, K).tobytes() == tree_sum(parts).tobytes()
    assert max(len(branch) for branch in branches) <= 2 * max(1, K.bit_length())


@pytest.mark.parametrize("method", some(METHODS, "SGD-1"))
def test_ray__has_the_bits_of_this_machine(method, three_nodes):
    here = digest(run(method, mf.Local(2)))  # first: one process compiles, and the shards find it done
    assert digest(run(method, on(three_nodes, 3))) == here


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_ray__has_one_hash_for_ten_classes_over_threads_and_shards(dtype, three_nodes, tmp_path):
    here = {digest(run("classes", mf.Local(threads), dtype)) for threads in (1, 2, 3)}
    there = {digest(run("classes", on(three_nodes, shards), dtype)) for shards in (1, 2, 3)}
    saved = digest(run("classes", on(three_nodes, 3), dtype, checkpoints=mf.Checkpoints(tmp_path, 0.0)))
    assert len(here | there | {saved}) == 1


BOTH = ("float64", "float32")


@pytest.mark.parametrize(
    ("nodes", "dtypes", "numbers"),
    [
        pytest.param(1, BOTH, (1, 2, 3, 7), marks=pytest.mark.exhaustive),
        pytest.param(3, BOTH, (1, 2, 3, 7), marks=pytest.mark.exhaustive),
    ],
)
def test_ray__has_the_same_bits_on_any_shards_nodes_types_and_checkpoints(nodes, dtypes, numbers, tmp_path):
    with testing.cluster(nodes=nodes, cpus=9 // nodes) as cluster:
        for method in METHODS:
            for dtype in dtypes:
                found = {digest(run(method, mf.Local(threads), dtype)) for threads in (1, 2, 3)}
                for shards in numbers:
                    folder = tmp_path / f"{nodes}-{method}-{dtype}-{shards}"
                    saved = {} if shards == 2 else {"checkpoints": mf.Checkpoints(folder, 0.0)}
                    found.add(digest(run(method, on(cluster, shards), dtype, **saved)))
                assert len(found) == 1, (method, dtype)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["GD", "SGD-1", "Langevin"])
def test_ray__has_the_same_bits_in_single_precision_on_more_shards_with_checkpoints(method, three_nodes, tmp_path):
    here = digest(run(method, mf.Local(2), "float32"))
    assert digest(run(method, on(three_nodes, 7), "float32", checkpoints=mf.Checkpoints(tmp_path, 0.0))) == here


@pytest.mark.slow
def test_ray__takes_a_measure_of_the_users(cloud, three_nodes):
    start = cloud(M=700, equal=False)
    start = start._replace(w=np.arange(1.0, 701.0) / np.arange(1.0, 701.0).sum())
    net, data = mf.Network("erf"), mf.Dataset(np.eye(3), np.ones(3))
    here, there = (
        mf.simulate(net, start, data, mf.GradientDescent(0.1), steps=3, engine=engine)
        for engine in (None, on(three_nodes, 2))
    )
    assert digest(here) == digest(there)


@pytest.mark.slow
def test_ray__has_the_bits_and_files_of_ten_outputs(three_nodes, tmp_path):
    """Of 3 shards, of a run that is stopped on 3 and goes on on 2, and of particles that shards left in files."""
    net, method = mf.Network("tanh", train=("input", "output"), outputs=10), mf.AveragedSGD(0.3, batch=7)
    data = mf.Dataset(np.random.default_rng(0).standard_normal((20, 3)), np.arange(20) % 10, classes=True)
    start = mf.Gaussian(3).sample(900, seed=0, signs="gaussian", outputs=10, lazy=True)

    def go(engine, **settings):
        record = ["loss", "accuracy", "prediction", "output_weight"]
        return mf.simulate(
            net, start, data, method, steps=STEPS, loss="softmax", record=record, engine=engine, **settings
        )

    here = digest(go(mf.Local(2)))
    assert digest(go(on(three_nodes, 3))) == here
    stopped = go(on(three_nodes, 3), checkpoints=mf.Checkpoints(tmp_path / "kept", 0.0), progress=lambda at, _: at == 5)
    assert stopped.status == "stopped"
    assert digest(go(on(three_nodes, 2), checkpoints=mf.Checkpoints(tmp_path / "kept", 0.0))) == here
    left = go(on(three_nodes, 3), final=tmp_path / "last")
    assert digest(mf.open_run(left.save(tmp_path / "run.h5"))) == here


@pytest.mark.slow
def test_ray__takes_a_stream_and_an_activation_a_loss_and_an_observable_of_the_users(three_nodes):
    """Defined here, so no worker could import them."""

    scale = 0.5

    @inline
    def squared(v):
        return v * v

    def cube(v):
        return v * squared(v)

    @inline
    def slope(v):
        return 3.0 * squared(v)

    row = mf.Activation("cube", lanewise(cube), slope, np.inf, np.inf, False)
    share = mf.Reduction(lambda block: np.atleast_1d(block.w @ (block.b[0] > scale)), "sum")
    above = mf.Observable("above", "share of b_1 > scale", "3.4", (), lambda at: at.integral[share][0], (share,))
    stream = mf.Stream(mf.Sphere(2), lambda x: scale * np.sin(x[:, 0]), noise=0.1)
    here, there = (
        mf.simulate(
            mf.Network(row),
            mf.Gaussian(2).sample(600, 0, lazy=True),
            stream,
            mf.SGD(0.01, batch=4),
            steps=5,
            loss=mf.LOSSES["squared"]._replace(name="half", value=lambda z, y: scale * (z - y) ** 2),
            record=["loss", above],
            engine=engine,
        )
        for engine in (None, on(three_nodes, 2))
    )
    assert digest(here) == digest(there)


@pytest.mark.slow
def test_task__makes_an_activation_of_the_users_once_in_a_process(three_nodes):
    net = mf.Network(mf.ACTIVATIONS["tanh"]._replace(name="mine", sigma=lanewise(math.tanh)))
    look = lambda net, job: (os.getpid(), id(net.activation), repr(net))  # noqa: E731
    found = [result for _, result in on(three_nodes, 1).tasks(look, net, range(12))]
    assert {text for *_, text in found} == {repr(net)}
    assert len({(process, number) for process, number, _ in found}) == len({process for process, *_ in found})


@pytest.mark.parametrize("what", some(["a network", "a reduction"], "a network"))
@pytest.mark.parametrize("fault", ["cannot be sent", "cannot be imported"])
def test_object__of_the_users_that_does_not_arrive_is_one_clear_error(what, fault, three_nodes, tmp_path, monkeypatch):
    """Not a shard that is given up for lost, and no report of Ray's."""
    (tmp_path / "only_here.py").write_text("def of(*parts):\n    return parts[0]\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import only_here

    lock = threading.Lock()
    function = only_here.of if fault == "cannot be imported" else lambda *parts: (lock, parts[0])[1]
    message = {
        "cannot be sent": r"cannot be sent to other processes: cannot pickle '_thread.lock' object\. Let its formulas",
        "cannot be imported": r"could not be read by a process of the cluster: No module named 'only_here'\. Put",
    }[fault]
    with pytest.raises(ClusterError, match=message):
        if what == "a reduction":
            sums = mf.Reduction(function, "sum")
            row = mf.Observable("mine", "mine", "", (), lambda at: at.integral[sums][0], (sums,))
            start, data = mf.Gaussian(2).sample(64, 0), mf.Dataset(np.eye(2), np.ones(2))
            mf.simulate(
                mf.Network("tanh"), start, data, mf.GradientDescent(0.1), steps=1, record=row, engine=on(three_nodes, 1)
            )
        else:
            net = mf.Network("tanh")
            object.__setattr__(net, "activation", net.activation._replace(name="mine", value_kernel=function))
            for _, result in on(three_nodes, 1).tasks(lambda net, job: job, net, [0]):
                raise result


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("loss", "outputs"), [("squared", 1), ("logistic", 1), ("squared", 3), ("softmax", 10)])
@pytest.mark.parametrize("T", [1, WINDOW, 2 * WINDOW + 1])
def test_shard_sweep__is_the_sweep_step_by_step(threads, loss, outputs, T, samples):
    data = samples(n=T, d=3, loss="logistic" if loss == "logistic" else "squared")
    y = data.y if outputs == 1 else np.eye(outputs)[np.arange(T) % outputs]
    start = mf.Gaussian(3).sample(1000, seed=1, signs="random", lazy=True, outputs=outputs)
    net = mf.Network("sigmoid", beta=0.5, outputs=outputs)
    make = lambda: Shard(population_spec(net, start, "float64", True, True), threads)  # noqa: E731
    run = OnlineRun(data.x, y, np.full(T, 0.3), loss, mf.L2(0.2, about="start"), 1)
    swept, stepped, found, g = make(), make(), [], None
    expected, finite = sweep_blocks(swept, run)
    sweep = ShardSweep(stepped, run)
    for _ in range(T):
        g = stepped.alpha * root([sweep.sums(g)], stepped.all_blocks)
        found.append(g)
    assert sweep.close(g) == finite
    assert np.array(found).tobytes() == expected.tobytes()
    for mine, theirs in zip(stepped.state(), swept.state(), strict=True):
        assert mine.tobytes() == theirs.tobytes()
    swept.close(), stepped.close()


# Stops and faults


@pytest.mark.parametrize("then", some([2, None]))
def test_resume__goes_on_with_other_shards_or_none(then, three_nodes, tmp_path):
    stop = {"checkpoints": tmp_path, "progress": lambda iteration, steps: iteration == 6}
    stopped = run("GD", on(three_nodes, 3), **stop)
    assert stopped.status == "stopped" and len(list(tmp_path.glob("particles-*.h5"))) == 3
    engine = on(three_nodes, then) if then else mf.Local(2)
    again = run("GD", engine, checkpoints=tmp_path)
    assert again.events == [{"iteration": 6, "what": "went on from the checkpoint"}]
    assert digest(again) == digest(run("GD"))


@pytest.mark.slow
def test_interrupt__ends_a_run_on_shards_between_iterations(three_nodes, tmp_path):
    """Ctrl-C from outside, most likely while the shards' answers are awaited."""

    def go(steps, engine=None, **settings):
        data = mf.Dataset(np.eye(3), np.arange(3.0))
        start = mf.Gaussian(3).sample(PARTICLES, seed=0, lazy=True)
        return mf.simulate(mf.Network("tanh"), start, data, mf.GradientDescent(0.01), steps=steps, record="loss",
                           record_every=10**6, engine=engine, **settings)  # fmt: skip

    press = Once(3, threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start)
    stopped = go(10**6, on(three_nodes, 3), progress=press, checkpoints=mf.Checkpoints(tmp_path, 1e9))
    assert stopped.status == "stopped"
    soon(lambda: testing.actors() == [])  # Ray ends a process after it has answered that it will
    (state,) = tmp_path.glob("checkpoint-*.json")
    assert (stopped.measure.b == go(int(state.name.split("-")[1])).measure.b).all()


class Once:
    """Something done once, after an iteration."""

    def __init__(self, at, act):
        self.at, self.act = at, act

    def __call__(self, iteration, steps):
        if iteration == self.at:
            self.at = None
            self.act()


FAULTS = {
    "actor": (lambda cluster, stack: testing.actors()[0].kill(), "a shard was lost: ActorDied"),
    "node": (lambda cluster, stack: cluster.remove(1), "a shard was lost"),
    "frozen": (lambda cluster, stack: stack.enter_context(cluster.frozen(2)), "shows no pulse"),
}


SLOW, OTHERS = [("node", True), ("frozen", True)], [("actor", False), ("node", False)]


@pytest.mark.parametrize(
    ("kind", "saved"),
    [
        ("actor", True),
        *(pytest.param(*case, marks=pytest.mark.slow) for case in SLOW),
        *(pytest.param(*case, marks=pytest.mark.exhaustive) for case in OTHERS),
    ],
)
def test_fault__costs_time_and_not_a_bit(kind, saved, three_nodes, tmp_path):
    hurt, told = FAULTS[kind]
    method = {"actor": "dual averaging", "node": "weighing", "frozen": "SGD-7"}[kind]  # memory, weights, batches
    patience = 60.0 if kind == "actor" else 2.0  # on a busy machine a pulse may be 2 s late, and be told first
    undisturbed = digest(run(method))
    with contextlib.ExitStack() as stack, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        done = run(
            method,
            on(three_nodes, 3, patience=patience),
            checkpoints=mf.Checkpoints(tmp_path, 0.0) if saved else None,
            progress=Once(7, lambda: hurt(three_nodes, stack)),
        )
    three_nodes.mend()
    assert digest(done) == undisturbed
    assert told in done.events[0]["what"] and done.events[0]["iteration"] == 7
    assert any(told in str(warning.message) for warning in caught)
    # The fault may have come while the checkpoint of iteration 7 was being written.
    wanted = ("went on from the checkpoint", (6, 7)) if saved else ("began anew", (0,))
    assert done.events[-1]["what"] == wanted[0] and done.events[-1]["iteration"] in wanted[1]


@pytest.mark.slow
def test_fault__that_comes_back_again_and_again_ends_the_run(three_nodes, monkeypatch):
    monkeypatch.setattr(runner, "FAULTS", 1)

    def kill(iteration, steps):
        if iteration == 5:
            testing.actors()[0].kill()

    with warnings.catch_warnings(), pytest.raises(ClusterError, match="lost 2 times at iteration 5"):
        warnings.simplefilter("ignore")
        run("GD", on(three_nodes, 2), progress=kill)


@pytest.mark.slow
def test_checkpoint__on_a_full_disk_of_a_shard_is_told(three_nodes, tmp_path):
    import resource

    def fill():
        for actor in testing.actors():
            resource.prlimit(actor.pid, resource.RLIMIT_FSIZE, (4096, 4096))

    with pytest.raises(mf.StorageError, match=r"particles-.* could not be written: File too large. Free some space"):
        run("GD", on(three_nodes, 2), checkpoints=mf.Checkpoints(tmp_path, 0.0), progress=Once(4, fill))
    assert digest(run("GD", on(three_nodes, 2), checkpoints=tmp_path)) == digest(run("GD"))


@pytest.mark.slow
def test_store__that_is_full_is_told():
    x = np.zeros((2**22, 3))
    with (
        testing.cluster(nodes=1, cpus=2, local_fs_capacity_threshold="0.001") as cluster,
        pytest.raises(ClusterError, match=r"no room for the samples.*--object-store-memory"),
    ):
        mf.simulate(mf.Network("tanh"), mf.Gaussian(3).sample(512, 0, lazy=True), mf.Dataset(x, x[:, 0]),
                    mf.GradientDescent(0.1), steps=1, record=(), engine=on(cluster, 2))  # fmt: skip


def test_actor__answers_no_other_epoch_or_number():
    from particles.population.ray.actor import ShardActor

    actor = ShardActor(epoch=2)
    for stamp in ((1, 1), (3, 2), (2, 2), (2, 5)):
        with pytest.raises(LostError, match="out of step"):
            actor.call(stamp, "sum", ("train", False))


@pytest.mark.slow
def test_error__of_a_shard_is_the_error_it_would_be_here(three_nodes):
    laws = mf.Gaussian(3).sample(600, 0, lazy=True)
    net, data = mf.Network("quadratic"), mf.Dataset(np.eye(3), 1e3 * np.ones(3))
    with pytest.raises(mf.DivergedError, match="the run diverged: the loss is") as caught:
        mf.simulate(net, laws, data, mf.GradientDescent(50.0), steps=50, engine=on(three_nodes, 2))
    with pytest.raises(mf.DivergedError) as here:
        mf.simulate(net, laws, data, mf.GradientDescent(50.0), steps=50)
    assert str(caught.value) == str(here.value)
    assert digest(caught.value.run) == digest(here.value.run)


# What is refused


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shards": 0}, "`shards` must be a whole number >= 1: got 0"),
        ({"threads": 1.5}, "`threads` must be a whole number >= 1: got 1.5"),
        ({"patience": 0.0}, "`patience` must be a finite number > 0"),
    ],
)
def test_ray__refuses(settings, message):
    with pytest.raises(mf.InputError, match=message):
        mf.Ray(**settings)


def test_ray__refuses_more_shards_than_blocks():
    with pytest.raises(
        mf.InputError, match="`shards` must not exceed the number of blocks: got shards=64 for 12 blocks"
    ):
        run("GD", mf.Ray(shards=64))


def test_ray__refuses_more_than_the_cluster_has(three_nodes):
    with pytest.raises(mf.InputError, match=r"must fit the cluster's cores: got 12 x 1 for machines of 3, 3, 3 cores"):
        run("GD", on(three_nodes, 12))


def test_ray__refuses_more_threads_than_a_machine_has(three_nodes):
    with pytest.raises(mf.InputError, match=r"must fit the cluster's cores: got 0 x 64 .* Lower `threads`"):
        run("GD", mf.Ray(threads=64, address=three_nodes.address))


def test_ray__says_where_no_cluster_is():
    with pytest.raises(mf.InputError, match=r"`address` must name a running Ray cluster.*got 127.0.0.1:1 "):
        run("GD", mf.Ray(address="127.0.0.1:1"))


# Safe, and nothing left


def test_authentication__is_read_anew_before_each_connection(monkeypatch):
    """Ray reads it when it is imported, here perhaps for an address without tokens."""
    from ray._raylet import AuthenticationMode, get_authentication_mode

    for mode in ("disabled", "token"):
        with monkeypatch.context() as patch:
            patch.setenv("RAY_AUTH_MODE", mode)
            reread_authentication()
            assert get_authentication_mode() == getattr(AuthenticationMode, mode.upper())
    reread_authentication()


def listening():
    """Addresses that processes of this machine's Ray listen at."""
    found = set()
    for process in psutil.process_iter(["name", "cmdline"]):
        if "ray" in " ".join(process.info["cmdline"] or [])[:200]:
            with contextlib.suppress(psutil.Error):
                found |= {at.laddr.ip for at in process.net_connections("tcp") if at.status == psutil.CONN_LISTEN}
    return found


def shared_memory():
    """What there is, without the semaphores of processes of other tests."""
    return {path for path in Path("/dev/shm").iterdir() if not path.name.startswith("sem.mp-")}


def test_private_cluster__is_on_loopback_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    before = {
        "environment": dict(os.environ),
        "processes": psutil.Process().children(recursive=True),
        "memory": shared_memory(),
        "folders": set(Path("/tmp").glob("mf-ray-*")),
        "threads": threading.active_count(),
    }
    with mf.Ray(address="local").held() as machines:
        assert len(machines) == 1
        family = [p for p in psutil.Process().children(recursive=True) if p not in before["processes"]]
        assert any("raylet" in p.name() for p in family) and any("gcs_server" in p.name() for p in family)
        assert listening() and all(ip in ("127.0.0.1", "::1", "::ffff:127.0.0.1") for ip in listening())
        assert os.environ["RAY_AUTH_MODE"] == "token" and len(os.environ["RAY_AUTH_TOKEN"]) == 64
        assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    assert dict(os.environ) == before["environment"]
    assert not psutil.wait_procs(family, timeout=10)[1]
    assert shared_memory() == before["memory"] and set(Path("/tmp").glob("mf-ray-*")) == before["folders"]
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_cluster__asks_for_the_token(three_nodes):
    code = f"import ray; ray.init(address={three_nodes.address!r}); print('in')"
    bare = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
    bare["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=bare, timeout=60)
    assert done.returncode and "in" not in done.stdout.split() and "token" in done.stderr
