"""Numbers learned from walkers on a line, beside the truth.

The truth of the Fourier deposit is exact for each wavenumber: walkers that take steps of α-stable increments have the
generator −|κ|^α − iVκ.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from experiments.support.fits import untracked_file
from experiments.support.intervals import LENGTHS, Estimate, rollout
from morlight.analysis.data_errors import standard_error
from morlight.analysis.equations.forms import Form
from morlight.analysis.inspection import inspect
from morlight.analysis.model import Model
from morlight.analysis.transport_coefficients import Coefficient
from morlight.simulate.walkers import Walkers, levy
from morlight.training.quiet import quiet

SIZE: dict[str, Any] = {"sets": 20, "walkers": 4000, "steps": 40, "bins": 24, "deposit": "fourier"}
SETTINGS: dict[str, Any] = {  # of configs/levy.yaml, for one realization
    "model.biases": ["conservation", "reflection"],
    "model.width": 8,
    "model.realizations": 1,
    "model.optimizer": "moments",
    "model.horizons": [4],
    "model.smoothness": 1e-4,
    "data.particles": "file",
}


@dataclass(frozen=True)
class LineOfWalkers:
    """Walkers with increments of one kind.

    Attributes:
        alpha: α of the increments.
        dt: Δt.
        drift: V.
    """

    alpha: float
    dt: float
    drift: float = 0.0

    def measured(self, seed: int, folder: Path) -> tuple[list[Estimate], list[dict[str, float]]]:
        """All numbers of a fit to one data set, and its roll-outs."""
        path = folder / "walkers.h5"
        with quiet():
            levy(path, Walkers(**SIZE, alpha=self.alpha, dt=self.dt, drift=(self.drift,)), seed=seed, overwrite=True)
        model = untracked_file(path, SETTINGS)
        return [*self._estimates(model), *self._diffusivity(model)], list(self._rollouts(model))

    def _estimates(self, model: Model) -> Iterator[Estimate]:
        """Everything that `morlight inspect` prints with a standard error."""
        field = inspect(model).fields["density"]
        chosen = field.equation
        if not isinstance(chosen, str) and isinstance(chosen.form, Form) and chosen.form.power is not None:
            c, alpha = chosen.form.power
            yield Estimate("c", c.value, c.data, 1.0)
            yield Estimate("α", alpha.value, alpha.data, self.alpha)
            for v in chosen.form.drift:
                yield Estimate("V", v.value, v.data, self.drift)
        generator, band = field.generator, field.band
        if generator is None or generator.real_sd is None or generator.imag_sd is None or band is None:
            return
        for k, kappa in enumerate(generator.kappa):
            if 0.999 * band[0] <= kappa <= 1.001 * band[1]:
                real, imag = np.mean([row[k] for row in generator.real]), np.mean([row[k] for row in generator.imag])
                yield Estimate(f"Re G({kappa:.0f})", float(real), generator.real_sd[k], -(kappa**self.alpha))
                yield Estimate(f"Im G({kappa:.0f})", float(imag), generator.imag_sd[k], -self.drift * kappa)

    def _diffusivity(self, model: Model) -> Iterator[Estimate]:
        """D of `Model.transport`, which flights do not have."""
        D = model.transport().diffusivity["density"]
        if self.alpha == 2 and isinstance(D, Coefficient) and D.over_data is not None:
            yield Estimate("D", D.value, D.over_data, 1.0)

    def _rollouts(self, model: Model) -> Iterator[dict[str, float]]:
        """Roll-outs of a smooth density beside the exact fields."""
        L, N = model.grid.length[0], model.grid.points[0]
        x, kappa = L * np.arange(N) / N, 2 * math.pi / L * np.arange(N // 2 + 1)
        u = 1 + 0.5 * np.cos(x) + 0.3 * np.cos(2 * x + 1) + 0.1 * np.cos(3 * x + 2)
        for length in LENGTHS:
            steps = round(length * SIZE["steps"])

            def last(other: Model, steps: int = steps) -> Tensor:
                return torch.from_numpy(other.predict(u, steps, every=steps)[:, -1])

            error = standard_error(model, last)
            if error is None:
                return
            rate = -(kappa**self.alpha) - 1j * self.drift * kappa
            exact = np.fft.irfft(np.fft.rfft(u) * np.exp(rate * steps * model.dt), N)
            yield rollout(length, last(model).mean(0).numpy() - exact, error.numpy())
