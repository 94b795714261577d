"""Shear waves and labelled atoms: runs, fits, and the viscosity and diffusivity read off the learned operators."""

import math
from dataclasses import dataclass
from pathlib import Path

import torch

from experiments.support.equilibrium import TEMPERATURE, Measured, images
from experiments.support.fits import Fit
from experiments.support.study import Study
from morlight.analysis.linear_response import response
from morlight.analysis.model import Model
from morlight.analysis.transport import Coefficient
from morlight.simulate import lammps

ATOMS, LENGTH, SHOWN = 8000, 100.0, 12  # as in the deck; wavenumbers that are kept


@dataclass(frozen=True)
class LongWaves:
    """What an operator of one field says of its long waves.

    Attributes:
        limit: [value, standard error] of ν or D.
        bending: [value, standard error] of ℓ².
        kappa: the smallest wavenumbers.
        of_kappa: ν(κ) or D(κ) there, mean over the realizations.
        errors: standard errors of these, over realizations and data.
    """

    limit: list[float]
    bending: list[float]
    kappa: list[float]
    of_kappa: list[float]
    errors: list[float]


def simulate(folder: Path, density: float, seeds: int) -> Path:
    """File of the runs at one density."""
    path = folder / f"shear_{density:g}.h5"
    ensemble = lammps.Ensemble(lammps.SHEAR, [(density,)], range(1, seeds + 1), frames=47, bins=128)
    lammps.simulate(path, ensemble, folder / "shear.runs", overwrite=True)
    return path


def fitted(study: Study[LongWaves], path: Path, field: str) -> LongWaves:
    """Long waves of the operator that is learned from one field."""
    fit = Fit("shear", str(path), {"data.fields": [field]})
    return study.fit(f"{path.stem} {field}", fit, long_waves).measured


def long_waves(model: Model) -> LongWaves:
    """Limit and band of the operator of one field."""
    found = model.transport()
    field = model.data.field_names[0]
    answer = found.kinematic_viscosity if field == "momentum" else found.diffusivity[field]
    if not isinstance(answer, Coefficient):
        raise ValueError(str(answer))
    bent = found.bending if isinstance(found.bending, Coefficient) else None
    symbol = response(model, 0, torch.zeros(1, 0, dtype=torch.float64), {})
    kappa = symbol.modulus[1 : SHOWN + 1]
    each = -symbol.generator.real[:, 1 : SHOWN + 1] / kappa.square()
    data = torch.tensor(model.checkpoint.modes.rate_errors)[0, 1 : SHOWN + 1] * each.mean(0)
    return LongWaves(
        [answer.value, answer.error],
        [math.nan, math.nan] if bent is None else [bent.value, bent.error],
        kappa.tolist(),
        each.mean(0).tolist(),
        torch.hypot(each.std(0), data).tolist(),
    )


def of_infinite_box(diffusivity: Measured, density: float, eta: float) -> Measured:
    """D without the motion of the periodic images, along the long side of the box."""
    side = math.sqrt(ATOMS / (density * LENGTH))
    return Measured(diffusivity.value - TEMPERATURE / eta * images((LENGTH, side, side)), diffusivity.error)
