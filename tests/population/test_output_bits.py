"""With ten outputs: the same bits for any threads, chunks, recording and kept slopes, and after a kill."""

import hashlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from support.daily import some

import particles as mf
from particles.kernels import panels
from particles.measures import blocks
from particles.population import shard

K, D, N, STEPS = 10, 5, 9, 6
RECORD = ("loss", "prediction", "dissipation", "output_weight")
METHODS = {
    "GD": mf.GradientDescent(0.3, average=True),
    "SGD-1": mf.SGD(0.3),
    "SGD-7": mf.AveragedSGD(0.3, weight_decay=0.1, batch=7),
    "adaptive": mf.RungeKutta(0.3, tolerance=1e-4),
    "Langevin": mf.Langevin(0.3, 0.01, weight_decay=0.1),
    "dual averaging": mf.DualAveraging(0.3, 0.01, weight_decay=0.1, inner=3),
    "weighing": mf.FisherRao(0.3),
}
EACH_METHOD = pytest.mark.parametrize("method", METHODS)
EACH_TYPE = pytest.mark.parametrize("dtype", ["float64", "float32"])


def run(method="GD", count=900, threads=1, name="tanh", outputs=K, **settings):
    chance = np.random.default_rng(0)
    data = mf.Dataset(chance.standard_normal((N, D)), chance.integers(0, outputs, N), classes=range(outputs))
    how = METHODS[method]
    net = mf.Network(name, train="input" if how.weighing else ("input", "output"), outputs=outputs)
    start = mf.Gaussian(D).sample(count, seed=0, signs="gaussian", outputs=outputs)
    settings = {"steps": STEPS, "record": (), "loss": "softmax", "engine": mf.Local(threads), **settings}
    return mf.simulate(net, start, data, how, **settings)


def digest(done):
    """One hash of the particles a run leaves behind."""
    return hashlib.sha256(b"".join(a.tobytes() for a in [*done.measure, *(done.average or ())])).hexdigest()


@EACH_METHOD
@EACH_TYPE
def test_measure__of_several_outputs_has_the_same_bits_on_any_threads_and_for_any_recording(method, dtype):
    others = {digest(run(method, threads=threads, dtype=dtype)) for threads in (1, 2, 3)}
    recorded = [
        run(method, threads=threads, dtype=dtype, record=RECORD, record_every=every)
        for threads, every in ((1, 1), (3, 4))
    ]
    assert others == {digest(done) for done in recorded} and len(others) == 1
    for name in RECORD:
        ends = {done.dataset[name].values[-1].tobytes() for done in recorded}
        assert len(ends) == 1


def test_digest__tells_methods_types_and_outputs_apart():
    """Or else the tests here could not fail."""
    found = [digest(run(method, dtype=dtype)) for method in METHODS for dtype in ("float64", "float32")]
    assert len({*found, digest(run(outputs=9))}) == len(found) + 1


@EACH_TYPE
def test_measure__of_several_outputs_has_the_same_bits_for_any_chunk_of_velocities(dtype, monkeypatch):
    whole = digest(run(dtype=dtype))
    monkeypatch.setattr(shard, "_CHUNK_BYTES", 1)
    assert digest(run(dtype=dtype)) == whole


@pytest.mark.parametrize("method", some(METHODS, "GD", "weighing"))
def test_kept_slopes__of_several_outputs_change_no_bit(method, monkeypatch):
    block, ends, kept = blocks.BLOCK * N * 8 * 2, [], []
    kernels = mf.Network("tanh", outputs=K).kernels("float64", D)

    def sum_groups(*args):
        kept.append(args[9])
        return kernels.sum_groups(*args)

    monkeypatch.setattr(mf.Network, "kernels", lambda *_: kernels._replace(sum_groups=sum_groups))
    for first, room in ((10**6, 0), (1, 0), (1, 2 * block), (1, 100 * block)):
        monkeypatch.setattr(panels, "keep_from", lambda *_, first=first: first)
        monkeypatch.setattr(shard, "_KEEP_BYTES", room)
        ends.append(digest(run(method, record=("dissipation",))))
    assert len(set(ends)) == 1
    assert {0, 4} < set(kept)  # none, some, and all blocks


@EACH_METHOD
def test_resume__of_several_outputs_has_the_bits_of_a_run_without_a_stop(method, tmp_path):
    settings = {"checkpoints": tmp_path, "record": RECORD}
    stopped = run(method, progress=lambda iteration, steps: iteration >= 3, **settings)
    assert stopped.status == "stopped"
    again, whole = run(method, **settings), run(method, record=RECORD)
    assert "went on" in str(again.events) and digest(again) == digest(whole)
    for name in RECORD:
        assert again.dataset[name].values.tobytes() == whole.dataset[name].values.tobytes()


@pytest.mark.slow
@pytest.mark.parametrize("method", ["GD", "Langevin"])
@pytest.mark.filterwarnings("ignore:checkpoint .*was not finished")
def test_resume__of_several_outputs_after_kills_has_the_bits_of_a_quiet_run(method, tmp_path):
    script = "import sys; sys.path[:0] = sys.argv[3:]; import test_output_bits as t, particles as mf; "
    script += "t.run(sys.argv[1], steps=400, checkpoints=mf.Checkpoints(sys.argv[2], 0.0))"
    for reach in (20, 200):
        words = [sys.executable, "-c", script, method, str(tmp_path), *sys.path]
        process = subprocess.Popen(words)
        end = time.monotonic() + 60
        while not any(int(p.stem.split("-")[1]) >= reach for p in tmp_path.glob("checkpoint-*.json")):
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    done = run(method, steps=400, checkpoints=mf.Checkpoints(tmp_path, 0.0))
    assert "went on" in str(done.events)
    assert digest(done) == digest(run(method, steps=400))
