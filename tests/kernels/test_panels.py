"""The shape of panels: from the processor's features and caches, and what else must hold for it."""

import pytest

from particles.kernels import panels
from particles.kernels.assemble import BLOCK, LANES, NARROW
from particles.model.activations import ACTIVATIONS


@pytest.mark.parametrize(
    ("features", "tiles"),
    [
        ("+avx2,+avx512f,+fma", 4),
        ("-avx512f,+avx2,+fma", 1),
        ("+neon,+sve", 1),
        ("+avx512fp16", 1),
        ("", 1),
    ],
)
def test_tiles_for__follow_the_first_feature_that_is_there(features, tiles):
    assert panels.tiles_for(features) == tiles


@pytest.mark.parametrize(("features", "tiles"), [("+avx2,+avx512f", 4), ("+avx2", 1)])
def test_tiles_here__are_those_of_what_numba_compiles_for(monkeypatch, features, tiles):
    monkeypatch.setattr(panels.config, "CPU_FEATURES", features)
    assert panels.tiles_here.__wrapped__() == tiles
    monkeypatch.setattr(panels.config, "CPU_FEATURES", None)
    monkeypatch.setattr(panels, "get_host_cpu_features", lambda: features)
    assert panels.tiles_here.__wrapped__() == tiles


@pytest.mark.parametrize("dtype", LANES)
@pytest.mark.parametrize("tiles", panels.TILES.values())
def test_tiles__divide_a_block(dtype, tiles):
    """What is beyond a cloud's last tile is padding up to a whole panel only then."""
    assert BLOCK // LANES[dtype] % tiles == 0


@pytest.mark.parametrize(
    ("sizes", "near"), [({1: "32K", 2: "1024K"}, 1 << 19), ({1: "32K", 2: "16384K"}, 1 << 20), ({1: "64K"}, 1 << 18)]
)
def test_near_bytes__is_half_of_the_second_cache(tmp_path, sizes, near):
    for level, size in sizes.items():
        folder = tmp_path / f"index{level}"
        folder.mkdir()
        (folder / "level").write_text(f"{level}\n")
        (folder / "size").write_text(f"{size}\n")
    assert panels.near_bytes.__wrapped__(tmp_path) == near


def test_keep_from__is_beyond_the_narrow_way_which_keeps_nothing():
    assert min(panels.keep_from(name) for name in ACTIVATIONS) > NARROW
    assert panels.keep_from("a user's own") == panels.keep_from("tanh") > panels.keep_from("tanh", outputs=2) > NARROW
