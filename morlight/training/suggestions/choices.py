"""Settings for a fit, each with its reason, from the properties of the data (the table of docs/own_data.md)."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from morlight.training.configurations import located, read_yaml
from morlight.training.suggestions.traits import Traits

CLEAN = 1e-4  # standard deviation of the noise, as a share of the field, below which there is none
UNSEEN = 1e-8  # share of the change that is rounding
STEPS = 2000  # of gradient descent
EPOCHS = (50, 1000)  # least and most of them
HORIZON = 4  # steps of a window, of least squares and of channels
AT_WALLS = {  # what a field has there, by its basis and whether it is in model.walls
    ("sine", False): "zero", ("sine", True): "constant values", ("cosine", False): "no slope",
    ("cosine", True): "constant slopes", ("legendre", False): "values and slopes",
    ("robin", False): "slip",
}  # fmt: skip
REASONS = {  # of the configuration own
    "realizations": "draws of the coefficients within their standard errors; the first is the estimate",
    "horizons": "only measured: the equation is found in all frames at once",
    "loss": "only measured",
    "max_epochs": "the coefficients are known before the first step",
    "precision": "as precise as the data",
}


class Choice(NamedTuple):
    """One setting.

    Attributes:
        key: dotted, such as `model.terms`.
        value: a number, a string, or a list or mapping of them.
        reason: one sentence or less, printed beside the setting.
    """

    key: str
    value: Any
    reason: str


def choices(known: Traits, batch: int) -> list[Choice]:
    """The settings that suit some data.

    Args:
        known: properties of the data.
        batch: windows in a step of gradient descent.
    """
    return [*_data(known), *_model(known, batch)]


def _data(known: Traits) -> Iterator[Choice]:
    names = [name for name in known.file.fields if name not in known.fields]
    if names:
        yield Choice("data.fields", list(known.fields), f"not learned: {', '.join(names)}")
    if known.parameters:
        yield Choice("data.parameters", list(known.parameters), "differs between the trajectories: γ")
    if known.repeated:
        yield Choice("data.ensemble", "mean", "runs that differ in their seed alone are averaged, since each is noisy")
    if known.particles is not None and _one_density(known):
        yield Choice("data.particles", known.particles, "particles of one trajectory, whose shot noise is subtracted")


def _model(known: Traits, batch: int) -> Iterator[Choice]:
    if known.equation is not None:
        yield from _equation(known)
    elif _one_density(known):
        yield from _walkers(known)
    elif len(known.fields) == 1 and not known.parameters and not known.walls and not known.slipping:
        yield from _least_squares(known)
    else:
        yield from _gradient_descent(known, batch)
    yield from _bases(known)


def _one_density(known: Traits) -> bool:
    return known.averaged and len(known.fields) == 1 and not known.parameters and not known.bases


def _equation(known: Traits) -> Iterator[Choice]:
    assert known.equation is not None
    assert known.equation.unexplained is not None  # or it would not have been accepted
    equation = known.equation.text.replace("\n", "; ")
    share = known.equation.unexplained
    left = f"{100 * share:.2g} %" if share > UNSEEN else "nothing"
    for group, settings in read_yaml(located("own")).items():
        for key, value in settings.items():
            reason = REASONS.get(key, f"{equation} leaves {left} of the change unexplained")
            yield Choice(f"{group}.{key}", value, reason)


def _walkers(known: Traits) -> Iterator[Choice]:
    yield Choice("model.optimizer", "moments", f"networks, by least squares: {known.no_equation}")
    yield from _biases(known)
    yield Choice("model.width", 8, "with 4, the realizations differ more")
    yield _horizons(known, "long waves hardly decay in one step")
    yield Choice("model.smoothness", 1e-4, "h is linear and g a power law where the data do not determine them")
    yield Choice("trainer.max_epochs", 1, "one pass over the data")


def _least_squares(known: Traits) -> Iterator[Choice]:
    yield Choice("model.optimizer", "moments", f"networks, by least squares: {known.no_equation}")
    yield _symbol(known)
    yield _loss(known)
    yield from _biases(known)
    if _is_noisy(known):
        yield _horizons(known, "the change in one step is small beside the noise")
    else:
        yield Choice("model.horizons", [1], "without noise, one step shows how h bends; several make it nearly linear")
    yield Choice("trainer.max_epochs", 1, "one pass over the data")
    if not _is_noisy(known):
        yield Choice("trainer.precision", "64-true", "as precise as the data")


def _gradient_descent(known: Traits, batch: int) -> Iterator[Choice]:
    yield Choice("model.optimizer", "adam", f"networks, by gradient descent: {known.no_equation}")
    yield Choice("model.terms", 2, "one pair of g and h for each field is rarely enough")
    yield Choice("model.symbol", "plain", "fields that are coupled, or depend on γ, can grow")
    yield Choice("model.loss", "points", "one error for all waves: networks of several fields have no other yet")
    yield from _biases(known)
    yield _horizons(known, "steps of each roll-out that the loss sees")
    if known.averaged:
        yield Choice("model.steps", "all", "each step of a roll-out enters the loss, which averages their noise")
    windows = known.trajectories * max(1, known.frames - HORIZON)
    epochs = min(max(-(-STEPS * min(batch, windows) // windows), EPOCHS[0]), EPOCHS[1])
    yield Choice("trainer.max_epochs", epochs, f"{epochs * -(-windows // batch)} steps of gradient descent")


def _symbol(known: Traits) -> Choice:
    if known.damped:
        return Choice("model.symbol", "dissipative", "no wave grows or oscillates")
    return Choice("model.symbol", "plain", "some waves grow or oscillate, and the symbol dissipative only damps")


def _is_noisy(known: Traits) -> bool:
    return max(known.noise.values()) > CLEAN


def _loss(known: Traits) -> Choice:
    noise = ", ".join(f"{name} {100 * share:.2g} %" for name, share in known.noise.items())
    if _is_noisy(known):
        return Choice("model.loss", "noise", f"each wave in units of its noise (of the rms: {noise})")
    return Choice("model.loss", "points", "the fields have no noise in units of which waves could be measured")


def _horizons(known: Traits, reason: str) -> Choice:
    return Choice("model.horizons", [max(1, min(HORIZON, (known.frames - 1) // 2))], reason)


def _biases(known: Traits) -> Iterator[Choice]:
    """Laws that the data obey to rounding, and the bound that noisy roll-outs need."""
    stable = ["stability"] if known.averaged and not _one_density(known) else []
    biases = {name: [*(["conservation"] if name in known.conserved else []), *stable] for name in known.fields}
    reasons = [f"the mean of {', '.join(known.conserved)} is constant to rounding"] if known.conserved else []
    reasons += ["roll-outs stay bounded"] if stable else []
    if any(biases.values()):
        same = len({tuple(each) for each in biases.values()}) == 1
        yield Choice("model.biases", biases[known.fields[0]] if same else biases, "; ".join(reasons))


def _bases(known: Traits) -> Iterator[Choice]:
    if not known.bases:
        return
    fields_of: dict[str, list[str]] = {}
    for name, wall in known.bases.items():
        fields_of.setdefault(AT_WALLS[wall, name in known.walls], []).append(name)
    words = [f"{', '.join(names)}: {what} at the walls" for what, names in fields_of.items()]
    yield Choice("model.bases", dict(known.bases), "; ".join(words))
    if known.walls:
        ends = {name: list(ends) for name, ends in known.walls.items()}
        yield Choice("model.walls", ends, "at the lower and at the upper wall, in all frames")
