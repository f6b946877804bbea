"""Compiled kernels are kept between processes, never stale, and no two processes spoil each other's."""

import functools
import importlib
import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import particles as mf
from particles import kernels
from particles.kernels import cache as module, compile, online

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


@pytest.mark.slow
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
    shutil.copytree(Path(mf.__file__).parent, tmp_path / "copy" / "particles")
    return tmp_path / "copy"


def test_cache__does_not_give_stale_code_after_an_edit_in_another_file(filled, copied):
    """tanh is compiled into the loops of kernels/output.py; its formula is in kernels/special/exponential.py."""
    formulas = copied / "particles" / "kernels" / "special" / "exponential.py"
    words = formulas.read_text()
    assert words.count("def tanh(v):") == 1
    formulas.write_text(
        words.replace("def tanh(v):", "def tanh(v):\n    return 0.25 + 0.0 * v\n\n\n@inline\ndef _old(v):")
    )
    outputs, kept, package = ended(started(filled[0], copied))
    assert package == copied / "particles"
    np.testing.assert_array_equal(outputs, 0.25)
    assert kept == [0, 1]


@pytest.mark.parametrize(
    "name", ["kernels/special/normal.py", "kernels/lanes/rows.py", "kernels/circle.py", "model/activations.py"]
)
def test_source_hash__changes_with_every_file_that_is_compiled(copied, monkeypatch, name):
    monkeypatch.setattr(module, "__file__", str(copied / "particles" / "kernels" / "cache.py"))
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


def homeless(monkeypatch):
    """No HOME, and a user that the system does not list: a container with a number for a user."""

    def unlisted(user):
        raise KeyError(user)

    for name in ("PARTICLES_CACHE", "HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", unlisted)


def test_folder__is_none_for_a_user_without_a_home(monkeypatch):
    homeless(monkeypatch)
    assert module.cache_folder() is None


# Of each loss its slope, and -(step / alpha) l'(g, y) at the numbers below by hand.
FORCES = {"squared": (online.squared_slope, 0.05), "logistic": (online.logistic_slope, 0.15 / (1 + np.exp(0.06)))}


def forces():
    """{loss: (is the force as by hand?, was it read from disk?)}, by kernels of one template, as in a fresh process."""
    compile._known.clear()
    answers = {}
    for name, (slope, expected) in FORCES.items():
        kernel = compile.specialise(online.force_of, loss_slope=compile.inlined(slope))
        value = kernel(0.2, 0.3, 1.0, 2.0)  # g, y, step, alpha
        answers[name] = (value == pytest.approx(expected, rel=1e-12), sum(kernel.stats.cache_hits.values()) == 1)
    return answers


COMPILED = dict.fromkeys(FORCES, (True, False))
READ = dict.fromkeys(FORCES, (True, True))


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """The kernels' folder, not made yet."""
    monkeypatch.setenv("PARTICLES_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(compile, "_known", {})
    return module.cache_folder()


def test_kernels__of_one_template_are_kept_apart(folder):
    assert (forces(), forces()) == (COMPILED, READ)
    assert len(files(folder)) == len(FORCES)


def foreign_locator(monkeypatch, folder):
    monkeypatch.setattr("numba.core.config.CACHE_LOCATOR_CLASSES", "UserWideCacheLocator")


def numba_s_folder(monkeypatch, folder):
    monkeypatch.setattr("numba.core.config.CACHE_DIR", str(folder.parent / "numba"))


def read_only(monkeypatch, folder):
    folder.mkdir(parents=True)

    def refused(path, content):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(module, "_write", refused)  # root may write anywhere


def in_the_way(monkeypatch, folder):
    folder.parent.touch()


def unset(monkeypatch, folder):
    monkeypatch.setenv("PARTICLES_CACHE", "")


def foreign_numba(monkeypatch, folder):
    monkeypatch.delattr("numba.core.compiler.CompileResult._reduce")


@pytest.mark.parametrize("state, second", [
    (foreign_locator, READ), (numba_s_folder, READ), (read_only, COMPILED), (in_the_way, COMPILED), (unset, COMPILED),
    (lambda monkeypatch, folder: homeless(monkeypatch), COMPILED), (foreign_numba, COMPILED),
])  # fmt: skip
def test_kernels__are_right_in_every_state_of_the_cache(folder, monkeypatch, tmp_path, state, second):
    state(monkeypatch, folder)
    assert (forces(), forces()) == (COMPILED, second)
    assert not list(tmp_path.rglob("*.nb[ci]")) and not list(tmp_path.rglob("*.part"))


def test_kernels__are_read_from_a_folder_that_cannot_be_written(folder, monkeypatch):
    forces()
    before = files(folder)
    monkeypatch.setattr(module, "_write", lambda *_: pytest.fail("a warm cache was written to"))
    assert forces() == READ
    assert files(folder) == before


def test_kernels__on_a_full_disk_are_compiled_and_leave_no_parts(folder):
    """A limit on the size of files stands in for a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2048, hard))
    try:
        assert (forces(), forces()) == (COMPILED, COMPILED)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not files(folder)


def test_kernels__are_not_taken_from_another_one_s_file(folder):
    forces()
    one, two = folder.iterdir()
    content = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(content)
    assert (forces(), forces()) == (COMPILED, READ)


@pytest.mark.parametrize("damage", [lambda b: b[:100], lambda b: b"", lambda b: b[:-1] + bytes([b[-1] ^ 1])])
def test_kernels__that_are_damaged_are_made_anew(folder, damage):
    forces()
    for path in folder.iterdir():
        path.write_bytes(damage(path.read_bytes()))
    assert (forces(), forces()) == (COMPILED, READ)


def test_kernels__of_a_user_s_formula_are_not_kept(folder):
    """It can change while the package's sources stay."""

    known = compile.inlined(online.squared_slope)

    @functools.wraps(known)  # which gives it the name, the module and the attributes of one of ours
    def slope(g, y):
        return g + y

    kernel = compile.specialise(online.force_of, loss_slope=compile.inline(slope))
    assert kernel(0.2, 0.3, 1.0, 2.0) == -0.25
    assert not folder.exists()


def test_kernels__that_do_not_name_the_activation_are_compiled_once_for_all():
    """The product's panels are a third of what an activation costs to compile."""
    one, two = (mf.Network(name).kernels("float64", 9) for name in ("tanh", "relu"))
    assert one.move_blocks is two.move_blocks
    assert one.sum_groups is not two.sum_groups
    assert compile._identities[one.sum_groups] != compile._identities[two.sum_groups]


def test_threads__of_numba_that_are_no_number_are_ignored_in_a_line(monkeypatch):
    """Numba itself cannot be imported with 0."""
    for value in ("0", "-1", "abc"):
        monkeypatch.setenv("NUMBA_NUM_THREADS", value)
        with pytest.warns(UserWarning, match=f"NUMBA_NUM_THREADS={value} is not a whole number above 0"):
            importlib.reload(kernels)
        assert "NUMBA_NUM_THREADS" not in os.environ
    monkeypatch.setenv("NUMBA_NUM_THREADS", "3")
    importlib.reload(kernels)
    assert os.environ["NUMBA_NUM_THREADS"] == "3"


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


TILES = """
import sys, numpy as np, particles as mf
from particles.kernels.assemble import block_kernels
from particles.measures import blocks
from particles.model.activations import ACTIVATIONS
row, random = ACTIVATIONS["linear"], np.random.default_rng(0)
b, s, x, slope = (random.standard_normal(shape) for shape in ((32, 5), (32, 2), (7, 5), (7, 2)))
c = blocks.pack(mf.Measure(b, s, np.full(32, 1 / 32)), "float64")
for tiles in map(int, sys.argv[1:]):
    v, vs, none = np.zeros(c.b.size), np.zeros(c.s.size), np.empty(0)
    block_kernels(row.sigma, row.derivative, "float64", None, tiles=tiles, many=True).velocity_blocks(
        c.b.reshape(-1), c.signs, 5, x.reshape(-1), slope.reshape(-1), 1.0, True, 4, 0, 1, 0, False, none, v, vs)
    np.testing.assert_allclose(blocks.unpack(v.reshape(c.b.shape), 32), -(s @ slope.T) @ x, atol=1e-12)
"""


@pytest.mark.slow
def test_cache__of_two_processes_that_differ_in_tiles_serves_a_third_with_both(tmp_path):
    """Numba numbers symbols in each process anew: what one shape of panels calls was linked to the other's."""
    for tiles in ("4", "1", "14"):
        surroundings = {**os.environ, "PARTICLES_CACHE": str(tmp_path)}
        subprocess.run([sys.executable, "-c", TILES, *tiles], env=surroundings, check=True, timeout=PATIENCE)
