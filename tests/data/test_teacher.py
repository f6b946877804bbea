"""Samples whose targets another network gives: they are its outputs, its neurons are nobody else's."""

import numpy as np
import pytest

import particles as mf

NET, LAW, INPUTS = mf.Network("relu"), mf.Sphere(3, radius=2.0), mf.Gaussian(3)


def taught(net=NET, law=LAW, inputs=INPUTS, count=4, **options):
    return mf.datasets.teacher(net, law, inputs, count, **options)


@pytest.mark.parametrize("beta", [1.0, 0.5])
def test_teacher__of_one_neuron_gives_its_outputs(beta):
    """ReLU of a direction of norm 2, found again by least squares where it is active; one neuron has no scale."""
    data = taught(mf.Network("relu", beta=beta), count=1, n=300)
    on = data.y > 0
    b, rest, *_ = np.linalg.lstsq(data.x[on], data.y[on], rcond=None)
    assert 0.3 < on.mean() < 0.7 and np.linalg.norm(b) == pytest.approx(2.0) and float(rest[0]) < 1e-20
    np.testing.assert_allclose(data.y, np.maximum(data.x @ b, 0.0), rtol=0, atol=1e-12)


def test_teacher__adds_the_bias_to_its_inputs_alone():
    """tanh of a constant input only: the law is a point, all weight on the bias."""
    law = mf.Atoms([[0.0, 0.0, 0.0, 0.7]])
    data = taught(mf.Network("tanh", bias=True), law, count=3, n=5)
    assert data.x.shape == (5, 3)
    np.testing.assert_allclose(data.y, np.tanh(0.7), rtol=1e-14)


def test_teacher__has_output_weights_of_both_signs_if_asked():
    law, net = mf.Atoms([[0.5, 0.0, 0.0]]), mf.Network("tanh", beta=0.0)
    x = taught(net, law, count=400, n=20)
    signs = taught(net, law, count=400, n=20, signs="random").y / (x.y / 400)
    assert np.ptp(signs) < 1e-9 and abs(signs[0]) <= 4 * 400**0.5 and signs[0] != 400


def test_teacher__adds_noise_of_the_size_asked_for():
    z = (taught(n=10_000, noise=0.5).y - taught(n=10_000).y) / 0.5
    assert abs(z.mean()) <= 4 / 10_000**0.5 and abs((z**2).mean() - 1) <= 4 * (2 / 10_000) ** 0.5


def test_teacher__is_nested_in_samples_and_repeats_its_bits():
    few, many = taught(n=10), taught(n=300)
    assert few.x.tobytes() == many.x[:10].tobytes() and few.y.tobytes() == taught(n=10).y.tobytes()
    assert not np.isin(taught(seed=1).x, taught(seed=0).x).any()
    tanh = mf.Network("tanh")
    assert not np.isin(taught(tanh, seed=1).y, taught(tanh, seed=0).y).any()


def test_teacher__has_no_neuron_of_a_student_of_the_same_law_and_seed():
    """A student of one neuron has loss 0 exactly if it is the teacher."""
    data, net = taught(count=1, seed=3), NET
    student = LAW.sample(1, seed=3)
    assert np.abs(net.predict(student, data.x) - data.y).max() > 0.1


REFUSALS = [
    (
        {"law": mf.Sphere(4)},
        "the teacher's `law` must have the inputs' dimension: got 4 for 3 inputs. Count a bias in.",
    ),
    ({"net": mf.Network("tanh", bias=True)}, "got 3 for 3 inputs and the bias"),
    ({"count": 0}, "`count` must be a whole number >= 1: got 0"),
    ({"n": 0}, "`n` must be a whole number >= 1: got 0"),
    ({"noise": -1.0}, "`noise` must be a finite number >= 0: got -1.0"),
    ({"seed": -1}, "`seed` must be a whole number"),
    ({"signs": "symmetric"}, "`signs` must be one of positive, random, gaussian: got 'symmetric'"),
]


@pytest.mark.parametrize(("options", "message"), REFUSALS, ids=[message for _, message in REFUSALS])
def test_teacher__refuses(options, message):
    with pytest.raises(mf.InputError) as caught:
        taught(**options)
    assert message in str(caught.value)


def several(k=3, signs="gaussian", count=8, n=400, **options):
    return taught(mf.Network("tanh", outputs=k), signs=signs, count=count, n=n, **options)


def test_teacher__of_several_outputs_labels_by_the_largest():
    outputs, labelled = several(), several(classes=True)
    assert outputs.y.shape == (400, 3) and labelled.classes == (0, 1, 2)
    assert (labelled.y == (outputs.y == outputs.y.max(axis=1, keepdims=True))).all()
    assert (labelled.y.sum(axis=0) > 20).all() and several(classes=["a", "b", "c"]).classes == ("a", "b", "c")


@pytest.mark.parametrize("signs", ["gaussian", "random"])
def test_teacher__of_several_outputs_is_linear_in_their_weights(signs):
    """All neurons alike: each output is the mean of its weights times one function."""
    law = mf.Atoms([[0.5, 0.0, 0.0]])
    data = taught(mf.Network("tanh", outputs=2), law, signs=signs, count=9, n=20)
    means = data.y / np.tanh(0.5 * data.x[:, :1])
    assert np.ptp(means, axis=0).max() < 1e-12 and means[0, 0] != means[0, 1]
    assert (signs == "random") == bool(abs(9 * means[0, 0] - round(9 * means[0, 0])) < 1e-9)


def test_teacher__adds_its_noise_before_it_labels():
    plain, noisy = several(classes=True), several(classes=True, noise=0.5)
    want = (several(noise=0.5).y.argmax(axis=1) == plain.y.argmax(axis=1)).mean()
    assert (noisy.y == plain.y).all(axis=1).mean() == want < 1.0


SEVERAL = [
    ({"k": 1, "classes": True}, "a teacher of classes needs an output for each: got outputs=1"),
    ({"signs": "positive"}, "a teacher of several outputs needs weights that differ: got signs='positive'"),
    ({"classes": ["a", "b"]}, "or as many classes as the teacher has outputs: got ['a', 'b'] for 3"),
    ({"classes": "abc"}, "or as many classes as the teacher has outputs: got 'abc' for 3"),
]


@pytest.mark.parametrize(("options", "message"), SEVERAL, ids=[message for _, message in SEVERAL])
def test_teacher__refuses_classes_that_are_none(options, message):
    with pytest.raises(mf.InputError) as caught:
        several(**options)
    assert message in str(caught.value)
