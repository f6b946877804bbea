"""The same bits for any number of threads, any chunks and any recording."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, strategies as st
from support import naive

import particles as mf
from particles.kernels import panels
from particles.measures import blocks
from particles.measures.blocks import tree_sum
from particles.population import shard

STEPS = 7
METHODS = [
    mf.GradientDescent(0.3),
    mf.SGD(0.3, batch=1),
    mf.SGD(0.3, batch=7),
    mf.AveragedSGD(0.3, weight_decay=0.1),
]
EACH_METHOD = pytest.mark.parametrize("method", METHODS, ids=["GD", "SGD-1", "SGD-7", "averaged"])
EACH_TYPE = pytest.mark.parametrize("dtype", ["float64", "float32"])
EACH_SIZE = pytest.mark.parametrize("M", [1, 255, 257, 3000])
ALL_NAMES = tuple(
    row.name
    for row in mf.OBSERVABLES.values()
    if not (row.binary or row.classes or row.test or row.name == "kernel_distance")
)


@pytest.fixture
def final_hash(cloud, samples):
    """A runner: one hash of all that a run leaves behind."""

    def run(method, M, **settings):
        net = mf.Network("tanh", beta=0.5, train=("input", "output"))
        settings = {"record": (), "engine": mf.Local(threads=1), **settings}
        done = mf.simulate(net, cloud(M), samples(n=9), method, steps=STEPS, **settings)
        arrays = [*done.measure, *(done.average or ())]
        return hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest()

    return run


@EACH_METHOD
@EACH_TYPE
@EACH_SIZE
def test_measure__has_the_same_bits_on_any_number_of_threads(method, dtype, M, final_hash):
    assert len({final_hash(method, M, dtype=dtype, engine=mf.Local(threads)) for threads in (1, 2, 3, None)}) == 1


@EACH_METHOD
@EACH_TYPE
def test_measure__has_the_same_bits_for_any_recording(method, dtype, final_hash):
    recordings = [
        {"record": (), "record_every": STEPS},
        {"record": ("loss",), "record_every": 1},
        {"record": ALL_NAMES, "record_every": 3},
        {"record": ALL_NAMES, "record_every": "log", "positions": 2},
        {"record": ("dissipation", "objective"), "record_every": [2, 5]},
    ]
    assert len({final_hash(method, 257, dtype=dtype, **recording) for recording in recordings}) == 1


@EACH_TYPE
def test_measure__has_the_same_bits_for_any_chunk_of_velocities(dtype, final_hash, monkeypatch):
    whole = final_hash(METHODS[0], 3000, dtype=dtype)
    monkeypatch.setattr(shard, "_CHUNK_BYTES", 1)
    assert final_hash(METHODS[0], 3000, dtype=dtype) == whole


def test_hash__tells_runs_apart(final_hash):
    """Or else the tests above could not fail."""
    hashes = [final_hash(method, 257, dtype=dtype) for method in METHODS for dtype in ("float64", "float32")]
    assert len(set(hashes)) == len(hashes)


def test_recorded_values__have_the_same_bits_on_any_number_of_threads(cloud, samples):
    net = mf.Network("tanh", beta=0.5)
    runs = [
        mf.simulate(net, cloud(3000), samples(), METHODS[0], steps=3, record=ALL_NAMES, engine=mf.Local(threads))
        for threads in (1, 2, 3)
    ]
    for name in ALL_NAMES:
        assert len({run.dataset[name].values.tobytes() for run in runs}) == 1


PARTS = st.integers(1, 40).flatmap(
    lambda rows: st.lists(st.floats(-1e6, 1e6, width=64), min_size=rows, max_size=rows).map(np.array)
)


@given(PARTS, st.integers(0, 5))
def test_tree_sum__may_be_shared_out_in_aligned_groups(parts, level):
    size = 2**level
    groups = np.array([tree_sum(parts[first : first + size]) for first in range(0, len(parts), size)])
    assert tree_sum(groups).tobytes() == tree_sum(parts).tobytes()


@given(PARTS)
def test_tree_sum__adds_in_the_tree_of_row_numbers(parts):
    assert tree_sum(parts) == naive.tree_sum(parts)


def test_tree_sum__adds_rows_of_any_shape():
    parts = np.arange(24.0).reshape(4, 3, 2)
    assert (tree_sum(parts) == parts.sum(axis=0)).all()


@pytest.mark.parametrize("threads", [0, -1, True])
def test_local__refuses_no_threads(threads):
    with pytest.raises(mf.InputError, match="`threads` must be a whole number >= 1"):
        mf.Local(threads)


def test_simulate__refuses_another_float_type(cloud, samples):
    with pytest.raises(mf.InputError, match="`dtype` must be float64 or float32: got float16"):
        mf.simulate(mf.Network("tanh"), cloud(), samples(), METHODS[0], steps=1, dtype="float16")


@pytest.mark.parametrize("train", [("input",), ("input", "output")], ids=["input", "both"])
def test_kept_slopes__are_of_as_many_blocks_as_there_is_room_for_and_change_no_bit(train, cloud, samples, monkeypatch):
    n, K = 3, 12
    block = blocks.BLOCK * n * 8 * len(train)
    kept, ends = [], []
    kernels = mf.Network("gelu").kernels("float64", 5)

    def sum_groups(*args):
        kept.append(args[9])
        return kernels.sum_groups(*args)

    monkeypatch.setattr(mf.Network, "kernels", lambda *_: kernels._replace(sum_groups=sum_groups))
    for room in (0, 5 * block, 100 * block):
        monkeypatch.setattr(shard, "_KEEP_BYTES", room)
        net = mf.Network("gelu", train=train)
        run = mf.simulate(net, cloud(K * blocks.BLOCK, 5), samples(n=n, d=5), mf.GradientDescent(0.3), steps=3,
                          record=(), engine=mf.Local(2))  # fmt: skip
        ends.append([a.tobytes() for a in run.measure])
    share = K * 5 // 8 // n // len(train)  # of blocks in an eighth of the particles' own bytes
    assert sorted(set(kept)) == sorted({0, share, 5, K})
    assert ends[0] == ends[1] == ends[2]


@pytest.mark.parametrize("method", [mf.GradientDescent(0.3), mf.FisherRao(0.3), mf.RungeKutta(0.3)], ids=type)
def test_kept_slopes__are_those_of_the_push_whatever_the_method(method, cloud, samples, monkeypatch):
    ends = []
    for start in (4, 10**6):
        monkeypatch.setattr(panels, "keep_from", lambda *_, start=start: start)
        run = mf.simulate(mf.Network("gelu"), cloud(300, 5), samples(n=9, d=5), method, steps=3,
                          record=("dissipation",), engine=mf.Local(1))  # fmt: skip
        ends.append([a.tobytes() for a in run.measure] + [run.dataset["dissipation"].values.tobytes()])
    assert ends[0] == ends[1]
