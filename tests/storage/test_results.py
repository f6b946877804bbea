"""Result files: plain xarray reads the same from them, every variable is described, damage is noticed."""

import contextlib
import errno
import fcntl
import json
import re
import resource

import h5py
import numpy as np
import pytest
import xarray
from support import ROOT
from support.sweeps import contents, swept

import particles as mf
from particles.errors import DamagedError
from particles.experiments import summary, sweep
from particles.files.hdf5_file import Hdf5File
from particles.methods import runge_kutta
from particles.storage.run_file import open_final, open_root, open_tree, read

EVERYTHING = tuple(
    row.name for row in mf.OBSERVABLES.values() if not (row.binary or row.classes or row.name == "kernel_distance")
)
DESCRIBED = {"long_name", "units", "equation"}


@pytest.fixture
def result(cloud, samples):
    """A maker of a finished run that recorded everything there is."""

    def make(record=EVERYTHING, method=None, **settings):
        settings = {"steps": 3, "test": samples(n=4, seed=1), "record": record, **settings}
        return mf.simulate(mf.Network("tanh"), cloud(), samples(), method or mf.AveragedSGD(0.1), **settings)

    return make


RECORDS = [EVERYTHING, (), ("loss",), ("prediction", "position")]
EACH_RECORD = pytest.mark.parametrize("record", RECORDS, ids=["everything", "nothing", "loss", "arrays"])


@EACH_RECORD
@pytest.mark.parametrize("method", [mf.AveragedSGD(0.1), mf.GradientDescent(0.1)], ids=["averaged", "GD"])
def test_save__comes_back_to_the_bit(tmp_path, result, record, method):
    run = result(record, method)
    back = mf.open_run(run.save(tmp_path / "run.h5"))
    assert back.dataset.identical(run.dataset)
    assert back.dataset.attrs.keys() == run.dataset.attrs.keys()
    for one, two in ((run.measure, back.measure), (run.average, back.average)):
        assert [(a.dtype, a.shape, a.tobytes()) for a in one or ()] == [
            (a.dtype, a.shape, a.tobytes()) for a in two or ()
        ]
    assert (back.status, back.config) == (run.status, run.config)


def test_save__keeps_every_float(tmp_path, result):
    """NaN's payload, signed zeros, subnormals and the ends of the range."""
    run = result()
    run.dataset["loss"].values[:] = [float("nan"), -0.0, 5e-324, np.finfo(float).max]
    assert (
        mf.open_run(run.save(tmp_path / "run.h5")).dataset["loss"].values.tobytes()
        == run.dataset["loss"].values.tobytes()
    )


def test_save__writes_the_same_contents_again(tmp_path, result):
    run = result()
    one, two = run.save(tmp_path / "one.h5"), run.save(tmp_path / "two.h5")
    assert contents(one) == contents(two)


SWEEPS = [
    ("start.count=[8, 16]", "start.seed=[0, 1]", "limit.nodes=16"),
    ("method.step=[0.1, 0.2]", "limit.nodes=16"),
    ('start.signs=["positive", "random"]', "network.bias=[true, false]"),
]


def same(ours, theirs):
    """Equal variables, coordinates, dimensions and attributes, and numbers of equal kinds."""
    assert ours.identical(theirs), f"{ours}\n{theirs}"
    for name in ours.variables:
        kinds = {ours[name].dtype.kind, theirs[name].dtype.kind}
        assert len(kinds) == 1 or kinds <= set("OU")
    assert set(ours.coords) == set(theirs.coords)


@EACH_RECORD
def test_xarray__reads_a_run_as_open_does(tmp_path, result, record):
    path = result(record).save(tmp_path / "run.h5")
    with xarray.open_dataset(path, engine="h5netcdf") as plain:
        same(open_root(path), plain.load())


def test_xarray__reads_every_group_of_a_run(tmp_path, result):
    path = result().save(tmp_path / "run.h5")
    with xarray.open_datatree(path, engine="h5netcdf") as plain:
        ours = open_tree(path)
        assert [node.path for node in plain.subtree] == [node.path for node in ours.subtree] == ["/", "/final"]
        for one, two in zip(ours.subtree, plain.subtree, strict=True):
            same(one.to_dataset(), two.to_dataset().load())


@pytest.mark.parametrize("settings", SWEEPS, ids=" ".join)
def test_xarray__reads_every_group_of_a_sweep(tmp_path, settings):
    made, _ = swept(tmp_path, *settings)
    path = summary.write(made, tmp_path).path
    with xarray.open_datatree(path, engine="h5netcdf") as plain:
        ours = open_tree(path)
        assert {node.path for node in plain.subtree} == {node.path for node in ours.subtree}
        for node in plain.subtree:
            own, theirs = ours[node.path].to_dataset(), node.to_dataset().load()
            views = theirs.data_vars.keys() - own.data_vars.keys()
            assert views == ({"prediction", "target"} if node.path == "/" else set())
            same(own, theirs.drop_vars(views))


@pytest.mark.parametrize("settings", SWEEPS, ids=" ".join)
def test_sweep_file__reads_back_what_was_summed_up(tmp_path, settings):
    made, _ = swept(tmp_path, *settings)
    written = summary.write(made, tmp_path)
    same(written.table, open_root(written.path))


def test_run__describes_every_variable(tmp_path, result):
    with xarray.open_datatree(result().save(tmp_path / "run.h5"), engine="h5netcdf") as tree:
        lacking = [f"{node.path}:{name}" for node in tree.subtree for name, variable in node.variables.items()
                   if not variable.attrs.keys() >= DESCRIBED]  # fmt: skip
    assert lacking == []


@pytest.mark.parametrize("words", ["long_name", "units", "equation"])
def test_run__leaves_no_description_empty(tmp_path, result, words):
    run = mf.open_run(result().save(tmp_path / "run.h5"))
    assert all(variable.attrs[words].strip() for variable in run.dataset.variables.values())


def test_run__says_where_it_came_from(tmp_path):
    made, _ = swept(tmp_path, "start.seed=7")
    (case,) = made.cases
    attrs = open_root(tmp_path / "runs" / f"{case.key}.h5").attrs
    assert (json.loads(attrs["config"]), attrs["config_hash"], attrs["seed"]) == (case.identity, case.key, 7)
    versions = json.loads(attrs["package_versions"])
    assert (versions["numpy"], versions["h5py"]) == (np.__version__, h5py.__version__)
    assert {"cpu", "git", "python", "platform"} <= attrs.keys()
    assert all(attrs[name] for name in ("cpu", "git", "python", "platform"))


def test_sweep_file__says_where_it_came_from(tmp_path):
    made, _ = swept(tmp_path, "start.seed=[0, 1]")
    attrs = open_root(summary.write(made, tmp_path).path).attrs
    assert {"config", "config_hash", "runs", "package_versions", "cpu", "git", "python"} <= attrs.keys()


def test_config__of_a_run_started_from_python_tells_runs_apart(result):
    runs = [
        result(), result(steps=4), result(method=mf.AveragedSGD(0.2)), result(method=mf.AveragedSGD(0.1, seed=1)),
        result(dtype="float32"), result(positions=2), result(record=("loss",)), result(record_every=2),
        result(("loss",), mf.SGD(0.1), regulariser=mf.L2(0.1)), result(("loss",), mf.SGD(0.1)),
    ]  # fmt: skip
    assert len({run.dataset.attrs["config_hash"] for run in runs}) == len(runs)


def harmed(path, how):
    content = bytearray(path.read_bytes())
    if how == "cut":
        content = content[: len(content) // 2]
    elif how == "flipped":
        with h5py.File(path) as file:
            content[file["position"].id.get_chunk_info(0).byte_offset + 5] ^= 1
    elif how == "emptied":
        content = bytearray()
    path.write_bytes(content)


@pytest.mark.parametrize("how", ["cut", "flipped", "emptied"])
def test_open__says_which_file_is_damaged_and_what_to_do(tmp_path, result, how):
    path = result().save(tmp_path / "run.h5")
    harmed(path, how)
    with pytest.raises(DamagedError, match=r"run.h5 cannot be read as a result .*run again"):
        mf.open_run(path)


def test_open__says_that_there_is_no_such_file(tmp_path):
    with pytest.raises(mf.StorageError, match=r"no such file: .*none.h5. Give the path of a result"):
        mf.open_run(tmp_path / "none.h5")


def foreign_scalar(file):
    file["a"] = 3.0


def foreign_array(file):
    file["a"] = np.zeros(3)


def foreign_tree(file):
    file["final/a"] = 3.0
    file.attrs["config"] = "{}"


@pytest.mark.parametrize("fill", [foreign_scalar, foreign_array, foreign_tree])
def test_open__refuses_a_file_of_another_program(tmp_path, fill):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        fill(file)
    with pytest.raises(mf.StorageError, match=r"other.h5"):
        mf.open_run(tmp_path / "other.h5")


def test_open__refuses_a_sweep_s_file(tmp_path):
    made, _ = swept(tmp_path)
    with pytest.raises(mf.StorageError, match="Give a file under runs/"):
        mf.open_run(summary.write(made, tmp_path).path)


@pytest.mark.parametrize("name", ["quickstart.toml", "data.csv"])
def test_open__does_not_tell_to_delete_what_it_did_not_write(tmp_path, name):
    (tmp_path / name).write_text("steps = 3")
    with pytest.raises(mf.StorageError, match="is no result of this program: it is no HDF5 file") as caught:
        mf.open_run(tmp_path / name)
    assert "delete" not in str(caught.value)


@contextlib.contextmanager
def locked(path):
    """As another program that writes to a file has it."""
    with path.open("rb+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def test_open__needs_no_lock(tmp_path, cloud, samples):
    """Nor for the files that a run's file refers to."""
    net, method, last = mf.Network("tanh"), mf.GradientDescent(0.1), tmp_path / "last"
    path = mf.simulate(net, cloud(), samples(), method, steps=3, final=last).save(tmp_path / "run.h5")
    whole = mf.open_run(path)
    with locked(path), locked(next(last.glob("*.h5"))):
        again = mf.open_run(path)
        found, _ = open_final(path, lambda count: slice(count))
    for measure in (again.measure, found):
        assert [a.tobytes() for a in measure] == [a.tobytes() for a in whole.measure]


@pytest.mark.parametrize("mode", ["r", "r+"])
def test_open__reads_what_this_process_has_open_already(tmp_path, result, mode):
    run = result()
    path = run.save(tmp_path / "run.h5")
    with h5py.File(path, mode):
        assert mf.open_run(path).dataset.identical(run.dataset)


@contextlib.contextmanager
def no_more_files():
    """A process that has as many files open as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_open__with_too_many_files_open_says_so(tmp_path, result):
    path = result().save(tmp_path / "run.h5")
    with (
        no_more_files(),
        pytest.raises(mf.StorageError, match=r"run.h5 cannot be read now: Too many open files\..*ulimit -n") as caught,
    ):
        mf.open_run(path)
    assert not isinstance(caught.value, DamagedError) and "delete" not in str(caught.value)


def test_open__takes_no_nan_for_particles_that_could_not_be_read(tmp_path, cloud, samples, monkeypatch):
    """HDF5 gives NaN for a file of a virtual dataset that it cannot open, and says nothing."""
    net, method = mf.Network("tanh"), mf.GradientDescent(0.1)
    run = mf.simulate(net, cloud(), samples(), method, steps=3, final=tmp_path / "last")
    path = run.save(tmp_path / "run.h5")
    real = Hdf5File.values

    def starved(self, item, *window):
        with no_more_files() if item.path == "/final/position" else contextlib.nullcontext():
            return real(self, item, *window)

    monkeypatch.setattr(Hdf5File, "values", starved)
    for opened in (mf.open_run, lambda path: open_final(path, lambda count: slice(count))):
        with pytest.raises(mf.StorageError, match="cannot be read now: a file that it refers to"):
            opened(path)


FAULTS = [
    OSError(errno.EIO, "Can't synchronously read data"),
    PermissionError(errno.EACCES, "Unable to synchronously open file"),
    BlockingIOError(errno.EAGAIN, "unable to lock file"),
    # h5py's words where it is no OSError, as measured
    MemoryError("Unable to allocate 256 GiB"),
    OSError("Can't synchronously read data (memory allocation failed for raw data chunk)"),
    KeyError("Unable to synchronously open object (file read failed: time = ..., errno = 5, error message = '...')"),
    RuntimeError("Unable to get group info (file read failed: time = ..., errno = 116, error message = '...')"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_read__does_not_call_damaged_what_cannot_be_read_now(tmp_path, result, fault):
    path = result(("loss",)).save(tmp_path / "run.h5")

    def reader(file):
        raise fault

    with pytest.raises(mf.StorageError, match=r"cannot be read now: .*\. It may be whole and stays as it is") as caught:
        read(path, reader)
    assert not isinstance(caught.value, DamagedError)


def test_read__meets_the_disk_s_fault_where_hdf5_does_not_name_it(tmp_path, monkeypatch):
    path = tmp_path / "run.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(10))
    monkeypatch.setattr(type(path), "open", lambda *_: (_ for _ in ()).throw(OSError(errno.EIO, "")))
    with pytest.raises(mf.StorageError, match="cannot be read now: Input/output error"):
        mf.open_run(path)


def test_files__carry_checksums_on_all_arrays_of_numbers(tmp_path, result):
    bare = []

    def look(name, item):
        # A dimension without values is an array that was never written.
        written = isinstance(item, h5py.Dataset) and item.ndim and item.id.get_storage_size()
        if written and not item.fletcher32:
            bare.append(name)

    with h5py.File(result().save(tmp_path / "run.h5")) as file:
        file.visititems(look)
        assert file["loss"].fletcher32
    assert bare == []


def test_save__refuses_a_folder_that_is_a_file(tmp_path, result):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(mf.StorageError, match=r"could not be written: .* Choose a folder you may write to"):
        result().save(tmp_path / "out" / "run.h5")
    assert (tmp_path / "out").read_text() == "mine"


PAGE = ROOT / "docs" / "results.md"


def cell(first):
    """The second cell of the page's row that begins with these words."""
    (line,) = [line for line in PAGE.read_text().splitlines() if line.startswith(f"| {first} |")]
    return set(re.findall(r"`(\w+)`", line.split("|")[2]))


def test_page__names_what_is_in_a_run_s_file(tmp_path, result):
    tree = open_tree(result().save(tmp_path / "run.h5"))
    assert cell("group `final`") == set(tree["final"].data_vars)
    assert cell("dimensions") - {"final", "output"} == set(tree.sizes) | set(tree["final"].sizes)
    divided = {"accepted_parts", "rejected_parts"}
    assert cell("attributes") - divided - {"tolerance"} < set(tree.attrs) and not divided & set(tree.attrs)


def test_pages__have_the_numbers_of_the_code():
    text = {path.stem: path.read_text() for path in PAGE.parent.glob("*.md")}
    assert (
        sweep.GATHERED == 2**24
        and "more than 2^24 particles" in text["results"]
        and "$2^{24}$ particles" in text["cluster"]
    )
    parts = f"{runge_kutta._PARTS:,}".replace(",", " ")
    assert f"into {parts} parts at most" in text["mean_field"] and f"past {parts} parts" in mf.RungeKutta.__doc__
    assert "`patience` (30 s)" in text["cluster"] and mf.Ray().patience == 30
