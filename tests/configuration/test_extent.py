"""Configurations that are too large: refused at once and in a line, wherever the size is hidden."""

import json
import time
import tomllib

import pytest
from support.commands import called, set_
from support.configs import SMALL_TOML, planned, small

from particles import machine
from particles.configuration.config import ConfigError, override
from particles.configuration.extent import BYTES, DEPTH, KEYS, LETTERS, LISTED, VALUES, brief, excess
from particles.experiments import memory
from particles.experiments.plan import plan

SECONDS = 2.0  # of one core that others share: 0.6 were measured on an idle one
DRAWN = SMALL_TOML.replace('name = "wine"\nscale = "standard"', 'name = "sphere"')


def put(text, old="count = 8"):
    """The small configuration with a text in place of another."""
    return SMALL_TOML.replace(old, text)


def seeds(values):
    return put(f"count = 8\nseed = {list(values)}")


def set_of(text):
    return DRAWN.replace('"sphere"', f'"sphere"\n{text}')


LINES = "".join(f"k{k} = 1\n" for k in range(200_000))
STEPS = ", ".join(f"{{step={k % 49_999 + 1}}}" for k in range(50_000))
QUOTED = 'a = ["""x"""""]\n' + '"[,.\\"" . ' * 20_000 + "a = 1\n"
NO_MACHINE = "a run must fit in 64 TiB of memory: got "
WHOLE = "a whole number has at most 64 bits"
DEEP = f"lists and sections may be {DEPTH} deep"
TOO_LARGE = {
    "dim 10^12": (set_of(f"dim = {10**12}"), NO_MACHINE),
    "dim 1e12": (set_of("dim = 1e12"), "data.dim: input should be a valid integer"),
    "dim of 64 bits": (set_of(f"dim = {2**63 - 1}"), NO_MACHINE),
    "n above": (set_of(f"n = {2**32 + 1}"), "data.n: input should be less than"),
    "nodes 10^12": (f"{DRAWN}[limit]\nnodes = {10**12}", NO_MACHINE),
    "nodes 1e12": (f"{DRAWN}[limit]\nnodes = 1e12", "limit.nodes: input should be a valid integer"),
    "particles": (set_of("dim = 100").replace("count = 8", f"count = {2**40}"), NO_MACHINE),
    "inner steps": (f'{DRAWN}name = "dual_averaging"\ntemperature = 0.1\ninner = {10**18}', "method.inner: input"),
    "batch": (set_of("dim = 100") + f'name = "sgd"\nbatch = {2**40}', NO_MACHINE),
    "records": (DRAWN.replace("count = 8", f"count = {2**20}").replace("steps = 3", "steps = 1000000000")
                + '[record]\nvariables = ["position"]', NO_MACHINE),
    "10^7 seeds": (put(f"count = 8\nseed = [{'0,' * 10_000_000}]"), f"larger than {BYTES} bytes"),
    "10^6 seeds": (put(f"count = 8\nseed = [{'0,' * 1_000_000}]"), f"more than {VALUES} values"),
    "10^5 seeds and one": (seeds(range(100_001)), "start.seed: a sweep may have 100000 runs: got 100001 values"),
    "10^10 runs": (put(f"count = {list(range(1, 1001))}\nseed = {list(range(10_000))}").replace(
                   "steps = 3", f"steps = {list(range(1000))}"), "may have 100000 runs: got 10000000000"),
    "200000 keys": (LINES + SMALL_TOML, f"more than {VALUES} values"),
    "200000 keys of a section": (SMALL_TOML + LINES, f"more than {VALUES} values"),
    "200000 sections": (SMALL_TOML + "".join(f"[k{k}]\n" for k in range(200_000)), f"more than {VALUES} values"),
    "100000 keys": (LINES[: len(LINES) // 2].rpartition("k")[0] + SMALL_TOML, f"a section has at most {KEYS} keys"),
    "1000 keys of a section": (SMALL_TOML + LINES[:8890], f"method: a section has at most {KEYS} keys: got 1001"),
    "unknown keys": (SMALL_TOML + "".join(f"k{k} = 1\n" for k in range(KEYS - 5)), f"has more than {LISTED} faults"),
    "long key": (f"{'k' * 1_000_000} = 1\n{SMALL_TOML}", "a key has at most 60 letters"),
    "brackets": (f"a = {'[' * 5000}{']' * 5000}\n{SMALL_TOML}", "lists in lists without end"),
    "some brackets": (f"a = {'[' * 100}{']' * 100}\n{SMALL_TOML}", f"a: {DEEP}"),
    "braces": (f"a = {'{a=' * 5000}1{'}' * 5000}\n{SMALL_TOML}", "lists in lists without end"),
    "dotted key": (f"{'a.' * 100_000}a = 1\n{SMALL_TOML}", f"a key has at most {DEPTH} parts: got 'a.a.a"),
    "dotted section": (f"{SMALL_TOML}\n[method.{'a.' * 5000}a]\nb = 1", f"a key has at most {DEPTH} parts"),
    "quoted dotted key": (f"{QUOTED}{SMALL_TOML}", "a key has at most 8 parts"),
    "dotted key in a value": (f"a = {{{'a.' * 20_000}a = 1}}\n{SMALL_TOML}", "a key has at most 8 parts"),
    "10^400": (put(f"count = {10**400}"), f"start.count: {WHOLE}"),
    "5000 digits": (put(f"count = 1{'0' * 5000}"), WHOLE),
    "hexadecimal": (put(f"count = 0x{'f' * 100_000}"), WHOLE),
    "long text": (put("t" * 1_000_000, "tanh"), f"network.activation: a text has at most {LETTERS} letters"),
    "long path": (put(f'file = "{"x/" * 100_000}.csv"', 'name = "wine"'), f"data.file: a text has at most {LETTERS}"),
    "bad seeds": (seeds(map(str, range(100_000))), "start.seed: input should be a valid integer: got '0'"),
    "one bad value": (seeds(range(100_000)).replace("steps = 3", "steps = -3"), "greater than or equal to 0: got -3"),
    "axis of names": (put(f"{list(map(str, range(100_000)))}", '"small"'), "is one for the whole sweep"),
    "repeated value": (put(f"count = {[*range(1, 99_999), 1]}"), "start.count: an axis needs different values: got 1"),
    "repeated section": (put(f"steps = 3\nmethod = [{STEPS}]", "steps = 3").split("[method]")[0], "twice"),
    "variables": (f"{SMALL_TOML}[record]\nvariables = {['los'] * 100_000}", "record.variables.0: must be one of"),
    "layers": (put(f'tanh"\ntrain = {["in"] * 100_000}#', "tanh"), "network.train.0: must be one of"),
    "columns": (put(f'file = "a.csv"\nx = {[1] * 100_000}', 'name = "wine"'), "data.x"),
}  # fmt: skip


@pytest.mark.parametrize("case", TOO_LARGE)
def test_check__refuses_in_a_second_and_a_line(tmp_path, capsys, case):
    text, message = TOO_LARGE[case]
    path = tmp_path / "a.toml"
    path.write_text(text)
    began = time.process_time()
    code, out, err = called(capsys, "check", str(path))
    took = time.process_time() - began
    assert (code, out) == (2, "") and message in err
    assert len(err) < 5000 and len(err.splitlines()) <= LISTED + 2 and max(map(len, err.splitlines())) < 600
    assert took < SECONDS


@pytest.mark.parametrize(
    "setting",
    [
        f"start.count=1{'0' * 5000}",
        f"start.count=0x{'f' * 5000}",
        f"start.count={10**400}",
        f"start.count={'[' * 5000}",
        f"{'a.' * 5000}a=1",
        f"data.name={'x' * 1_000_000}",
        f"{'k' * 1_000_000}=1",
        f"steps.{'k' * 1_000_000}=1",
        "x" * 1_000_000,
    ],
    ids=lambda setting: f"{setting[:20]}{len(setting)}",
)
def test_set__refuses_in_a_line(setting):
    with pytest.raises(ConfigError) as caught:
        plan(small(setting), None)
    assert len(str(caught.value)) < 500 and len(caught.value.faults) == 1


def test_excess__is_nothing_where_a_configuration_has_the_most_of_everything():
    deep = 0
    for _ in range(DEPTH - 1):
        deep = [deep]
    raw = {"a": deep, "b": "x" * LETTERS, "c": {f"k{k}": 2**63 - 1 for k in range(KEYS)}, "d": [-(2**63)] * 100_000}
    assert excess(raw) == ""
    assert excess({"a": [deep]}) and excess({"b": "x" * (LETTERS + 1)}) and excess({"d": [[2**63]]})


@pytest.mark.parametrize("value", ["x" * 10**6, list(range(10**6)), {f"k{k}": k for k in range(1000)}, 10**300])
def test_brief__is_short(value):
    assert len(brief(value)) < 120


@pytest.fixture
def cli(tmp_path, capsys, monkeypatch):
    """A caller of the command, in a folder with drawn.toml, on a machine of 8 GiB."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(machine, "memory", lambda: 2**33)
    (tmp_path / "drawn.toml").write_text(DRAWN)
    return lambda command, *settings, more=(): called(capsys, command, "drawn.toml", *set_(*settings), *more)


LARGE = {
    "samples": (["data.n=4294967296"], "data 384 GiB", "Lower data.n"),
    "particles": (["start.count=1000000000"], "particles 37.3 GiB", "Lower start.count"),
    "nodes": (["limit.nodes=500000000", "data.n=8"], "particles 89.4 GiB", "limit.nodes"),
    "records": (["steps=1000000", "data.n=10000"], "recorded numbers 74.5 GiB", "Raise record.every"),
    "steps": (["steps=1000000000", 'record.every="log"'], "times of steps 14.9 GiB", "Lower steps"),
    "Gram matrices": (["data.n=100000", 'record.variables=["lambda_min"]'], "Gram matrices 74.5 GiB", "tangent kernel"),
}


@pytest.mark.parametrize("case", LARGE)
def test_check__says_that_a_run_does_not_fit_in_memory(cli, case):
    settings, amount, remedy = LARGE[case]
    code, out, err = cli("check", *settings)
    assert (code, err) == (0, "")
    said = " ".join(out.split())
    assert "no faults, but this machine has 8 GiB of memory and a run needs" in said
    assert amount in said and remedy in said
    found = json.loads(cli("check", *settings, more=["--json"])[1])
    assert found["needed_bytes"] > found["memory_bytes"] == 2**33


@pytest.mark.parametrize("case", LARGE)
def test_run__refuses_what_does_not_fit_in_memory(cli, tmp_path, case):
    settings, _, remedy = LARGE[case]
    code, out, err = cli("run", *settings)
    assert (code, out) == (2, "") and "must fit in this machine's memory, 8 GiB: got" in err and remedy in err
    assert len(err.splitlines()) == 1 and not (tmp_path / "out").exists()


def test_check__says_nothing_of_memory_where_it_is_enough(cli):
    code, out, _ = cli("check")
    assert code == 0 and out.endswith("no faults\n")
    said = json.loads(cli("check", more=["--json"])[1])
    assert (said["samples"], said["test_samples"], said["inputs"]) == (256, 0, 5)
    assert 0 < said["needed_bytes"] < 2**20


def test_need__is_what_the_cost_model_says_of_particles():
    from particles.experiments.placement import work_in

    for settings in ([], ['method.name="runge_kutta"'], ["method.average=true"]):
        made = planned("start.count=1000", 'record.variables=["displacement_rms"]', *settings)
        (need,) = memory.needs(made)
        assert need.parts["particles"] == work_in(made, made.cases[0])[1].memory(1000)


def test_need__of_a_file_is_that_of_its_samples(tmp_path):
    (tmp_path / "a.csv").write_text("a,b,y\n" + "1,2,3\n4,5,6\n" * 50)
    (need,) = memory.needs(planned('data={file="a.csv",test=0.2}', folder=tmp_path))
    assert need.shape == (80, 20, 2) and need.data == 8 * 100 * 3


def test_override__still_takes_what_a_person_writes():
    raw = {}
    override(raw, ["a.b=[1, 2]", "c=word"])
    assert raw == {"a": {"b": [1, 2]}, "c": "word"} and tomllib.loads("a = 1") == {"a": 1}
