"""Compiled kernels are kept between processes, never stale, and no two processes spoil each other's."""

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import particles
from particles.kernels import compile as module

PATIENCE = 120.0
PREDICT = """
import json, numpy as np, particles as mf
net = mf.Network("tanh")
random = np.random.default_rng(0)
start = mf.Measure(random.standard_normal((9, 2)), np.ones(9), np.full(9, 1 / 9))
out = net.predict(start, random.standard_normal((5, 2)))
stats = net.kernels("float64", 2).sum_groups.stats
kept = [sum(stats.cache_hits.values()), sum(stats.cache_misses.values())]
print(json.dumps([out.tolist(), kept, mf.__file__]))
"""


def started(cache, source=None, **options):
    """A process that predicts with kernels kept in `cache`, from the package in the folder `source`."""
    surroundings = {**os.environ, "PARTICLES_CACHE": str(cache), "PYTHONPATH": str(source or "")}
    words = [sys.executable, "-W", "error", "-c", PREDICT]
    return subprocess.Popen(
        words, env=surroundings, cwd=source, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def ended(process):
    """(outputs, [hits, misses] of the cache) of a process, and the folder of its package."""
    try:
        out, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, err) == (0, "")
    outputs, kept, file = json.loads(out)
    return np.array(outputs), kept, Path(file).parent


def files(folder):
    return {path.relative_to(folder): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A cache that two processes filled at once: its folder, what they said."""
    folder = tmp_path_factory.mktemp("cache")
    both = [started(folder), started(folder)]
    return folder, [ended(process) for process in both]


def expected():
    """The same by numpy."""
    random = np.random.default_rng(0)
    b = random.standard_normal((9, 2))
    return np.tanh(random.standard_normal((5, 2)) @ b.T).mean(axis=1)


def test_cache__is_filled_by_two_processes_at_once_that_agree(filled):
    _, ((one, kept, _), (two, _, _)) = filled
    assert one.tobytes() == two.tobytes()
    np.testing.assert_allclose(one, expected(), rtol=1e-13)
    assert sum(kept) == 1


def test_cache__saves_the_next_process_all_compiling(filled):
    folder, ((one, _, _), _) = filled
    before = files(folder)
    assert before
    outputs, kept, _ = ended(started(folder))
    assert kept == [1, 0]
    assert outputs.tobytes() == one.tobytes()
    assert files(folder) == before


@pytest.fixture
def copied(tmp_path):
    """A copy of the package that a test may edit."""
    shutil.copytree(Path(particles.__file__).parent, tmp_path / "copy" / "particles")
    return tmp_path / "copy"


def test_cache__does_not_give_stale_code_after_an_edit_in_another_file(filled, copied):
    """tanh is compiled into the loops of kernels/forward.py; its formula is in kernels/special.py."""
    special = copied / "particles" / "kernels" / "special.py"
    words = special.read_text()
    assert words.count("def tanh(v):") == 1
    special.write_text(
        words.replace("def tanh(v):", "def tanh(v):\n    return 0.25 + 0.0 * v\n\n\n@inline\ndef _old(v):")
    )
    outputs, kept, package = ended(started(filled[0], copied))
    assert package == copied / "particles"
    np.testing.assert_array_equal(outputs, 0.25)
    assert kept == [0, 1]


@pytest.mark.parametrize("name", ["kernels/special.py", "kernels/lanes.py", "kernels/compile.py", "activations.py"])
def test_source_hash__changes_with_every_file_that_is_compiled(copied, monkeypatch, name):
    monkeypatch.setattr(module, "__file__", str(copied / "particles" / "kernels" / "compile.py"))
    same = module._source_hash()
    with (copied / "particles" / name).open("a") as file:
        file.write("# more\n")
    assert same == module._SOURCE_HASH
    assert module._source_hash() != same


@pytest.mark.parametrize("name", ["CPU_NAME", "CPU_FEATURES", "OPT"])
def test_source_hash__changes_with_the_compiler_s_settings(monkeypatch, name):
    monkeypatch.setattr(module.numba_config, name, "other", raising=False)
    assert module._source_hash() != module._SOURCE_HASH


def test_folder__is_none_where_the_cache_is_off(monkeypatch):
    monkeypatch.setenv("PARTICLES_CACHE", "")
    assert module.cache_folder() is None


def test_folder__is_the_one_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PARTICLES_CACHE", str(tmp_path / "mine"))
    assert module.cache_folder() == tmp_path / "mine" / f"kernels-{module._SOURCE_HASH}"


def test_folder__is_the_user_s_where_none_is_named(monkeypatch, tmp_path):
    monkeypatch.delenv("PARTICLES_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert module.cache_folder() == tmp_path / "meanfield-particles" / f"kernels-{module._SOURCE_HASH}"


def test_folder__is_none_where_it_cannot_be_made(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("PARTICLES_CACHE", str(tmp_path / "file"))
    assert module.cache_folder() is None


def test_specialise__leaves_numba_s_own_folder_alone(monkeypatch, tmp_path):
    monkeypatch.setenv("PARTICLES_CACHE", str(tmp_path))
    before = module.numba_config.CACHE_DIR
    module.specialise(lambda v: v, "key")
    assert before == module.numba_config.CACHE_DIR


@pytest.mark.slow
def test_cache__is_filled_by_four_processes_at_once_that_agree(tmp_path):
    said = [ended(process) for process in [started(tmp_path) for _ in range(4)]]
    assert len({outputs.tobytes() for outputs, _, _ in said}) == 1
    np.testing.assert_allclose(said[0][0], expected(), rtol=1e-13)
    _, kept, _ = ended(started(tmp_path))
    assert kept == [1, 0]


@pytest.mark.slow
def test_cache__off_keeps_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    outputs, (hits, _), package = ended(started(""))
    np.testing.assert_allclose(outputs, expected(), rtol=1e-13)
    assert hits == 0
    assert not files(tmp_path) and not list(package.rglob("*.nb[ci]"))


def limited():
    resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048))


@pytest.mark.slow
def test_cache__on_a_full_disk_costs_time_only(tmp_path):
    """A limit on the size of files stands in for a full disk."""
    outputs, _, _ = ended(started(tmp_path, preexec_fn=limited))
    np.testing.assert_allclose(outputs, expected(), rtol=1e-13)


@pytest.mark.slow
def test_cache__that_is_damaged_is_made_anew(filled, tmp_path):
    shutil.copytree(filled[0], tmp_path / "cache")
    for path in (tmp_path / "cache").rglob("*.nb[ci]"):
        path.write_bytes(path.read_bytes()[:100])
    outputs, _, _ = ended(started(tmp_path / "cache"))
    np.testing.assert_allclose(outputs, expected(), rtol=1e-13)
