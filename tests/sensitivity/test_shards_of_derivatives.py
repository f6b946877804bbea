"""The derivative on a Ray cluster: the same bits as here, and what happens when a shard is lost on the way back."""

import pytest
from support.daily import some
from support.derivatives import METHODS, digest, everything, settings

import particles as mf
from particles.errors import ClusterError, LostError
from particles.population.ray import testing
from particles.sensitivity.adjoint import Adjoint


def on(cluster, shards):
    return mf.Ray(shards=shards, threads=1, address=cluster.address, patience=60.0)


@pytest.mark.parametrize("method", some(METHODS, "GD"))
def test_ray__has_the_bits_of_this_machine_s_derivative(method, three_nodes):
    run = settings(method) | {"record_every": 3}
    here = everything(**run, engine=mf.Local(2))
    for shards in (1, 2, 3) if method != "GD" else (3,):
        assert everything(**run, engine=on(three_nodes, shards)) == here


@pytest.mark.slow
@pytest.mark.parametrize("method", ["GD", "heun"])
def test_ray__has_the_draws_of_this_machine(method, three_nodes):
    run = settings(method) | {"regulariser": None}
    net, start = run.pop("net"), run.pop("start")
    here = digest(mf.fluctuations(net, start, **run, draws=3))
    for shards in (1, 2, 3):
        assert digest(mf.fluctuations(net, start, **run, draws=3, engine=on(three_nodes, shards))) == here


@pytest.mark.slow
def test_fault__on_the_way_back_costs_time_and_not_a_bit(three_nodes, monkeypatch):
    run = settings() | {"record_every": 3}
    here = digest(mf.sensitivity(**run).dataset)
    visit, killed = Adjoint.visit, []

    def hurt(self, iteration):
        if iteration == 3 and not killed:
            killed.append(iteration)
            testing.actors()[0].kill()
        visit(self, iteration)

    monkeypatch.setattr(Adjoint, "visit", hurt)
    assert digest(mf.sensitivity(**run, engine=on(three_nodes, 2)).dataset) == here and killed


@pytest.mark.slow
def test_fault__that_comes_back_again_and_again_ends_the_pass(monkeypatch):
    """Here without a cluster: what is lost is told by the same error."""

    def lost(self, iteration):
        raise LostError("a shard was lost")

    monkeypatch.setattr(Adjoint, "visit", lost)
    with pytest.raises(ClusterError, match=r"lost 4 times: a shard was lost\. Mend the cluster"):
        mf.sensitivity(**settings())


@pytest.mark.slow
def test_activation__of_the_user_s_is_compiled_on_the_shards(three_nodes):
    import math

    def bump(v):
        return math.exp(-v * v)

    def slope(v):
        return -2.0 * v * math.exp(-v * v)

    def curvature(v):
        return (4.0 * v * v - 2.0) * math.exp(-v * v)

    row = mf.Activation("bump", *map(mf.lanewise, (bump, slope)), 0.86, 2.0, True,
                        second_derivative=mf.lanewise(curvature))  # fmt: skip
    run = settings() | {"net": mf.Network(row, train=("input", "output"))}
    assert everything(**run, engine=on(three_nodes, 2)) == everything(**run)
