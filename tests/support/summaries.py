"""The small sweep summed up, for each kind of axis."""

from particles.experiments import summary
from particles.storage.run_file import open_tree
from support.sweeps import swept

COUNTS, SEEDS, LIMIT = "start.count=[8, 16]", "start.seed=[0, 1, 2]", "limit.nodes=16"


def summed(out, *settings, **options):
    """Run the small sweep and sum it up: the plan and the tree of groups as read back."""
    made, _ = swept(out, *settings, **options)
    return made, open_tree(summary.write(made, out).path)


AXES = [
    (COUNTS,),
    (COUNTS, SEEDS),
    (COUNTS, "network.beta=[0.5, 1.0]"),
    (COUNTS, "network.beta=[0.5, 1.0]", LIMIT),
    ("start.count=[16, 8]", "start.seed=[2, 0, 1]"),
    ("network.bias=[true, false]",),
    ("steps=[2, 4]",),
    ("steps=[2, 4]", COUNTS, LIMIT),  # runs that go on for longer than others, beside a limit each
    ('record.variables=["loss", "gradient_norm", "prediction"]', COUNTS),
    ('start.signs=["positive", "symmetric"]',),
    ('loss=["squared", "logistic"]',),
    ('dtype=["float64", "float32"]',),
    ('method.step=[0.1, {schedule="inverse_sqrt",c=0.1}]',),
    ('law=[{name="gaussian"}, {name="sphere",radius=2.0}]',),
    ('data.name=["wine", "breast_cancer"]',),
    ("method.average=[true, false]",),
    ('method.name=["gradient_descent", "averaged_sgd"]',),
    ('method.name="sgd"', "start.seed=[0, 1]", "method.seed=[0, 1]"),
]
