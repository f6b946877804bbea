"""What every run of the tests tries, and what waits for the slow tests: compiling one case takes seconds."""

import pytest


def some(values, *daily):
    """All values for `parametrize`; those that are not named are slow."""
    return [value if value in daily else pytest.param(value, marks=pytest.mark.slow) for value in values]
