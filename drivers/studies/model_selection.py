"""The activation and M by cross-validation of the loss after optimisation (section 3), on real data.

Samples are split into a training and a test part several times. In each split every model is cross-validated on the
training part, one is chosen by the one-standard-error rule, and all are trained on that whole part and tested.

Claims: the chosen model's test loss is within the interval of the best one's in hindsight, and nearer to the best than
a model taken at random; the validation loss estimates the test loss; in the mean field a larger M does not hurt, so the
largest is as good as the best M. Intervals are over splits of the one data set, whose test losses differ by far more
than the good models do: the first claim and the third say that nothing was seen to fail, not that little could. A
bounded activation loses: with a_r = 1/M it keeps |g| <= 1, so its logistic loss is log(1 + 1/e) = 0.31 at least.

    python drivers/studies/model_selection.py [--quick]      full size: about 3 minutes; quick: half a minute
"""

import sys

import numpy as np
from pydantic import Field

import particles as mf
from particles.analysis.cross_validation import Model, Part, Training, choose, folds, losses
from particles.experiments.claims import Settings, at_most, below, study, within
from particles.plotting.style import LIMIT, THEORY, legend, panels, series, styled, theory, ticks


class Selection(Settings):
    """The activation and M by cross-validation (section 3)."""

    data: str
    options: dict[str, list[int]]
    activations: list[str] = Field(min_length=1)
    widths: list[int] = Field(min_length=2)
    folds: int = Field(ge=2)
    splits: int = Field(ge=3)
    test: float = Field(gt=0, lt=1)
    loss: str
    step: float = Field(gt=0)
    steps: int = Field(ge=1)

    @property
    def models(self):
        return [Model(activation, M) for activation in self.activations for M in self.widths]


def measured(settings):
    """Losses on the folds (split, model, fold) and on the test part (split, model), and the chosen models (split,)."""
    data, models = mf.datasets.load(settings.data, **settings.options), settings.models
    training = Training(mf.GradientDescent(settings.step), settings.steps, settings.loss)
    held = round(settings.test * len(data))
    validation, tested = [], []
    for split in range(settings.splits):
        order = np.random.default_rng(split).permutation(len(data))
        out, kept = order[:held], order[held:]
        inner = mf.Dataset(data.x[kept], data.y[kept])
        validation.append(losses(training, inner, models, folds(len(kept), settings.folds, split)))
        tested.append(losses(training, data, models, [Part(kept, out, 1000 + split)])[:, 0])
    picks = [choose(models, table) for table in validation]
    return np.array(validation), np.array(tested), picks


def interval(values):
    """Mean and Student's 95% interval over the splits."""
    from scipy.special import stdtrit

    half = stdtrit(len(values) - 1, 0.975) * np.std(values, ddof=1) / np.sqrt(len(values))
    middle = float(np.mean(values))
    return middle, middle - half, middle + half


def larger(settings, validation):
    """By activation: (its name, validation loss of the largest M - that of the best M, by split)."""
    mean = validation.mean(axis=2).reshape(settings.splits, len(settings.activations), len(settings.widths))
    for a, activation in enumerate(settings.activations):
        best = int(np.argmin(mean[:, a].mean(axis=0)))
        yield activation, mean[:, a, -1] - mean[:, a, best]


def claims_of(settings, validation, tested, picks):
    splits, chosen = np.arange(settings.splits), [pick.chosen for pick in picks]
    apart = validation.mean(axis=2) - tested
    best = tested.min(axis=1)
    regret = (tested[splits, chosen] - best) / (tested.mean(axis=1) - best)
    return [
        below(
            "test loss of the choice, to the best's upper end",
            "3",
            interval(best)[2],
            *interval(tested[splits, chosen]),
        ),
        below("its distance from the best / that of a random model", "3", 1.0, *interval(regret)),
        within("validation loss - test loss, all models", "3", 0.0, *interval(apart.mean(axis=1))),
        within("validation loss - test loss, the choice", "3", 0.0, *interval(apart[splits, chosen])),
        *(
            at_most(f"{activation}: loss at the largest M - at the best M", "3, 3.4", 0.0, *interval(apart))
            for activation, apart in larger(settings, validation)
        ),
    ]


@styled
def draw(settings, validation, tested, picks):
    figure, axes = panels(3)
    shape = len(settings.activations), len(settings.widths)
    first, splits = picks[0], np.arange(settings.splits)
    chosen, star = [pick.chosen for pick in picks], {"color": LIMIT["color"], "marker": "*", "ls": ""}
    for a, activation in enumerate(settings.activations):
        of = slice(a * shape[1], (a + 1) * shape[1])
        beside = np.array(settings.widths) * 1.06**a  # so that bars do not hide each other
        axes[0].errorbar(beside, first.mean[of], first.error[of], label=activation, **series(a))
        axes[2].plot(tested.mean(axis=0)[of], validation.mean(axis=(0, 2))[of], ls="", label=activation, **series(a))
    model, limit = settings.models[first.chosen], first.mean[first.best] + first.error[first.best]
    axes[0].axhline(limit, label="smallest loss + 1 s.e.", **THEORY)
    place = model.neurons * 1.06 ** settings.activations.index(model.activation)
    axes[0].plot(place, first.mean[first.chosen], ms=11, zorder=5, label="chosen", **star)
    axes[0].set(xscale="log", yscale="log", xlabel="neurons $M$", ylabel="validation loss")
    ticks(axes[0], settings.widths)
    axes[0].set_title(f"First split: mean and s.e. over {settings.folds} folds")
    axes[1].plot(splits, np.median(tested, axis=1), "_", ms=16, mew=2, color=THEORY["color"], label="median model")
    axes[1].plot(splits, tested[splits, chosen], ms=9, label="chosen by validation", **star)
    axes[1].plot(splits, tested.min(axis=1), ls="", label="best in hindsight", **series(1))
    axes[1].set(yscale="log", xlabel="split", ylabel="test loss", title="The choice beside the best in hindsight")
    ticks(axes[1], splits)
    ends = np.array([tested.mean(axis=0).min(), tested.mean(axis=0).max()])
    theory(axes[2], ends, ends, "equal")
    axes[2].set(xscale="log", yscale="log", xlabel="test loss", ylabel="validation loss")
    axes[2].set_title("Every model: mean over the splits")
    for place, room, columns in zip(axes, (0.3, 0.3, 0.0), (2, 1, 1), strict=True):
        legend(place, room, ncols=columns)
    return figure


def dataset(settings, validation, tested, picks):
    import xarray

    def of(dims, values, text):
        return dims, values, {"long_name": text, "units": "1", "equation": "3"}

    shape = settings.splits, len(settings.activations), len(settings.widths)
    dims = ("split", "activation", "M")
    chosen = [settings.models[pick.chosen] for pick in picks]
    return xarray.Dataset(
        {
            "validation_loss": of((*dims, "fold"), validation.reshape(*shape, -1), "loss on the fold held out"),
            "test_loss": of(dims, tested.reshape(shape), "loss on the test part, trained on all folds"),
            "chosen_activation": of("split", [model.activation for model in chosen], "activation chosen"),
            "chosen_M": of("split", [model.neurons for model in chosen], "number of neurons chosen"),
        },
        coords={"activation": settings.activations, "M": settings.widths},
    )


def main():
    asked = study("model_selection", Selection)
    settings = asked.settings
    found = measured(settings)
    for split, pick in enumerate(found[2]):
        print(f"split {split}: chosen {settings.models[pick.chosen]}, smallest loss {settings.models[pick.best]}")
    return asked.finish(claims_of(settings, *found), dataset(settings, *found), draw(settings, *found))


if __name__ == "__main__":
    sys.exit(main())
