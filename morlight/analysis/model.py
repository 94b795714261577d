"""Models from checkpoints, and what they are asked for. Neither Lightning nor the training data are needed."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from morlight.analysis import labelled_rollout, rollouts
from morlight.analysis.checkpoint import read
from morlight.analysis.inputs import Gamma
from morlight.analysis.realizations import Choice
from morlight.analysis.trained_operator import TrainedOperator
from morlight.data import labelled
from morlight.operators import build
from morlight.operators.build import Components

if TYPE_CHECKING:
    from morlight.analysis.equations.reading import LearnedEquation
    from morlight.analysis.next_run.candidates import Choices
    from morlight.analysis.next_run.result import NextRun
    from morlight.analysis.transport_coefficients import Transport


@dataclass(frozen=True, repr=False)
class Model(TrainedOperator):
    """A trained operator, its predictions, and what it says of the system; its attributes are `TrainedOperator`'s."""

    def predict(  # noqa: PLR0913 - the options of a roll-out
        self,
        initial: Any,
        steps: int,
        *,
        every: int = 1,
        finite: bool = True,
        gamma: Gamma = None,
        realizations: Choice = "all",
        fluctuations: int = 0,
        seed: int = 0,
    ) -> Any:
        """Roll-out u_m = (I + L)^m u_0 of the realizations. Frame 0 is the initial state.

        Args:
            initial: (B, C, *X), (C, *X) or, for one field, (*X), in the units of the data; or an xarray DataArray of
                one field, or a Dataset with one variable for each field. Other dimensions are batches.
            steps: number of steps Δt.
            every: number of steps between two frames; must divide `steps`.
            finite: raise an error at the first state that is not finite; otherwise, NaN is returned from there on.
            gamma: parameters γ, if the operator has any: an array (B, P), or for each name a number or an array (B,).
                By default, those of a Dataset are taken from its coordinates and variables.
            realizations: all; best, by roll-outs on validation data; mean; data, the mean with its standard error due
                to the data; a number; or several.
            fluctuations: number of members of an ensemble of roll-outs with noise, if the model was fitted with
                `model.fluctuations`; with 0, the mean operator alone.
            seed: of the noise.

        Returns:
            For arrays, an array (R, B, T, C, *X), without the axes B and C if the initial state has none, and without
            R for best or a number; the ratios of the model (`with_ratios`) follow the fields. For mean a `Spread`, and
            for data a `SpreadAndError` of such arrays. For a Dataset of xarray, a Dataset with named axes, which for
            mean has the variables NAME and NAME_sd, and for data NAME_error as well; for a DataArray, a DataArray. An
            ensemble has an axis of its members after R.

        Raises:
            ValueError: if the initial state does not have the shape that the operator needs, or the standard error is
                not known.
            FloatingPointError: if a state is not finite; the sentence names the step.
        """
        asked = rollouts.Forecast(steps, every, realizations, finite, fluctuations, seed)
        if labelled.is_labelled(initial):
            return labelled_rollout.predict(self, initial, asked, gamma)
        return rollouts.predict(self, initial, asked, gamma)

    def equation(self) -> "LearnedEquation":
        """The closed form with standard errors (`.text`, `.latex`, `.sympy`, `.terms`), or why there is none."""
        from morlight.analysis.equations.reading import equation

        return equation(self)

    def transport(
        self, gamma: Gamma = None, *, state: Mapping[str, float] | None = None, data: str | Path | None = None
    ) -> "Transport":
        """Viscosity, slip length, body force and diffusivity at one γ, with standard errors, or why there are none.

        See `morlight.analysis.transport.transport`.
        """
        from morlight.analysis.transport import transport

        return transport(self, gamma, state=state, data=data)

    def next_run(self, data: str | Path, candidates: "Choices | str | Path", **asked: Any) -> "NextRun":
        """Candidates for the next run, ranked by the expected decrease of an error.

        Keywords are target, at, bar and realizations (see `morlight.analysis.next_run.next_run.next_run`).
        """
        from morlight.analysis.next_run.next_run import next_run

        return next_run(self, data, candidates, **asked)


def load(path: str | Path, components: Components | None = None) -> Model:
    """The model in a checkpoint file, opened without executing any code in it.

    Args:
        path: the file.
        components: your own networks and biases, if the model was trained with any.

    Raises:
        ValueError: if the file is missing, damaged, or not a checkpoint of morlight.
    """
    checkpoint = read(path)
    if checkpoint.components and components is None:
        raise ValueError(
            f"{path}: was trained with networks or biases of the user's own, expected the same as `components`"
        )
    try:
        operator = build.operator(checkpoint.config, checkpoint.data, components)
        operator = operator.double()  # weights keep their precision
        _check_kinds(operator.state_dict(), checkpoint.weights)
        operator.load_state_dict(dict(checkpoint.weights))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    except (RuntimeError, MemoryError, OverflowError, TypeError) as error:
        raise ValueError(f"{path}: the weights do not fit the configuration beside them") from error
    return Model(checkpoint, operator.eval().requires_grad_(False), checkpoint.data.grid)


def _check_kinds(expected: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> None:
    """Refuse weights that torch would cast to others.

    Raises:
        ValueError: naming a weight.
    """
    for key, value in weights.items():
        wanted = expected.get(key, value)
        if value.is_floating_point() != wanted.is_floating_point() or value.is_complex() != wanted.is_complex():
            raise ValueError(f"weight {key} is of the type {value.dtype}, expected {wanted.dtype}")
