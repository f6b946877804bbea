"""Sweeps: what is there is kept, what is damaged or missing is run, and no run stops another."""

import errno
import hashlib
import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from support.configs import planned
from support.sweeps import DIVERGING, Silent, all_contents, statuses, swept

import particles as mf
from particles.errors import StorageError
from particles.experiments import build, summary, sweep as module
from particles.experiments.summary import gather
from particles.experiments.sweep import run_path, run_sweep
from particles.storage.run import Run

COUNTS = "start.count=[8, 16, 24]"


def stamps(out):
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in out.rglob("*.h5")}


def test_sweep__names_files_by_their_key(tmp_path):
    made, outcomes = swept(tmp_path, COUNTS, "limit.nodes=16")
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {f"{case.key}.h5" for case in made.cases}
    assert [path.stem for path in (tmp_path / "predictions").iterdir()] == [case.key for case in made.predictions]
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "predictions"}
    assert statuses(outcomes) == ["finished"] * 6


def test_sweep__leaves_finished_runs_alone(tmp_path):
    swept(tmp_path, COUNTS)
    before = stamps(tmp_path)
    _, outcomes = swept(tmp_path, COUNTS)
    assert statuses(outcomes) == ["kept"] * 3
    assert stamps(tmp_path) == before


def test_sweep__runs_only_what_is_new(tmp_path):
    swept(tmp_path, "start.count=[8, 16]")
    _, outcomes = swept(tmp_path, "start.count=[16, 24]")
    assert {outcome.case.config.start.count: outcome.status for outcome in outcomes.values()} == {
        16: "kept",
        24: "finished",
    }


def cut(path, other):
    path.write_bytes(path.read_bytes()[:-100])


def flip(path, other):
    """One bit in the middle of an array's chunk."""
    with h5py.File(path, "r") as file:
        chunk = file["prediction"].id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset + chunk.size // 2] ^= 0x10
    path.write_bytes(content)


def empty(path, other):
    path.write_bytes(b"")


def text(path, other):
    path.write_text("not HDF5")


def swap(path, other):
    path.write_bytes(other.read_bytes())


def remove(path, other):
    path.unlink()


@pytest.mark.parametrize("harm", [cut, flip, empty, text, swap, remove])
def test_sweep__runs_a_damaged_file_anew(tmp_path, harm):
    made, _ = swept(tmp_path, COUNTS)
    before = all_contents(tmp_path)
    paths = [run_path(tmp_path, case) for case in made.cases]
    harm(paths[1], paths[2])
    _, outcomes = swept(tmp_path, COUNTS)
    assert [outcomes[case.key].status for case in made.cases] == ["kept", "finished", "kept"]
    assert all_contents(tmp_path) == before


@pytest.mark.parametrize("number", [errno.EIO, errno.EMFILE, errno.EACCES, errno.EAGAIN])
def test_sweep__leaves_a_file_alone_that_cannot_be_read_now(tmp_path, unreadable, number):
    made, _ = swept(tmp_path, COUNTS)
    before, path = stamps(tmp_path), run_path(tmp_path, made.cases[1])
    with unreadable(number, lambda other: other == path):
        with pytest.warns(UserWarning, match=f"{path.name} cannot be read now: {os.strerror(number)}"):
            _, outcomes = swept(tmp_path, COUNTS)
        with pytest.warns(UserWarning, match=r"a run is left out of sweep.h5: .* cannot be read now"):
            assert gather(made, tmp_path).keys() == {made.cases[0].key, made.cases[2].key}
    assert [outcomes[case.key].status for case in made.cases] == ["kept", "failed", "kept"]
    assert "It may be whole and stays as it is" in outcomes[made.cases[1].key].message
    assert stamps(tmp_path) == before
    assert statuses(swept(tmp_path, COUNTS)[1]) == ["kept"] * 3


def test_sweep__leaves_a_run_alone_whose_file_cannot_be_looked_at(tmp_path, monkeypatch):
    """Not even whether there is one is known."""
    made, _ = swept(tmp_path, COUNTS)
    before, path, real = stamps(tmp_path), run_path(tmp_path, made.cases[1]).absolute(), Path.stat

    def stat(self, **options):
        if self == path:
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(self, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", stat)
        with pytest.warns(UserWarning, match="cannot be read now: Permission denied"):
            _, outcomes = swept(tmp_path, COUNTS)
    assert [outcomes[case.key].status for case in made.cases] == ["kept", "failed", "kept"]
    assert stamps(tmp_path) == before


@pytest.mark.parametrize("error", [MemoryError("no room"), MemoryError(), StorageError("disk full. Free some space.")])
def test_sweep__goes_on_after_a_run_that_failed(tmp_path, monkeypatch, error):
    real = module.simulate

    def failing(net, start, *args, **settings):
        if start.count == 16:
            raise error
        return real(net, start, *args, **settings)

    monkeypatch.setattr(module, "simulate", failing)
    made, outcomes = swept(tmp_path, COUNTS)
    assert [outcomes[case.key].status for case in made.cases] == ["finished", "failed", "finished"]
    assert outcomes[made.cases[1].key].message == (str(error) or "MemoryError")
    assert [run_path(tmp_path, case).exists() for case in made.cases] == [True, False, True]


def test_sweep__keeps_what_a_diverged_run_recorded(tmp_path):
    made, outcomes = swept(tmp_path, *DIVERGING)
    good, bad = made.cases
    assert (outcomes[good.key].status, outcomes[bad.key].status) == ("finished", "diverged")
    with h5py.File(run_path(tmp_path, good)) as whole, h5py.File(run_path(tmp_path, bad)) as part:
        assert part.attrs["status"] == "diverged"
        rows = len(part["loss"])
        assert 1 < rows < 41
        assert part["iteration"][()].tolist() == list(range(rows))
        assert part["loss"][0] == whole["loss"][0]
        assert np.isfinite(part["loss"][()]).all()


def test_sweep__says_what_to_do_about_a_diverged_run(tmp_path):
    made, outcomes = swept(tmp_path, *DIVERGING)
    message = outcomes[made.cases[1].key].message
    assert "at iteration" in message or "after iteration" in message
    assert "Try step = " in message


def test_sweep__does_not_run_a_diverged_run_again(tmp_path):
    swept(tmp_path, *DIVERGING)
    before = stamps(tmp_path)
    swept(tmp_path, *DIVERGING)
    assert stamps(tmp_path) == before


def test_sweep__says_again_that_a_run_had_diverged(tmp_path):
    swept(tmp_path, *DIVERGING)
    _, outcomes = swept(tmp_path, *DIVERGING)
    assert statuses(outcomes) == ["diverged", "kept"]


def test_sweep__goes_on_where_a_diverged_run_cannot_be_saved(tmp_path, monkeypatch):
    save = Run.save

    def full(run, path):
        if run.status == "diverged":
            raise StorageError("the disk is full")
        return save(run, path)

    monkeypatch.setattr(Run, "save", full)
    made, outcomes = swept(tmp_path, *DIVERGING, threads=1)
    assert [outcomes[case.key].status for case in made.cases] == ["finished", "failed"]


@pytest.mark.parametrize("settings", [("start.count=[8, 300]", "limit.nodes=16"), ("start.count=600",)])
def test_sweep__does_not_depend_on_threads(tmp_path, settings):
    for threads in (1, 2, 5):
        swept(tmp_path / str(threads), *settings, threads=threads)
    one, two, five = (all_contents(tmp_path / str(threads)) for threads in (1, 2, 5))
    assert one == two == five


LONG = ("steps=40", "start.count=[8, 300]", "start.seed=[0, 1]", "limit.nodes=16", "record.every=3")


@pytest.mark.parametrize("checkpoint_seconds", [0.0, 30.0])
def test_sweep__goes_on_from_a_stop_to_the_same_bits(tmp_path, checkpoint_seconds):
    swept(tmp_path / "whole", *LONG)
    parts, seen = tmp_path / "parts", []
    for stop_at in (5, 17, 29):
        _, outcomes = swept(parts, *LONG, stop_at=stop_at, checkpoint_seconds=checkpoint_seconds)
        seen += statuses(outcomes)
        stopped = [key for key, outcome in outcomes.items() if outcome.status == "stopped"]
        assert any(list((parts / "checkpoints" / key).glob("checkpoint-*.json")) for key in stopped)
    _, outcomes = swept(parts, *LONG)
    assert "stopped" in seen and set(statuses(outcomes)) <= {"kept", "finished"}
    assert all_contents(parts / "runs") == all_contents(tmp_path / "whole" / "runs")
    assert not list((parts / "checkpoints").rglob("*.h5"))


def test_sweep__takes_a_data_file_s_new_contents(tmp_path):
    for y in (1.0, 2.0):
        (tmp_path / "a.csv").write_text(f"a,b,y\n1,2,{y}\n3,4,{y}\n")
        made, _ = swept(tmp_path, 'data={file="a.csv"}')
        with h5py.File(run_path(tmp_path, made.cases[0])) as file:
            assert file["target"][()].tolist() == [y, y]


def csv(path, y):
    path.write_text(f"a,b,y\n1,2,{y}\n3,4,{y}\n")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def atoms(path, y):
    np.savez(path, points=np.full((2, 13), y))
    return hashlib.sha256(path.read_bytes()).hexdigest()


NAMED = [("a.csv", csv, 'data={file="a.csv"}'), ("p.npz", atoms, 'law={name="atoms",file="p.npz"}')]


@pytest.mark.parametrize(("file", "write", "setting"), NAMED, ids=["data", "atoms"])
def test_sweep__computes_with_the_file_that_its_runs_are_named_by(tmp_path, file, write, setting):
    """The file is changed after the configuration was checked, as while a sweep goes on."""
    write(tmp_path / file, 1.0)
    swept(tmp_path / "whole", COUNTS, setting, folder=tmp_path)
    made = planned(COUNTS, setting, folder=tmp_path)
    build.check_all(made.cases, tmp_path)
    write(tmp_path / file, 2.0)
    assert {outcome.status for outcome in run_sweep(made, tmp_path / "edited", Silent())} == {"finished"}
    assert all_contents(tmp_path / "edited" / "runs") == all_contents(tmp_path / "whole" / "runs")


@pytest.mark.parametrize(("file", "write", "setting"), NAMED, ids=["data", "atoms"])
def test_sweep__refuses_a_changed_file_with_both_hashes(tmp_path, file, write, setting):
    """Where it must be read again, as in a process of a cluster."""
    old = write(tmp_path / file, 1.0)
    made = planned(COUNTS, setting, folder=tmp_path)
    new = write(tmp_path / file, 2.0)
    build._data.cache_clear()
    build._atoms.cache_clear()
    with pytest.raises(StorageError, match=f"its SHA-256 is {new}, the run's is {old}"):
        build.check_all(made.cases, tmp_path)
    outcomes = run_sweep(made, tmp_path / "out", Silent())
    assert all(outcome.status == "failed" and old in outcome.message and new in outcome.message for outcome in outcomes)
    assert not list((tmp_path / "out" / "runs").glob("*.h5"))


def test_plan__reads_a_file_once_for_all_its_runs(tmp_path, monkeypatch):
    csv(tmp_path / "a.csv", 1.0)
    reads = []
    real = build.digest_of
    monkeypatch.setattr(build, "digest_of", lambda path, remedy: reads.append(path) or real(path, remedy))
    made = planned(COUNTS, 'data={file="a.csv"}', folder=tmp_path)
    assert len(reads) == 1 and len(made.cases) > 1


def test_sweep__does_not_mix_two_contents_of_a_file(tmp_path):
    for y in (1.0, 2.0):
        csv(tmp_path / "a.csv", y)
        made, outcomes = swept(tmp_path, COUNTS, 'data={file="a.csv"}')
        assert set(statuses(outcomes)) == {"finished"}
        found = summary.write(made, tmp_path).records
        assert {key: data["target"].values.tolist() for key, data in found.items()} == {key: [y, y] for key in outcomes}


def test_sweep__removes_what_killed_writers_left(tmp_path):
    for part in (tmp_path / ".sweep.h5.1-2.part", tmp_path / "runs" / ".x.h5.1-2.part"):
        part.parent.mkdir(exist_ok=True)
        part.write_bytes(b"half")
    swept(tmp_path)
    assert not list(tmp_path.rglob("*.part"))


class Mixed(mf.Local):
    """Tasks that run on machines of two kinds."""

    def notice(self):
        return "its processes run on different processors"


@pytest.mark.parametrize("settings", [(), DIVERGING])
def test_sweep__on_several_processors_says_so_before_and_records_it(tmp_path, settings):
    made = planned(*settings)
    with pytest.warns(UserWarning, match="^small: its processes run on different processors$"):
        outcomes = run_sweep(made, tmp_path, Silent(), tasks=Mixed(1))
    for outcome in outcomes:
        events = mf.open_run(run_path(tmp_path, outcome.case)).events
        assert events[0] == {"iteration": 0, "what": "its processes run on different processors"}
        assert len(events) == 1 + (outcome.status == "diverged") and outcome.events == ()
