"""Shear waves and labelled atoms: runs, fits, and the viscosity and diffusivity read off the learned operators."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from experiments.support.equilibrium import Measured, State, images
from experiments.support.fits import Fit
from experiments.support.study import Study
from morlight.analysis.linear_response import response
from morlight.analysis.model import Model
from morlight.analysis.transport_coefficients import Coefficient
from morlight.data.trajectory_file import TrajectoryFile
from morlight.data.trajectory_writer import write
from morlight.simulate import lammps

ATOMS, LENGTH, FRAMES, BINS = 8000, 100.0, 47, 128  # as in the deck
SEEDS = {0.05: 3, 0.1: 3, 0.2: 4, 0.5: 3, 0.8442: 3}  # runs at each density, one to four minutes of one core for each
SHOWN = 10  # wavenumbers that are kept
WIDTH, DURATION = 65.0, 2000.0  # of the channel, which its file scales to 1


@dataclass(frozen=True)
class LongWaves:
    """What an operator of one field says of its long waves.

    Attributes:
        limit: [value, standard error] of ν or D.
        bending: [value, standard error] of ℓ² of the momentum; empty for other fields.
        kappa: the smallest wavenumbers.
        of_kappa: ν(κ) or D(κ) there, mean over the realizations.
        errors: standard errors of these, over realizations and data.
    """

    limit: list[float]
    bending: list[float]
    kappa: list[float]
    of_kappa: list[float]
    errors: list[float]


@dataclass(frozen=True)
class Viscosities:
    """η of one operator with γ = ρ*.

    Attributes:
        values: at each density.
        errors: standard errors.
    """

    values: list[float]
    errors: list[float]


def file(folder: Path, state: State) -> Path:
    """Path of the file of the runs at one state."""
    return folder / f"shear_{state}.h5"


def simulate(folder: Path, state: State) -> Path:
    """File of the runs at one state, which are carried out where they are missing."""
    path = file(folder, state)
    numbers = range(1, SEEDS[state.density] + 1)
    settings = {} if state.temperature == State.temperature else {"temperature": state.temperature}
    ensemble = lammps.Ensemble(lammps.SHEAR, [(state.density,)], numbers, settings, frames=FRAMES, bins=BINS)
    lammps.simulate(path, ensemble, folder / "shear.runs", overwrite=True)
    return path


def joined(paths: Sequence[Path], path: Path) -> Path:
    """A file with the momentum of several files."""
    files = [TrajectoryFile.open(each) for each in paths]
    momentum = np.concatenate([file.read(["momentum"])[:, :, 0] for file in files])
    parameters = {name: np.concatenate([file.parameters[name] for file in files]) for name in ("density", "seed")}
    write(
        path,
        name=path.stem,
        fields={"momentum": momentum},
        grid=files[0].grid,
        times=files[0].times,
        parameters=parameters,
        provenance={},
        overwrite=True,
    )
    return path


def fitted(study: Study[LongWaves], path: Path, field: str) -> LongWaves:
    """Long waves of the operator that is learned from one field."""
    fit = Fit("shear", str(path.resolve()), {"data.fields": [field]})
    return study.fit(f"{path.stem} {field}", fit, long_waves).measured


def together(path: Path, densities: Sequence[float], held_out: float) -> list[Measured]:
    """η at each density from one operator that never saw one of them."""
    fit = Fit("shear_densities", str(path.resolve()), {"data.held_out": {"density": held_out}})
    return _viscosities(path.stem, fit, densities, data=path)


def channel(densities: Sequence[float]) -> list[Measured]:
    """η at each density from the operator of the driven channel, which does not see ρ* = 0.1 either."""
    return _viscosities("channel", Fit("lj", "lj"), densities, unit=WIDTH**2 / DURATION)


def _viscosities(
    key: str, fit: Fit, densities: Sequence[float], *, data: Path | None = None, unit: float = 1.0
) -> list[Measured]:
    """η of an operator with γ = ρ*, in units of the fluid."""

    def viscosities(model: Model) -> Viscosities:
        found = [_known(model.transport({"density": density}, data=data).dynamic_viscosity) for density in densities]
        return Viscosities([each.value * unit for each in found], [each.error * unit for each in found])

    made = Study("transport_densities", "paper", Viscosities).fit(key, fit, viscosities).measured
    return [Measured(value, error) for value, error in zip(made.values, made.errors, strict=True)]


def long_waves(model: Model) -> LongWaves:
    """Limit and band of the operator of one field."""
    found = model.transport()
    field = model.data.field_names[0]
    answer = _known(found.kinematic_viscosity if field == "momentum" else found.diffusivity[field])
    bent = found.bending if isinstance(found.bending, Coefficient) else None
    symbol = response(model, 0, torch.zeros(1, 0, dtype=torch.float64), {})
    kappa = symbol.modulus[1 : SHOWN + 1]
    each = -symbol.generator.real[:, 1 : SHOWN + 1] / kappa.square()
    data = torch.tensor(model.checkpoint.modes.rate_errors)[0, 1 : SHOWN + 1] * each.mean(0)
    return LongWaves(
        [answer.value, answer.error],
        [] if bent is None else [bent.value, bent.error],
        kappa.tolist(),
        each.mean(0).tolist(),
        torch.hypot(each.std(0), data).tolist(),
    )


def of_infinite_box(diffusivity: Measured, state: State, eta: float) -> Measured:
    """D without the motion of the periodic images, along the long side of the box."""
    side = math.sqrt(ATOMS / (state.density * LENGTH))
    return Measured(diffusivity.value - state.temperature / eta * images((LENGTH, side, side)), diffusivity.error)


def _known(answer: Coefficient | str) -> Coefficient:
    if isinstance(answer, str):
        raise ValueError(answer)
    return answer
