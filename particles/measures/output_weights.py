"""Where the output weights of a start come from: +1, random signs, unit vectors, normal ones, or a law on (s, b)."""

import numpy as np

from particles.checks import whole
from particles.errors import InputError, nearest
from particles.measures.measure import Array
from particles.measures.quadrature import normal_quantile, unit
from particles.measures.random_streams import ROWS, Purpose, generator, rows_of

OF_SIZE_ONE = "positive", "random", "symmetric"  # of one output: s is -1 or 1
SIGNS = (*OF_SIZE_ONE, "unit", "gaussian", "joint")


def checked_signs(signs: str) -> str:
    """The name of a rule for output weights, if it is one."""
    if signs not in SIGNS:
        raise InputError(f"`signs` must be one of {', '.join(SIGNS)}", repr(signs), nearest(str(signs), SIGNS))
    return signs


def checked_fixed_signs(signs: str) -> str:
    """The name of a rule that gives the signs 1 and -1 of one output, in shares that are known."""
    if checked_signs(signs) not in OF_SIZE_ONE:
        rule = f"`signs` must be one of {', '.join(OF_SIZE_ONE)} here, where one output has the signs 1 and -1"
        raise InputError(rule, repr(signs), 'Use "random".')
    return signs


def checked_count(count: int, signs: str) -> int:
    """The number of particles, if it can be drawn with these signs."""
    count = whole("count", count, 1, remedy="Ask for at least one particle.")
    if checked_signs(signs) == "symmetric" and count % 2:
        raise InputError(
            '`count` must be even with signs="symmetric" (each + has its -, section 3.2)',
            count,
            f"Use {count + 1}.",
        )
    return count


def checked_outputs(outputs: int, signs: str, dim: int) -> int:
    """The number of output weights a particle, if a law on R^dim can be drawn with them."""
    outputs = whole("outputs", outputs, 1, remedy="Use that of the network.")
    if signs == "joint" and dim <= outputs:
        rule = '`signs="joint"` needs a law on R^(outputs + inputs)'
        raise InputError(rule, f"dim={dim} and outputs={outputs}", f"Use a law with dim={dim + outputs}.")
    return outputs


def own_coordinates(signs: str, outputs: int) -> bool:
    """Whether a quadrature of the output weights needs coordinates of its own; one output's signs are both taken."""
    return signs in ("unit", "gaussian") or (outputs > 1 and signs in ("random", "symmetric"))


def split(points: Array, outputs: int) -> tuple[Array, Array]:
    """b and s of points of a joint law, whose first coordinates are the output weights."""
    return points[:, outputs:], shaped(points[:, :outputs])


def drawn(signs: str, outputs: int, seed: int, first: int, last: int) -> Array:
    """s (last - first,), or (last - first, outputs) of several, of particles of a seed; row r is its own."""
    if signs == "positive":
        return shaped(np.ones((last - first, outputs)))

    def rows(block: int) -> Array:
        random, shape = generator(seed, Purpose.SIGN, block), (ROWS, outputs)
        if signs in ("gaussian", "unit"):
            s = random.standard_normal(shape)
            return unit(s) if signs == "unit" else s
        return np.asarray(2.0 * random.integers(0, 2, shape) - 1.0)

    return shaped(rows_of(rows, first, last))


def from_cube(signs: str, u: Array) -> Array:
    """The map from the uniform law on the unit cube to that of output weights: (M, outputs) -> (M, outputs)."""
    if signs in ("gaussian", "unit"):
        s = normal_quantile(u)
        return unit(s) if signs == "unit" else s
    return np.where(u < 0.5, -1.0, 1.0)


def shaped(s: Array) -> Array:
    """(M, k) as a measure has it: (M,) where k = 1."""
    return s[:, 0] if s.shape[1] == 1 else s
