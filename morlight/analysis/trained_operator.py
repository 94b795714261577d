"""A trained operator with the contents of its checkpoint: what all of `analysis` starts from."""

import copy
import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from tqdm import tqdm

from morlight.analysis.checkpoint import Checkpoint, RealizationLosses
from morlight.analysis.equations.power_law import identified
from morlight.analysis.inputs import Gamma, batched, parameter_values
from morlight.analysis.linear_model import Part, from_plain
from morlight.analysis.ratios import Ratios, places
from morlight.analysis.realizations import Choice, best, chosen
from morlight.operators import Operator, SpectralOperator, build, on_grid, selected, shells
from morlight.operators.config import OperatorConfig
from morlight.operators.description import DataDescription, Grid
from morlight.operators.devices import check_device
from morlight.operators.exponential_scheme import Exponential
from morlight.operators.grids import share_of_band

Trained = TypeVar("Trained", bound="TrainedOperator")  # the same kind of model that was given
BLOCK = 2**24  # values of all realizations computed together, 128 MB each array
MOST_POINTS = 2**31


@dataclass(frozen=True)
class TrainedOperator:
    """A trained operator with the contents of its checkpoint.

    Attributes:
        checkpoint: contents of the file.
        operator: R realizations in double precision.
        grid: grid of the predictions: that of the training data, or a finer or coarser one on the same domain.
        step: time step of the predictions, if it differs from Δt of the training data.
        ratios: of fields, which follow the fields in predictions.
    """

    checkpoint: Checkpoint
    operator: Operator
    grid: Grid
    step: float | None = None
    ratios: Ratios = dataclasses.field(default_factory=dict)

    def __repr__(self) -> str:
        points = " × ".join(map(str, self.grid.points))
        step = "" if self.steady else f", Δt = {self.dt:g}"
        names = ", ".join(self.data.field_names)
        return f"{type(self).__name__}({self.path}: {names} on {points} points{step}, {self.realizations} realizations)"

    @property
    def path(self) -> Path:
        """The checkpoint file."""
        return self.checkpoint.path

    @property
    def config(self) -> OperatorConfig:
        """Options of the operator."""
        return self.checkpoint.config

    @property
    def data(self) -> DataDescription:
        """Description of the training data."""
        return self.checkpoint.data

    @property
    def run(self) -> str | None:
        """ID of the tracked run that wrote the checkpoint."""
        return self.checkpoint.run

    @property
    def losses(self) -> RealizationLosses | None:
        """Loss of every realization at the time of the checkpoint, if it is known."""
        return self.checkpoint.losses

    @property
    def linear_model(self) -> list[Part]:
        """The linear model of each mode, fitted to the training data.

        Empty if the checkpoint has none, or if the time step is not that of the training data.
        """
        return from_plain(self.operator, () if self.step is not None else self.checkpoint.modes.linear)

    @property
    def device(self) -> torch.device:
        """Where the model computes: the CPU, unless it was moved by `to`."""
        return next(iter(self.operator.state_dict().values())).device

    @property
    def realizations(self) -> int:
        """Number R of realizations."""
        return self.config.realizations

    @property
    def dt(self) -> float:
        """Time step Δt, in the time unit of the data."""
        return self.data.dt if self.step is None else self.step

    @property
    def scheme(self) -> str | Exponential:
        """The time-stepping scheme."""
        return build.scheme(self.config, self.data, self.dt / self.data.dt)

    @property
    def continuous(self) -> bool:
        """Whether L/Δt is a generator, so that steps may have any length."""
        return self.config.scheme == "exponential"

    @property
    def steady(self) -> bool:
        """Whether the operator is L u = f without time, and has no steps (Eq. 7)."""
        return self.data.steady

    @property
    def spectral(self) -> SpectralOperator:
        """The operator, if all fields share one basis."""
        if not isinstance(self.operator, SpectralOperator):
            raise ValueError(f"{self.path}: is a system in several bases, expected all fields in one")
        return self.operator

    def apply(self, u: np.ndarray, gamma: Gamma = None) -> np.ndarray:
        """L u of every realization (R, B, C, *X), computed in blocks that fit into memory.

        Args:
            u: fields (B, C, *X), in the units of the data.
            gamma: parameters γ (B, P), if the operator has any.

        Raises:
            ValueError: if the fields do not have the shape that the operator needs.
        """
        fields = batched(self.data, self.grid, torch.from_numpy(np.asarray(u, dtype=np.float64)))
        block = max(1, BLOCK // (self.realizations * fields[0].numel()))
        parameters = parameter_values(self.data, gamma, len(fields))
        parts = []
        for start in tqdm(range(0, len(fields), block), "applying", delay=2, leave=False, unit="block"):
            rows = slice(start, start + block)
            increment = self.operator.prepared(gamma=parameters[rows].to(self.device))
            parts.append(increment(fields[None, rows].to(self.device)).cpu().numpy())
        return np.concatenate(parts, 1)

    def on(self: Trained, points: int | Sequence[int]) -> Trained:
        """The same operator on another grid of the same domain; the symbol is a function of κ and not of the grid.

        Args:
            points: number of points along each axis.

        Raises:
            ValueError: if there is not one number for each axis, or a number is below 2, or there are more than
                `MOST_POINTS` in all.
        """
        counts = [int(N) for N in (points if isinstance(points, Sequence) else [points])]
        if len(counts) != self.grid.dimensions or min(counts) < 2 or math.prod(counts) > MOST_POINTS:
            raise ValueError(
                f"{self.path}: points are {counts}, expected {self.grid.dimensions} number(s), each at least 2, and at"
                f" most {MOST_POINTS} points in all"
            )
        operator = on_grid(self.operator, counts).double().to(self.device)
        return dataclasses.replace(self, operator=operator, grid=self.grid.with_points(counts))

    def stepping(self: Trained, dt: float) -> Trained:
        """The same generator with another time step; longer steps have proportionally more substeps.

        Raises:
            ValueError: if dt is not above 0, or if the model is a step and not a generator.
        """
        if not self.continuous:
            raise ValueError(
                f"{self.path}: learned steps of Δt = {self.data.dt:g} (model.scheme {self.config.scheme}), not {dt:g};"
                " expected a model of scheme exponential"
            )
        if not 0 < dt < np.inf:
            raise ValueError(f"{self.path}: dt is {dt:g}, expected a time above 0")
        return dataclasses.replace(self, step=float(dt))

    def with_ratios(self: Trained, ratios: Mapping[str, str]) -> Trained:
        """The same model, whose predictions have ratios of fields after the fields.

        Args:
            ratios: by name, such as {"velocity": "momentum/density"}.

        Raises:
            ValueError: if one is not a ratio of two fields.
        """
        return dataclasses.replace(self, ratios=places(ratios, self.data.field_names))

    @property
    def predicted_names(self) -> list[str]:
        """Names of the fields and ratios of a prediction."""
        return [*self.data.field_names, *self.ratios]

    def to(self: Trained, device: str) -> Trained:
        """The model on another device of torch, such as cuda; roll-outs are computed there and returned as before.

        Raises:
            ValueError: if torch does not find the device.
        """
        check_device(device)
        return dataclasses.replace(self, operator=copy.deepcopy(self.operator).to(device))

    def only(self: Trained, rows: Sequence[int]) -> Trained:
        """The model with some of its realizations.

        Raises:
            ValueError: if one of them does not exist.
        """
        rows = self.chosen(list(rows))
        operator = selected(self.operator, self.realizations, rows).requires_grad_(False)
        return dataclasses.replace(self, checkpoint=self.checkpoint.only(rows), operator=operator)

    def chosen(self, realizations: Choice) -> list[int]:
        """Numbers of the chosen realizations.

        Raises:
            ValueError: if one of them does not exist.
        """
        return chosen(self.checkpoint, realizations)

    @property
    def best(self) -> int:
        """The realization with the smallest error of roll-outs, or else loss; of an equation, the estimate.

        Raises:
            ValueError: if the checkpoint does not contain the losses.
        """
        return best(self.checkpoint)

    def band(self, place: int) -> tuple[float, float] | None:
        """Smallest and largest |κ| at which the training data identify the symbol of a field; None if not known."""
        errors = self.checkpoint.modes.rate_errors
        if self.steady:
            return self.data.band
        if errors is None or self.config.vectors:  # whose errors are those of waves, and not of single fields
            return None
        basis = build.basis(self.data.grid).double()
        moduli, index = shells(basis.wavenumbers)
        below = torch.zeros(moduli.shape[1], dtype=torch.bool)
        below[index[share_of_band(basis) < 1 - 1e-9]] = True
        return identified(moduli[0], torch.tensor(errors[place], dtype=torch.float64), below)
