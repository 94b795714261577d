"""What models of Brownian walkers are tried on, and what is measured of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from experiments.support import gauged
from morlight.analysis.evaluation.walkers import Walkers as Equation
from morlight.analysis.evaluation.walkers import linearized_symbol, square_wave
from morlight.analysis.model import Model
from morlight.data.trajectory_file import TrajectoryFile
from morlight.operators import generator

LOW = 8  # κ up to which Fig. 6 shows the symbol well, whatever the biases


@dataclass(frozen=True)
class WaveErrors:
    """The numbers behind the claims, of every realization.

    Attributes:
        sample: error of a set of walkers at t = 1.
        square: error of the square wave at t = 1.
        drift: change of the total, in rms of u(0), the larger of both.
        h_above: rms of h(u)/u − 1 over the positive values of the data.
        h_below: the same over the negative values.
        symbol: largest relative error of the generator up to κ = 8.
    """

    sample: Sequence[float]
    square: Sequence[float]
    drift: Sequence[float]
    h_above: Sequence[float]
    h_below: Sequence[float]
    symbol: Sequence[float]


class Trial:
    """What the operators are tried on: a set of walkers, and the square wave of Eq. 23, at t = 0 and t = 1."""

    def __init__(self, data: Path) -> None:
        file = TrajectoryFile.open(data)
        equation = Equation.of(file)
        assert equation is not None
        self.decay = equation.decay
        self.steps = round(1 / file.dt)
        (self.x,) = file.grid.coordinates
        self.sample = file.read(["density"], slice(1))[0, :, 0].astype(np.float64)
        self.square = [square_wave(file.grid.points, equation.decay, t).numpy() for t in (0.0, 1.0)]

    def measure(self, model: Model) -> WaveErrors:
        """Errors of a model at t = 1, of its h and of its symbol."""
        starts = np.stack([self.sample[0], self.square[0]])
        later = model.predict(starts[:, None], self.steps, every=self.steps, finite=False)[:, :, -1, 0]
        truth = np.stack([self.sample[-1], self.square[1]])
        size = np.sqrt((starts**2).mean(1))
        with np.errstate(over="ignore", invalid="ignore"):  # of operators that grow without end
            error = np.nan_to_num(
                np.sqrt(((later - truth) ** 2).mean(2) / (truth**2).mean(1)), nan=np.inf, posinf=np.inf
            )
            drift = np.nan_to_num(np.abs(later.mean(2) - starts.mean(1)) / size, nan=np.inf, posinf=np.inf)
        field = model.data.fields[0]
        u = torch.linspace(field.low, field.high, 401, dtype=torch.float64)
        return WaveErrors(
            sample=error[:, 0].tolist(),
            square=error[:, 1].tolist(),
            drift=drift.max(1).tolist(),
            h_above=_bent(model, u[u > 0]),
            h_below=_bent(model, -u[u > 0]),
            symbol=self._symbol_errors(model),
        )

    def _symbol_errors(self, model: Model) -> list[float]:
        """Largest relative error of the generator over 0 < κ ≤ 8."""
        kappa = model.spectral.basis.wavenumbers[0].double()
        low = (kappa > 0) & (kappa <= LOW)
        continuum = generator(linearized_symbol(model)[:, None, None], model.dt)[:, 0, 0]
        rate = self.decay(kappa[low])
        errors: list[float] = ((continuum[:, low] + rate).abs() / rate).amax(1).tolist()
        return errors


def _bent(model: Model, values: torch.Tensor) -> list[float]:
    """Root mean square of h(u)/u − 1."""
    bent: list[float] = (gauged.nonlinearity(model, values) / values - 1).square().mean(1).sqrt().tolist()
    return bent
