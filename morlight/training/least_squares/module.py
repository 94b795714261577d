"""Least squares: one pass over the data gathers their moments, and Levenberg–Marquardt fits g and h to them."""

import copy
import sys
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from morlight.data.schedule import Schedule
from morlight.data.windows import Batch
from morlight.operators import SpectralOperator, shells
from morlight.training.config import LeastSquaresConfig
from morlight.training.curriculum import at_once
from morlight.training.least_squares.gatherer import Gatherer
from morlight.training.least_squares.jackknife import jackknife
from morlight.training.least_squares.levenberg_marquardt import regress
from morlight.training.least_squares.objective import Objective
from morlight.training.least_squares.shot_noise import IndependentParticles
from morlight.training.operator_module import OperatorModule

SPLINES = {1: 64, 2: 24, 3: 16}  # of the moments: sums of n² numbers a mode, and modes are many in the plane


class LeastSquaresModule(OperatorModule):
    """Increments of one field over several steps at once, without γ."""

    def __init__(self, *parts: Any, **more: Any) -> None:
        super().__init__(*parts, **more)
        if not isinstance(self.operator, SpectralOperator) or len(self.data.fields) > 1 or self.data.parameters:
            raise ValueError("model.optimizer is moments, which needs one field without parameters; expected adam")
        if self.loss.own is not None:
            raise ValueError("a loss of one's own needs gradient descent, expected model.optimizer adam")
        self.automatic_optimization = False
        self._steps = 0
        self._errors_of_particles: tuple[tuple[float, ...], ...] | None = None

    @property
    def spectral(self) -> SpectralOperator:
        """The operator, of one field."""
        assert isinstance(self.operator, SpectralOperator)
        return self.operator

    @property
    def algorithm(self) -> LeastSquaresConfig:
        return self.config.least_squares

    @property
    def steps_taken(self) -> int:
        return self._steps

    def schedule(self, epochs: int) -> Schedule:
        return at_once(self.config.objective, epochs)

    @property
    def horizons(self) -> list[int]:
        """m of the increments, each once."""
        return [1] if self.data.steady else sorted(set(self.config.horizons))

    def configure_optimizers(self) -> None:
        """None: the moments are solved for at once."""

    def on_train_epoch_start(self) -> None:
        """Empty sums."""
        field = self.data.fields[0]
        basis = copy.deepcopy(self.spectral.basis).double()
        self._gatherer = Gatherer(basis, field.low, field.high, SPLINES[self.data.grid.dimensions], len(self.horizons))

    def training_step(self, batch: Batch, index: int) -> None:
        """Add a batch to the sums."""
        u, later = batch.frames[0, :, 0], batch.frames[1:, :, 0]
        self._gatherer.add(u, later if self.data.steady else later.double() - u.double())

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Fit after the last batch, before anything is validated."""
        if self.trainer.is_last_batch:
            self._solve()

    def _solve(self) -> None:
        """Levenberg–Marquardt on the sums of all processes."""
        for total in self._gatherer.sums():
            total.copy_(self.trainer.strategy.reduce(total, reduce_op="sum"))
        objective = self._objective()
        moments, algorithm = objective.moments(self._gatherer), self.algorithm
        steps = regress(self.spectral, moments, algorithm.iterations, self.config.smoothness, algorithm.tolerance)
        bar = tqdm(steps, "least squares", self.algorithm.iterations, delay=2, leave=False, unit="step", disable=None)
        errors = torch.full((self.operator.realizations,), torch.nan)
        for errors in bar:
            self._steps += 1
            bar.set_postfix(error=f"{float(errors.median().clamp_min(0).sqrt()):.2e}")
        if not self.data.steady:
            self.jackknife = jackknife(self.spectral, self.sample, self._gatherer, objective)
        if objective.particles is not None and objective.particles.law is not None:
            self._errors_of_particles = (self._rates_of(objective.particles),)
        del self._gatherer
        self.record("train_loss", errors)

    def _objective(self) -> Objective:
        """Weights of the modes, and what is known of the particles that the field counts."""
        weights: Tensor | None = None
        if self.config.loss == "noise":
            weights = torch.stack([self.loss.noise(m).weight[0] for m in self.horizons])
        return Objective(self.horizons, weights, self._particles(), self.config.smoothness)

    def rate_errors(self) -> tuple[tuple[float, ...], ...] | None:
        """As of any operator, but from the law of independent particles where the field is their density."""
        return self._errors_of_particles or super().rate_errors()

    def _rates_of(self, particles: IndependentParticles) -> tuple[float, ...]:
        """Relative standard error of the rate at each |κ| of independent particles."""
        pairs = self._gatherer.pair_moments(0, self.horizons[0])
        errors = torch.from_numpy(particles.rate_errors(pairs, fluctuations=self.config.loss == "noise"))
        moduli, index = shells(self._gatherer.basis.wavenumbers)
        information = errors.new_zeros(moduli.shape[1]).index_add(
            0, index.flatten().cpu(), errors.square().reciprocal()
        )
        return tuple(information.rsqrt().tolist())

    def _particles(self) -> IndependentParticles | None:
        """Of which the field is a density, if their shot noise is known and can be subtracted."""
        noise, path = self.sample.shot_noise, self.sample.path
        if noise is None or self.data.steady:
            return None
        mean = float(self.sample.frames(self.horizons[0])[0].double().mean())
        pairs = self._gatherer.pair_moments(0, self.horizons[0])
        particles = IndependentParticles(self._gatherer.basis, noise, mean, pairs)
        reason = particles.refusal()
        if reason is None:
            return particles
        if noise.stated:
            raise ValueError(f"{path}: data.particles is {noise.particles}, but {reason}")
        print(f"morlight: {path}: the shot noise of the cells is not subtracted: {reason}", file=sys.stderr)
        return None
