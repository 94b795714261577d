"""What the studies of fluctuations measure of a model: spectrum, amplitude, decay of waves, temperature, viscosity."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from experiments.support.equilibrium import State
from experiments.support.shear import ATOMS, LENGTH
from morlight.analysis.evaluation.calibration import calibration
from morlight.analysis.fluctuation_dissipation import Ratio
from morlight.analysis.long_waves import long_waves
from morlight.analysis.model import Model
from morlight.analysis.noise import FieldNoise, inspect_noise
from morlight.data.trajectory_file import TrajectoryFile

MEMBERS = 50
WAVES = (1, 2, 4, 8)  # k whose decay is shown
SETTLED, SHOWN, EVERY = 2000, 1000, 20  # steps until equilibrium, and after it
LOST = 0.9  # share of the equilibrium spectrum renewed in a step, above which a wave says nothing of the viscosity


@dataclass(frozen=True)
class WalkerNoise:
    """Noise learned from walkers or flights.

    Attributes:
        intensity: [c, its standard error, n, its standard error] of Q = c |κ|^n.
        level: spectrum at equilibrium over the shot noise of the number of walkers, mean over κ, and its error.
        amplitude: [n, standard error] of a ∝ uⁿ.
        balance: [ratio, standard error] of the noise and the noise that the damping needs.
        kappa: |κ|.
        density: Σ in the mean over the realizations.
        u: densities.
        squares: a² there.
        times: of the decay.
        decay: F(k, t)/S(k) of long roll-outs for each of `WAVES`.
        calibration: on held-out walkers, as `morlight evaluate --json` has it.
    """

    intensity: list[float]
    level: list[float]
    amplitude: list[float]
    balance: list[float]
    kappa: list[float]
    density: list[float]
    u: list[float]
    squares: list[float]
    times: list[float]
    decay: list[list[float]]
    calibration: dict[str, Any]


@dataclass(frozen=True)
class ChannelNoise:
    """Ensembles of the channel beside runs that were not used for the fit.

    Attributes:
        calibration: as `morlight evaluate --json` has it.
        between_runs: noise of one run at the end from the scatter between runs, rms over γ, by field.
    """

    calibration: dict[str, Any]
    between_runs: dict[str, float]


@dataclass(frozen=True)
class ShearNoise:
    """Temperature and viscosity from the noise of the momentum.

    Attributes:
        temperature: [k_B T, standard error] by equipartition.
        noise: [ν, standard error] from the size of the noise of long waves.
        operator: [ν, standard error] of the mean operator.
        ratio: [ratio, standard error] of the noise and the noise that the damping needs, from equipartition.
    """

    temperature: list[float]
    noise: list[float]
    operator: list[float]
    ratio: list[float]


def of_walkers(model: Model, held_out: Path, walkers: int) -> WalkerNoise:
    """Noise of a density of mean 1 on [0, 2π)."""
    field = _noise(model)
    equilibrium = np.array(field.equilibrium).mean(0)
    used = slice(1, -1)  # the total has none, and the Nyquist mode is not deposited
    level = equilibrium[used] * walkers / (2 * math.pi)
    law, power = field.intensity, field.amplitude
    file = TrajectoryFile.open(held_out)
    times, decay = _decay(model)
    return WalkerNoise(
        [] if law is None else [law.coefficient, law.coefficient_sd, law.exponent, law.exponent_sd],
        [float(level.mean()), float(level.std(ddof=1) / math.sqrt(len(level)))],
        [] if power is None else [power.exponent, power.exponent_sd],
        _known(field.balance),
        list(field.kappa),
        np.array(field.density).mean(0).tolist(),
        list(field.u),
        np.array(field.squares).mean(0).tolist(),
        times,
        decay,
        calibration(model, file, MEMBERS).to_json(),
    )


def _noise(model: Model) -> FieldNoise:
    found = inspect_noise(model)
    assert found is not None
    return next(iter(found.fields.values()))


def _decay(model: Model) -> tuple[list[float], list[list[float]]]:
    """F(k, t)/S(k) in roll-outs of the best realization from a uniform density."""
    start = np.ones(model.grid.points)
    u = model.predict(start, SETTLED + SHOWN, every=EVERY, realizations="best", fluctuations=10 * MEMBERS)
    c = np.fft.rfft(u[:, SETTLED // EVERY :])[..., list(WAVES)]
    lags = c.shape[1] // 2
    each = [(c[:, lag : lag + lags] * c[:, :lags].conj()).real.mean((0, 1)) for lag in range(lags)]
    scattering = np.stack(each, 1)
    times = (np.arange(lags) * EVERY * model.dt).tolist()
    return times, (scattering / scattering[:, :1]).tolist()


def of_channel(model: Model, held_out: Path, runs: Path) -> ChannelNoise:
    """Calibration on runs that were not used, and the scatter between all runs of each γ."""
    found = calibration(model, TrajectoryFile.open(held_out), MEMBERS)
    names, file = model.data.field_names, TrajectoryFile.open(runs)
    u = file.read(names, times=slice(-1, None))[:, 0]
    u = u.reshape(*u.shape[:2], model.grid.points[0], -1).mean(-1)
    gamma = file.parameters["density"]
    squares = []
    for value in np.unique(gamma):
        each = u[gamma == value]
        scatter = each.var(0, ddof=1).sum(1)
        squares.append(scatter / (np.square(each.mean(0)).sum(1) - scatter / len(each)))
    noise = np.sqrt(np.mean(squares, 0))
    return ChannelNoise(found.to_json(), dict(zip(names, noise.tolist(), strict=True)))


def of_shear(model: Model, density: float) -> ShearNoise:
    """Equipartition S = ρ m k_B T/A in a box of cross section A, and Σ = S (1 − e^{−2νκ²Δt}) of long waves."""
    field = _noise(model)
    unit = density / (ATOMS / (density * LENGTH))  # S at k_B T = 1
    nu = model.transport().kinematic_viscosity
    if isinstance(nu, str):
        raise ValueError(f"{model.path}: {nu}")
    viscosity = _viscosity(model, field, unit * State.temperature)
    return ShearNoise(_temperature(field, unit), viscosity, [nu.value, nu.error], _known(field.equipartition))


def _known(ratio: Ratio | None) -> list[float]:
    return [] if ratio is None else [ratio.value, ratio.error]


def _temperature(field: FieldNoise, unit: float) -> list[float]:
    """k_B T and its standard error from waves so short that their decay does not matter."""
    spectrum, level = (np.array(each).mean(0) for each in (field.density, field.equilibrium))
    short = (np.array(field.kappa) > 0) & (spectrum > LOST * level)
    values = level[short] / unit
    return [float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values)))]


def _viscosity(model: Model, field: FieldNoise, level: float) -> list[float]:
    """ν and its standard error from the size of the noise of long waves, at a known S."""
    kappa, errors = np.array(field.kappa), np.array(field.errors) / level
    share = np.array(field.density).mean(0) / level
    used = (kappa > 0) & (share < LOST)
    rate = -np.log1p(-share[used]) / (2 * model.dt)
    relative = errors[used] / (1 - share[used]) / (2 * model.dt) / rate
    line = long_waves(*(torch.from_numpy(each) for each in (kappa[used], rate[None], relative)))
    if isinstance(line, str) or line.coefficient_error is None:
        raise ValueError(f"{model.path}: {line}")
    return [float(line.coefficient[0]), line.coefficient_error]
