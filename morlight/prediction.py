"""From a checkpoint to roll-outs: needs the file alone, neither Lightning nor the training data."""

import pickle
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from morlight.operators import Operator, SpectralOperator, build, check_steps, states

LAYOUTS = (1,)
BLOCK = 2**24  # values of all realisations computed together, 128 MB each array


@dataclass(frozen=True)
class Model:
    """A trained operator with all that its checkpoint knows of it.

    Attributes:
        path: the checkpoint.
        operator: R realisations in double precision.
        settings: hyper-parameters of the training, plain values.
        data: description of the training data: fields, points, length, boundaries, dt, scale, low, high.
        run: identity of the tracked run that wrote it.
        growth: certificate of its stability on the training data (see `OperatorModule.certificate`), where known.
    """

    path: Path
    operator: Operator
    settings: dict[str, Any]
    data: dict[str, Any]
    run: str | None
    growth: dict[str, Any] | None = None

    @property
    def realizations(self) -> int:
        """R."""
        return self.settings["realizations"]

    @property
    def dt(self) -> float:
        """Δt, one step, in the time unit of the data."""
        return self.data["dt"]

    @property
    def steady(self) -> bool:
        """Whether it learned L u = f without time, and has no steps (Eq. 7)."""
        return bool(self.data.get("targets"))

    @property
    def spectral(self) -> SpectralOperator:
        """The operator where it is a single one: all fields in one basis."""
        if not isinstance(self.operator, SpectralOperator):
            raise ValueError(f"{self.path}: is a system in several bases, expected all fields in one")
        return self.operator

    def apply(self, u: np.ndarray, gamma: np.ndarray | None = None) -> np.ndarray:
        """L u of every realisation, (R, B, C, *X), in blocks that fit the memory.

        Args:
            u: fields (B, C, *X), in the units of the data.
            gamma: parameters γ (B, P), where the operator knows some.

        Raises:
            ValueError: where the fields do not fit the operator.
        """
        fields = self._batched(torch.from_numpy(np.asarray(u, dtype=np.float64)))
        block = max(1, BLOCK // (self.realizations * fields[0].numel()))
        given = self._gamma(gamma, len(fields))
        found = []
        for start in tqdm(range(0, len(fields), block), "applying", delay=2, leave=False, unit="block"):
            part = slice(start, start + block)
            increment = self.operator.prepared(gamma=None if given is None else given[part])
            found.append(increment(fields[None, part]).numpy())
        return np.concatenate(found, 1)

    def predict(
        self,
        initial: np.ndarray,
        steps: int,
        *,
        every: int = 1,
        finite: bool = True,
        gamma: np.ndarray | None = None,
    ) -> np.ndarray:
        """Roll-out of every realisation, frame 0 being the initial state.

        Args:
            initial: (B, C, *X), (C, *X) or, for one field, (*X), in the units of the data.
            steps: number of steps Δt.
            every: keep every so many steps; divides steps.
            finite: stop at the first state that is not finite; otherwise NaN is carried on.
            gamma: parameters γ (B, P) of each initial state, where the operator knows some.

        Returns:
            (R, B, T, C, *X), without the axes B and C where the initial state has none.

        Raises:
            ValueError: where the initial state does not fit the operator.
            FloatingPointError: where a state is not finite, with the step at which it happened.
        """
        if self.steady:
            raise ValueError(
                f"{self.path}: learned {', '.join(self.data['targets'])} of {', '.join(self.data['fields'])} without"
                " time, expected an operator with steps"
            )
        u = torch.from_numpy(np.array(initial, dtype=np.float64))
        given = u.ndim
        u = self._batched(u)
        frames = np.stack(list(self._states(u[None], self._gamma(gamma, len(u)), (steps, every), finite)), 2)
        dimensions = len(self.data["points"])
        if given == dimensions:
            return frames[:, 0, :, 0]
        return frames[:, 0] if given == dimensions + 1 else frames

    def _gamma(self, gamma: np.ndarray | None, batch: int) -> Tensor | None:
        names = self.data.get("parameters", [])
        given = np.zeros((batch, 0)) if gamma is None else np.asarray(gamma, dtype=np.float64).reshape(batch, -1)
        if given.shape[1] != len(names):
            raise ValueError(f"{given.shape[1]} parameters are given, expected {len(names)} ({', '.join(names)})")
        if any(self.data.get("gamma_spread", [])) or "powers" in self.data:
            for name, values in zip(names, given.T, strict=True):
                if not (values > 0).all():
                    raise ValueError(f"parameter {name} is {values.min():g}, expected values above 0")
        return torch.from_numpy(given) if names else None

    def _states(self, u: Tensor, gamma: Tensor | None, count: tuple[int, int], finite: bool) -> Iterator[np.ndarray]:
        steps, every = count
        check_steps(steps, every)
        walk = states(self.operator, u, steps, gamma, self.settings.get("scheme", "explicit"))
        bar = tqdm(walk, "predicting", steps + 1, delay=2, leave=False, unit="step")
        for step, state in enumerate(bar):
            if step % every:
                continue
            broken = (~state.isfinite()).flatten(1).any(1).nonzero().flatten().tolist()
            if broken and finite:
                raise FloatingPointError(f"{self.path}: realisation(s) {broken} are not finite after {step} steps")
            yield state.numpy()

    def _batched(self, u: Tensor) -> Tensor:
        points, fields = tuple(self.data["points"]), len(self.data["fields"])
        full = (fields, *points)
        if u.ndim == len(points) and fields == 1:
            u = u[None]
        if u.ndim == len(full):
            u = u[None]
        if u.ndim != 1 + len(full) or tuple(u.shape[1:]) != full:
            raise ValueError(
                f"initial state has shape {tuple(u.shape)}, expected {points} points"
                f" of {fields} field(s) ({', '.join(self.data['fields'])})"
            )
        if not u.isfinite().all():
            raise ValueError("initial state holds NaN or infinite values, expected finite numbers")
        return u


def load(path: str | Path) -> Model:
    """The model in a checkpoint file, opened without executing any code in it.

    Raises:
        ValueError: where the file is missing, damaged, or not a checkpoint of morlight.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path}: no such checkpoint file")
    try:
        with warnings.catch_warnings():  # torch muses on how a foreign file was pickled
            warnings.simplefilter("ignore")
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise ValueError(
            f"{path}: not a readable checkpoint of morlight, expected one that `morlight fit` wrote"
        ) from error
    marks = checkpoint.get("morlight") if isinstance(checkpoint, dict) else None
    if not isinstance(marks, dict):
        raise ValueError(f"{path}: key 'morlight' is missing, expected a checkpoint that `morlight fit` wrote")
    if marks.get("layout") not in LAYOUTS:
        raise ValueError(f"{path}: layout {marks.get('layout')} is unknown to this version, expected one of {LAYOUTS}")
    try:
        settings = dict(checkpoint["hyper_parameters"])
        data = settings.pop("data")
        operator = build.operator(settings, data)
        operator.load_state_dict({k.removeprefix("operator."): v for k, v in checkpoint["state_dict"].items()})
    except KeyError as error:
        raise ValueError(f"{path}: key {error} is missing, expected a checkpoint that `morlight fit` wrote") from error
    except RuntimeError as error:
        raise ValueError(f"{path}: the weights do not fit the hyper-parameters beside them") from error
    return Model(
        path, operator.double().eval().requires_grad_(False), settings, data, marks.get("run"), marks.get("growth")
    )
