"""The JSON schema of configurations: the file that ships is it, good configurations pass, bad ones do not."""

import copy
import json
import tomllib
from pathlib import Path

import jsonschema
import pytest
from support.configs import CONFIGS, small

from particles.cli.main import main
from particles.configuration import json_schema

SHIPPED = Path(json_schema.__file__).parent / "config.schema.json"
VALIDATOR = jsonschema.Draft202012Validator(json.loads(SHIPPED.read_text()))


def test_schema__shipped_is_the_one_of_the_models():
    assert SHIPPED.read_text() == json_schema.text()


def test_schema__is_a_schema_and_is_printed(capsys):
    assert main(["schema"]) == 0
    printed = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator.check_schema(printed)
    assert printed == VALIDATOR.schema


def test_schema__describes_every_key():
    for name, model in {"": VALIDATOR.schema, **VALIDATOR.schema["$defs"]}.items():
        for key, one in model["properties"].items():
            assert "description" in json.dumps(one) or "$ref" in json.dumps(one), key
        assert model["additionalProperties"] is (name == "OwnConfig")


def test_schema__knows_no_null():
    assert '"null"' not in SHIPPED.read_text() and ": null" not in SHIPPED.read_text()


@pytest.mark.parametrize("name", ["quickstart.toml", "billion.toml"])
def test_schema__takes_the_configurations_that_ship(name):
    text = (CONFIGS / name).read_text()
    VALIDATOR.validate(tomllib.loads(text))
    first = text.splitlines()[0]
    named = (CONFIGS / first.removeprefix("#:schema ")).resolve()
    assert named == (CONFIGS.parent / "particles/configuration/config.schema.json").resolve()


GOOD = [
    'data={name="teacher",dim=3,teacher={activation="relu",count=[2,4],law={name="ball",radius=[1,2]}}}',
    'data={name="teacher",dim=3,inputs={name="gaussian"},teacher=[{activation="relu",count=2}]}',
    'data={file="a.tsv",drop=["id"],one_hot=["sex"],missing=["drop","mean"]}',
    "start.count=[8,16]", "start.seed=[0,1]", "network.beta=[0.5,1]", 'loss=["squared","logistic"]',
    'record.every="log"',
    'method.step={schedule="inverse_sqrt",c=1}', 'method.step=[0.1,{schedule="robbins_monro",c=[1,2.0]}]',
    'data=[{name="wine"},{file="a.csv"}]', 'network.train=["input","output"]', "limit.nodes=16",
    'data={file="a.csv",x=["a"]}', 'network.activation=["tanh","a.rows:swish"]', 'loss="rows:huber"',
    'record={variables=["loss","rows:worst"]}', 'record=[{every=1},{variables=["position"],every="log"}]',
    'law={name="rows:Corner",side=[1,2]}', 'method=[{name="sgd",step=1},{name="rows:Mine",size="large"}]',
]  # fmt: skip
BAD = [
    'data={name="teacher",teacher={count=2}}', 'data={name="teacher",inputs={name="atoms"}}', 'data.drop="id"',
    "step=1", "steps=-1", 'steps="3"', "steps=true", "start.count=0", "start.count=[]", "start.count=[8,8]",
    'start.count=[8,"16"]', "network.beta=2", 'network.activation="tnah"', "method.step=0", "method.stpe=1",
    'name="../../x"', 'name=["a","b"]', "limit.nodes=[8,16]", 'data={name="wine",file="a.csv"}', "data.test=1",
    'record.variables=["lost"]', 'record=[{evry=1}]', "record=[]", 'loss="rows huber"', 'method={name="a:b:c",step=1}',
    "law=3", 'method.step={schedule="inverse_sqrt"}',
]  # fmt: skip


@pytest.mark.parametrize("setting", GOOD)
def test_schema__takes_what_may_be_an_axis(setting):
    VALIDATOR.validate(small(setting))


@pytest.mark.parametrize("setting", BAD)
def test_schema__refuses(setting):
    assert not VALIDATOR.is_valid(small(setting))


@pytest.mark.parametrize("section", ["data", "network", "law", "start", "method", "steps"])
def test_schema__asks_for_every_section(section):
    raw = copy.deepcopy(small())
    del raw[section]
    assert not VALIDATOR.is_valid(raw)
