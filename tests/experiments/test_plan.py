"""What a sweep runs: which lists are axes, which runs share a key, where the limit is run."""

import itertools
from pathlib import Path

import pytest
from support.configs import CONFIGS, planned, small

from particles.configuration.config import ConfigError, read_toml
from particles.experiments.plan import plan

AXES = [
    (["start.count=[8, 16]"], {"count": [8, 16]}),
    (["start.seed=[0, 1]", "start.count=[8, 16]"], {"count": [8, 16], "seed": [0, 1]}),
    (["network.beta=[0.5, 1.0]"], {"beta": [0.5, 1.0]}),
    (["method.step=[0.1, 0.2]"], {"step": [0.1, 0.2]}),
    (["steps=[2, 3]"], {"steps": [2, 3]}),
    (['method.name="sgd"', "method.seed=[5, 6]"], {"seed": [5, 6]}),
    (
        ['method.name="sgd"', "start.seed=[0, 1]", "method.seed=[5, 6]"],
        {"seed": [0, 1], "method_seed": [5, 6]},
    ),
    (['method.step={schedule="inverse_sqrt"}', "method.step.c=[1, 2]"], {"c": [1, 2]}),
    (
        ['data.name=["wine", "diabetes"]', 'law.name=["gaussian"]'],
        {"data_name": ["wine", "diabetes"], "law_name": ["gaussian"]},
    ),
    (["record.every=[1, 2]"], {"every": [1, 2]}),
    (['regulariser={name="l2",weight=[0.0, 0.1]}'], {"weight": [0.0, 0.1]}),
    (['network.train=["input", "output"]'], {}),
    (['record.variables=["loss", "prediction"]'], {}),
    (['data.name="digits"', "data.positive=[1, 2]"], {}),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "axes"), AXES, ids=[" ".join(settings) for settings, _ in AXES])
def test_axes__are_the_lists_that_stand_for_one_value(settings, axes):
    assert {axis.name: axis.values for axis in planned(*settings).axes} == axes


@pytest.mark.parametrize(("settings", "axes"), AXES, ids=[" ".join(settings) for settings, _ in AXES])
def test_plan__has_a_run_for_every_combination(settings, axes):
    found = [tuple(case.coords.items()) for case in planned(*settings).cases]
    wanted = [tuple(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    assert sorted(map(sorted, found)) == sorted(map(sorted, wanted))


def test_plan__gives_every_run_its_own_values():
    for case in planned("start.count=[8, 16]", "network.beta=[0.5, 1.0]").cases:
        assert (case.config.start.count, case.config.network.beta) == (case.coords["count"], case.coords["beta"])


def test_plan__takes_a_list_of_columns_as_one_value(tmp_path):
    (tmp_path / "a.csv").write_text("a,b,y\n1,2,3\n")
    made = planned('data={file="a.csv",x=["a","b"]}', folder=tmp_path)
    assert (made.axes, len(made.cases)) == ([], 1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["start.count=[]"], "start.count: an axis of a sweep needs at least one value: got []"),
        ([f"start.seed={list(range(400))}", f"start.count={list(range(1, 301))}"], "may have 100000 runs: got 120000"),
        (["start.count=[8, 0]"], "start.count: input should be greater than or equal to 1: got 0"),
        (['name=["a", "b"]'], "name: "),
    ],
)
def test_plan__refuses(settings, message):
    with pytest.raises(ConfigError) as caught:
        planned(*settings)
    assert message in str(caught.value)


def test_plan__names_the_same_fault_of_many_runs_once():
    with pytest.raises(ConfigError) as caught:
        planned("start.count=[8, 16]", "start.seed=[0, 1]", "steps=-1")
    assert len(caught.value.faults) == 1


def test_quickstart__has_70_networks_and_two_limits():
    cases = plan(read_toml(CONFIGS / "quickstart.toml"), CONFIGS).cases
    assert ([case.nodes for case in cases].count(None), len(cases)) == (70, 72)


LIMITS = [
    ([], {(16, ()), (32, ())}),
    (["start.count=[8, 16]", "start.seed=[0, 1, 2]"], {(16, ()), (32, ())}),
    (["network.beta=0.5"], set()),
    (["network.beta=[0.5, 1.0]"], {(16, (("beta", 1.0),)), (32, (("beta", 1.0),))}),
    (
        ["method.step=[0.1, 0.2]", "start.count=[8, 16]"],
        {(nodes, (("step", step),)) for nodes in (16, 32) for step in (0.1, 0.2)},
    ),
]


@pytest.mark.parametrize(("settings", "wanted"), LIMITS, ids=[" ".join(settings) for settings, _ in LIMITS])
def test_limit__runs_twice_for_each_setting_but_the_start_s(settings, wanted):
    cases = [case for case in planned("limit.nodes=16", *settings).cases if case.nodes]
    assert sorted((case.nodes, tuple(case.coords.items())) for case in cases) == sorted(wanted)


def test_limit__runs_for_each_choice_of_signs():
    cases = planned("limit.nodes=16", 'start.signs=["positive", "symmetric"]').cases
    found = sorted((case.nodes, case.config.start.signs, case.coords["signs"]) for case in cases if case.nodes)
    assert found == [(nodes, signs, signs) for nodes in (16, 32) for signs in ("positive", "symmetric")]


def test_limit__is_not_run_unless_asked_for():
    assert [case.nodes for case in planned("start.count=[8, 16]").cases] == [None, None]


def key(*settings, folder=Path()):
    (case,) = [case for case in planned(*settings, folder=folder).cases if case.nodes is None]
    return case.key


def limit_keys(*settings):
    return {case.key for case in planned("limit.nodes=16", *settings).cases if case.nodes}


def reordered(value):
    return {k: reordered(v) for k, v in reversed(value.items())} if isinstance(value, dict) else value


def test_key__does_not_depend_on_the_order_of_keys():
    raw = small("data.test=0.2", "network.bias=true")
    (one,), (two,) = plan(raw, Path()).cases, plan(reordered(raw), Path()).cases
    assert list(raw) != list(reordered(raw))
    assert one.key == two.key


@pytest.mark.parametrize(
    "setting", ["name=other", "limit.nodes=16", "steps=3", "network.beta=1", "start.seed=0", 'loss="squared"']
)
def test_key__does_not_depend_on_what_changes_no_number(setting):
    assert key(setting) == key()


MATTERS = [
    "steps=4", 'loss="logistic"', 'dtype="float32"', 'data.name="breast_cancer"', 'data.scale="unit"', "data.test=0.2",
    "data.positive=[1]", "network.beta=0.5", "network.bias=true", 'network.train=["output"]',
    'network.activation="relu"', 'law.name="sphere"', "law.std=2.0", "law.mean=0.5", "start.count=16", "start.seed=1",
    'start.signs="symmetric"', "method.step=0.2", 'method.step={schedule="inverse_sqrt",c=0.1}', 'method.name="sgd"',
    "method.average=true", 'regulariser={name="l2",weight=0.1}', 'regulariser={name="l1",weight=0.1}',
    'regulariser={name="l2",weight=0.1,about="start"}', "record.every=2", 'record.every="log"',
    'record.variables=["loss"]', "record.positions=3",
]  # fmt: skip


def test_key__tells_apart_all_that_changes_a_number():
    keys = [key(), *map(key, MATTERS)]
    assert len(set(keys)) == len(keys)


def test_key__tells_sgd_s_settings_apart():
    sgd = 'method.name="sgd"'
    keys = [key(sgd), key(sgd, "method.seed=1"), key(sgd, "method.batch=2"), key('method.name="averaged_sgd"')]
    assert len(set(keys)) == 4


def test_key__tells_the_split_s_seed_apart():
    assert key("data.test=0.2") != key("data.test=0.2", "data.split_seed=1")


@pytest.mark.parametrize(
    ("file", "settings"),
    [("a.csv", ['data={file="a.csv"}']), ("atoms.npz", ['law={name="atoms",file="atoms.npz"}'])],
)
def test_key__changes_with_a_file_s_contents_not_with_its_date(tmp_path, file, settings):
    path = tmp_path / file
    path.write_bytes(b"one")
    before = key(*settings, folder=tmp_path)
    path.touch()
    assert key(*settings, folder=tmp_path) == before
    path.write_bytes(b"three")
    assert key(*settings, folder=tmp_path) != before


def test_key__of_the_limit_is_shared_by_counts_and_seeds():
    keys = limit_keys("start.count=8", "start.seed=0")
    assert len(keys) == 2
    assert limit_keys("start.count=16", "start.seed=0") == limit_keys("start.count=8", "start.seed=1") == keys


def test_key__of_the_limit_tells_recorded_positions_apart():
    """Where positions are recorded, three of them and four are different files."""
    three, four = (limit_keys('record.variables=["position"]', f"record.positions={k}") for k in (3, 4))
    assert not three & four
