"""Sections made from classes: a method of one's own is an option of configurations by its fields alone."""

from dataclasses import dataclass
from typing import Annotated

import pytest
from pydantic import Field, ValidationError

import particles as mf
from particles.checks import Setting
from particles.configuration.sections import built, misplaced, section
from particles.methods.base import Method, Seed, Step
from particles.methods.descent import Euler


@dataclass(frozen=True)
class Mine(Method):
    """A method of one's own."""

    step: Step
    size: Annotated[float | None, Setting("how large", above=0.0, most=2.0)] = 0.5
    way: Annotated[str, Setting("which way", choices=("up", "down"))] = "up"
    seed: Seed = 3
    hidden: int = 1

    stepper = Euler


KINDS = {"sgd": mf.SGD, "langevin": mf.Langevin, "mine": Mine}
MODEL = section("MineConfig", "Which.", KINDS, Field(description="which method"))


def test_section__has_the_options_of_all_classes():
    fields = MODEL.model_fields
    assert set(fields) == {"name", "step", "batch", "seed", "average", "temperature", "weight_decay", "size", "way"}
    assert fields["size"].description == "of mine: how large" and fields["size"].default == 0.5
    assert fields["batch"].description.startswith("of sgd and langevin: ") and fields["batch"].default is None
    assert fields["step"].is_required() and fields["step"].description.startswith("step size")
    assert fields["seed"].default is None  # they do not agree: left out, it is the method's own


@pytest.mark.parametrize("wrong", [{"size": 0.0}, {"size": 2.5}, {"way": "left"}, {"hidden": 2}, {"seed": -1}])
def test_section__refuses_what_the_class_refuses(wrong):
    with pytest.raises(ValidationError):
        MODEL(name="mine", step=0.1, **wrong)
    if "hidden" not in wrong:
        with pytest.raises(mf.InputError):
            Mine(0.1, **wrong)


def test_object__is_the_one_described():
    assert built(MODEL(name="mine", step=0.1, way="down"), KINDS) == Mine(0.1, way="down")
    schedule = {"schedule": "robbins_monro", "c": 2.0, "t0": 1.0}
    annealed = MODEL(name="langevin", step=schedule, temperature=schedule, batch=4)
    assert built(annealed, KINDS) == mf.Langevin(mf.RobbinsMonro(2.0, 1.0), mf.RobbinsMonro(2.0, 1.0), batch=4)


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        ({"step": 0.1, "temperature": 1.0}, "m: `temperature` does not belong to mine: it takes seed, size, step, way"),
        ({"step": {"schedule": "inverse_sqrt", "t0": 1}}, "m.step: `t0` does not belong to inverse_sqrt: it takes c"),
    ],
)
def test_option__of_another_class_is_a_fault(raw, fault):
    assert misplaced("m", raw, KINDS, "mine") == [fault]


def test_option__that_a_class_needs_is_asked_for():
    (fault,) = misplaced("m", {"step": 0.1}, KINDS, "langevin")
    assert fault.startswith("m: langevin needs `temperature`: ")
    assert misplaced("m", {"size": 1.0}, KINDS, "other") == []
