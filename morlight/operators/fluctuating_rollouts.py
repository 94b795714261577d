"""Roll-outs with noise, u_{j+1} = S(u_j) + w_j (see `fluctuations`): an ensemble from each initial state."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from morlight.operators.description import Grid
from morlight.operators.fluctuations import Fluctuations, Noise
from morlight.operators.rollouts import SMALL, Rollouts, check_steps, one_thread, silent


@dataclass(frozen=True)
class FluctuatingRollouts:
    """Roll-outs of one operator with its noise.

    Attributes:
        mean: roll-outs without noise.
        fluctuations: noise of each realization.
        grid: of the states.
    """

    mean: Rollouts
    fluctuations: Fluctuations
    grid: Grid

    def frames(
        self,
        u: Float[Tensor, "R B C *X"],
        steps: int,
        *,
        generator: torch.Generator,
        every: int = 1,
        progress: Callable[[int], object] = silent,
    ) -> Float[Tensor, "R B T C *X"]:
        """Every `every`-th frame, starting with u, with independent noise in each field of the batch.

        Where fields are measured with noise, so is u, and the true state is u − η; each later frame is a measurement,
        with noise of its own.

        Args:
            u: initial fields, one for each realization.
            steps: number of steps Δt.
            generator: random numbers, on the device of u.
            every: number of steps between two frames; must divide `steps`.
            progress: called after each frame with the number of steps times the number of fields.

        Raises:
            ValueError: if steps is negative or not a multiple of every.
            FloatingPointError: if a state is not finite or an implicit step does not converge; it names the step.
        """
        check_steps(steps, every)
        frames = u.new_empty(*u.shape[:2], steps // every + 1, *u.shape[2:])
        frames[:, :, 0] = u
        small = u[:, :1].numel() <= SMALL
        with torch.no_grad(), one_thread() if small else contextlib.nullcontext():
            for rows, advance in self.mean.groups(u, steps):
                gamma = self.mean.gamma if len(self.mean.gamma) == 1 else self.mean.gamma[rows]
                noise = self.fluctuations.prepared(self.grid, gamma)
                _Group(advance, noise, generator).fill(frames[:, rows], every, progress)
        return frames


@dataclass(frozen=True)
class _Group:
    """States that are advanced together."""

    advance: Callable[[Tensor, int], Tensor]
    noise: Noise
    generator: torch.Generator

    def fill(self, frames: Float[Tensor, "R B T C *X"], every: int, progress: Callable[[int], object]) -> None:
        """All frames from the first one on."""
        u = frames[:, :, 0]
        if self.noise.measured:
            u = u - self.noise.measurement(u, self.generator)
        for frame in range(1, frames.shape[2]):
            for step in range(every):
                try:
                    u = self.advance(u, 1) + self.noise.kick(u, self.generator)
                except FloatingPointError as error:  # of the implicit scheme
                    raise FloatingPointError(f"step {(frame - 1) * every + step + 1}: {error}") from error
            if not u.isfinite().all():
                broken = (~u.isfinite()).flatten(1).any(1).nonzero().flatten().tolist()
                raise FloatingPointError(f"realization(s) {broken} are not finite after {frame * every} steps")
            frames[:, :, frame] = u + self.noise.measurement(u, self.generator) if self.noise.measured else u
            progress(every * u.shape[1])
