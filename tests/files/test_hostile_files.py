"""Files that come from anyone: only their own bytes are read, as many as they have, and faults are named."""

import gzip
import io
import json
import os
import shutil
import socket
import struct
import time
import warnings
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from support.commands import called

import particles as mf
from particles import machine
from particles.data.columns import Choice, inputs
from particles.data.table_rows import opened
from particles.errors import DamagedError
from particles.experiments.summary import FILE
from particles.files import hdf5_member, reading
from particles.files.hdf5_heaps import check_heaps
from particles.report import source
from particles.report.incidents import incidents
from particles.report.pictures import saved
from particles.report.reproduction import reproduction
from particles.report.settings import contents, origin, settings
from particles.report.verdicts import outcome, verdicts
from particles.storage import netcdf
from particles.storage.run_file import open_final, verified

SECRET = 12345.678


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a run, a sweep of two sizes and its limit, and a file of someone else's."""
    folder = tmp_path_factory.mktemp("made")
    data = mf.Dataset(np.eye(4)[:, :2], np.array([0.5, -0.5, 0.25, 0.0]))
    law = mf.Gaussian(2)
    record = ("loss", "prediction", "position")
    run = mf.simulate(
        mf.Network("tanh"), law.sample(16, seed=0), data, mf.GradientDescent(0.5), steps=4, record=record,
        final=folder / "last",
    )  # fmt: skip
    run.save(folder / "left.h5")
    run = mf.simulate(mf.Network("tanh"), law.sample(16, seed=0), data, mf.GradientDescent(0.5), steps=4, record=record)
    run.save(folder / "run.h5")
    with h5py.File(folder / "secret.h5", "w") as file:
        file["position"], file["time"] = np.full((16, 2), SECRET), np.full(5, SECRET)
    (folder / "secret.bin").write_bytes(np.full(5, SECRET).tobytes())
    return folder


@pytest.fixture
def folder(made, tmp_path):
    """A copy of that folder."""
    return Path(shutil.copytree(made, tmp_path / "copy"))


def whole(path):
    """Every array of a result, as a sweep reads it before it calls a run finished."""
    return verified(path, netcdf.dataset)


def opened_anyhow(path, capsys):
    """All ways to open a result, what each says; a traceback or a signal fails the test."""
    said = []
    for way in (mf.open_run, whole, lambda one: open_final(one, slice), tables_of):
        try:
            found = way(path)
            said.append(repr(found))
        except mf.ParticlesError as error:
            assert len(str(error)) < 2000
            said.append(str(error))
    code, out, err = called(capsys, "show", str(path))
    assert code in (0, 2) and "Traceback" not in err
    return [*said, out + err]


def tables_of(path):
    """A report but for its pictures, which take a second."""
    found = source.read(path)
    return [part(found) for part in (incidents, settings, contents, origin, reproduction, outcome, verdicts)]


def linked(file, folder):
    del file["time"]
    file["time"] = h5py.ExternalLink(str(folder / "secret.h5"), "time")


def soft(file, folder):
    file.move("time", "final/time")
    file["time"] = h5py.SoftLink("/final/time")


def stored_elsewhere(file, folder):
    del file["time"]
    file.create_dataset("time", (5,), float, external=[(str(folder / "secret.bin"), 0, h5py.h5f.UNLIMITED)])


def viewed(file, folder):
    layout = h5py.VirtualLayout((5,), float)
    layout[:] = h5py.VirtualSource(str(folder / "secret.h5"), "time", (5,))
    del file["time"]
    file.create_virtual_dataset("time", layout)


def in_place_of_positions(file, layout):
    del file["final/position"]
    item = file.create_virtual_dataset("final/position", layout)
    for dim, name in zip(item.dims, ("atom", "dim"), strict=True):
        dim.attach_scale(file[f"final/{name}"])


def view_of_itself(file, folder):
    layout = h5py.VirtualLayout((16, 2), float)
    layout[:] = h5py.VirtualSource(".", "final/position", (16, 2))
    in_place_of_positions(file, layout)


def growing_view_of_itself(file, folder):
    layout = h5py.VirtualLayout((5,), float, maxshape=(None,))
    part = h5py.VirtualSource(".", "loss", (5,), maxshape=(None,))
    layout[: h5py.h5s.UNLIMITED] = part[: h5py.h5s.UNLIMITED]
    del file["loss"]
    file.create_virtual_dataset("loss", layout)


def view_from_above(file, folder):
    layout = h5py.VirtualLayout((16, 2), float)
    layout[:] = h5py.VirtualSource("../copy/secret.h5", "position", (16, 2))
    in_place_of_positions(file, layout)


def view_through_a_link(file, folder):
    outside = folder.parent / "outside.h5"
    shutil.copy(folder / "secret.h5", outside)
    (folder / "near.h5").symlink_to(outside)
    layout = h5py.VirtualLayout((16, 2), float)
    layout[:] = h5py.VirtualSource("near.h5", "position", (16, 2))
    in_place_of_positions(file, layout)


def view_of_a_view(file, folder):
    layout = h5py.VirtualLayout((16, 2), float)
    layout[:] = h5py.VirtualSource("run.h5", "final/position", (16, 2))
    with h5py.File(folder / "between.h5", "w") as between:
        between.create_virtual_dataset("position", layout)
    outer = h5py.VirtualLayout((16, 2), float)
    outer[:] = h5py.VirtualSource("between.h5", "position", (16, 2))
    in_place_of_positions(file, outer)


def cycle(file, folder):
    file["final/again"] = file["/"]


def two_links_a_level(file, folder):
    """2^40 paths."""
    group = file
    for k in range(40):
        inner = group.create_group("a") if k else file.create_group("limit")
        group["b"] = inner
        group = inner


def strange_group(file, folder):
    file.create_group("mine")


def named_type(file, folder):
    file["kind"] = np.dtype("f8")


def reference(file, folder):
    points = np.array([file["final"].ref, file["loss"].ref], dtype=object)
    file.create_dataset("points", data=points, dtype=h5py.ref_dtype).make_scale("points")


def unknown_filter(file, folder):
    """As a plug-in would be loaded for it."""
    values = file["loss"][()]
    del file["loss"]
    space, plan = h5py.h5s.create_simple((5,)), h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk((5,))
    plan.set_filter(32001, h5py.h5z.FLAG_OPTIONAL, (1, 2, 3))
    item = h5py.h5d.create(file.id, b"loss", h5py.h5t.NATIVE_DOUBLE, space, plan)
    item.write_direct_chunk((0,), values.tobytes())
    file["loss"].dims[0].attach_scale(file["time"])


STRUCTURES = {
    linked: "'/time' is a link to another file",
    soft: "'/time' is a link to another place",
    stored_elsewhere: "'/time' is an array whose bytes lie in another file",
    viewed: "'/time' is a view of other files",
    view_of_itself: "is a link that leads out|which is not there in full",
    growing_view_of_itself: "'/loss' is a view of other files",
    view_from_above: "a name must be relative and stay in the folder",
    view_through_a_link: "is a link that leads out of",
    view_of_a_view: "'/position' is a view of other files",
    cycle: "group '/final/again', and a result has no such group",
    two_links_a_level: "group '/b', and a result has no such group|group '/limit/a'",
    strange_group: "group '/mine', and a result has no such group",
    named_type: "'/kind' is neither an array nor a group",
    reference: "'/points' holds neither numbers nor text",
    unknown_filter: "'/loss' is behind the filter 32001",
}


@pytest.mark.parametrize("change", STRUCTURES, ids=lambda change: change.__name__)
def test_result__holds_its_own_bytes_or_is_refused(folder, capsys, change):
    path = folder / "run.h5"
    with h5py.File(path, "r+") as file:
        change(file, folder)
    began = time.monotonic()
    with pytest.raises(mf.StorageError, match=STRUCTURES[change]):
        mf.open_run(path)
    said = opened_anyhow(path, capsys)
    assert time.monotonic() - began < 20 and not any("12345" in text for text in said)


def test_result__may_refer_to_particles_in_its_folder(folder):
    """And to no other file, by whatever name they are listed."""
    path = folder / "left.h5"
    assert np.isfinite(mf.open_run(path).measure.b).all()
    with h5py.File(path, "r+") as file:
        (name, size, sha256), *_ = json.loads(file["final"].attrs["files"])
        file["final"].attrs["files"] = json.dumps([[f"../{folder.name}/{name}", size, sha256]])
    with pytest.raises(DamagedError, match="a name must be relative and stay in the folder"):
        mf.open_run(path)


def test_save__keeps_a_run_and_its_particles_together(folder, cloud, samples):
    run = mf.simulate(
        mf.Network("tanh"), cloud(), samples(), mf.GradientDescent(0.1), steps=3, final=folder / "a" / "last"
    )
    with pytest.raises(mf.InputError, match="must be beside or above the folder of its particles"):
        run.save(folder / "b" / "run.h5")
    assert len(mf.open_run(run.save(folder / "a" / "run.h5")).measure.b) == 5


def test_sweep__reads_no_run_s_numbers_from_elsewhere(folder, made):
    (folder / "runs").mkdir()
    keys = [f"{k:016x}" for k in range(3)]
    for key in keys:
        shutil.copy(made / "run.h5", folder / "runs" / f"{key}.h5")
    with h5py.File(folder / FILE, "w") as file:
        runs = {key: {"count": k + 1, "nodes": 0} for k, key in enumerate(keys)}
        file.attrs.update({"config": "{}", "config_hash": "", "runs": json.dumps(runs)})
    with h5py.File(folder / "runs" / f"{keys[0]}.h5", "r+") as file:
        linked(file, folder)
    with h5py.File(folder / "runs" / f"{keys[1]}.h5", "r+") as file:
        growing_view_of_itself(file, folder)
    data = mf.open_sweep(folder)
    assert data["status"].values.tolist() == ["damaged", "damaged", "finished"]
    assert not (data["time"].values == SECRET).any() and np.isfinite(data["loss"].values[2]).all()


KEYS = [f"{k:016x}" for k in range(2)]


@pytest.mark.parametrize(
    "name",
    ["../secret.h5", "/secret.h5", "secret.h5", "runs/../secret.h5", f"./runs/{KEYS[1]}.h5", "runs/other.h5", "."],
)
def test_sweep__may_refer_to_its_own_runs_alone(folder, made, capsys, name):
    """Those are for other programs: here nothing is read through them, whatever they are links to."""
    (folder / "runs").mkdir()
    shutil.copy(made / "run.h5", folder / "runs" / f"{KEYS[0]}.h5")
    (folder / "runs" / f"{KEYS[1]}.h5").symlink_to(made / "secret.h5")

    def write(other):
        layout = h5py.VirtualLayout((2, 5), float)
        for k, part in enumerate((f"runs/{KEYS[0]}.h5", other)):
            layout[k] = h5py.VirtualSource(part, "time", (5,))
        with h5py.File(folder / FILE, "w") as file:
            runs = {KEYS[0]: {"count": 1, "nodes": 0}}
            file.attrs.update({"config": "{}", "config_hash": "", "runs": json.dumps(runs)})
            file.create_virtual_dataset("secret", layout)

    write(f"runs/{KEYS[1]}.h5")
    assert "secret" not in mf.open_sweep(folder) and tables_of(folder / FILE)
    assert called(capsys, "show", str(folder))[0] == 0
    write(name)
    with pytest.raises(mf.StorageError, match="'/secret' is a view of other files"):
        mf.open_sweep(folder)
    code, _, err = called(capsys, "show", str(folder))
    assert code == 2 and "'/secret' is a view of other files" in err


# Sizes.


def bomb(file, folder):
    """10^12 numbers in some kilobytes."""
    del file["loss"]
    file.create_dataset("loss", (10**12,), "f8", chunks=(2**20,), compression="gzip")[:5] = 1.0
    file["loss"].make_scale("loss")


def unpacked(file, folder):
    """2^23 bytes of zeros, packed to 2^13."""
    del file["loss"]
    file.create_dataset("loss", data=np.zeros(2**20), chunks=(2**20,), compression="gzip")
    file["loss"].make_scale("loss")


def one_text_many_times(file, folder):
    """2^16 bytes that 2^10 places refer to."""
    one, many = (
        file.create_dataset(name, (count,), h5py.string_dtype()) for name, count in (("one", 1), ("many", 1024))
    )
    one[0], many[0] = "x" * 2**16, ""
    one.make_scale("one")
    many.make_scale("many")
    file.flush()
    here, there, name = one.id.get_offset(), many.id.get_offset(), file.filename
    file.close()
    content = bytearray(Path(name).read_bytes())
    content[there : there + 16 * 1024] = content[here : here + 16] * 1024
    Path(name).write_bytes(content)


@pytest.mark.parametrize("change", [bomb, unpacked, one_text_many_times], ids=lambda change: change.__name__)
def test_result__is_not_more_than_its_bytes_can_stand_for(folder, capsys, monkeypatch, change):
    monkeypatch.setattr(reading, "_ROOM", 2**20)  # of 2^28
    path = folder / "run.h5"
    with h5py.File(path, "r+") as file:
        change(file, folder)
    with pytest.raises(mf.StorageError, match=r"it would take \d+ bytes|holds more text than the file has bytes"):
        mf.open_run(path)
    opened_anyhow(path, capsys)


def test_result__packed_by_gzip_is_read(folder):
    whole = mf.open_run(folder / "run.h5")
    with h5py.File(folder / "run.h5", "r+") as file:
        values = file["prediction"][()]
        scales = [dim[0].name for dim in file["prediction"].dims]
        del file["prediction"]
        item = file.create_dataset("prediction", data=values, compression="gzip", shuffle=True, fletcher32=True)
        for dim, name in zip(item.dims, scales, strict=True):
            dim.attach_scale(file[name])
    assert (mf.open_run(folder / "run.h5").dataset["prediction"].values == whole.dataset["prediction"].values).all()


def zipped(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)


def npy(shape, content):
    page = io.BytesIO()
    np.lib.format.write_array_header_1_0(page, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return page.getvalue() + content


ARCHIVES = {
    "header": lambda: npy((10**9, 8), b"\0" * 64),
    "negative": lambda: npy((-4, -2), b"\0" * 64),
    "zeros": lambda: npy((2**16, 8), b"\0" * 2**22),
    "short": lambda: npy((4, 2), b"\0" * 63),
    "long": lambda: npy((4, 2), b"\0" * 65),
    "no array": lambda: b"x" * 100,
}


@pytest.mark.parametrize("kind", ARCHIVES)
@pytest.mark.parametrize("law", [False, True], ids=["data", "atoms"])
def test_npz__has_the_bytes_of_its_shape_or_is_refused(tmp_path, monkeypatch, capsys, kind, law):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(reading, "_ROOM", 2**20)  # of 2^28
    y = npy((4,), np.arange(4.0).tobytes())
    if law:
        zipped("a.npz", points=ARCHIVES[kind]())
        code, _, err = called(capsys, "check", config(tmp_path), "--set", 'law={name="atoms",file="a.npz"}')
        assert code == 2 and "a.npz cannot be read as atoms" in err
    else:
        zipped("a.npz", x=ARCHIVES[kind](), y=y)
        with pytest.raises(mf.StorageError, match=r"a\.npz cannot be read"):
            mf.datasets.read("a.npz")


def config(folder):
    path = folder / "small.toml"
    path.write_text(
        'name = "small"\nsteps = 3\n[data]\nname = "wine"\nscale = "standard"\n[network]\nactivation = "tanh"\n[law]\n'
        'name = "gaussian"\n[start]\ncount = 8\n[method]\nstep = 0.1\n'
    )
    return str(path)


def netcdf3(variables, size):
    """A classic file whose variables all lie in one place."""
    begin = 4096 + 64 * variables
    head = b"CDF\1" + struct.pack(">iii", 0, 10, 1) + struct.pack(">i", 1) + b"n\0\0\0" + struct.pack(">i", size // 8)
    head += struct.pack(">ii", 0, 0) + struct.pack(">ii", 11, variables)
    for k in range(variables):
        head += struct.pack(">i", 8) + b"v%07d" % k + struct.pack(">iiiiiii", 1, 0, 0, 0, 6, size, begin)
    return head.ljust(begin, b"\0") + b"\0" * size


def test_netcdf__has_no_bytes_twice(tmp_path):
    """4096 variables of a megabyte each, in one megabyte."""
    (tmp_path / "a.nc").write_bytes(netcdf3(4096, 2**20))
    with pytest.raises(mf.StorageError, match="its variables have more bytes than the file"):
        mf.datasets.read(tmp_path / "a.nc", x="v0000000", y="v0000001")


def test_csv__of_many_columns_is_read_in_time(tmp_path):
    """A header of n names was looked through n times."""
    n = 20_000
    names = [f"c{k}" for k in range(n)]
    table = opened((",".join([*names, "y"]) + "\n" + "1," * n + "2\n").encode(), tmp_path / "a.csv")
    began = time.process_time()
    assert inputs(table.names, table.path, Choice()) == names
    assert time.process_time() - began < 1


@pytest.mark.parametrize("name", ["a.csv", "a.npz", "a.h5"])
def test_file__larger_than_the_memory_that_is_free_is_refused_unread(tmp_path, monkeypatch, name):
    with open(tmp_path / name, "wb") as file:
        file.truncate(2**40)  # takes no room on the disk
    with pytest.raises(mf.StorageError, match=r"a\.\w+ needs 1.1e\+03 GB of memory, and .* GB are free"):
        mf.datasets.read(tmp_path / name)


def test_digest__takes_no_memory(tmp_path):
    """Of a file that is hashed and not parsed."""
    import tracemalloc

    with open(tmp_path / "a.bin", "wb") as file:
        file.truncate(2**26)
    tracemalloc.start()
    reading.digest_of(tmp_path / "a.bin")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**22


def test_memory__that_is_free_is_less_than_all(tmp_path):
    assert 0 < machine.free_memory() <= machine.memory()
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal: 100 kB\nMemAvailable: 40 kB\n")
    assert machine.free_memory(tmp_path) == 40 * 1024


def fifo(path):
    os.mkfifo(path)


def unix_socket(path):
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(path.parent)  # a socket's name may have 107 bytes
        server.bind(path.name)
        os.chdir(here)


def device(path):
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [fifo, unix_socket, device], ids=lambda make: make.__name__)
@pytest.mark.parametrize("ending", ["h5", "csv", "npz", "nc"])
def test_file__must_be_one(tmp_path, capsys, make, ending):
    """A pipe may never begin, and a device never end."""
    path = tmp_path / f"a.{ending}"
    make(path)
    with pytest.raises(mf.StorageError, match="is no file: it is a"):
        mf.datasets.read(path)
    with pytest.raises(mf.StorageError, match="is no file: it is a"):
        mf.open_run(path)
    for words in (["show", str(path)], ["report", str(path)]):
        code, _, err = called(capsys, *words)
        assert code == 2 and "is no file: it is a" in err
    code, _, err = called(capsys, "check", config(tmp_path), "--set", f'data={{file="{path}"}}')
    assert code == 2 and "is no file: it is a" in err
    code, _, err = called(capsys, "check", config(tmp_path), "--set", f'law={{name="atoms",file="{path}"}}')
    assert code == 2 and "is no file: it is a" in err


@pytest.mark.parametrize("name", ["plan.json", "sweep.h5"])
def test_sweep__s_folder_with_a_pipe_in_it_does_not_hang(tmp_path, capsys, name):
    (tmp_path / "small" / "runs").mkdir(parents=True)
    os.mkfifo(tmp_path / "small" / name)
    if name == "sweep.h5":
        with pytest.raises(mf.StorageError, match="is no file: it is a pipe"):
            mf.open_sweep(tmp_path / "small")
    else:
        code, _, err = called(capsys, "run", config(tmp_path), "--out", str(tmp_path))
        assert code == 2 and "is no file: it is a pipe" in err


# Attributes.

DEEP = "[" * 10**5 + "]" * 10**5
TEXTS = ("{", "", "[1]", '"x"', "null", "NaN", "1e999", "1" * 5000, DEEP, '{"a": ' * 500 + "1" + "}" * 500, "\0", "é")
VALUES = [*TEXTS, 3, 2.5, float("nan"), np.arange(3), np.array(["a", "b"], dtype=object), b"\xff\xfe", None,
          h5py.Empty("f8"), [1e308] * 7]  # fmt: skip
EVENTS = ([1], [{}], [{"iteration": 1}], [{"iteration": "1", "what": "x"}], [{"iteration": 1.5, "what": "x"}],
          [{"iteration": 10**30, "what": "x"}], [{"iteration": 1, "what": ["x"]}], {"iteration": 1})  # fmt: skip
RUNS = ([], {}, {"a" * 16: 1}, {"a" * 16: {}}, {"../../secret": {"nodes": 0}}, {"a" * 16: {"nodes": -1}},
        {"a" * 16: {"nodes": True}}, {"a" * 16: {"nodes": 0, "count": 1}, "b" * 16: {"nodes": 0, "seed": 1}},
        {"a" * 16: {"nodes": 0, "time": 1}}, {"a" * 16: {"nodes": 0, "count": 10**400}},
        {f"{k:016x}": {"nodes": 0, **{f"a{i}": k for i in range(30)}} for k in range(3)})  # fmt: skip
FILES = ([1], [["a", 1]], [["a", "1", "0" * 64]], [["../a", 1, "0" * 64]], [["/etc/passwd", 1, "0" * 64]],
         [["", 1, "0" * 64]], [["a\0b", 1, "0" * 64]], [["a", -1, "0" * 64]], [["a", 1, "x"]])  # fmt: skip


def put(item, name, value):
    """An attribute in place of another; of None none, of text as the program writes it."""
    if name in item.attrs:
        del item.attrs[name]
    if isinstance(value, str):
        kind = h5py.h5t.TypeID.copy(h5py.h5t.C_S1)
        kind.set_size(h5py.h5t.VARIABLE)
        kind.set_cset(h5py.h5t.CSET_UTF8)
        place = h5py.h5a.create(item.id, name.encode(), kind, h5py.h5s.create(h5py.h5s.SCALAR))
        place.write(np.array(value.replace("\0", "").encode(), dtype=h5py.string_dtype()))
    elif isinstance(value, np.ndarray) and value.dtype == object:
        item.attrs.create(name, value, dtype=h5py.string_dtype())
    elif value is not None:
        item.attrs[name] = value


MUTATIONS = (
    [(name, value) for name in ("config", "events", "status", "config_hash", "package_versions") for value in VALUES]
    + [("events", json.dumps(value)) for value in EVENTS]
    + [("coordinates", value) for value in VALUES]
)


@pytest.mark.parametrize("part", [0, *(pytest.param(part, marks=pytest.mark.slow) for part in range(1, 7))])
def test_run__with_any_attributes_is_opened_or_refused_by_name(folder, capsys, part):
    path = folder / "run.h5"
    whole = path.read_bytes()
    for name, value in MUTATIONS[part::7]:
        path.write_bytes(whole)
        with h5py.File(path, "r+") as file:
            put(file, name, value)
        said = opened_anyhow(path, capsys)
        if name in ("config", "events", "status") and not isinstance(value, str | None):
            assert name in said[0]


@pytest.mark.parametrize("value", EVENTS, ids=str)
def test_run__names_the_attribute_that_is_wrong(folder, capsys, value):
    with h5py.File(folder / "run.h5", "r+") as file:
        put(file, "events", json.dumps(value))
    for words in (["show"], ["report"]):
        code, _, err = called(capsys, *words, str(folder / "run.h5"))
        assert code == 2 and "its attribute 'events' cannot be read (" in err
    with pytest.raises(mf.StorageError, match="its attribute 'events' cannot be read"):
        mf.open_run(folder / "run.h5")


@pytest.mark.parametrize("value", FILES, ids=str)
def test_final__s_files_are_a_list_of_names_sizes_and_hashes(folder, value):
    with h5py.File(folder / "left.h5", "r+") as file:
        put(file["final"], "files", json.dumps(value))
    for way in (mf.open_run, whole, lambda path: open_final(path, slice)):
        with pytest.raises(mf.StorageError, match=r"left\.h5|/copy"):
            way(folder / "left.h5")


@pytest.mark.parametrize("value", [*RUNS, *TEXTS], ids=lambda value: str(value)[:30])
def test_sweep__with_any_list_of_runs_is_opened_or_refused(folder, capsys, value):
    (folder / "runs").mkdir()
    for key in ("a" * 16, "b" * 16):
        shutil.copy(folder / "run.h5", folder / "runs" / f"{key}.h5")
    with h5py.File(folder / FILE, "w") as file:
        file.attrs.update({"config": "{}", "config_hash": ""})
        put(file, "runs", value if isinstance(value, str) else json.dumps(value))
    for way in (mf.open_sweep, lambda path: tables_of(path / FILE)):
        try:
            way(folder)
        except mf.StorageError as error:
            assert str(folder) in str(error)
    code, _, err = called(capsys, "show", str(folder))
    assert code in (0, 2) and "Traceback" not in err


CONFIGS = ({"start": 5}, {"start": []}, {"start": {"nodes": "x"}}, {"start": {"count": [1]}}, {"method": [1]},
           {"a": {"b": {"c": None}}}, {}, {"start": {"seed": 1e308, "count": float("nan")}})  # fmt: skip


@pytest.mark.parametrize("value", CONFIGS, ids=str)
def test_sweep__of_runs_with_any_configurations_is_opened_or_refused(folder, value):
    (folder / "runs").mkdir()
    for key, config in (("a" * 16, value), ("b" * 16, {"start": {"count": 16, "seed": 0}}), ("c" * 16, value)):
        path = shutil.copy(folder / "run.h5", folder / "runs" / f"{key}.h5")
        with h5py.File(path, "r+") as file:
            put(file, "config", json.dumps(config))
    try:
        data = mf.open_sweep(folder)
    except mf.StorageError as error:
        assert str(folder) in str(error)
        return
    for ask in (lambda: data.mf.config, lambda: data.mf.limits, lambda: data.mf.compare(), lambda: data.mf.events):
        try:
            ask()
        except mf.ParticlesError:
            continue


@pytest.mark.parametrize("name", ["config", "events", "limits"])
def test_accessor__refuses_an_attribute_by_its_name(folder, name):
    data = mf.open_run(folder / "run.h5").dataset
    for value in VALUES:
        data.attrs[name] = value
        try:
            getattr(data.mf, name)
        except mf.StorageError as error:
            assert f"attribute {name!r}" in str(error)


WORDS = np.array(["a"] * 5, dtype=object)


def arrays(file, how):
    if how == "time is text":
        del file["time"]
        file.create_dataset("time", data=WORDS, dtype=h5py.string_dtype()).make_scale("time")
    elif how == "time is short":
        del file["time"]
        file.create_dataset("time", data=np.arange(3.0)).make_scale("time")
    elif how == "no time":
        del file["time"]
    elif how == "loss is text":
        del file["loss"]
        file.create_dataset("loss", data=WORDS, dtype=h5py.string_dtype())
        file["loss"].dims[0].attach_scale(file["time"])
    elif how == "loss is complex":
        del file["loss"]
        file.create_dataset("loss", data=np.zeros(5, complex)).dims[0].attach_scale(file["time"])
    elif how == "no scales":
        del file["loss"]
        file["loss"] = np.zeros(5)
    elif how == "time of two dimensions":
        del file["time"]
        file.create_dataset("time", data=np.zeros((5, 2))).make_scale("time")
    elif how == "positions of one dimension":
        del file["final/position"]
        file["final/position"] = np.zeros(16)
        file["final/position"].dims[0].attach_scale(file["final/atom"])
    elif how == "fewer weights":
        del file["final/weight"]
        file["final/weight"] = np.zeros(3)
        file["final/weight"].dims[0].attach_scale(file["final/dim"])
    elif how == "times are infinite":
        file["time"][:] = np.inf
    elif how == "iteration is a fraction":
        del file["iteration"]
        file.create_dataset("iteration", data=np.zeros(5)).dims[0].attach_scale(file["time"])


ARRAYS = ("time is text", "time is short", "no time", "loss is text", "loss is complex", "no scales",
          "time of two dimensions", "positions of one dimension", "fewer weights", "times are infinite",
          "iteration is a fraction")  # fmt: skip


@pytest.mark.parametrize("how", ARRAYS)
def test_run__with_any_arrays_is_opened_or_refused(folder, capsys, how):
    path = folder / "run.h5"
    with h5py.File(path, "r+") as file:
        arrays(file, how)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numbers that are infinite
        said = opened_anyhow(path, capsys)
    if how != "times are infinite":
        assert "run.h5" in said[0] and said[0] != repr(mf.Run)


# Checkpoints and the rest.


def test_report__shows_no_picture_from_elsewhere(folder):
    (folder / "outside").mkdir()
    svg = folder / "outside" / "mine.svg"
    svg.write_text("<svg xmlns='http://www.w3.org/2000/svg'>12345</svg>")
    (folder / "in").mkdir()
    (folder / "in" / "a.svg").symlink_to(svg)
    found = source.Source(source.SWEEP, "a", folder / "in" / FILE, None, {}, [], None, {})
    assert saved(found) == ([], ["The figure a.svg is no picture, or too large for this page; it is beside the file."])
    (folder / "in" / "a.svg").unlink()
    shutil.copy(svg, folder / "in" / "a.svg")
    assert len(saved(found)[0]) == 1


def test_checkpoint__with_a_damaged_manifest_is_left_out(tmp_path, cloud, samples):
    from particles.storage.manifest import _digest

    def run():
        net, method = mf.Network("tanh"), mf.GradientDescent(0.1)
        return mf.simulate(net, cloud(), samples(), method, steps=6, checkpoints=mf.Checkpoints(tmp_path, 0.0))

    whole = run()
    manifests = sorted(tmp_path.glob("checkpoint-*.json"))
    assert manifests
    for change in (
        {"segments": [{"file": "../x", "first": 0, "last": 5, "bytes": 1, "sha256": "0" * 64}]},
        {"segments": [{"file": "/dev/zero", "first": 0, "last": 5, "bytes": 1, "sha256": "0" * 64}]},
        {"iteration": "6"}, {"pages": []}, {"pages": 1}, {"events": [1]}, {"more": 1},
    ):  # fmt: skip
        for path in manifests:
            content = json.loads(path.read_text())
            del content["sha256"]
            content |= change
            path.write_text(json.dumps({**content, "sha256": _digest(content)}))
        with pytest.warns(UserWarning, match="left out"):
            again = run()
        assert (again.dataset["loss"].values == whole.dataset["loss"].values).all()
        manifests = sorted(tmp_path.glob("checkpoint-*.json"))


def test_readers__have_one_word_for_a_missing_file(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(mf.StorageError, match="no such file: "):
            reading.content_of(path)
    with pytest.raises(mf.StorageError, match=r"no such file: .*none.csv. Paths are relative"):
        mf.datasets.read(tmp_path / "none.csv")


def test_csv__that_is_packed_is_no_text(tmp_path):
    (tmp_path / "a.csv").write_bytes(gzip.compress(b"x,y\n" + b"1,2\n" * 10**6))
    with pytest.raises(mf.StorageError, match="cannot be read as CSV"):
        mf.datasets.read(tmp_path / "a.csv")


def test_opener__has_no_plug_in_among_its_filters():
    assert all(number < 256 or number == 32000 for number in hdf5_member._FILTERS)


def test_heaps__that_lie_in_each_other_are_not_walked_through_again_and_again():
    head = b"GCOL\x01\x00\x00\x00" + (2**24).to_bytes(8, "little")
    about = (1).to_bytes(2, "little") + bytes(6) + (16).to_bytes(8, "little")
    check_heaps(head + (about + bytes(16)) * 20_000)
    with pytest.raises(OSError, match="lies in another one"):
        check_heaps(head + (about + head) * 20_000)
