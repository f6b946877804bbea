"""Wide two-layer networks as estimators of scikit-learn, for its pipelines, cross-validation and grid searches.

`import particles` does not load scikit-learn; `mf.sklearn` does on first use.
"""

from collections.abc import Sequence
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from particles.checks import number, whole
from particles.data.dataset import Dataset
from particles.data.labels import Label
from particles.errors import InputError
from particles.measures.laws import Gaussian
from particles.measures.measure import Array
from particles.methods.descent import GradientDescent
from particles.model.activations import Activation
from particles.model.losses import loss as loss_row
from particles.model.network import Network
from particles.model.regularisers import L2, NONE
from particles.population.population import Local
from particles.simulation.simulate import simulate
from particles.simulation.stability import rounded_down, stable_step
from particles.storage.run import Run

_FEW = 64  # particles whose curvature gives the step: Python computes it, 10 to 50 us a particle and sample

__all__ = ["ParticleClassifier", "ParticleRegressor"]


class _ParticleEstimator(BaseEstimator):  # type: ignore[misc]
    """What both have in common: their settings, and gradient descent from N(0, I/d) with random signs."""

    run_: Run

    def __init__(
        self,
        count: int = 1024,
        *,
        activation: str | Activation = "relu",
        beta: float = 1.0,
        bias: bool = True,
        steps: int = 200,
        step: float | None = None,
        weight_decay: float = 0.0,
        scale: str = "standard",
        dtype: str = "float64",
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.count, self.activation, self.beta, self.bias = count, activation, beta, bias
        self.steps, self.step, self.weight_decay, self.scale = steps, step, weight_decay, scale
        self.dtype, self.n_jobs, self.random_state = dtype, n_jobs, random_state

    def _train(
        self, x: Array, y: NDArray[Any], loss: str, target_scale: str | None, classes: Sequence[Label] | None = None
    ) -> Self:
        data = Dataset(x, y, classes).scaled(self.scale, target_scale)
        net = Network(self.activation, self.beta, self.bias, outputs=data.outputs)
        dim = data.x.shape[1] + net.bias
        law, seed = Gaussian(dim, std=dim**-0.5), self._seed()
        start = law.sample(self.count, seed, signs="random", outputs=net.outputs)
        number("weight_decay", self.weight_decay, 0.0, remedy="Use 0 for none.")
        penalty = L2(self.weight_decay) if self.weight_decay else None
        few = law.sample(min(self.count, _FEW), seed, signs="random", outputs=net.outputs)
        bound = stable_step(net, few, net.inputs(data.x), loss_row(loss), penalty or NONE)
        half = rounded_down(bound / 2.0, 2) if 0.0 < bound < np.inf else 1.0
        threads = None if self.n_jobs in (None, -1) else whole("n_jobs", self.n_jobs, 1, remedy="Use -1 for all cores.")
        self.step_ = half if self.step is None else self.step
        self.run_ = simulate(
            net, start, data, GradientDescent(self.step_), steps=self.steps, loss=loss, regulariser=penalty,
            record="loss", dtype=self.dtype, engine=Local(threads),
        )  # fmt: skip
        self.loss_curve_, self.n_iter_ = self.run_.dataset["loss"].values, self.steps
        return self

    def _seed(self) -> int:
        """A seed as it is given, so that the start is that of `law.sample`; of a generator a number it draws."""
        given = self.random_state
        return int(given) if isinstance(given, Integral) else int(check_random_state(given).randint(2**31 - 1))

    def _outputs(self, X: ArrayLike, kind: str = "output") -> NDArray[Any]:
        check_is_fitted(self)
        return self.run_.predict(validate_data(self, X, reset=False, dtype=np.float64), kind)


class ParticleRegressor(RegressorMixin, _ParticleEstimator):  # type: ignore[misc]
    """A two-layer network for numbers: the squared loss on targets of mean 0 and variance 1, gradient descent.

    Several targets a sample are as many outputs of one network.

    Parameters
    ----------
    count
        The number of particles M, 1024 by default.
    activation
        A name from `mf.ACTIVATIONS`, "relu" by default, or an `mf.Activation` of your own.
    beta
        Of the output scale M^-beta: 1, the default, is the mean field, 1/2 the tangent kernel.
    bias
        Whether a 1 is appended to every input, True by default.
    steps
        Iterations of gradient descent, 200 by default.
    step
        In flow time. None, the default, is half of the largest step that is stable at the start.
    weight_decay
        The weight of an L2 penalty in flow time, 0 by default.
    scale
        Of the inputs: "standard", the default, "unit" or "none", as `mf.datasets.load` has them.
    dtype
        "float64", the default, or "float32".
    n_jobs
        Threads of one fit; None, the default, or -1 for all cores. Give 1 where a search runs its fits in parallel.
    random_state
        Of the start: a seed, a `numpy.random.RandomState`, or None for another start at each fit.

    Notes
    -----
    After `fit` there are `run_`, the `Run`; `loss_curve_`, the training loss at each iteration, of the scaled targets;
    `n_iter_`, the iterations; `step_`, the step; `n_features_in_`.

    References
    ----------
    Equations (2) and (3).

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.model_selection import cross_val_score
    >>> x, y = load_diabetes(return_X_y=True)
    >>> scores = cross_val_score(mf.sklearn.ParticleRegressor(256, steps=100, random_state=0), x, y)
    >>> bool(0.4 < scores.mean() < 0.6)
    True
    """

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Train on samples.

        Parameters
        ----------
        X : (n, inputs)
            Raw inputs.
        y : (n,) or (n, k)
            Raw targets.

        Returns
        -------
        ParticleRegressor
            This one.

        Raises
        ------
        InputError
            For settings and data that `mf.simulate` would refuse; scikit-learn's own checks raise a ValueError.
        DivergedError
            For a `step` that is too large.
        """
        x, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True, multi_output=True)
        y = np.asarray(y, dtype=np.float64)
        y = y[:, 0] if y.shape[1:] == (1,) else y
        return self._train(x, y, "squared", "standard" if (np.ptp(y, axis=0) > 0.0).all() else None)

    def predict(self, X: ArrayLike) -> Array:
        """The outputs.

        Parameters
        ----------
        X : (n, inputs)
            Raw inputs.

        Returns
        -------
        (n,) or (n, k)
            In the units of the targets.
        """
        return self._outputs(X)


class ParticleClassifier(ClassifierMixin, _ParticleEstimator):  # type: ignore[misc]
    """A two-layer network for classes, by gradient descent: two by the logistic loss and one output, more by softmax.

    Parameters
    ----------
    count
        The number of particles M, 1024 by default.
    activation
        A name from `mf.ACTIVATIONS`, "relu" by default, or an `mf.Activation` of your own.
    beta
        Of the output scale M^-beta: 1, the default, is the mean field, 1/2 the tangent kernel.
    bias
        Whether a 1 is appended to every input, True by default.
    steps
        Iterations of gradient descent, 200 by default.
    step
        In flow time. None, the default, is half of the largest step that is stable at the start.
    weight_decay
        The weight of an L2 penalty in flow time, 0 by default.
    scale
        Of the inputs: "standard", the default, "unit" or "none", as `mf.datasets.load` has them.
    dtype
        "float64", the default, or "float32".
    n_jobs
        Threads of one fit; None, the default, or -1 for all cores. Give 1 where a search runs its fits in parallel.
    random_state
        Of the start: a seed, a `numpy.random.RandomState`, or None for another start at each fit.

    Notes
    -----
    After `fit` there are `run_`, the `Run`; `loss_curve_`, the training loss at each iteration; `n_iter_`, the
    iterations; `step_`, the step; `classes_`, the classes; `n_features_in_`.

    References
    ----------
    Equations (2) and (3); section 3.3 for the logistic loss.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.model_selection import train_test_split
    >>> x, y = load_breast_cancer(return_X_y=True)
    >>> x, x_test, y, y_test = train_test_split(x, y, random_state=0)
    >>> trained = mf.sklearn.ParticleClassifier(256, steps=100, random_state=0).fit(x, y)
    >>> bool(trained.score(x_test, y_test) > 0.9), trained.predict_proba(x_test).shape
    (True, (143, 2))
    """

    classes_: NDArray[Any]

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Train on samples of two classes or more.

        Parameters
        ----------
        X : (n, inputs)
            Raw inputs.
        y : (n,)
            Classes, numbers or words.

        Returns
        -------
        ParticleClassifier
            This one.

        Raises
        ------
        InputError
            For a single class, and settings and data that `mf.simulate` would refuse; scikit-learn's own checks raise a
            ValueError.
        DivergedError
            For a `step` that is too large.
        """
        x, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise InputError("a classifier needs samples of two classes", f"one class, {self.classes_[0]}", "")
        if len(self.classes_) > 2:
            return self._train(x, self.classes_[labels], "softmax", None, self.classes_.tolist())
        return self._train(x, np.where(labels == 1, 1.0, -1.0), "logistic", None)

    def decision_function(self, X: ArrayLike) -> Array:
        """The outputs g(x).

        Parameters
        ----------
        X : (n, inputs)
            Raw inputs.

        Returns
        -------
        (n,) or (n, k)
            Of two classes above 0 for the second; of more an output for each.
        """
        return self._outputs(X)

    def predict_proba(self, X: ArrayLike) -> Array:
        """The probabilities of the classes under the loss.

        Parameters
        ----------
        X : (n, inputs)
            Raw inputs.

        Returns
        -------
        (n, k)
            In the order of `classes_`.
        """
        p = self._outputs(X, "probability")
        return p if p.ndim == 2 else np.column_stack([1.0 - p, p])

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The classes.

        Parameters
        ----------
        X : (n, inputs)
            Raw inputs.

        Returns
        -------
        (n,)
            Of `classes_`: of two the second where g(x) > 0, of more that of the largest output.
        """
        g = self._outputs(X)
        return np.asarray(self.classes_[g.argmax(axis=1) if g.ndim == 2 else (g > 0.0).astype(int)])
