"""Gram matrices made tile by tile into a file: their numbers, whatever makes them, and whatever happens on the way."""

import errno
import itertools
import os
import pickle
import re
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import xarray
from support import ROOT, naive

import particles as mf
from particles.storage import gram_file
from particles.theory.tangent import tiles
from particles.theory.tangent.atoms import atoms_of

LAYERS = pytest.mark.parametrize("train", [("input",), ("output",), ("input", "output")], ids="+".join)
NAMES = pytest.mark.parametrize("name", ["relu", "tanh"])
UNIT = pytest.mark.parametrize("unit", [True, False], ids=["unit", "weighted"])
TILE, N = 64, 150  # three blocks of inputs, the last one smaller: six tiles


def sent(value):
    """What arrives elsewhere: a copy that went through pickle, its arrays read-only."""
    buffers = []
    data = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    return pickle.loads(data, buffers=[bytes(buffer) for buffer in buffers])


class Serial:
    """An engine that does one job after the other, elsewhere as far as the job can tell. made: the jobs done."""

    def __init__(self, backwards=False):
        self.made, self._backwards = [], backwards

    def tasks(self, work, shared, jobs):
        work, shared = sent(work), sent(shared)
        for number in reversed(range(len(jobs))) if self._backwards else range(len(jobs)):
            self.made.append(jobs[number])
            yield number, sent(work(shared, sent(jobs[number])))


def case(n=N, M=300, d=5, unit=True):
    """Inputs, and a measure of equal atoms with signs or of weighted ones with any output weights."""
    random = np.random.default_rng([n, M, d])
    x, b = random.standard_normal((n, d)), random.standard_normal((M, d))
    s = random.choice([-1.0, 1.0], M) if unit else random.standard_normal(M)
    w = np.full(M, 1.0) if unit else random.uniform(0.5, 1.5, M)
    return x, mf.Measure(b, s, w / w.sum())


def written(path, net, start, x, engine=None, tile=TILE, **options):
    """The matrix in the file that is written."""
    assert mf.tangent.write_gram(net, start, x, path, engine or Serial(), tile, **options) == path
    with xarray.open_dataset(path, engine="h5netcdf") as data:
        return data.gram.values


@NAMES
@LAYERS
@UNIT
def test_write_gram__is_the_gram_matrix(tmp_path, name, train, unit):
    x, measure = case(unit=unit)
    net = mf.Network(name, train=train)
    found, expected = written(tmp_path / "gram.h5", net, measure, x), mf.tangent.gram(net, measure, x)
    assert found.tobytes() == np.ascontiguousarray(expected).tobytes()
    assert (found == found.T).all()
    if train == ("output",):  # no products of inputs, so no rounding of BLAS's
        assert (found == expected).all()


@NAMES
@LAYERS
@UNIT
@pytest.mark.parametrize(("m", "n"), [(1, 130), (140, 9)])
def test_tile__is_the_formula_for_rows_other_than_columns(name, train, unit, m, n):
    x, measure = case(m + n, unit=unit)
    rows, columns, (sigma, derivative) = x[:m], x[m:], naive.SIGMA[name]
    found = tiles.tile_values(mf.Network(name, train=train), atoms_of(measure, 5), rows, columns, tiles.Team(1))
    (z, t), expected = (rows @ measure.b.T, columns @ measure.b.T), np.zeros((m, n))
    if "input" in train:
        expected += (derivative(z) * measure.w * measure.s**2) @ derivative(t).T * (rows @ columns.T)
    if "output" in train:
        expected += (sigma(z) * measure.w) @ sigma(t).T
    assert np.abs(found - expected).max() <= 1e-12 * np.abs(expected).max()


@NAMES
def test_write_gram__has_the_same_bits_for_any_engine_order_and_tile(tmp_path, name):
    x, measure = case()
    net, path = mf.Network(name, train=("input", "output")), tmp_path / "gram.h5"
    engines = [Serial(), Serial(backwards=True), mf.Local(1), mf.Local(2)]
    found = [written(path, net, measure, x, engine) for engine in engines]
    found += [written(path, net, measure, x, tile=tile) for tile in (37, 1000)]
    assert len({matrix.tobytes() for matrix in found}) == 1


@NAMES
@pytest.mark.parametrize("signs", ["positive", "random", "symmetric"])
def test_write_gram__of_particles_made_on_the_way_is_that_of_the_sample(tmp_path, name, signs):
    law, x = mf.Gaussian(2), case(20, d=2)[0]
    count = 63 * 256 + 300 if name == "relu" else 600  # more than a slab; more than a block
    found = [
        written(tmp_path / "gram.h5", mf.Network(name), law.sample(count, 3, signs, lazy=lazy), x, tile=12)
        for lazy in (False, True)
    ]
    assert found[0].tobytes() == found[1].tobytes()


def test_gram__counts_no_particle_of_the_slab_before():
    """The last slab has as many blocks as the first, its last block not full."""
    x, measure = case(5, 2 * 63 * 256 - 100, 2)
    active = (x @ measure.b.T > 0).astype(float)
    expected = active @ active.T / len(measure.w) * (x @ x.T)
    np.testing.assert_allclose(mf.tangent.gram(mf.Network("relu"), measure, x), expected, rtol=1e-12, atol=1e-14)


def stop_after(count):
    return lambda done, total: done >= count


@NAMES
def test_write_gram__goes_on_where_it_was_stopped(tmp_path, name):
    (x, measure), net, path, seen = case(), mf.Network(name), tmp_path / "gram.h5", []
    whole = written(tmp_path / "whole.h5", net, measure, x)
    first, second = Serial(), Serial(backwards=True)
    left = mf.tangent.write_gram(net, measure, x, path, first, TILE, stop_after(2))
    assert left == tmp_path / "gram.h5.part" and left.exists() and not path.exists()
    found = written(path, net, measure, x, second, progress=lambda *done: seen.append(done))
    assert found.tobytes() == whole.tobytes()
    assert sorted(first.made + second.made) == list(itertools.combinations_with_replacement(range(3), 2))
    assert seen == [(3, 6), (4, 6), (5, 6), (6, 6)]


def test_write_gram__goes_on_after_a_killed_process(tmp_path):
    (x, measure), net, path = case(), mf.Network("relu"), tmp_path / "gram.h5"
    code = """
        import os, sys
        import particles as mf, test_tiles
        from particles.storage import gram_file

        gram_file._SETTLE_SECONDS = 0.0
        x, measure = test_tiles.case()
        def die(done, total):
            if done == 4:
                os._exit(9)
        mf.tangent.write_gram(mf.Network("relu"), measure, x, sys.argv[1], test_tiles.Serial(), test_tiles.TILE, die)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), path]
    places = os.environ | {"PYTHONPATH": f"{ROOT / 'tests'}"}
    assert subprocess.run(command, cwd=os.path.dirname(__file__), env=places, timeout=60).returncode == 9
    assert not path.exists()
    engine = Serial()
    found = written(path, net, measure, x, engine)
    assert len(engine.made) == 2
    assert found.tobytes() == written(tmp_path / "whole.h5", net, measure, x).tobytes()


def stopped(tmp_path, tiles=4):
    """A file that was stopped, its arguments and its journal."""
    (x, measure), net, path = case(), mf.Network("relu"), tmp_path / "gram.h5"
    mf.tangent.write_gram(net, measure, x, path, Serial(), TILE, stop_after(tiles))
    return (path, net, measure, x), gram_file.journal_of(path)


@pytest.mark.parametrize(("line", "kept"), [(-1, 3), (2, 1)])
def test_journal__is_believed_up_to_its_first_damaged_line(tmp_path, line, kept):
    arguments, journal = stopped(tmp_path)
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[line] = lines[line][:-3] if line == -1 else lines[line].replace(b"1", b"2")
    journal.write_bytes(b"".join(lines))
    engine = Serial()
    assert (written(*arguments, engine) == written(tmp_path / "whole.h5", *arguments[1:])).all()
    assert len(engine.made) == 6 - kept


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda part, journal: journal.write_bytes(b"nonsense\n"), "has a damaged journal"),
        (lambda part, journal: part.write_bytes(part.read_bytes()[:1000]), "is damaged"),
        (lambda part, journal: part.unlink(), "is damaged"),
    ],
    ids=["journal", "file", "no file"],
)
def test_write_gram__begins_anew_where_nothing_can_be_believed(tmp_path, damage, told):
    arguments, journal = stopped(tmp_path)
    damage(gram_file.part_of(arguments[0]), journal)
    engine = Serial()
    with pytest.warns(UserWarning, match=told):
        found = written(*arguments, engine)
    assert (found == written(tmp_path / "whole.h5", *arguments[1:])).all()
    assert len(engine.made) == 6


def test_write_gram__leaves_its_tiles_alone_where_they_cannot_be_read_now(tmp_path, monkeypatch):
    (path, *asked), _ = stopped(tmp_path)
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    with monkeypatch.context() as patch:
        patch.setattr(gram_file, "opened", fails_with(errno.EIO))
        with pytest.raises(mf.StorageError, match=r"gram.h5.part cannot be read now: Input/output error\. It may be"):
            written(path, *asked)
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before
    engine = Serial()
    written(path, *asked, engine)
    assert len(engine.made) == 2


@pytest.mark.parametrize("other", ["network", "measure", "inputs", "tile"])
def test_write_gram__begins_anew_for_other_arguments(tmp_path, other):
    (path, net, measure, x), _ = stopped(tmp_path)
    net = mf.Network("tanh") if other == "network" else net
    measure = measure._replace(s=-measure.s) if other == "measure" else measure
    x = x + 1e-9 if other == "inputs" else x
    with pytest.warns(UserWarning, match="was begun with other arguments: it begins anew"):
        found = written(path, net, measure, x, tile=TILE + (other == "tile"))
    assert (found == written(tmp_path / "whole.h5", net, measure, x)).all()


def test_write_gram__leaves_the_file_and_nothing_else(tmp_path):
    x, measure = case()
    path = tmp_path / "new" / "gram.h5"
    for _ in range(2):  # a file that is there is replaced
        written(path, mf.Network("relu"), measure, x)
    assert list(path.parent.iterdir()) == [path]


def test_write_gram__is_a_file_that_says_what_it_is(tmp_path):
    x, measure = case()
    written(tmp_path / "gram.h5", mf.Network("relu"), measure, x, attributes={"title": "ReLU", "seed": 3})
    with xarray.open_dataset(tmp_path / "gram.h5", engine="h5netcdf") as data:
        assert data.gram.dims == ("sample", "other_sample") and data.gram.dtype == np.float64
        assert data.gram.attrs["units"] == "1" and data.gram.attrs["equation"] == "(5)"
        assert data.attrs == {"title": "ReLU", "seed": 3}
        assert not data.coords


def fails_with(number):
    def fail(*arguments):
        raise OSError(number, os.strerror(number))

    return fail


def test_write_gram__says_at_once_that_the_disk_is_too_small(tmp_path, monkeypatch):
    x, measure = case()
    monkeypatch.setattr(os, "posix_fallocate", fails_with(errno.ENOSPC))
    engine = Serial()
    with pytest.raises(mf.StorageError, match=r"It takes 0\.00018 GB: free some space, or choose another folder"):
        mf.tangent.write_gram(mf.Network("relu"), measure, x, tmp_path / "gram.h5", engine, TILE)
    assert not engine.made and not list(tmp_path.iterdir())


def test_write_gram__does_without_a_file_system_that_reserves_room(tmp_path, monkeypatch):
    x, measure = case()
    monkeypatch.setattr(os, "posix_fallocate", fails_with(errno.EOPNOTSUPP))
    assert written(tmp_path / "gram.h5", mf.Network("relu"), measure, x).shape == (N, N)


def test_write_gram__keeps_its_tiles_when_the_disk_fails(tmp_path, monkeypatch):
    (x, measure), net, path = case(), mf.Network("relu"), tmp_path / "gram.h5"

    def break_after_two(done, total):
        if done == 2:
            monkeypatch.setattr(os, "pwrite", fails_with(errno.EIO))

    with pytest.raises(mf.StorageError, match="Check the disk, and call again: finished tiles are kept"):
        mf.tangent.write_gram(net, measure, x, path, Serial(), TILE, break_after_two)
    monkeypatch.undo()
    engine = Serial()
    written(path, net, measure, x, engine)
    assert len(engine.made) == 4


@pytest.mark.parametrize("as_value", [True, False])
def test_write_gram__keeps_its_tiles_when_a_task_fails(tmp_path, as_value):
    (x, measure), net, path = case(), mf.Network("relu"), tmp_path / "gram.h5"

    class Failing(Serial):
        def tasks(self, work, shared, jobs):
            yield from itertools.islice(super().tasks(work, shared, jobs), 3)
            if not as_value:
                raise OSError("a node is gone")
            yield 3, OSError("a node is gone")

    with pytest.raises(OSError, match=r"^a node is gone$"):
        mf.tangent.write_gram(net, measure, x, path, Failing(), TILE)
    engine = Serial()
    written(path, net, measure, x, engine)
    assert len(engine.made) == 3


def test_write_gram__has_its_file_to_itself(tmp_path):
    (x, measure), net, path = case(), mf.Network("relu"), tmp_path / "gram.h5"

    def write_too(done, total):
        with pytest.raises(mf.StorageError, match="is being written by another process"):
            mf.tangent.write_gram(net, measure, x, path, Serial(), TILE)

    written(path, net, measure, x, progress=write_too)


def test_write_gram__refuses_what_makes_no_matrix(tmp_path):
    (x, measure), net, law = case(), mf.Network("relu"), mf.Gaussian(3)
    for start, inputs, path, tile, told in [
        (measure, x, "a.h5", 0, "`tile` must be a whole number >= 1: got 0"),
        (measure, x[:, 0], "a.h5", 8, "inputs must have shape (n, d)"),
        (measure, x[:, :3], "a.h5", 8, "as many dimensions as the inputs, 3 with"),
        (law.sample(10, 0, lazy=True), x, "a.h5", 8, "as many dimensions as the inputs, 5 with a"),
        (measure, x, "", 8, "`path` must name a file"),
    ]:
        with pytest.raises(mf.InputError, match=re.escape(told)):
            mf.tangent.write_gram(net, start, inputs, tmp_path / path, Serial(), tile)
    assert not list(tmp_path.iterdir())


BIG = """
    import itertools, multiprocessing, resource, sys, time
    from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait

    import numpy as np
    import particles as mf

    def keep(work, shared):
        global _task
        _task = work, shared

    def do(job):
        return _task[0](_task[1], job)

    class Processes:
        def tasks(self, work, shared, jobs):
            with ProcessPoolExecutor(2, multiprocessing.get_context("spawn"), keep, (work, shared)) as pool:
                waiting, rest = {}, iter(enumerate(jobs))
                while True:
                    for number, job in itertools.islice(rest, 4 - len(waiting)):
                        waiting[pool.submit(do, job)] = number
                    if not waiting:
                        return
                    done = next(iter(wait(waiting, return_when=FIRST_COMPLETED).done))
                    yield waiting.pop(done), done.result()
                    del done

    if __name__ == "__main__":
        x = np.random.default_rng(0).standard_normal((20000, 10))
        start = mf.Gaussian(10).sample(4096, seed=0, lazy=True)
        began = time.perf_counter()
        mf.tangent.write_gram(mf.Network("relu"), start, x, sys.argv[1], Processes())
        whose = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
        print(time.perf_counter() - began, *(resource.getrusage(who).ru_maxrss for who in whose))
"""


@pytest.mark.slow
def test_write_gram__of_20000_inputs_takes_no_process_2_gigabytes(tmp_path):
    script, path = tmp_path / "big.py", tmp_path / "gram.h5"
    script.write_text(textwrap.dedent(BIG))
    told = subprocess.run([sys.executable, script, path], capture_output=True, text=True, timeout=900, check=True)
    seconds, *kilobytes = (float(word) for word in told.stdout.split())
    print(f"{seconds:.0f} s, peak memory {', '.join(f'{kb / 2**10:.0f} MiB' for kb in kilobytes)}")
    assert max(kilobytes) < 2**21
    x, b = np.random.default_rng(0).standard_normal((20000, 10)), mf.Gaussian(10).sample(4096, seed=0).b
    active = x @ b.T > 0
    with xarray.open_dataset(path, engine="h5netcdf") as data:
        for i in np.random.default_rng(1).integers(0, 20000, 5):
            expected = (active & active[i]).sum(axis=1) / 4096 * (x @ x[i])
            np.testing.assert_allclose(data.gram[i].values, expected, rtol=1e-12, atol=1e-14)
            np.testing.assert_allclose(data.gram[:, i].values, expected, rtol=1e-12, atol=1e-14)
    path.unlink()  # 3.2 GB
