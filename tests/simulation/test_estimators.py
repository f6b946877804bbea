"""Estimators of scikit-learn: its own checks, its pipelines and searches, and the run that is inside."""

import pickle
import re

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import check_estimator

import particles as mf

BOTH = pytest.mark.parametrize("kind", [mf.sklearn.ParticleRegressor, mf.sklearn.ParticleClassifier])


def samples(n=60, seed=0):
    """Inputs in R^2 far from mean 0, targets with a bend, two classes of words."""
    random = np.random.default_rng(seed)
    z = random.standard_normal((n, 2))
    y = 50.0 + 10.0 * np.abs(z[:, 0]) + z[:, 1]
    return 3.0 + 7.0 * z, y, np.where(y > np.median(y), "high", "low")


def trained(kind=mf.sklearn.ParticleRegressor, **settings):
    x, y, words = samples()
    return kind(**{"count": 128, "steps": 100, "random_state": 0} | settings).fit(
        x, y if kind is mf.sklearn.ParticleRegressor else words
    )


@pytest.mark.slow
@BOTH
def test_estimator__passes_the_checks_of_scikit_learn(kind):
    results = check_estimator(kind(), on_skip=None)
    skipped = {result["check_name"] for result in results if result["status"] != "passed"}
    assert len(results) > 50 and skipped <= {"check_array_api_input"}  # which SCIPY_ARRAY_API=1 alone switches on


def test_regressor__is_the_run_that_its_settings_describe():
    x, y, _ = samples()
    found = trained(step=0.3, steps=20, weight_decay=0.01, beta=0.5, activation="tanh", random_state=3)
    start = mf.Gaussian(3, std=3**-0.5).sample(128, seed=3, signs="random")
    data = mf.Dataset(x, y).scaled("standard", "standard")
    net = mf.Network("tanh", beta=0.5, bias=True)
    run = mf.simulate(net, start, data, mf.GradientDescent(0.3), steps=20, regulariser=mf.L2(0.01))
    assert (found.predict(x) == run.predict(x)).all() and (found.loss_curve_ == run.dataset["loss"].values).all()
    assert (found.n_iter_, found.step_, found.n_features_in_) == (20, 0.3, 2)


def test_regressor__learns_in_raw_units():
    x, y, _ = samples(seed=1)
    assert trained(steps=300).score(x, y) > 0.9


def test_classifier__learns_words():
    x, _, words = samples(seed=1)
    found = trained(mf.sklearn.ParticleClassifier, steps=300)
    assert list(found.classes_) == ["high", "low"] and found.score(x, words) > 0.85
    assert ((found.predict(x) == "low") == (found.decision_function(x) > 0.0)).all()
    np.testing.assert_allclose(found.predict_proba(x)[:, 1], 1.0 / (1.0 + np.exp(-found.decision_function(x))))


@BOTH
def test_estimator__takes_a_stable_step_by_itself(kind):
    curve = trained(kind, steps=50).loss_curve_
    assert (np.diff(curve) < 0.0).all() and curve[-1] < 0.5 * curve[0]


@BOTH
def test_estimator__comes_back_from_a_pickle(kind):
    found, x = trained(kind), samples(seed=1)[0]
    assert (pickle.loads(pickle.dumps(found)).predict(x) == found.predict(x)).all()


def test_estimator__draws_another_start_unless_a_seed_is_given():
    x = samples()[0]
    first, again = (trained(random_state=np.random.RandomState(5)).predict(x) for _ in range(2))
    assert (first == again).all()
    assert (trained(random_state=None).predict(x) != trained(random_state=None).predict(x)).any()


def test_estimator__knows_no_number_of_threads():
    x = samples()[0]
    assert (trained(count=3000, n_jobs=1).predict(x) == trained(count=3000, n_jobs=-1).predict(x)).all()


@BOTH
def test_estimator__works_in_a_pipeline_and_a_search(kind):
    x, y, words = samples()
    pipeline = make_pipeline(FunctionTransformer(lambda x: x / 10.0), kind(count=64, random_state=0))
    search = GridSearchCV(pipeline, {f"{kind.__name__.lower()}__steps": [1, 200]}, cv=3)
    search.fit(x, y if kind is mf.sklearn.ParticleRegressor else words)
    assert search.best_params_ == {f"{kind.__name__.lower()}__steps": 200}
    scores = cross_val_score(search.best_estimator_, x, y if kind is mf.sklearn.ParticleRegressor else words)
    assert scores.mean() > 0.7


def three_classes(seed=0):
    x, y, _ = samples(seed=seed)
    return x, np.array(["high", "low", "middle"])[[1, 2, 0]][np.digitize(y, np.quantile(y, [0.33, 0.67]))]


def test_classifier__of_three_classes_is_the_run_of_the_softmax_loss():
    x, words = three_classes()
    found = mf.sklearn.ParticleClassifier(64, step=2.0, steps=20, random_state=0).fit(x, words)
    start = mf.Gaussian(3, std=3**-0.5).sample(64, seed=0, signs="random", outputs=3)
    data, net = mf.Dataset(x, words).scaled(), mf.Network("relu", bias=True, outputs=3)
    run = mf.simulate(net, start, data, mf.GradientDescent(2.0), steps=20, loss="softmax")
    assert list(found.classes_) == ["high", "low", "middle"]
    assert (found.decision_function(x) == run.predict(x)).all() and (found.predict(x) == run.predict(x, "label")).all()
    p = np.exp(found.decision_function(x))
    np.testing.assert_allclose(found.predict_proba(x), p / p.sum(axis=1, keepdims=True), rtol=1e-12)


@pytest.mark.parametrize("names", [[10, 20, 30], ["b", "a", "c"]])
def test_run__of_a_classifier_predicts_its_classes(names):
    x, words = three_classes()
    y = np.array(names)[np.unique(words, return_inverse=True)[1]]
    trained = mf.sklearn.ParticleClassifier(32, steps=5, random_state=0).fit(x, y)
    assert (trained.run_.predict(x, kind="label") == trained.predict(x)).all()
    assert trained.run_.dataset["output"].values.tolist() == trained.classes_.tolist()


def test_classifier__learns_three_classes_by_a_step_of_its_own():
    x, words = three_classes()
    found = mf.sklearn.ParticleClassifier(64, steps=400, random_state=0).fit(x, words)
    assert found.score(x, words) > 0.85 and (np.diff(found.loss_curve_) < 0.0).all()


def test_classifier__is_still_taken_one_against_the_rest():
    x, words = three_classes()
    one = mf.sklearn.ParticleClassifier(64, steps=300, random_state=0)
    assert OneVsRestClassifier(clone(one)).fit(x, words).score(x, words) > 0.8


def test_regressor__has_an_output_for_every_target():
    x, y, _ = samples()
    both = np.column_stack([y, 1e4 * x[:, 1]])
    found = mf.sklearn.ParticleRegressor(128, steps=300, random_state=0).fit(x, both)
    assert found.predict(x).shape == both.shape and found.score(x, both) > 0.9
    one = mf.sklearn.ParticleRegressor(128, steps=30, random_state=0).fit(x, y[:, None])
    assert (one.predict(x) == clone(one).fit(x, y).predict(x)).all() and one.predict(x).shape == y.shape


def test_regressor__of_equal_targets_stays_near_them():
    x = samples()[0]
    found = mf.sklearn.ParticleRegressor(64, steps=200, random_state=0).fit(x, np.full(len(x), 2.0))
    assert np.abs(found.predict(x) - 2.0).max() < 0.5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"count": 0}, "`count` must be a whole number >= 1: got 0."),
        (
            {"activation": "rellu"},
            "`activation` must be an mf.Activation or the name of one: got 'rellu'. Did you mean",
        ),
        ({"weight_decay": -1.0}, "`weight_decay` must be a finite number >= 0: got -1.0. Use 0 for none."),
        ({"scale": "standart"}, "`scale` must be none, standard or unit: got 'standart'."),
        ({"step": 0.0}, "`step` must be a finite number > 0: got 0.0"),
        ({"n_jobs": 0}, "`n_jobs` must be a whole number >= 1: got 0. Use -1 for all cores."),
    ],
)
def test_estimator__refuses_settings_at_fit(settings, message):
    with pytest.raises(mf.InputError, match=re.escape(message)):
        trained(**settings)


def test_estimator__says_that_a_step_is_too_large():
    with pytest.raises(mf.DivergedError, match="The likely cause is the step"):
        trained(step=1e6)


def test_classifier__refuses_one_class():
    with pytest.raises(mf.InputError, match="a classifier needs samples of two classes: got one class, 1"):
        mf.sklearn.ParticleClassifier().fit([[1.0], [2.0]], [1, 1])


@BOTH
def test_estimator__is_not_fitted_at_first(kind):
    with pytest.raises(NotFittedError):
        kind().predict([[1.0, 2.0]])
