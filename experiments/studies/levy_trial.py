"""What models of flights are tried on, and what is measured of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from morlight.analysis.evaluation.walkers import KAPPA, linearized_symbol
from morlight.analysis.evaluation.walkers import Walkers as Equation
from morlight.analysis.model import Model
from morlight.data.trajectory_file import TrajectoryFile


@dataclass(frozen=True)
class FlightErrors:
    """Errors of every realization.

    Attributes:
        step: rms of one step.
        symbol: relative error of g over |κ| ≤ 16.
        impulse: relative error of a Dirac impulse after a quarter of the unit of time.
    """

    step: Sequence[float]
    symbol: Sequence[float]
    impulse: Sequence[float]


@dataclass(frozen=True)
class Case:
    """A fit of Fig. 10."""

    model: str
    anisotropy: float
    sets: int


Errors = Mapping[Case, FlightErrors]


class Trial:
    """What every model is tried on: flights it has not seen, with β = 0, and a Dirac impulse (Eq. 26)."""

    def __init__(self, held_out: Path) -> None:
        file = TrajectoryFile.open(held_out)
        equation = Equation.of(file)
        assert equation is not None
        self.alpha = equation.alpha
        self.points, self.dt = file.grid.points, file.dt
        self.steps = round(1 / file.dt)
        self.frames = file.read(["density"])[0].astype(np.float64)

    def decayed(self, start: np.ndarray, time: float) -> np.ndarray:
        """Exact solution at a time, every mode times exp(−|κ|^α t)."""
        axes = [np.fft.fftfreq(n, 1 / n) for n in self.points]
        modulus = np.sqrt(sum(k**2 for k in np.meshgrid(*axes, indexing="ij")))
        return np.fft.ifft2(np.fft.fft2(start) * np.exp(-(modulus**self.alpha) * time)).real

    @property
    def impulse(self) -> np.ndarray:
        """A density of mean 1, all of it in the middle cell; modes at the Nyquist wavenumber left out."""
        u = np.zeros(self.points)
        u[self.points[0] // 2, self.points[1] // 2] = u.size
        c = np.fft.fft2(u)
        c[self.points[0] // 2], c[:, self.points[1] // 2] = 0, 0
        return np.fft.ifft2(c).real

    def measure(self, model: Model, equation: Equation) -> FlightErrors:
        """Errors of one step, of the symbol, and of the impulse after a quarter of the unit of time.

        Args:
            model: the operator.
            equation: of the flights that it learned from, for the error of its symbol.
        """
        first, second = self.frames[:-1:10], self.frames[1::10]
        step = model.apply(first) + first
        moved = np.sqrt(((step - second) ** 2).mean((1, 2, 3, 4)))
        quarter = self.steps // 4
        later = model.predict(self.impulse, quarter, every=quarter, finite=False)[:, -1]
        truth = self.decayed(self.impulse, 0.25)
        impulse = np.sqrt(((later - truth) ** 2).mean((1, 2)) / (truth**2).mean())
        return FlightErrors(moved.tolist(), _symbol_errors(model, equation), impulse.tolist())


def _symbol_errors(model: Model, equation: Equation) -> list[float]:
    """Relative error of the increment's symbol over |κ| ≤ 16."""
    kappa = model.spectral.basis.wavenumbers.double()
    modulus = kappa.square().sum(0).sqrt()
    band = (modulus > 0) & (modulus <= KAPPA)
    turning = sum(v * k for v, k in zip(equation.velocity, kappa, strict=True))
    exact = torch.expm1(-(equation.decay(modulus) + 1j * turning)[band] * model.dt)
    g = linearized_symbol(model)[:, band]
    errors: list[float] = ((g - exact).abs().square().mean(1) / exact.abs().square().mean()).sqrt().tolist()
    return errors
