"""How often a run passes forward over its samples."""

import pytest
import xarray as xr

import particles as mf
from particles.population.shard import Shard


def test_run__passes_forward_once_an_iteration(samples, cloud, monkeypatch):
    passes, sums = [], Shard.sums
    monkeypatch.setattr(Shard, "sums", lambda *given, **options: passes.append(1) or sums(*given, **options))
    mf.simulate(mf.Network("tanh"), cloud(), samples(), mf.GradientDescent(0.1), steps=4, engine=mf.Local(1))
    assert len(passes) == 5


@pytest.mark.parametrize(
    ("record", "wanted"),
    [
        (["mean_position", "displacement_max", "position"], 0),
        (["mean_position", "loss", "prediction"], 5),
        (["dissipation"], 5),
    ],
)
def test_batches__pass_over_all_samples_only_for_what_needs_outputs(record, wanted, samples, cloud, monkeypatch):
    """An iteration's own pass is over its batch; positions and sums over particles need no other."""
    passes, sums = [], Shard.sums

    def counted(shard, which, *more, **options):
        passes.append(which)
        return sums(shard, which, *more, **options)

    monkeypatch.setattr(Shard, "sums", counted)
    method = mf.SGD(0.1, batch=2)
    mf.simulate(mf.Network("tanh"), cloud(), samples(), method, steps=4, record=record, engine=mf.Local(1))
    assert passes.count("train") == wanted and len(passes) == 5 + wanted


def test_run__that_goes_on_diverges_where_it_would_have(samples, cloud, tmp_path):
    """The loss that ends a run is that of the start times a factor: a run that goes on must look at the start again."""
    given = mf.Network("relu"), cloud(), samples(), mf.GradientDescent(60.0)
    with pytest.raises(mf.DivergedError) as whole:
        mf.simulate(*given, steps=40, record="loss", engine=mf.Local(1))
    saves = mf.Checkpoints(tmp_path, 0.0)
    stopped = mf.simulate(
        *given, steps=40, record="loss", engine=mf.Local(1), checkpoints=saves, progress=lambda now, steps: now >= 3
    )
    assert stopped.status == "stopped"
    with pytest.raises(mf.DivergedError) as rest:
        mf.simulate(*given, steps=40, record="loss", engine=mf.Local(1), checkpoints=saves)
    assert rest.value.iteration == whole.value.iteration > 3
    xr.testing.assert_equal(rest.value.run.dataset, whole.value.run.dataset)
