"""The noise: Philox's known answers, the normal law, and numbers that depend on their place alone."""

import math

import numpy as np
import pytest
from scipy import stats

import particles as mf
from particles.kernels import noise
from particles.kernels.assemble import BLOCK, LANES, plain_block_kernels
from particles.kernels.noise import log_of, philox, turn

U = np.uint64
# Random123's test vectors (kat_vectors, philox4x32 with 10 rounds): counter, key, result.
KNOWN = [
    ((0, 0, 0, 0, 0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 6, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344, 0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


def shaken(dtype="float64", blocks=3, d=2, last_tiles=None, begin=0, coordinate=0, step=5, seed=1, kernels=None):
    """The noise alone, particle by particle: (blocks * BLOCK, d)."""
    lanes = LANES[dtype]
    b = np.zeros((blocks, BLOCK // lanes, d, lanes), dtype)
    shake = (kernels or mf.Network("relu").kernels(dtype, 10)).shake_blocks
    words = (U(seed), U(0), U(step), U(9 << 16))
    shake(b.reshape(-1), b.dtype.type(1.0), *words, begin, coordinate, d, last_tiles or BLOCK // lanes, 0, blocks)
    return b.transpose(0, 1, 3, 2).reshape(-1, d)


@pytest.mark.parametrize(("words", "result"), KNOWN)
def test_philox__gives_the_known_answers(words, result):
    assert tuple(int(w) for w in philox(*map(U, words))) == result


def test_log_and_turn__are_those_of_the_library():
    u = np.concatenate([np.random.default_rng(0).random(2000), 2.0 ** -np.arange(54), [math.sqrt(0.5), 1.0 - 2.0**-53]])
    for value in u[u > 0]:
        assert log_of(value) == pytest.approx(math.log(value), rel=1e-14, abs=1e-300)
    for share in np.concatenate([u[u < 1], np.arange(8) / 8]):
        wanted = math.cos(2 * math.pi * share), math.sin(2 * math.pi * share)
        assert np.allclose(turn(share), wanted, rtol=0, atol=2e-15)


def test_noise__is_standard_normal_and_independent():
    z = shaken(blocks=200, d=4)
    n = len(z)
    assert stats.kstest(z.reshape(-1), "norm").pvalue > 1e-3
    assert np.abs(z.mean(axis=0)).max() < 4 / math.sqrt(n)
    assert np.abs((z**2).mean(axis=0) - 1).max() < 4 * math.sqrt(2 / n)
    assert np.abs((z**4).mean(axis=0) - 3).max() < 4 * math.sqrt(96 / n)
    # Pairs of one Box-Muller, neighbours, coordinates, iterations, seeds.
    blocks = z.reshape(-1, BLOCK, 4)
    others = [
        (blocks[:, : BLOCK // 2], blocks[:, BLOCK // 2 :]), (z[1:], z[:-1]), (z[:, 1:], z[:, :-1]),
        (z, shaken(blocks=200, d=4, step=6)), (z, shaken(blocks=200, d=4, seed=2)),
    ]  # fmt: skip
    for a, b in others:
        for power in (1, 2):
            p, q = (np.asarray(c**power).reshape(-1) for c in (a, b))
            assert abs(np.corrcoef(p, q)[0, 1]) < 4 / math.sqrt(p.size)


def test_noise__compiled_is_that_of_plain_python():
    plain = plain_block_kernels(abs, abs, "float64", None)
    np.testing.assert_array_equal(shaken(blocks=1, last_tiles=20), shaken(blocks=1, last_tiles=20, kernels=plain))


def test_noise__depends_on_the_place_alone():
    whole = shaken(blocks=4, d=3)
    np.testing.assert_array_equal(shaken(blocks=2, d=3, begin=2), whole[2 * BLOCK :])  # whichever shard has it
    np.testing.assert_array_equal(shaken(blocks=4, d=2, coordinate=1), whole[:, 1:])  # whatever goes before
    np.testing.assert_array_equal(shaken("float32", blocks=4, d=3), whole.astype(np.float32))  # in either float type
    few = shaken(blocks=4, d=3, last_tiles=3)
    np.testing.assert_array_equal(few[: 3 * BLOCK + 24], whole[: 3 * BLOCK + 24])
    assert not few[3 * BLOCK + 24 :].any()


def test_noise__never_takes_the_logarithm_of_zero():
    assert noise._ULP * (0.0 + 1.0) > 0.0 and math.isfinite(log_of(noise._ULP))
