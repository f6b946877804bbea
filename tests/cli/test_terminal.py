"""Plots of text: where the dots lie, what is left out, what a poor terminal gets."""

import numpy as np
import pytest

from particles.cli.text_plots import HEIGHT, WIDTH, Scale, can_braille, chart

X, Y = Scale("x"), Scale("y")


def body(lines):
    """The plotted letters, without labels, as a grid of whether there is a mark."""
    rows = [line.split("|", 1)[1] for line in lines[1:-1]]
    return np.array([[letter != " " for letter in row.ljust(WIDTH)] for row in rows])


def test_chart__puts_points_where_they_belong():
    grid = body(chart([0, 1], [0, 1], X, Y, braille=False, joined=False))
    assert grid.shape == (HEIGHT, WIDTH)
    assert np.argwhere(grid).tolist() == [[0, WIDTH - 1], [HEIGHT - 1, 0]]


def test_chart__draws_a_power_as_a_straight_line_on_logarithmic_axes():
    counts = np.geomspace(64, 4096, 50)
    grid = body(chart(counts, counts**-0.5, Scale("M", True), Scale("d", True), braille=False))
    rows, columns = np.nonzero(grid)
    np.testing.assert_allclose(rows, columns * (HEIGHT - 1) / (WIDTH - 1), atol=0.51)


def test_chart__braille_has_the_dots_of_the_corners():
    lines = chart([0, 1], [0, 1], X, Y, joined=False)
    assert lines[1].endswith(chr(0x2800 + 0x08)) and lines[-2].split("│")[1] == chr(0x2800 + 0x40)


@pytest.mark.parametrize("braille", [True, False])
def test_chart__leaves_out_what_has_no_place(braille):
    bad = chart([0, 1, 2, 3, 4], [1.0, np.nan, np.inf, -1.0, 3.0], X, Scale("y", True), braille)
    assert bad == chart([0, 4], [1.0, 3.0], X, Scale("y", True), braille)


@pytest.mark.parametrize("values", [[], [1.0], [np.nan, 1.0], [-1.0, 0.0, 1.0]])
def test_chart__of_fewer_than_two_points_is_nothing(values):
    assert chart(np.arange(len(values)), values, X, Scale("y", True)) == []


def test_chart__of_one_value_or_of_huge_ones_is_drawn():
    assert len(chart([0, 1], [2.0, 2.0], X, Y)) == HEIGHT + 2
    assert body(chart([0, 1], [-1.7e308, 1.7e308], X, Y, braille=False)).any()


@pytest.mark.parametrize(
    ("encoding", "can"), [("utf-8", True), ("ascii", False), ("latin-1", False), (None, False), ("no", False)]
)
def test_braille__is_for_terminals_that_have_it(encoding, can):
    assert can_braille(encoding) == can
