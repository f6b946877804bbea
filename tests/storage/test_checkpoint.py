"""Checkpoints: a run that was stopped, killed or damaged goes on to the bits it would have had."""

import errno
import json
import os
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import xarray as xr
from support.daily import some

import particles as mf
from particles.errors import BusyError
from particles.machine import Processor
from particles.population.messages import population_spec
from particles.storage import checkpoint, particle_files
from particles.storage.checkpoint import CheckpointFolder
from particles.storage.history import History, Table

STEPS = 20
NET = mf.Network("tanh", train=("input", "output"))
CASES = {
    "GD": (mf.GradientDescent(0.1), {}),
    "GD-averaged": (mf.GradientDescent(0.1, average=True), {}),
    "SGD": (mf.SGD(0.1, seed=3), {}),
    "averaged": (mf.AveragedSGD(0.1, weight_decay=0.1, batch=3), {}),
    "float32": (mf.SGD(0.1, batch=2), {"dtype": "float32"}),
    "L2-start": (mf.GradientDescent(0.1), {"regulariser": mf.L2(0.3, about="start")}),
    "L1": (mf.GradientDescent(mf.RobbinsMonro(0.5)), {"regulariser": mf.L1(0.01)}),
}
EACH_CASE = pytest.mark.parametrize("case", CASES)
RECORD = ("loss", "prediction", "displacement_max", "position")


@pytest.fixture
def run(cloud, samples):
    """A runner of one of the cases, in two blocks of particles; `stop_at` asks it to stop after that iteration."""

    def make(case="GD", folder=None, stop_at=None, seconds=0.0, keep=0, **settings):
        method, more = CASES[case]
        defaults = {
            "record_every": 3,
            "record": RECORD,
            "positions": 2,
            "checkpoints": folder and mf.Checkpoints(folder, seconds, keep),
            "progress": lambda iteration, steps: iteration == stop_at,
        }
        return mf.simulate(NET, cloud(M=300), samples(n=9), method, **{"steps": STEPS} | defaults | more | settings)

    return make


def same(one, two):
    """To the bit, whatever happened to them on their way."""
    assert one.dataset.assign_attrs(events="").identical(two.dataset.assign_attrs(events=""))
    for name in one.dataset.variables:
        assert one.dataset[name].values.tobytes() == two.dataset[name].values.tobytes()
    for a, b in zip((*one.measure, *(one.average or ())), (*two.measure, *(two.average or ())), strict=True):
        assert a.tobytes() == b.tobytes()


def states(folder):
    """The manifests that are there."""
    return sorted(folder.glob("checkpoint-*.json"))


def newest(folder, kind):
    """The newest file of a kind: "particles", "rows" or "checkpoint" (its manifest)."""
    return sorted(folder.glob(f"{kind}-*{'.json' if kind == 'checkpoint' else '.h5'}"))[-1]


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[:-50])


def empty(path):
    path.write_bytes(b"")


@EACH_CASE
@pytest.mark.parametrize("stops", some([(6, 7, 15), (1, STEPS - 1)], (6, 7, 15)), ids=str)
def test_resume__has_the_bits_of_a_run_without_a_stop(case, stops, run, tmp_path):
    for stop_at in stops:
        assert run(case, tmp_path, stop_at).status == "stopped"
    same(run(case, tmp_path), run(case))


@pytest.mark.parametrize("seconds", [0.0, 1e9])
def test_stop__keeps_the_state_whatever_the_cadence(run, tmp_path, seconds):
    run(folder=tmp_path, stop_at=7, seconds=seconds)
    assert states(tmp_path)[-1].name.startswith("checkpoint-000000000007-")


def test_stop__returns_what_was_recorded_till_then(run):
    stopped, whole = run(stop_at=7), run()
    assert stopped.dataset["iteration"].values.tolist() == [0, 3, 6]
    for name in RECORD:
        assert stopped.dataset[name].values.tobytes() == whole.dataset[name].values[:3].tobytes()


def interrupt(iteration, steps):
    if iteration == 10:
        raise KeyboardInterrupt


def test_interrupt__returns_what_was_recorded_till_then(run):
    stopped = run(progress=interrupt)
    assert stopped.status == "stopped"
    assert stopped.dataset["iteration"].values.tolist() == [0, 3, 6, 9]


def test_interrupt__loses_nothing(run, tmp_path):
    run(folder=tmp_path, progress=interrupt)
    same(run(folder=tmp_path), run())


def test_resume__on_another_processor_is_said_and_recorded(run, tmp_path, monkeypatch):
    run(folder=tmp_path, stop_at=5)
    monkeypatch.setattr(checkpoint, "processor", lambda: Processor("Another", "other 0"))
    with pytest.warns(UserWarning, match="and goes on on other 0: its bits may differ"):
        done = run(folder=tmp_path)
    assert ["goes on on other 0" in event["what"] for event in done.events] == [True, False]


def test_resume__does_not_repeat_iterations(run, tmp_path):
    run(folder=tmp_path, stop_at=12)
    seen = []
    run(folder=tmp_path, progress=lambda iteration, steps: seen.append(iteration))
    assert seen == list(range(12, STEPS + 1))


def test_checkpoints__never_change_a_run(run, tmp_path):
    same(run(folder=tmp_path, seconds=0.0), run())


def test_checkpoints__keep_two_states_at_most(run, tmp_path):
    found = []
    run(folder=tmp_path, progress=lambda iteration, steps: found.append(len(states(tmp_path))))
    assert max(found) == 2


def remove(path):
    path.unlink()


DAMAGE = [
    (flip, "particles", "is damaged: its SHA-256 is not what was written"),
    (cut, "particles", "is cut: [0-9]+ of [0-9]+ bytes"),
    (empty, "particles", "is cut: 0 of"),
    (remove, "particles", "no such file"),
    (flip, "rows", "is damaged"),
    (flip, "checkpoint", "is damaged|cannot be read as a manifest"),
    (cut, "checkpoint", "cannot be read as a manifest"),
    (remove, "checkpoint", "is missing, so it was not finished"),
]


@pytest.mark.parametrize("harm, kind, why", DAMAGE, ids=lambda value: getattr(value, "__name__", None))
def test_resume__falls_back_where_the_newest_checkpoint_is_damaged(run, tmp_path, harm, kind, why):
    run(folder=tmp_path, stop_at=12)
    harm(newest(tmp_path, kind))
    seen = []
    with pytest.warns(UserWarning, match=f"checkpoint-000000000012-[0-9a-f]{{16}}.json left out: .*({why})"):
        again = run(folder=tmp_path, progress=lambda iteration, steps: seen.append(iteration))
    assert seen[0] == 11
    assert "checkpoint-000000000012-" in again.events[0]["what"] and "left out" in again.events[0]["what"]
    assert again.events[-1] == {"iteration": 11, "what": "went on from the checkpoint"}
    same(again, run())
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".part"]


@pytest.mark.parametrize("kind", ["particles", "rows"])
def test_resume__starts_anew_where_nothing_can_be_read(run, tmp_path, kind):
    run(folder=tmp_path, stop_at=12)
    for path in tmp_path.glob(f"{kind}-*.h5"):
        path.write_bytes(b"")
    with pytest.warns(UserWarning, match="left out"):
        again = run(folder=tmp_path)
    assert again.events[-1] == {"iteration": 0, "what": "began anew"}
    same(again, run())


def unreadable(patch, path, number):
    """As a disk, a network or a limit of open files may fail for a while."""
    real = Path.open

    def opened(self, *mode):
        if self == path:
            raise OSError(number, os.strerror(number))
        return real(self, *mode)

    patch.setattr(Path, "open", opened)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("kind", "number"),
    [("checkpoint", errno.EMFILE), ("rows", errno.EACCES), ("particles", errno.EIO), ("particles", errno.ESTALE)],
)
def test_resume__leaves_everything_where_the_newest_checkpoint_cannot_be_read_now(
    run, tmp_path, monkeypatch, kind, number
):
    """Going on from an older one, the newer would be removed though nothing is wrong with it."""
    run(folder=tmp_path, stop_at=3)
    before = contents(tmp_path)
    with monkeypatch.context() as patch:
        unreadable(patch, newest(tmp_path, kind), number)
        with pytest.raises(mf.StorageError, match=f"cannot be read now: {os.strerror(number)}. It may be whole"):
            run(folder=tmp_path)
    assert contents(tmp_path) == before


def test_resume__goes_on_from_the_newest_checkpoint_when_it_can_be_read_again(run, tmp_path, monkeypatch):
    run(folder=tmp_path, stop_at=12)
    with monkeypatch.context() as patch:
        unreadable(patch, newest(tmp_path, "particles"), errno.EIO)
        with pytest.raises(mf.StorageError):
            run(folder=tmp_path)
    again = run(folder=tmp_path)
    assert [event["iteration"] for event in again.events] == [12]
    same(again, run())


def test_resume__where_the_folder_cannot_be_listed_does_not_begin_anew(run, tmp_path, monkeypatch):
    run(folder=tmp_path, stop_at=3)
    before = contents(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("os.listdir", lambda folder: (_ for _ in ()).throw(OSError(errno.EMFILE, "Too many open files")))
        with pytest.raises(mf.StorageError, match="cannot be read now: Too many open files"):
            run(folder=tmp_path)
    assert contents(tmp_path) == before


def test_save__removes_nothing_while_a_manifest_cannot_be_read(run, tmp_path, monkeypatch):
    run(folder=tmp_path, stop_at=3)
    before = set(contents(tmp_path))
    first = states(tmp_path)[0]  # the run goes on from the second, so it meets this one when it saves

    with monkeypatch.context() as patch:
        unreadable(patch, first, errno.EIO)
        with pytest.warns(UserWarning, match="no older checkpoint is removed: .* cannot be read now"):
            run(folder=tmp_path, stop_at=4)
    assert before < set(contents(tmp_path))


def test_checkpoint__of_another_version_is_left_to_it(run, tmp_path, monkeypatch):
    run(folder=tmp_path, stop_at=3)
    before = contents(tmp_path)
    monkeypatch.setattr("particles.storage.manifest.FORMAT", 0)
    with pytest.raises(mf.StorageError, match="was written by another version of this program"):
        run(folder=tmp_path)
    assert contents(tmp_path) == before


@pytest.mark.filterwarnings("ignore:checkpoints in .* left out")
def test_checkpoints__of_two_runs_at_once_share_a_folder(run, tmp_path):
    """The other begins, saves, removes and ends while this one is under way, and stops at the same iteration."""
    others = []

    def meanwhile(iteration, steps):
        if iteration == 9:
            others.append(run("L1", tmp_path, stop_at=12))
        return iteration == 12

    run("GD", tmp_path, progress=meanwhile)
    assert len(states(tmp_path)) == 4
    for case in ("L1", "GD"):
        seen = []
        same(run(case, tmp_path, progress=lambda at, _, seen=seen: seen.append(at)), run(case))
        assert seen[0] == 12


def test_checkpoints__of_the_same_run_twice_at_once_are_refused(run, tmp_path):
    def meanwhile(iteration, steps):
        if iteration == 9:
            before = contents(tmp_path)
            with pytest.raises(BusyError, match="in use by another run of the same configuration"):
                run(folder=tmp_path)
            assert contents(tmp_path) == before

    same(run(folder=tmp_path, progress=meanwhile), run())
    assert not [name for name in contents(tmp_path) if name.endswith(".lock")]


def test_resume__reads_files_cut_in_any_way(run, tmp_path, monkeypatch):
    """A file a block, then a file for all: who saved with other shards saved other files."""
    with monkeypatch.context() as patch:
        patch.setattr(particle_files, "SEGMENT_BYTES", 1)
        run(folder=tmp_path, stop_at=12)
    assert len(list(tmp_path.glob("particles-000000000012-*.h5"))) == 2
    same(run(folder=tmp_path), run())


@pytest.mark.parametrize("case", ["GD", "averaged", "float32"])
@pytest.mark.parametrize("size", [1, 2**26])
def test_checkpoint__is_one_dataset_for_xarray(case, size, run, tmp_path, monkeypatch):
    monkeypatch.setattr(particle_files, "SEGMENT_BYTES", size)
    stopped = run(case, tmp_path, stop_at=12)
    with xr.open_dataset(next(tmp_path.glob("checkpoint-000000000012-*.h5")), engine="h5netcdf") as view:
        assert view["position"].dims == ("atom", "dim") and view["weight"].dims == ("atom",)
        found = mf.Measure(*(view[name].values for name in ("position", "sign", "weight")))
        assert view.attrs["iteration"] == 12
        if stopped.average:
            assert (view["averaged_position"].values == stopped.average.b).all()
    for mine, saved in zip(stopped.measure, found, strict=True):
        assert (mine == saved).all()


def test_checkpoint__shows_a_missing_file_as_nan(run, tmp_path, monkeypatch):
    monkeypatch.setattr(particle_files, "SEGMENT_BYTES", 1)
    run(folder=tmp_path, stop_at=12)
    newest(tmp_path, "particles").unlink()
    with xr.open_dataset(next(tmp_path.glob("checkpoint-000000000012-*.h5")), engine="h5netcdf") as view:
        lost = np.isnan(view["position"].values).all(axis=1)
    assert lost.tolist() == [False] * 256 + [True] * 44


def test_checkpoints__keep_every_kth(run, tmp_path):
    run(folder=tmp_path, stop_at=12, keep=5)
    kept = [json.loads(path.read_bytes()) for path in states(tmp_path)]
    assert [one["iteration"] for one in kept] == [1, 6, 11, 12]
    assert [one["number"] for one in kept] == [0, 5, 10, 11]
    same(run(folder=tmp_path), run())


def test_resume__clears_what_a_killed_writer_left(run, tmp_path):
    """Of this configuration only: another's may be one that is being written."""
    run(folder=tmp_path, stop_at=3)
    own = newest(tmp_path, "particles")
    parts = [tmp_path / f".{name}.0f.part" for name in (own.name, "particles-000000000003-0123-4567-0.h5")]
    for part in parts:
        part.write_bytes(b"half")
    run(folder=tmp_path)
    assert list(tmp_path.glob(".*")) == parts[1:]


class Clock:
    """A clock that a test moves: a checkpoint is due after the iterations named."""

    def __init__(self, due):
        self.due, self.now = due, 0.0

    def at(self, iteration, steps):
        self.now += 10.0 if iteration in self.due else 0.0
        return iteration == max(self.due)


@pytest.mark.filterwarnings("ignore:checkpoint .*10-.*left out")
@pytest.mark.parametrize("lose", [flip, remove])
def test_resume__records_each_iteration_once_where_rows_outlived_their_state(run, tmp_path, monkeypatch, lose):
    """State 10 is damaged, or was never written: its rows are there, and the next checkpoints fall elsewhere."""
    for due in ((4, 10), (7, 13)):
        clock = Clock(due)
        with monkeypatch.context() as patch:
            patch.setattr("time.monotonic", lambda clock=clock: clock.now)
            run(folder=tmp_path, seconds=5.0, progress=clock.at)
        if due == (4, 10):
            lose(newest(tmp_path, "particles"))
    same(run(folder=tmp_path), run())


OTHERS = [{"case": "SGD"}, {"dtype": "float32"}, {"record": ("loss",)}, {"record_every": 2}, {"positions": 3}]


@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_resume__leaves_states_of_another_run_out(run, tmp_path, other):
    run(folder=tmp_path, stop_at=12)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.warns(UserWarning, match="left out: all 2 are of other configurations"):
        again = run(folder=tmp_path, **other)
    same(again, run(**other))
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.filterwarnings("ignore:checkpoints in .* left out")
def test_resume__works_beside_states_of_another_run(run, tmp_path):
    run("SGD", tmp_path, stop_at=12)
    run("GD", tmp_path, stop_at=5)
    seen = []
    again = run("GD", tmp_path, progress=lambda iteration, steps: seen.append(iteration))
    assert seen[0] == 5
    same(again, run("GD"))


def test_resume__continues_a_stream(cloud, tmp_path):
    stream = mf.Stream(mf.Gaussian(3), lambda x: np.sin(x[:, 0]), noise=0.1)

    def go(folder=None, stop_at=None):
        progress = lambda iteration, steps: iteration == stop_at  # noqa: E731
        return mf.simulate(NET, cloud(), stream, mf.SGD(0.1), steps=STEPS, checkpoints=folder, progress=progress)

    go(tmp_path, 8)
    same(go(tmp_path), go())


def test_checkpoint__that_cannot_be_written_is_an_error(run, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(mf.StorageError, match=r"could not be made: File exists\. Choose a folder"):
        run(folder=tmp_path / "file")


@pytest.mark.filterwarnings("ignore:checkpoint .* left out")
def test_checkpoints__that_begin_anew_stand_on_no_rows_from_before(samples, tmp_path):
    population = mf.Local(1).populate(population_spec(NET, mf.Gaussian(3).sample(300, 0, lazy=True)))
    keeper, history = CheckpointFolder(tmp_path, "hash"), recorded([0, 4], 3)
    keeper.save(3, population, history, [], {})
    newest(tmp_path, "particles").unlink()
    assert keeper.resume(population, history) is None and not history.begun
    keeper.save(5, population, recorded([0, 4], 5), [], {})
    assert keeper.resume(population, history).iteration == 5
    assert history.tables["time"].recorded()["loss"].tolist() == [0.0, 4.0]


def recorded(iterations, last):
    """Numbers recorded at these iterations, as far as before the last."""
    history = History({"time": Table(iterations, ["loss"])})
    for iteration in range(last):
        history.add(iteration, {"loss": np.float64(iteration)})
    return history


def test_rows__take_few_bytes_in_few_files_however_many_checkpoints(tmp_path):
    """A file an iteration would be 128 files, each of them in every manifest; all rows each time 128^2 / 2 rows."""
    population = mf.Local(1).populate(population_spec(NET, mf.Gaussian(3).sample(4, 0, lazy=True)))
    keeper, history, written = CheckpointFolder(tmp_path, "hash"), recorded(range(128), 0), []
    for iteration in range(128):
        history.add(iteration, {"loss": np.float64(iteration)})
        keeper.save(iteration + 1, population, history, [], {})
        page = newest(tmp_path, "rows")
        with h5py.File(page) as file:
            written.append(file["time/loss"].size)
        assert len(json.loads(states(tmp_path)[-1].read_text())["pages"]) <= 8
    assert sum(written) <= 128 * 8
    again = recorded(range(128), 0)
    assert keeper.resume(population, again).iteration == 128
    assert again.tables["time"].recorded()["loss"].tolist() == list(range(128))


def test_rows__in_large_files_are_not_written_again(tmp_path, monkeypatch):
    """A file is made in memory first: all rows in one would take their bytes once more."""
    monkeypatch.setattr(checkpoint, "_SMALL", 0)
    population = mf.Local(1).populate(population_spec(NET, mf.Gaussian(3).sample(4, 0, lazy=True)))
    keeper, history = CheckpointFolder(tmp_path, "hash"), recorded(range(6), 6)
    for iteration in range(1, 7):
        keeper.save(iteration, population, history, [], {})
        with h5py.File(newest(tmp_path, "rows")) as file:
            assert file["time/loss"][:].tolist() == [iteration - 1]
    assert keeper.resume(population, history).iteration == 6 and history.tables["time"].count == 6


def test_rows__take_at_most_four_times_their_bytes(run, tmp_path):
    run(folder=tmp_path, steps=2000, record=("loss", "displacement_max"), record_every=1, stop_at=1999, seconds=1e9)
    assert newest(tmp_path, "rows").stat().st_size <= 4 * 1999 * 2 * 8


@pytest.mark.filterwarnings("ignore:checkpoint .* left out")
@pytest.mark.parametrize(
    "change",
    [
        lambda part: {"time": {}},
        lambda part: {"time_loss": part},
        lambda part: {"time": part | {"loss": part["loss"][1:]}},
        lambda part: {"time": part | {"loss": part["loss"].astype(int)}},
        lambda part: {"time": part | {"more": part["loss"]}},
        lambda part: {"time": part | {"iteration": part["iteration"] + 1}},
    ],
)
def test_rows__that_are_not_of_the_run_are_left_out(tmp_path, change):
    """Whoever can write the folder can sign it as well: it is the contents that are wrong."""
    population = mf.Local(1).populate(population_spec(NET, mf.Gaussian(3).sample(4, 0, lazy=True)))
    keeper, history = CheckpointFolder(tmp_path, "hash"), recorded([0, 2, 4], 5)
    wrong = change(history.between(0, 5)["time"])
    keeper.save(5, population, SimpleNamespace(between=lambda *_: wrong), [], {})
    assert keeper.resume(population, history) is None and not history.begun


def test_checkpoints__leave_files_of_others_alone(run, tmp_path):
    mine = [tmp_path / name for name in ("checkpoint-best.json", "particles-all.h5", "rows.h5")]
    for path in mine:
        path.write_text("mine")
    run(folder=tmp_path, stop_at=12)
    same(run(folder=tmp_path), run())
    assert all(path.read_text() == "mine" for path in mine)


def test_final__of_an_average_iterate_is_read_back(run, tmp_path):
    whole, left = run("averaged"), run("averaged", final=tmp_path / "last")
    again = mf.open_run(left.save(tmp_path / "run.h5"))
    for a, b in zip((*again.measure, *again.average), (*whole.measure, *whole.average), strict=True):
        assert a.tobytes() == b.tobytes()


def test_final__is_left_in_files_and_told_apart_from_checkpoints(run, tmp_path):
    whole = run()
    left = run(final=tmp_path / "last")
    assert left.last is None
    again = mf.open_run(left.save(tmp_path / "run.h5"))
    for a, b in zip(again.measure, whole.measure, strict=True):
        assert a.tobytes() == b.tobytes()
    run(final=tmp_path / "last")  # the same run leaves the same files' successors, not more of them
    assert len(list((tmp_path / "last").iterdir())) == 1
    with pytest.raises(mf.StorageError, match="which is not there in full"):
        mf.open_run(tmp_path / "run.h5")
    again = run(final=tmp_path / "last").save(tmp_path / "run.h5")
    flip(next((tmp_path / "last").iterdir()))
    with pytest.raises(mf.StorageError, match="is damaged: its SHA-256"):
        mf.open_run(again)
    with pytest.raises(mf.InputError, match="`final` and `checkpoints` must be two folders"):
        run(folder=tmp_path / "last", final=tmp_path / "last")


def test_final__is_one_run_s_at_a_time_and_any_number_of_others(run, tmp_path):
    def meanwhile(iteration, steps):
        if iteration == 9:
            run("L1", final=tmp_path)
            with pytest.raises(BusyError, match="in use by another run of the same configuration"):
                run(final=tmp_path)

    left = run(final=tmp_path, progress=meanwhile)
    assert all((left.left.folder / segment.file).is_file() for segment in left.left.segments)
    assert len(list(tmp_path.iterdir())) == 2
    part = tmp_path / f".{left.left.segments[0].file}.0f.part"
    part.write_bytes(b"half")
    run(final=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_checkpoints__may_be_given_by_a_relative_path(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(folder="kept", stop_at=7)
    assert states(tmp_path / "kept")
