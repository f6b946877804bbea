"""[[record]]: what is recorded at several cadences, as mf.Record has it in Python; no axis."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from support.configs import SMALL_TOML, planned, small
from support.daily import some
from support.sweeps import swept

import particles as mf
from particles.cli.main import main
from particles.configuration.config import ConfigError
from particles.experiments import memory
from particles.experiments.plan import plan
from particles.experiments.sweep import run_path

LOSS = '{variables=["loss","prediction"]}'
TWO = f'record=[{LOSS},{{variables=["position"],every=2,positions=3}}]'
SWAPPED = f'record=[{{variables=["position"],every=2,positions=3}},{LOSS}]'
SWEEP = ("start.count=[8,16]", "start.seed=[0,1]", "limit.nodes=16")


def test_cadences__are_those_of_records_in_python(tmp_path):
    made, _ = swept(tmp_path, TWO)
    (case,) = made.cases
    found = mf.open_run(run_path(tmp_path, case))
    data = mf.datasets.load("wine")
    data = mf.Dataset((data.x - data.x.mean(axis=0)) / data.x.std(axis=0), data.y)
    record = [mf.Record(["loss", "prediction"]), mf.Record("position", every=2, particles=3)]
    start = mf.Gaussian(13).sample(8, seed=0)
    run = mf.simulate(mf.Network("tanh"), start, data, mf.GradientDescent(0.1), steps=3, record=record)
    for name in ("loss", "prediction", "position", "time", "time_position"):
        assert found.dataset[name].dims == run.dataset[name].dims
        np.testing.assert_array_equal(found.dataset[name], run.dataset[name])


def test_cadence__records_no_more_particles_than_there_are(tmp_path):
    made, _ = swept(tmp_path, 'record={variables=["prediction","position"],positions=12}', "start.count=[8,16]")
    shapes = [mf.open_run(run_path(tmp_path, case)).dataset["position"].shape for case in made.cases]
    assert shapes == [(4, 8, 13), (4, 12, 13)]


def test_cadence__alone_is_the_one_section():
    one, listed = (planned(f"record={text}").cases[0].config for text in (LOSS, f"[{LOSS}]"))
    assert listed.records == [one.record] == one.records


@pytest.mark.parametrize("record", some([TWO, SWAPPED], SWAPPED), ids=["loss first", "positions first"])
@pytest.mark.parametrize(
    "step", some(["method.step=0.1", "method.step=[0.1,0.05]"], "method.step=0.1"), ids=["one step", "steps"]
)
def test_sweep__of_cadences_is_read_as_any_other(tmp_path, monkeypatch, record, step):
    monkeypatch.chdir(tmp_path)
    changes = [word for text in (*SWEEP, record, step) for word in ("--set", text)]
    Path("small.toml").write_text(SMALL_TOML)
    assert main(["run", "small.toml", *changes, "--quiet"]) == 0
    assert main(["show", "out/small"]) == 0 and main(["report", "out/small"]) == 0
    with xr.open_datatree("out/small/sweep.h5", engine="h5netcdf") as tree:
        compared = tree["comparison/0" if "[" in step else "comparison"]["distance"]
        assert compared.dims[-1] == ("time" if record is TWO else "time_loss")
        assert compared.shape[-1] == 4 and np.isfinite(compared).all()
    ds = mf.open_sweep("out/small")
    ds = ds.isel(step=0) if "step" in ds.dims else ds
    assert ds["loss"].shape[-1] == 4 and ds["position"].shape[-3:-1] == (3, 3)
    assert np.isfinite(ds.mf.exponent().value)
    made = plan(small(*SWEEP, record, step), Path())
    runs = {(case.config.start.count, case.config.start.seed): mf.open_run(run_path(Path("out/small"), case)).dataset
            for case in made.cases if case.nodes is None and case.coords.get("step", 0.1) == 0.1}  # fmt: skip
    coarse, fine = sorted((case for case in made.cases if case.nodes and case.coords.get("step", 0.1) == 0.1),
                          key=lambda case: case.nodes)  # fmt: skip
    coarse, fine = (mf.open_run(run_path(Path("out/small"), case)).dataset for case in (coarse, fine))
    assert mf.compare(runs, fine, coarse)["exponent"] == ds.mf.exponent().value


WRONG = [
    ('record=[{every=0},{variables=["loss"]}]', "record.0.every: input should be greater than or equal to 1: got 0"),
    ('record=[{variables=["lost"]}]', "record.0.variables.0: must be one of "),
    ('record=[{evry=1}]', "record.0.evry: unknown key. Did you mean 'every'?"),
    ("record=[]", "record: list should have at least 1 item"),
    ("record=[3]", "record.0: must be a section"),
    ("record=3", "record: must be a section"),
    ('record=[{every=[1,2]}]', "record.0.every: "),
    (f'record=[{LOSS},{{variables=["loss"],every=2}}]', "record: `record` must name a quantity once: got loss twice"),
    ('record=[{variables=["position"],positions=3},{variables=["loss"],positions=2}]',
     "record: `particles` must be one number for all that is recorded"),
    ('record=[{variables=["test_loss"]}]', "`record.0.variables` asks for test_ quantities: give `data.test`"),
]  # fmt: skip


@pytest.mark.parametrize(("setting", "message"), WRONG, ids=[setting for setting, _ in WRONG])
def test_cadences__name_what_is_wrong(setting, message):
    with pytest.raises(ConfigError) as caught:
        plan(small(setting), Path())
    assert any(fault.startswith(message) for fault in caught.value.faults), caught.value.faults


def test_memory__counts_each_cadence():
    recorded = "start.count=1000", "steps=99"
    needs = [memory.needs(planned(*recorded, text, folder=Path()))[0].parts[memory.RECORD] for text in (
        'record={variables=["position"],every=1}', 'record={variables=["loss"],every=9}',
        'record=[{variables=["position"],every=1},{variables=["loss"],every=9}]')]  # fmt: skip
    assert needs[2] == needs[0] + needs[1] and needs[0] == 8 * 1000 * 13 * 100
