"""Configurations: every fault at once, by its dotted path, with the nearest known key."""

import dataclasses
import inspect
from pathlib import Path

import pytest
from support import ROOT
from support.configs import CONFIGS, small

import particles as mf
from particles.checks import settings_of
from particles.configuration import schema, sections
from particles.configuration.config import ConfigError, read_toml
from particles.data.known_sets import SETS
from particles.experiments.plan import plan
from particles.methods.registry import METHODS


def faults(*settings):
    with pytest.raises(ConfigError) as caught:
        plan(small(*settings), Path())
    return caught.value.faults


UNKNOWN = [
    ("step=3", "step: unknown key. Did you mean 'steps'?"),
    ('nmae="x"', "nmae: unknown key. Did you mean 'name'?"),
    ('network.activaton="tanh"', "network.activaton: unknown key. Did you mean 'activation'?"),
    ("start.cuont=3", "start.cuont: unknown key. Did you mean 'count'?"),
    ("method.stpe=1", "method.stpe: unknown key. Did you mean 'step'?"),
    ("record.evry=1", "record.evry: unknown key. Did you mean 'every'?"),
    ("method.weight-decay=1", "method.weight-decay: unknown key. Did you mean 'weight_decay'?"),
    ("reg-ulariser=1", "reg-ulariser: unknown key. Did you mean 'regulariser'?"),
    ("list=1", "list: unknown key."),
    ("law.float=1", "law.float: unknown key."),
]


@pytest.mark.parametrize(("setting", "message"), UNKNOWN)
def test_config__names_the_key_nearest_to_an_unknown_one(setting, message):
    (fault,) = faults(setting)
    assert fault.startswith(message)


LISTS = [
    ("network.beta=0.5,1.0", [0.5, 1.0]),
    ("network.activation=tanh, relu", ["tanh", "relu"]),
    ("start.count=64,", None),
    ("data.file=rows:a,rows:b", ["rows:a", "rows:b"]),
    ('data.file="a,b.csv"', "a,b.csv"),
    ("start.count=[64,256]", [64, 256]),
    ("data.file=it's, here", "it's, here"),
    ("record.variables=loss,prediction", ["loss", "prediction"]),
]


@pytest.mark.parametrize(("setting", "value"), LISTS)
def test_set__takes_values_between_commas_for_a_list(setting, value):
    section, _, key = setting.partition("=")[0].partition(".")
    if value is None:
        with pytest.raises(ConfigError, match="a list must have a value before and after each comma: got '64,'"):
            small(setting)
    else:
        assert small(setting)[section][key] == value


REFUSALS = [
    ("steps=-1", "steps: input should be greater than or equal to 0: got -1"),
    ("steps=1.5", "steps: input should be a valid integer: got 1.5"),
    ("steps=true", "steps: input should be a valid integer: got True"),
    ('steps="3"', "steps: input should be a valid integer: got '3'"),
    ("start=3", "start: "),
    ("start.count=0", "start.count: input should be greater than or equal to 1: got 0"),
    ("start.count=-4", "start.count: input should be greater than or equal to 1: got -4"),
    ("start.seed=-1", "start.seed: input should be greater than or equal to 0: got -1"),
    ("network.beta=1.5", "network.beta: input should be less than or equal to 1: got 1.5"),
    ("network.beta=-0.1", "network.beta: input should be greater than or equal to 0: got -0.1"),
    ("method.step=0", "method.step: input should be greater than 0: got 0"),
    ("data.drop=3", "data.drop: input should be a valid list: got 3"),
    ("data.test=1.0", "data.test: input should be less than 1: got 1.0"),
    ("record.every=0", "record.every: input should be greater than or equal to 1: got 0"),
    ("limit.nodes=1", "limit.nodes: input should be greater than or equal to 2: got 1"),
    ("network.bias=1", "network.bias: input should be a valid boolean: got 1"),
    ('method.step={schedule="robbins_monro",c=-1}', "method.step.c: input should be greater than 0: got -1"),
    ('regulariser.name="l2"', "regulariser.weight: missing"),
]


@pytest.mark.parametrize(("setting", "message"), REFUSALS)
def test_config__refuses_a_wrong_value(setting, message):
    assert any(fault.startswith(message) for fault in faults(setting))


NAMES = [
    ('law.name="gausian"', "law.name", "gaussian"),
    ('network.activation="tahn"', "network.activation", "tanh"),
    ('data.missing="means"', "data.missing", "mean"),
    ('data.name="whine"', "data.name", "wine"),
    ('method.name="gradient"', "method.name", "gradient_descent"),
    ('loss="logstic"', "loss", "logistic"),
    ('dtype="float46"', "dtype", "float64"),
    ('record.variables=["loss","los"]', "record.variables.1", "loss"),
    ('network.train=["inputs"]', "network.train.0", "input"),
    ('start.signs="symetric"', "start.signs", "symmetric"),
    ('method.step={schedule="robins_monro",c=1}', "method.step.schedule", "robbins_monro"),
]


@pytest.mark.parametrize(("setting", "path", "near"), NAMES)
def test_config__names_the_value_nearest_to_an_unknown_one(setting, path, near):
    fault = next(fault for fault in faults(setting) if fault.startswith(f"{path}: must be one of "))
    assert fault.endswith(f"Did you mean {near!r}?")


FITTING = [
    (['start.signs="symmetric"', "start.count=9"], 'start: `count` must be even with signs = "symmetric": got 9'),
    (["law.radius=2.0"], "law: `radius` does not belong to gaussian: it takes mean, std"),
    (['law.name="sphere"', "law.std=2.0"], "law: `std` does not belong to sphere: it takes radius"),
    (["method.batch=3"], "method: `batch` does not belong to gradient_descent: it takes average, step"),
    (['method.name="sgd"', "method.weight_decay=0.1"], "method: `weight_decay` does not belong to sgd"),
    (['law.name="atoms"'], "law: atoms needs `file`: an NPZ"),
    (['law.name="uniform"', "law.low=2.0"], "law: `low` must be below `high`: got 2.0 and 1.0"),
    (['record.variables=["test_loss"]'], "`record.variables` asks for test_ quantities: give `data.test`"),
    (['data.file="a.csv"'], "data: give either `name` (a known set) or `file` (your own)"),
    (['data={name="wine",missing="drop"}'], "data: `missing` belongs to a file, not to a known set"),
    (['data={scale="unit"}'], "data: give either `name` (a known set) or `file` (your own)"),
    (
        ['regulariser={name="l1",weight=1.0,about="start"}'],
        "regulariser: `about` does not belong to l1",
    ),
    (
        ['method.name="averaged_sgd"', 'regulariser={name="l2",weight=1.0}'],
        "AveragedSGD brings its own",
    ),
    (['method.name="langevin"'], "method: langevin needs `temperature`"),
    (
        ['method.name="langevin"', "method.temperature=0.1", "limit={nodes=16}"],
        "limit: no quadrature integrates the noise",
    ),
    (['method.name="fisher_rao"', "network.beta=0.5"], "FisherRao needs beta = 1"),
    (
        ['method.name="fisher_rao"', 'regulariser={name="l2",weight=1.0,about="start"}'],
        "a pull to the start is no function of the measure",
    ),
    (
        ['method.name="runge_kutta"', 'regulariser={name="l1",weight=1.0}'],
        "RungeKutta needs a smooth",
    ),
    (
        ['method.name="runge_kutta"', 'method.scheme="heun"', "method.tolerance=1e-3"],
        "method: `tolerance` needs a scheme",
    ),
    (
        ['method.step={schedule="inverse_sqrt",c=1.0,t0=2.0}'],
        "method.step: `t0` does not belong to inverse_sqrt",
    ),
]


@pytest.mark.parametrize(("settings", "message"), FITTING, ids=[message for _, message in FITTING])
def test_config__refuses_values_that_do_not_fit_together(settings, message):
    (fault,) = faults(*settings)
    assert fault.startswith(message)


NUMBERS = ["network.beta", "law.std", "law.mean", "method.step", "data.noise", "data.test", "regulariser.weight"]


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("key", NUMBERS)
def test_config__refuses_numbers_that_are_not_finite(key, value):
    assert any(fault.startswith(f"{key}: ") for fault in faults('regulariser={name="l2",weight=1.0}', f"{key}={value}"))


def test_config__names_every_fault_at_once():
    settings = ["steps=-1", "start.cuont=3", "network.beta=2", 'law.name="gausian"', "law.std=nan", 'loss="logstic"']
    named = [fault.partition(":")[0] for fault in faults(*settings)]
    assert sorted(named) == ["law.name", "law.std", "loss", "network.beta", "start.cuont", "steps"]


@pytest.mark.parametrize(
    "settings",
    [
        ("network.beta=2", 'record.variables=["test_loss"]'),
        ("law.std=-1.0", "law.radius=1.0"),
        ("data.drop=['id']", 'record.variables=["test_loss"]'),
    ],
)
def test_config__names_faults_between_values_beside_the_others(settings):
    assert len(faults(*settings)) == 2


@pytest.mark.parametrize("setting", ["start=3", "method.step=-1", 'method.step="fast"', 'record.every="lin"', "law=3"])
def test_config__does_not_speak_of_its_own_classes(setting):
    assert not [fault for fault in faults(setting) if "Config" in fault]


def test_config__has_its_source_and_number_of_faults_in_the_message(tmp_path):
    with pytest.raises(ConfigError, match=r"^mine.toml has 2 faults:\n  steps: .*\n  loss: "):
        plan(small("steps=-1", "loss=3"), tmp_path, "mine.toml")


@pytest.mark.parametrize("name", ["../../x", "<script>", "a/b", "..", ".hidden", "", "a b", "a\\nb", "x" * 65, "-rf"])
def test_name__is_no_path_and_no_markup(name):
    (fault,) = faults(f'name="{name}"')
    assert fault.startswith("name: ")


@pytest.mark.parametrize("name", ["a", "Wide-2.b_c", "x" * 64])
def test_name__may_be_a_word(name):
    assert plan(small(f"name={name}"), Path()).name == name


def test_configs__in_the_repository_have_no_faults():
    """And each study's settings are beside it, in two sizes."""
    paths, studies = sorted(CONFIGS.glob("*.toml")), sorted((ROOT / "drivers" / "studies").glob("*.toml"))
    assert paths and studies
    for path in paths:
        assert plan(read_toml(path), path.parent).cases
    for path in studies:
        assert read_toml(path).keys() == {"full", "quick"} and path.with_suffix(".py").is_file()


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"steps = ", "not valid TOML"), (b"a = 1\na = 2", "not valid TOML"), (b'name = "\xff"', "not valid TOML")],
)
def test_toml__says_what_is_not_toml(tmp_path, content, message):
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        read_toml(path)


def test_toml__may_begin_with_a_byte_order_mark(tmp_path):
    (tmp_path / "a.toml").write_bytes(b"\xef\xbb\xbfsteps = 3\r\n")
    assert read_toml(tmp_path / "a.toml") == {"steps": 3}


@pytest.mark.parametrize("name", ["none.toml", "."])
def test_toml__must_be_a_file(tmp_path, name):
    with pytest.raises(ConfigError, match="no such file"):
        read_toml(tmp_path / name)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("method.step=1e-3", 0.001),
        ("method.step=2", 2),
        ("method.step=[0.1, 0.2]", [0.1, 0.2]),
        ("method.step=fast", "fast"),
        ("method.step=a=b", "a=b"),
        (" method.step ={c=1}", {"c": 1}),
    ],
)
def test_set__takes_toml_or_a_plain_word(setting, value):
    assert small(setting)["method"]["step"] == value


def test_set__makes_the_sections_it_names():
    assert small("limit.nodes=16")["limit"] == {"nodes": 16}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("steps", "must read key.path=value: got 'steps'"),
        ("=3", "must read key.path=value: got '=3'"),
        ("", "must read key.path=value: got ''"),
        (".=3", "must read key.path=value: got '.=3'"),
        ("start..count=3", "must read key.path=value: got 'start..count=3'"),
        ("steps.more=3", "`steps` is a value, not a section"),
    ],
)
def test_set__refuses_what_is_no_setting(setting, message):
    with pytest.raises(ConfigError) as caught:
        small(setting)
    assert message in str(caught.value)


def defaults(kind):
    """The defaults of a class's settings."""
    found = {field.name: field.default for field in dataclasses.fields(kind)}
    return {name: value for name, value in found.items() if value is not dataclasses.MISSING}


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        *((schema.MethodConfig, kind) for kind in METHODS.values()),
        *((schema.LawConfig, kind) for kind in sections.LAWS.values()),
        (schema.NetworkConfig, mf.Network),
        (sections.StepConfig, mf.RobbinsMonro),
        (schema.RegulariserConfig, mf.L2),
    ],
)
def test_config__has_the_defaults_of_the_classes(model, kind):
    for name, value in defaults(kind).items():
        found = model.model_fields[name].default
        found = tuple(found) if isinstance(found, list) else found
        assert found == value or (name, found) == ("batch", None), name  # left out, it is the method's own


def test_config__has_the_defaults_of_a_call():
    call = {name: part.default for name, part in inspect.signature(mf.simulate).parameters.items()}
    model = schema.Config.model_fields
    assert (model["loss"].default, model["dtype"].default) == (call["loss"], call["dtype"])
    record = schema.RecordConfig()
    assert (record.every, tuple(record.variables)) == (call["record_every"], call["record"])
    drawn = inspect.signature(mf.Gaussian.sample).parameters
    assert schema.StartConfig(count=1).signs == drawn["signs"].default


def test_config__has_a_key_for_every_option():
    """Of all methods, laws and data sets."""
    for model, kinds in ((schema.MethodConfig, METHODS), (schema.LawConfig, sections.LAWS)):
        options = [field.name for kind in kinds.values() for field in dataclasses.fields(kind)]
        assert set(model.model_fields) == {"name", *options} - {"dim"}
    taken = set().union(*(inspect.signature(make).parameters for make in SETS.values()))
    keys = dict.fromkeys(("n", "dim", "seed"), 2) | {"noise": 0.1, "positive": [1], "negative": [2], "classes": True}
    assert set(schema.DataConfig(**keys).options()) == taken == set(keys)


@pytest.mark.parametrize("name", METHODS)
def test_config__of_a_method_is_that_method(name):
    """Every option has a value of its own, and each arrives where it belongs."""
    values = {"step": 0.25, "batch": 3, "seed": 5, "average": True, "weight_decay": 0.5, "scheme": "bogacki-shampine",
              "tolerance": 1e-3, "temperature": 0.125, "inner": 7, "rate": 2.0}  # fmt: skip
    mine = {key: value for key, value in values.items() if key in settings_of(METHODS[name])}
    made = sections.built(schema.MethodConfig(name=name, **mine), METHODS)
    assert type(made) is METHODS[name] and dataclasses.asdict(made) == mine
