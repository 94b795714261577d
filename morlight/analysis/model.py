"""From a checkpoint to roll-outs: needs the file alone, neither Lightning nor the training data."""

import dataclasses
import pickle
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from morlight.analysis import checkpoint as layouts
from morlight.analysis.equations.power_law import identified
from morlight.data import labelled
from morlight.operators import Operator, SpectralOperator, build, check_steps, on_grid, selected, shells, states

BLOCK = 2**24  # values of all realisations computed together, 128 MB each array


Gamma = np.ndarray | Mapping[str, Any] | None
Choice = str | int | Sequence[int]


class Extrapolation(UserWarning):
    """A prediction goes beyond what the training data tell."""


class Spread(NamedTuple):
    """Mean and standard deviation over the realisations."""

    mean: np.ndarray
    sd: np.ndarray


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
        losses: of every realisation at the time of the checkpoint, where known.
    """

    path: Path
    operator: Operator
    settings: dict[str, Any]
    data: dict[str, Any]
    run: str | None
    growth: dict[str, Any] | None = None
    losses: dict[str, Any] | None = None

    def __repr__(self) -> str:
        data = self.data
        grid = " × ".join(map(str, data["points"]))
        step = "" if self.steady else f", Δt = {self.dt:g}"
        return (
            f"Model({self.path}: {', '.join(data['fields'])} on {grid} points{step}, {self.realizations} realisations)"
        )

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
        initial: Any,
        steps: int,
        *,
        every: int = 1,
        finite: bool = True,
        gamma: Gamma = None,
        realizations: Choice = "all",
    ) -> Any:
        """Roll-out of realisations, frame 0 being the initial state.

        Args:
            initial: (B, C, *X), (C, *X) or, for one field, (*X), in the units of the data; or an xarray DataArray of
                the one field, or a Dataset with a variable for each, with any other dimensions as batches.
            steps: number of steps Δt.
            every: keep every so many steps; divides steps.
            finite: stop at the first state that is not finite; otherwise NaN is carried on.
            gamma: parameters γ where the operator knows some: (B, P), or each by its name, a number or (B,); those of
                a Dataset are taken from its coordinates and variables where left out.
            realizations: all, best (of the smallest loss on the trajectories held back), mean, a number, or several.

        Returns:
            of arrays (R, B, T, C, *X), without the axes B and C where the initial state has none, and without R for
            best or a number; for mean, `Spread` of two of them. Of xarray a Dataset with the axes named, for mean
            with the variables NAME and NAME_sd, or a DataArray for one.

        Raises:
            ValueError: where the initial state does not fit the operator.
            FloatingPointError: where a state is not finite, with the step at which it happened.
        """
        if self.steady:
            raise ValueError(
                f"{self.path}: learned {', '.join(self.data['targets'])} of {', '.join(self.data['fields'])} without"
                " time, expected an operator with steps"
            )
        if labelled.is_labelled(initial):
            return self._labelled(initial, steps, every, finite, gamma, realizations)
        if np.iscomplexobj(initial):
            raise ValueError("initial state is complex, expected real numbers")
        u = torch.from_numpy(np.array(initial, dtype=np.float64))
        lead = u.ndim
        u = self._batched(u)
        chosen = self.chosen(realizations)
        parameters = self._gamma(gamma, len(u))
        for caution in self.cautions(u.numpy(), None if parameters is None else parameters.numpy()):
            warnings.warn(caution, Extrapolation, stacklevel=2)
        one = self if chosen == list(range(self.realizations)) else self.only(chosen)
        frames = np.stack(list(one._states(u[None], parameters, (steps, every), finite)), 2)
        dimensions = len(self.data["points"])
        if lead == dimensions:
            frames = frames[:, 0, :, 0]
        elif lead == dimensions + 1:
            frames = frames[:, 0]
        if realizations == "mean":
            return Spread(frames.mean(0), _sd(frames))
        return frames[0] if realizations == "best" or isinstance(realizations, int) else frames

    def _labelled(self, initial: Any, steps: int, every: int, finite: bool, gamma: Gamma, realizations: Choice) -> Any:
        names, parameters = self.data["fields"], self.data.get("parameters", [])
        given = labelled.arrays(initial, names, parameters, len(self.data["points"]))
        if given.length is not None and not np.allclose(given.length, self.data["length"], rtol=1e-3):
            raise ValueError(
                f"the coordinates fill the length {list(given.length)}, expected {self.data['length']} as in the"
                f" training data of {self.path}"
            )
        points = given.states.shape[2:]
        # coordinates tell that it is the same domain; without them other points could be another length
        one = self if given.length is None or list(points) == self.data["points"] else self.on(points)
        told = {**given.gamma, **gamma} if isinstance(gamma, Mapping) else given.gamma if gamma is None else gamma
        frames = one.predict(
            given.states, steps, every=every, finite=finite, gamma=told or None, realizations=realizations
        )
        numbers: Sequence[int] | None = self.chosen(realizations)
        if isinstance(frames, Spread):
            parts, numbers = {"": frames.mean, "_sd": frames.sd}, None
        else:
            numbers = None if realizations == "best" or isinstance(realizations, int) else numbers
            parts = {"": frames}
        fields = {
            f"{name}{end}": u.take(c, -1 - len(points)) for end, u in parts.items() for c, name in enumerate(names)
        }
        space = build.basis(points, self.data["length"], self.data["boundaries"])
        grid = [axis.x.numpy() for axis in space.axes]
        times = np.arange(steps // every + 1) * every * self.dt
        about = {"checkpoint": str(self.path), "run": self.run or "", "dt": self.dt, "realizations": str(realizations)}
        return labelled.dataset(fields, times, given, realizations=numbers, grid=grid, attributes=about)

    def on(self, points: int | Sequence[int]) -> "Model":
        """The same operator on another grid of the same domain; its symbol is a function of κ and not of the grid.

        Raises:
            ValueError: where these are no points of such a grid.
        """
        counts = [int(N) for N in (points if isinstance(points, Sequence) else [points])]
        if len(counts) != len(self.data["points"]) or min(counts) < 2:
            raise ValueError(
                f"{self.path}: points are {counts}, expected {len(self.data['points'])} number(s), each at least 2"
            )
        data = {**self.data, "points": counts, "trained_points": self.trained_points}
        return dataclasses.replace(self, operator=on_grid(self.operator, counts).double(), data=data)

    @property
    def trained_points(self) -> list[int]:
        """Points along each axis of the training data."""
        found: list[int] = self.data.get("trained_points", self.data["points"])
        return found

    def only(self, chosen: Sequence[int]) -> "Model":
        """The model with some of its realisations."""
        settings = {**self.settings, "realizations": len(chosen)}

        def those(told: dict[str, Any] | None) -> dict[str, Any] | None:
            return told and {**told, "per_realization": [told["per_realization"][r] for r in chosen]}

        return dataclasses.replace(
            self,
            operator=selected(self.operator, self.realizations, chosen).requires_grad_(False),
            settings=settings,
            losses=those(self.losses),
            growth=those(self.growth),
        )

    def chosen(self, realizations: Choice) -> list[int]:
        """Numbers of the realisations that a choice means.

        Raises:
            ValueError: where there is none of them.
        """
        if realizations in ("all", "mean"):
            return list(range(self.realizations))
        if realizations == "best":
            return [self.best]
        asked = [realizations] if isinstance(realizations, int) else list(realizations)
        if not asked or not all(isinstance(r, int) and 0 <= r < self.realizations for r in asked):
            raise ValueError(
                f"{self.path}: realizations are {realizations!r}, expected all, best, mean, or numbers from 0 to"
                f" {self.realizations - 1}"
            )
        return [r for r in asked if isinstance(r, int)]

    @property
    def best(self) -> int:
        """The realisation with the smallest loss at the time of the checkpoint.

        Raises:
            ValueError: where the checkpoint does not tell.
        """
        if self.realizations == 1:
            return 0
        if self.losses is None:
            raise ValueError(
                f"{self.path}: does not tell the losses of its realisations, expected a checkpoint of this version,"
                " or a number in place of best"
            )
        each = self.losses["per_realization"]
        return min(range(len(each)), key=lambda r: each[r] if np.isfinite(each[r]) else np.inf)

    def band(self, place: int) -> tuple[float, float] | None:
        """Smallest and largest |κ| about which the training data say something; None where that is not known."""
        if self.steady or not self.data.get("rate_errors"):
            told = self.data.get("band") if self.steady else None
            return None if told is None else (float(told[0]), float(told[1]))
        space = build.basis(self.trained_points, self.data["length"], self.data["boundaries"]).double()
        moduli = shells(space.wavenumbers)[0][0]
        return identified(moduli, torch.tensor(self.data["rate_errors"][place], dtype=torch.float64))

    def cautions(self, u: np.ndarray, gamma: np.ndarray | None) -> list[str]:
        """Sentences about what the training data did not tell: other γ, and waves beyond the identified band.

        Args:
            u: initial states (B, C, *X).
            gamma: parameters (B, P).
        """
        told = []
        lows, highs = (self.data.get(key) for key in ("gamma_low", "gamma_high"))
        for p, name in enumerate(self.data.get("parameters", [])):
            if gamma is None or lows is None or highs is None:
                continue
            slack = 1e-6 * max(abs(lows[p]), abs(highs[p]))  # the file may have held single precision
            outside = gamma[(gamma[:, p] < lows[p] - slack) | (gamma[:, p] > highs[p] + slack), p]
            if len(outside):
                told.append(
                    f"{self.path}: {name} = {outside[0]:g} lies outside the training data, {lows[p]:g} to {highs[p]:g};"
                    " the prediction extrapolates"
                )
        if self.data["points"] == self.trained_points:
            return told
        space = build.basis(self.data["points"], self.data["length"], self.data["boundaries"]).double()
        modulus = space.wavenumbers.square().sum(0).sqrt()
        for c, name in enumerate(self.data["fields"]):
            band = self.band(c)
            if band is None:
                told.append(
                    f"{self.path}: on {self.data['points']} points, trained on {self.trained_points}: the checkpoint"
                    f" does not tell for which wavenumbers {name} was identified"
                )
            elif (largest := float(modulus.max())) > 1.001 * band[1]:
                energy = space.forward(torch.from_numpy(u[:, c])).abs().square() * space.energy
                share = float(energy[..., modulus > 1.001 * band[1]].sum() / energy[..., modulus > 0].sum())
                told.append(
                    f"{self.path}: on {self.data['points']} points |κ| goes up to {largest:.4g}, but the training data"
                    f" identified the symbol of {name} for {band[0]:.4g} ≤ |κ| ≤ {band[1]:.4g};"
                    f" {100 * share:.2g} % of the variance of the initial state lies beyond"
                )
        return told

    def _gamma(self, gamma: Gamma, batch: int) -> Tensor | None:
        names = self.data.get("parameters", [])
        if isinstance(gamma, Mapping):
            if set(gamma) != set(names):
                said, due = (", ".join(keys) or "none" for keys in (gamma, names))
                raise ValueError(f"the parameters {said} are given, expected {due}")
            gamma = np.stack([np.broadcast_to(np.asarray(gamma[name], np.float64), batch) for name in names], 1)
        given = np.zeros((batch, 0)) if gamma is None else np.asarray(gamma, dtype=np.float64).reshape(batch, -1)
        if given.shape[1] != len(names):
            raise ValueError(f"{given.shape[1]} parameters are given, expected {len(names)} ({', '.join(names)})")
        if not np.isfinite(given).all():
            raise ValueError(f"the parameters {', '.join(names)} hold NaN or infinite values, expected finite numbers")
        if any(self.data.get("gamma_spread", [])) or "powers" in self.data:
            for name, values in zip(names, given.T, strict=True):
                if not (values > 0).all():
                    raise ValueError(f"parameter {name} is {values.min():g}, expected values above 0")
        return torch.from_numpy(given) if names else None

    def _states(self, u: Tensor, gamma: Tensor | None, count: tuple[int, int], finite: bool) -> Iterator[np.ndarray]:
        steps, every = count
        check_steps(steps, every)
        walk = states(self.operator, u, steps, gamma, self.settings.get("scheme", "explicit"))
        for step in tqdm(range(steps + 1), "predicting", delay=2, leave=False, unit="step"):
            try:
                state = next(walk)
            except FloatingPointError as error:  # of the implicit scheme
                raise FloatingPointError(f"{self.path}: step {step}: {error}") from error
            if finite and not state.isfinite().all():
                broken = (~state.isfinite()).flatten(1).any(1).nonzero().flatten().tolist()
                raise FloatingPointError(f"{self.path}: realisation(s) {broken} are not finite after {step} steps")
            if step % every == 0:
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
                f" of {fields} field(s) ({', '.join(self.data['fields'])}); `Model.on` takes the operator to another"
                " grid"
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
    checkpoint = layouts.present(path, checkpoint)
    marks = checkpoint["morlight"]
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
        path,
        operator.double().eval().requires_grad_(False),
        settings,
        data,
        marks.get("run"),
        marks.get("growth"),
        marks.get("losses"),
    )


def _sd(frames: np.ndarray) -> np.ndarray:
    """Standard deviation over the realisations, 0 of a single one."""
    spread: np.ndarray = frames.std(0, ddof=1) if len(frames) > 1 else np.zeros_like(frames[0])
    return spread
