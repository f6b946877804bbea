"""The methods by the names that configurations have for them: a row each."""

from particles.methods.base import Method
from particles.methods.descent import SGD, AveragedSGD, GradientDescent
from particles.methods.dual_averaging import DualAveraging
from particles.methods.fisher_rao import FisherRao
from particles.methods.langevin import Langevin
from particles.methods.runge_kutta import RungeKutta

METHODS: dict[str, type[Method]] = {
    "gradient_descent": GradientDescent,
    "sgd": SGD,
    "averaged_sgd": AveragedSGD,
    "runge_kutta": RungeKutta,
    "langevin": Langevin,
    "dual_averaging": DualAveraging,
    "fisher_rao": FisherRao,
}
