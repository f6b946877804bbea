"""A sweep that is repeated: files that did not change are neither opened nor written, and all others are."""

import contextlib
import errno
import json
import os

import h5py
import pytest
import xarray
from matplotlib.figure import Figure
from support.commands import called, set_
from support.configs import SMALL_TOML, planned
from support.summaries import COUNTS, LIMIT
from support.sweeps import Silent, all_contents, contents

from particles.experiments import outputs, records, summary, sweep
from particles.experiments.records import Records, stamp_of
from particles.experiments.sweep import run_path, run_sweep
from particles.plotting.style import described

SETTINGS = (COUNTS, LIMIT)


def repeated(out, *settings, draw=None):
    """Run the small sweep and bring its files up to date: its plan, how runs ended, and whether files were written."""
    made, known = planned(*(settings or SETTINGS)), Records(out)
    outcomes = run_sweep(made, out, Silent(), 2, records=known)
    statuses = {outcome.case.key: outcome.status for outcome in outcomes}
    return made, [statuses[case.key] for case in made.cases], outputs.update(made, out, known, draw)[2]


def stamps(out):
    return {str(path.relative_to(out)): stamp_of(path) for path in out.rglob("*") if path.is_file()}


@contextlib.contextmanager
def opened():
    """The names of the files on disk that HDF5 is asked for meanwhile."""
    names, real = [], h5py.h5f.open

    def look(name, *arguments, **options):
        if os.fsdecode(name).endswith(".h5"):  # else it is in memory
            names.append(os.path.basename(os.fsdecode(name)))
        return real(name, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(h5py.h5f, "open", look)
        yield names


@pytest.fixture
def finished(tmp_path):
    """A sweep that was run: its plan and its folder."""
    return repeated(tmp_path)[0], tmp_path


def test_sweep__does_not_open_the_files_that_it_has_written(tmp_path):
    with opened() as names:
        _, statuses, written = repeated(tmp_path)
    assert (set(statuses), written, names) == ({"finished"}, True, [])


def test_sweep__repeated_opens_one_file_and_writes_none(finished, monkeypatch):
    made, out = finished
    before = stamps(out)
    built = []
    real = xarray.Dataset.__init__
    monkeypatch.setattr(xarray.Dataset, "__init__", lambda self, *a, **more: built.append(1) or real(self, *a, **more))
    with opened() as names:
        assert repeated(out)[1:] == (["kept"] * len(made.cases), False)
    assert names == ["sweep.h5"] and stamps(out) == before
    one = len(built)
    built.clear()
    repeated(out, *SETTINGS)
    assert len(built) == one < 10  # those of sweep.h5, however many runs there are


def test_sweep__repeated_without_its_index_opens_each_file_once(finished):
    made, out = finished
    before, wanted = stamps(out), all_contents(out)
    (out / records.FILE).unlink()
    with opened() as names:
        assert repeated(out)[1:] == (["kept"] * len(made.cases), True)
    assert sorted(names) == sorted(f"{case.key}.h5" for case in made.tasks)
    assert all_contents(out) == wanted
    assert {name: stamp for name, stamp in stamps(out).items() if "runs/" in name} == {
        name: stamp for name, stamp in before.items() if "runs/" in name
    }
    assert repeated(out)[2] is False


@pytest.mark.parametrize(
    "text", [b"", b"{}", b"[1]", b'{"files": {"runs/a.h5": ["finished", "x", 1, 1]}}', b"\xff", b"[" * 10**5]
)
def test_sweep__with_a_damaged_index_reads_the_files(finished, text):
    made, out = finished
    (out / records.FILE).write_bytes(text)
    with opened() as names:
        assert repeated(out)[1:] == (["kept"] * len(made.cases), True)
    assert len(names) == len(made.tasks)
    assert repeated(out)[2] is False


def test_sweep__believes_no_state_that_no_run_has(finished):
    made, out = finished
    path = out / records.FILE
    path.write_text(path.read_text().replace("finished", "complete"))  # whoever wrote that did not look
    with opened() as names:
        assert repeated(out)[1:] == (["kept"] * len(made.cases), False)
    assert sorted(names) == sorted([*(f"{case.key}.h5" for case in made.tasks), "sweep.h5"])


def test_sweep__names_no_file_of_another_folder(finished):
    """An index that says that one was made with sweep.h5."""
    _, out = finished
    other, index = out.parent / "other.png", json.loads((out / records.FILE).read_text())
    other.write_bytes(b"")
    index["files"]["../other.png"] = [index["files"]["sweep.h5"][0], *stamp_of(other)]
    (out / records.FILE).write_text(json.dumps(index))
    assert Records(out).made_of(index["files"]["sweep.h5"][0]) == [out / "sweep.h5"]


def touch(path):
    os.utime(path, ns=(1, 1))


def copy(path):
    """The same bytes and time as another file."""
    status, content = path.stat(), path.read_bytes()
    other = path.with_suffix(".new")
    other.write_bytes(content)
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    os.replace(other, path)


@pytest.mark.parametrize("change", [touch, copy])
def test_sweep__reads_a_run_again_whose_file_changed(finished, change):
    made, out = finished
    wanted = all_contents(out)
    change(run_path(out, made.cases[1]))
    with opened() as names:
        assert repeated(out)[1:] == (["kept"] * len(made.cases), True)
    assert names.count(f"{made.cases[1].key}.h5") == 1 and len(names) == len(made.tasks)
    assert all_contents(out) == wanted
    assert repeated(out)[2] is False


@pytest.mark.parametrize("lost", [True, False])
def test_sweep__looks_at_the_particles_beside_a_run_each_time(tmp_path, monkeypatch, lost):
    """A run's file does not change where those that it refers to do."""
    monkeypatch.setattr(sweep, "GATHERED", 10)
    repeated(tmp_path, COUNTS)
    (part,) = tmp_path.rglob("*.particles/*.h5")
    if lost:
        part.unlink()
    _, statuses, _ = repeated(tmp_path, COUNTS)
    assert statuses == ["kept", "finished" if lost else "kept"] and len([*tmp_path.rglob("*.particles/*.h5")]) == 1


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def flip(path):
    """One bit of an array, of which neither the file's size nor its inode tells."""
    with h5py.File(path, "r") as file:
        chunk = file["prediction"].id.get_chunk_info(0)
    with path.open("r+b") as file:
        file.seek(chunk.byte_offset + 1)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 0x10]))


@pytest.mark.parametrize("harm", [cut, flip, os.unlink])
def test_sweep__makes_a_damaged_run_anew_that_was_known_as_whole(finished, harm):
    made, out = finished
    wanted = all_contents(out)
    harm(run_path(out, made.cases[1]))
    assert repeated(out)[1:] == (["kept", "finished", "kept", "kept"], True)
    assert all_contents(out) == wanted


@pytest.mark.parametrize("harm", [cut, touch, os.unlink])
def test_sweep__writes_its_file_anew_where_it_changed(finished, harm):
    made, out = finished
    wanted = contents(out / summary.FILE)
    harm(out / summary.FILE)
    assert repeated(out)[1:] == (["kept"] * len(made.cases), True)
    assert contents(out / summary.FILE) == wanted
    assert repeated(out)[2] is False


def test_sweep__writes_its_file_anew_where_it_cannot_be_read_now(finished, unreadable):
    _, out = finished
    wanted = contents(out / summary.FILE)
    with unreadable(errno.EIO, lambda path: path.name == summary.FILE):
        assert repeated(out)[2]
    assert contents(out / summary.FILE) == wanted


def test_sweep__that_grows_opens_each_older_file_once(finished):
    _, out = finished
    larger = ("start.count=[8, 16, 24]", LIMIT)
    with opened() as names:
        made, statuses, written = repeated(out, *larger)
    assert written and sorted(statuses) == ["finished"] + ["kept"] * 4
    assert len(set(names)) == len(names) == 5
    assert summary.gather(made, out).keys() == {case.key for case in made.cases}
    assert repeated(out, *larger)[2] is False


def test_sweep__of_which_a_run_cannot_be_read_is_not_up_to_date_for_that(finished, unreadable):
    """What is left out of sweep.h5 now is put in when it can be read."""
    made, out = finished
    wanted = contents(out / summary.FILE)
    (out / summary.FILE).unlink()
    lost = run_path(out, made.cases[0]).absolute()
    with unreadable(errno.EIO, lambda path: path == lost), pytest.warns(UserWarning, match="a run is left out of"):
        assert repeated(out)[2]
    assert contents(out / summary.FILE) != wanted
    assert repeated(out)[2] and contents(out / summary.FILE) == wanted


def test_sweep__without_room_in_memory_reads_what_it_needs(tmp_path, monkeypatch):
    repeated(tmp_path / "held")
    monkeypatch.setattr(records, "_MOST", 0)
    with opened() as names:
        made, *_ = repeated(tmp_path / "read")
    assert len(names) == len(made.tasks)
    assert all_contents(tmp_path / "read") == all_contents(tmp_path / "held")


def test_run__draws_its_figure_again_only_where_it_must(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    drawn = []
    monkeypatch.setattr(
        Figure, "savefig", lambda figure, page, **_: drawn.append(1) or page.write(described(figure).encode())
    )
    (tmp_path / "small.toml").write_text(SMALL_TOML)

    def run(*options):
        drawn.clear()
        code, out, err = called(capsys, "run", "small.toml", *set_(*SETTINGS), *options)
        assert (code, err) == (0, "")
        return len(drawn), [line.split("/")[-1] for line in out.splitlines() if "out/small/" in line]

    first = (2, ["sweep.h5", "small.png", "small.svg"])
    again = (0, [f"{name} is up to date" for name in first[1]])
    assert run() == first and run() == again
    os.unlink("out/small/small.svg")
    assert run() == first and run() == again
    assert run("--no-figure") == (0, again[1][:1]) and run() == again
    os.unlink("out/small/sweep.h5")
    assert run("--no-figure") == (0, ["sweep.h5"]) and run("--no-figure") == (0, again[1][:1])
    assert run() == first and run() == again
