"""Scaling: means and spreads to all digits at every size of number, and marks of missing data refused."""

import re

import numpy as np
import pytest

import particles as mf


def columns(seed):
    x = np.random.default_rng(seed).standard_normal((20, 3)) * [1.0, 5.0, 0.0] + [0.0, 3.0, 2.0]
    return mf.Dataset(x, x[:, 0])


def test_scale__standard_is_the_training_part_s_on_both_parts():
    train, test = columns(0), columns(1)
    mean, spread = train.x.mean(axis=0), train.x.std(axis=0)
    near = train.scaled("standard")
    far = test.scaled_like(near)
    np.testing.assert_allclose(near.x[:, :2], ((train.x - mean) / spread.clip(1e-9))[:, :2], rtol=1e-14)
    np.testing.assert_allclose(far.x[:, :2], ((test.x - mean) / spread.clip(1e-9))[:, :2], rtol=1e-14)


def test_scale__standard_makes_a_constant_column_zero():
    near = columns(0).scaled("standard")
    far = columns(1).scaled_like(near)
    assert (near.x[:, 2] == 0.0).all() and (far.x[:, 2] == 0.0).all()


def test_scale__standard_makes_a_constant_column_zero_that_has_no_exact_mean():
    """0.1 thirty times: the rounded mean is not 0.1, and the rounded spread is not 0."""
    data = mf.Dataset(np.column_stack([np.full(30, 0.1), np.arange(30.0)]), np.zeros(30))
    assert np.abs(data.scaled("standard").x[:, 0]).max() < 1e-6


def test_scale__unit_makes_every_input_s_norm_1():
    for part in (columns(0).scaled("unit"), columns(1).scaled("unit")):
        np.testing.assert_allclose(np.linalg.norm(part.x, axis=1), 1.0, rtol=1e-15)


def test_scale__unit_refuses_an_input_of_norm_0():
    with pytest.raises(mf.InputError, match=r'scale = "unit" needs inputs other than 0: got row 1 is 0'):
        mf.Dataset([[1.0], [0.0]], [0.0, 0.0]).scaled("unit")


@pytest.mark.parametrize("how", ["none", "standard", "unit"])
def test_scale__leaves_targets_alone(how):
    part = columns(0).scaled(how)
    assert (part.y == columns(0).y).all() and (columns(1).scaled_like(part).y == columns(1).y).all()


NORMAL = np.random.default_rng(5).standard_normal(40)


def dataset(*inputs):
    return mf.Dataset(np.column_stack(inputs), np.zeros(len(inputs[0])))


@pytest.mark.parametrize("size", [1e-200, 1e-3, 1.0, 1e200, 5e307])
def test_scale__standard_knows_no_size(size):
    found = dataset(NORMAL * size).scaled("standard").x[:, 0]
    np.testing.assert_allclose(found, (NORMAL - NORMAL.mean()) / NORMAL.std(), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("spread", [1e-4, 1e-5])
def test_scale__standard_keeps_a_small_spread_about_a_large_mean(spread):
    x = 1e9 + spread * NORMAL  # rounded; differences of such numbers are exact
    rest = x - x[0]
    found = dataset(x).scaled("standard").x[:, 0]
    np.testing.assert_allclose(found, (rest - rest.mean()) / rest.std(), rtol=0, atol=1e-11)


def test_scale__keeps_the_bits_of_ordinary_columns():
    x = np.random.default_rng(2).standard_normal((50, 4)) * [1.0, 1e-30, 1e40, 3.0] + [0.0, 0.0, 1e40, 1e6]
    assert (dataset(*x.T).scaled("standard").x == (x - x.mean(axis=0)) / x.std(axis=0)).all()
    assert (dataset(*x.T).scaled("unit").x == x / np.linalg.norm(x, axis=1, keepdims=True)).all()


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_scale__unit_knows_no_size(size):
    found = dataset([3.0 * size, 0.0], [4.0 * size, size]).scaled("unit").x
    np.testing.assert_allclose(found, [[0.6, 0.8], [0.0, 1.0]], rtol=1e-15)


@pytest.mark.parametrize("mark", [1e200, -9.96921e36, 1e20])
@pytest.mark.parametrize("name", ["x", "y"])
def test_scale__refuses_a_mark_of_missing_data_by_its_cell(name, mark):
    values = np.append(NORMAL, mark)
    with pytest.raises(
        mf.InputError, match=re.escape(f"{name} to be scaled must be of one size: got {mark:g} in row 40")
    ):
        if name == "x":
            dataset(np.arange(41.0), values).scaled("standard")
        else:
            mf.Dataset(np.ones((41, 1)), values).scaled("none", "standard")


@pytest.mark.parametrize(
    "values", [np.append(NORMAL, -9999.0), np.append(np.zeros(40), 1e30), 10.0 ** -np.arange(60.0)]
)
def test_scale__takes_columns_of_many_sizes_that_keep_their_meaning(values):
    found = dataset(values).scaled("standard").x
    np.testing.assert_allclose([found.mean(), found.std()], [0.0, 1.0], atol=1e-12)


@pytest.mark.parametrize("size", [1e-200, 1.0, 1e200])
def test_scale__standard_targets_know_no_size(size):
    train = mf.Dataset(np.ones((40, 1)), size * NORMAL).scaled("none", "standard")
    test = mf.Dataset([[1.0]], [size]).scaled_like(train)
    np.testing.assert_allclose(train.y, (NORMAL - NORMAL.mean()) / NORMAL.std(), rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(test.y, (1.0 - NORMAL.mean()) / NORMAL.std(), rtol=1e-13)


@pytest.mark.parametrize("value", [0.1, 1e200, 5e-324, 0.0])
def test_scale__standard_targets_refuse_equal_ones(value):
    with pytest.raises(mf.InputError, match="targets to be scaled must differ: got"):
        mf.Dataset(np.ones((30, 1)), np.full(30, value)).scaled("none", "standard")


@pytest.mark.parametrize("size", [1e-200, 1.0, 1e9, 1e200])
def test_scaling__outputs_come_back_in_the_targets_units(size):
    y = size * (3.0 + NORMAL)
    data = mf.Dataset(np.ones((40, 1)), y).scaled("none", "standard")
    np.testing.assert_allclose(data.scaling.outputs_of(data.y), y, rtol=1e-14)


def test_scaling__is_kept_by_a_split():
    data = columns(0).scaled("standard", "standard")
    assert all(part.scaling is data.scaling for part in data.split(test=0.3))


def test_scale__happens_once():
    data = columns(0).scaled("unit")
    for again in (lambda: data.scaled("standard"), lambda: data.scaled_like(columns(1).scaled())):
        with pytest.raises(mf.InputError, match="data can be scaled once: got data that are scaled"):
            again()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("standart",), "`scale` must be none, standard or unit: got 'standart'. Did you mean 'standard'?"),
        (("none", "unit"), "`target_scale` must be \"standard\" or None: got 'unit'. Leave it out."),
    ],
)
def test_scale__refuses_other_words(words, message):
    with pytest.raises(mf.InputError, match=re.escape(message)):
        columns(0).scaled(*words)


def test_scaled_like__refuses_other_inputs():
    with pytest.raises(mf.InputError, match="data that are scaled alike must have the same inputs: got 1 and 3"):
        dataset(NORMAL).scaled_like(columns(0).scaled())
