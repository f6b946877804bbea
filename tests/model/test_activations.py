"""Every row of the table against 30 digits, its stated bounds, and quadrature."""

import math
import pickle
import re

import numba
import numpy as np
import pytest
from references import stored
from scipy import integrate
from support import naive

import particles as mf
from particles.kernels.elementwise import lanewise
from particles.kernels.lanes import LANES, load, store
from particles.model.activations import ACTIVATIONS, activation
from particles.model.derivatives import _check_formulas

DIGITS = stored("activations")
POINTS = DIGITS["points"]
# Wide enough that softplus has its full slope, fine enough for smooth ReLU's corner of width 0.1.
GRID = np.concatenate([np.linspace(-40, 40, 8001), np.linspace(-3, 3, 6001)])
EACH = pytest.mark.parametrize("name", ACTIVATIONS)


def close(found, truth, tolerance=1e-13):
    return abs(found - truth) <= tolerance * max(1.0, abs(truth))


def formula(f, form):
    return numba.njit(lambda v: f(v)) if form == "compiled" else lambda v: f(np.float64(v))


def test_table__holds_these_rows():
    derivatives = {f"{name}_{of}" for name in ACTIVATIONS for of in ("slope", "curvature")}
    assert set(ACTIVATIONS) == {*DIGITS} - {"points", *derivatives} == set(naive.SIGMA)


@EACH
@pytest.mark.parametrize("form", ["compiled", "plain"])
def test_sigma__is_its_formula(name, form):
    sigma = formula(ACTIVATIONS[name].sigma, form)
    wrong = [v for v, truth in zip(POINTS, DIGITS[name], strict=True) if not close(sigma(v), truth)]
    assert not wrong


@EACH
@pytest.mark.parametrize("form", ["compiled", "plain"])
def test_derivative__is_the_slope_of_sigma(name, form):
    slope = formula(ACTIVATIONS[name].derivative, form)
    wrong = [v for v, truth in zip(POINTS, DIGITS[f"{name}_slope"], strict=True) if not close(slope(v), truth)]
    assert not wrong


@EACH
@pytest.mark.parametrize("form", ["compiled", "plain"])
def test_second_derivative__is_the_curvature_of_sigma(name, form):
    curvature = formula(ACTIVATIONS[name].second_derivative, form)
    wrong = [v for v, truth in zip(POINTS, DIGITS[f"{name}_curvature"], strict=True) if not close(curvature(v), truth)]
    assert not wrong


@EACH
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_second_derivative__far_out_is_that_at_infinity(name, dtype):
    """Nothing overflows on lanes of either float type; sin and cos stay within their bounds."""
    row, real = ACTIVATIONS[name], "float64" if dtype is np.float64 else "float32"
    far = np.array([50.0, 1e3, 1e6, 1e10, 1e18, 1e30])
    found = on_lanes(row.second_derivative, real)(np.concatenate([far, -far]))
    assert found.dtype == dtype and np.isfinite(found).all()
    assert np.abs(found).max() <= (2.0 if name == "quadratic" else 1.0 if name in ("sin", "cos") else 1e-7)


@EACH
def test_second_derivative__in_float32_is_that_in_float64(name):
    points = np.concatenate([POINTS, np.linspace(-12.0, 12.0, 480)]).astype(np.float32)
    single, double = (on_lanes(ACTIVATIONS[name].second_derivative, dtype)(points) for dtype in ("float32", "float64"))
    scale = np.maximum(1.0, np.abs(double).max())
    assert np.abs(single - double).max() <= 1e-5 * scale


def on_lanes(f, dtype):
    """A formula on an array, by the vectors that the loops use."""
    lanes = LANES[dtype]

    @numba.njit(error_model="numpy")
    def run(a, out):
        for j in range(0, a.size, lanes):
            store(out, j, f(load(a, j)))

    def whole(points):
        a = np.zeros(-(-len(points) // lanes) * lanes, dtype)
        a[: len(points)] = points
        out = np.empty_like(a)
        run(a, out)
        return out[: len(points)]

    return whole


@EACH
@pytest.mark.parametrize("part", ["sigma", "second_derivative"])
def test_sigma__lets_nan_pass(name, part):
    """Where it depends on v at all, and a constant too: a lost particle must show."""
    assert math.isnan(formula(getattr(ACTIVATIONS[name], part), "compiled")(math.nan))


def slopes(name):
    return formula(ACTIVATIONS[name].derivative, "plain")(GRID)


def curvatures(name):
    """sigma'' by central differences of sigma' as it is; the step is far below smooth ReLU's width."""
    h, derivative = 1e-5, ACTIVATIONS[name].derivative
    return (derivative(GRID + h) - derivative(GRID - h)) / (2 * h)


@EACH
@pytest.mark.parametrize(("bound", "of"), [("slope_bound", slopes), ("curvature_bound", curvatures)])
def test_bounds__hold_and_are_attained(name, bound, of):
    stated, found = getattr(ACTIVATIONS[name], bound), np.abs(of(name)).max()
    if math.isfinite(stated):
        assert stated - 1e-3 <= found <= stated + 1e-7
    else:  # relu's corner looks like 1/h, the quadratic's slope grows with the grid
        assert found > 50


@EACH
def test_linear_growth__is_as_stated(name):
    sizes = np.abs(ACTIVATIONS[name].sigma(GRID))
    assert bool((sizes <= 1 + np.abs(GRID)).all()) == ACTIVATIONS[name].linear_growth


@EACH
def test_assumptions__are_met_by_the_smooth_rows(name):
    row = ACTIVATIONS[name]
    assert row.assumption_1 == row.assumption_2 == (name not in ("relu", "quadratic"))


def pairs():
    """(q11, q12, q22) for several norms and correlations."""
    norms, cosines = (0.3, 1.0, 1.7), (-1.0, -0.6, 0.0, 0.35, 0.95, 1.0)
    return [(a * a, c * a * b, b * b) for a in norms for b in norms for c in cosines]


def plane_expectation(f, q11, q12, q22):
    """E f(u) f(v) for a smooth f by the trapezoid rule, which is exact to rounding under a Gaussian's decay."""
    z = np.arange(-10, 10.05, 0.1)
    density = np.outer(*2 * [np.exp(-z * z / 2)]) * 0.01 / (2 * np.pi)
    along = q12 / math.sqrt(q11)
    u = math.sqrt(q11) * z[:, None] + 0 * z
    v = along * z[:, None] + math.sqrt(max(q22 - along**2, 0.0)) * z
    return float(np.sum(f(u) * f(v) * density))


def half_plane_expectation(power, q11, q12, q22):
    """E relu(u)^p relu(v)^p, p = 0 or 1, in polar coordinates: E r^(2p) = 2^p times an integral over the angle."""
    a, b = math.sqrt(q11), math.sqrt(q22)
    turn = math.acos(min(1.0, max(-1.0, q12 / (a * b))))
    low, high = turn - math.pi / 2, math.pi / 2  # where both are positive

    def both(angle):
        return (a * math.cos(angle) * b * math.cos(angle - turn)) ** power

    return 2.0**power * integrate.quad(both, low, high, epsabs=1e-13)[0] / (2 * math.pi)


KERNELS = [
    (name, kind)
    for name in ACTIVATIONS
    for kind in ("value_kernel", "slope_kernel")
    if getattr(ACTIVATIONS[name], kind)
]


@pytest.mark.parametrize(("name", "kind"), KERNELS)
def test_closed_kernel__is_the_gaussian_expectation(name, kind):
    found = getattr(ACTIVATIONS[name], kind)(*(np.array(q) for q in zip(*pairs(), strict=True)))
    order = ["value_kernel", "slope_kernel"].index(kind)
    if name == "relu":
        expected = [half_plane_expectation(1 - order, *q) for q in pairs()]
    else:
        expected = [plane_expectation(naive.SIGMA[name][order], *q) for q in pairs()]
    assert found == pytest.approx(expected, rel=1e-8, abs=1e-8)


def test_closed_kernel__is_known_for_seven_rows():
    assert {name for name, _ in KERNELS} == {"relu", "erf", "gelu", "sin", "cos", "quadratic", "linear"}
    assert len(KERNELS) == 14


def test_activation__names_the_nearest_row():
    with pytest.raises(
        mf.InputError,
        match=r"`activation` must be an mf.Activation or the name of one: got 'tahn'\. Did you mean 'tanh'\?",
    ):
        activation("tahn")


TANH, RELU, SOFTPLUS = (ACTIVATIONS[name] for name in ("tanh", "relu", "softplus"))


@pytest.mark.parametrize("changed, rule", [
    ({"derivative": SOFTPLUS.derivative}, "`derivative` of the activation 'mine' must be the slope"),
    ({"derivative": lambda v: 1.01 * TANH.derivative(v)}, "`derivative` of the activation 'mine' must be the slope"),
    ({"derivative": lambda v: TANH.derivative(v) if v < 5.0 else 0.5}, "got 0.5 at 5.891, where a difference"),
    ({"derivative": lambda v: TANH.derivative(v) if v > -50.0 else 0.5}, "got 0.5 at -53.36, where a difference"),
    ({"sigma": np.tanh}, "`sigma` of the activation 'mine' must be a formula on lanes that Numba compiles: got "),
    ({"derivative": lambda v: 1.0 - math.tanh(v) ** 2}, "got no compiled tanh(Lanes("),
    ({"slope_bound": 0.9}, "`slope_bound` of the activation 'mine'"),
    ({"curvature_bound": 0.5}, "`curvature_bound` of the activation 'mine'"),
    ({"sigma": lambda v: 3.0 * v, "derivative": lambda v: 3.0, "slope_bound": 3.0, "second_derivative": None},
     "`linear_growth` of the"),
    ({"second_derivative": 0.0}, "`second_derivative` of the activation 'mine' must be a function: got 0.0."),
    ({"derivative": 1.0}, "`derivative` of the activation 'mine' must be a function: got 1.0."),
    ({"second_derivative": SOFTPLUS.second_derivative}, "`second_derivative` of the activation 'mine' must be"),
    ({"second_derivative": lambda v: 1.01 * TANH.second_derivative(v)}, "must be the slope of `derivative`"),
    ({"second_derivative": lambda v: TANH.second_derivative(v) if abs(v) < 60.0 else 0.1}, "got 0.1 at"),
    ({"second_derivative": lambda v: -2.0 * math.tanh(v) * (1.0 - math.tanh(v) ** 2)},
     "`second_derivative` of the activation 'mine' must be a formula on lanes that Numba compiles"),
    ({"pair": lambda v: (v, v)}, "`pair` of the activation 'mine'"),
    ({"slope_kernel": ACTIVATIONS["erf"].value_kernel}, "`slope_kernel` of the activation 'mine'"),
    ({"value_kernel": RELU.value_kernel}, "`value_kernel` of the activation 'mine'"),
])  # fmt: skip
def test_row__of_the_user_s_with_a_wrong_part_is_refused(changed, rule):
    with pytest.raises(mf.InputError, match=re.escape(rule)):
        mf.Network(TANH._replace(name="mine", **changed))


@EACH
def test_row__that_is_right_passes_the_same_check(name):
    """Kinks, steps and bounds that are attained among them."""
    mine = ACTIVATIONS[name]._replace(name="mine")
    assert mf.Network(mine).activation is mine


SMALL = TANH._replace(
    name="small", sigma=lambda v: 1e-9 * TANH.sigma(v), derivative=lambda v: 1e-9 * TANH.derivative(v), pair=None,
    slope_bound=1e-9 * TANH.slope_bound, curvature_bound=1e-9 * TANH.curvature_bound,
    second_derivative=lambda v: 1e-9 * TANH.second_derivative(v),
)  # fmt: skip


@pytest.mark.parametrize("changed, rule", [
    ({"derivative": lambda v: 1e-9 * SOFTPLUS.derivative(v)}, "must be the slope of `sigma`"),
    ({"derivative": lambda v: 1.01e-9 * TANH.derivative(v)}, "must be the slope of `sigma`"),
    ({"derivative": lambda v: 0.0}, "must be the slope of `sigma`"),
    ({"slope_bound": 0.9e-9}, "`slope_bound` of the activation 'small'"),
    ({"curvature_bound": 0.7e-9}, "`curvature_bound` of the activation 'small'"),
    ({"pair": lambda v: (1.1e-9 * TANH.sigma(v), 1e-9 * TANH.derivative(v))}, "`pair` of the activation 'small'"),
    ({"value_kernel": lambda *q: 1e-18 * RELU.value_kernel(*q)}, "`value_kernel` of the activation 'small'"),
    ({"second_derivative": lambda v: 1.01e-9 * TANH.second_derivative(v)}, "must be the slope of `derivative`"),
    ({"second_derivative": lambda v: 0.0}, "must be the slope of `derivative`"),
])  # fmt: skip
def test_row__of_small_numbers_with_a_wrong_part_is_refused(changed, rule):
    with pytest.raises(mf.InputError, match=re.escape(rule)):
        _check_formulas(SMALL._replace(**changed))


def scaled(row, scale, steep=1.0, shift=0.0, offset=0.0):
    """offset + scale * sigma(steep * v + shift) with bounds that are those of the row in the same measure."""
    return row._replace(
        name="mine", sigma=lambda v: offset + scale * row.sigma(steep * v + shift),
        derivative=lambda v: scale * steep * row.derivative(steep * v + shift), pair=None, value_kernel=None,
        slope_kernel=None, slope_bound=scale * steep * row.slope_bound, linear_growth=False,
        curvature_bound=scale * steep**2 * row.curvature_bound, second_derivative=row.second_derivative and (
            lambda v: scale * steep**2 * row.second_derivative(steep * v + shift)
        ),
    )  # fmt: skip


SCALES = [(1e-12, 1.0, 0.0), (1e-9, 1.0, 0.3), (1e-3, 7.0, -1.0), (1.0, 50.0, 0.1), (1.0, 0.01, 0.0), (1e6, 1.0, 0.0),
          (1e6, 50.0, 2.0), (1e-9, 50.0, 0.1), (1.0, 1.0, -30.0)]  # fmt: skip


@EACH
@pytest.mark.parametrize("scale", SCALES, ids=str)
def test_row__that_is_right_passes_at_every_scale(name, scale):
    _check_formulas(scaled(ACTIVATIONS[name], *scale))


@pytest.mark.parametrize("offset", [1.0, 1e3, 1e9])
def test_row__that_is_right_passes_beside_a_constant(offset):
    """Rounding of the values is large beside the slope."""
    _check_formulas(scaled(TANH, 1e-6, offset=offset))


TYPICAL = {  # sigma, its slope, and bounds of both derivatives
    "elu": (lambda v: v if v > 0 else math.expm1(v), lambda v: 1.0 if v > 0 else math.exp(v), 1.0, math.inf),
    "leaky": (lambda v: max(0.1 * v, v), lambda v: 1.0 if v > 0 else 0.1, 1.0, math.inf),
    "huber": (lambda v: 0.5 * v * v if abs(v) < 1 else abs(v) - 0.5, lambda v: min(max(v, -1.0), 1.0), 1.0, 1.0),
    "silu": (
        lambda v: v / (1 + math.exp(-v)),
        lambda v: (1 + math.exp(-v) * (1 + v)) / (1 + math.exp(-v)) ** 2,
        1.1,
        0.5,
    ),
    "cube": (lambda v: v**3, lambda v: 3 * v * v, math.inf, math.inf),
    "exp": (math.exp, math.exp, math.inf, math.inf),
    "bump": (lambda v: math.exp(-v * v), lambda v: -2 * v * math.exp(-v * v), 0.86, 2.0),
    "hard": (lambda v: min(max(v, -1.0), 1.0), lambda v: float(abs(v) < 1), 1.0, math.inf),
    "constant": (lambda v: 7.0, lambda v: 0.0, 0.0, 0.0),
    "softsign": (lambda v: v / (1 + abs(v)), lambda v: (1 + abs(v)) ** -2, 1.0, math.inf),
    "log": (math.log, lambda v: 1 / v, math.inf, math.inf),
}


@pytest.mark.parametrize("name", TYPICAL)
@pytest.mark.parametrize("scale", SCALES[:7], ids=str)
def test_row__of_a_typical_formula_passes_at_every_scale(name, scale):
    if name != "log" or scale[1:] == (1.0, 0.0):
        names = "sigma", "derivative", "slope_bound", "curvature_bound"
        row = TANH._replace(name="mine", second_derivative=None, **dict(zip(names, TYPICAL[name], strict=True)))
        _check_formulas(scaled(row, *scale))


def test_row__of_the_user_s_with_a_name_of_the_package_is_refused():
    """A file that says tanh means the package's; an equal copy is that."""
    with pytest.raises(mf.InputError, match=r"an mf.Activation of your own .* got 'tanh'\. Give it another"):
        mf.Network(TANH._replace(slope_bound=2.0))
    assert mf.Network(TANH._replace()).activation is TANH


def test_table__cannot_be_written():
    with pytest.raises(TypeError, match="does not support item assignment"):
        ACTIVATIONS["mine"] = TANH._replace(name="mine")


def test_row__of_the_user_s_is_compiled_where_it_arrives():
    """Formulas that no other process can import, one of which calls a third; sent by value and read back, twice."""
    import cloudpickle

    def fading(v):
        return math.exp(-v)

    def swish(v):
        return v / (1.0 + fading(v))

    def swish_slope(v):
        e = 1.0 / (1.0 + fading(v))
        return e * (1.0 + v * (1.0 - e))

    def swish_curvature(v):
        e = 1.0 / (1.0 + fading(v))
        return e * (1.0 - e) * (2.0 + v * (1.0 - 2.0 * e))

    row = mf.Activation("swish", lanewise(swish), lanewise(swish_slope), 1.1, 0.5, linear_growth=True,
                        second_derivative=lanewise(swish_curvature))  # fmt: skip
    message = cloudpickle.dumps(mf.Network(row))
    net = cloudpickle.loads(message)
    arrived = net.activation
    assert arrived.sigma is not row.sigma
    assert formula(arrived.sigma, "compiled")(0.3) == pytest.approx(0.3 / (1.0 + math.exp(-0.3)), rel=1e-15)
    assert formula(arrived.derivative, "compiled")(0.3) == pytest.approx(swish_slope(0.3), rel=1e-15)
    assert formula(arrived.second_derivative, "compiled")(0.3) == pytest.approx(swish_curvature(0.3), rel=1e-15)
    again = cloudpickle.loads(message)
    assert again.activation is arrived and repr(again) == repr(mf.Network(row))
    assert again.kernels("float64", 2) is net.kernels("float64", 2)


@EACH
def test_row__of_the_package_is_sent_by_name(name):
    assert pickle.loads(pickle.dumps(mf.Network(name))).activation is ACTIVATIONS[name]
    assert len(pickle.dumps(ACTIVATIONS[name])) < 100
