"""Roll-outs with noise, u_{j+1} = S(u_j) + w_j (see `fluctuations`): an ensemble from each initial state."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from morlight.operators.description import Grid
from morlight.operators.fluctuations import Fluctuations, Noise
from morlight.operators.rollouts import SMALL, Rollouts, one_thread, silent


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
        kept: Sequence[int],
        *,
        generator: torch.Generator,
        progress: Callable[[int], object] = silent,
    ) -> Float[Tensor, "R B T C *X"]:
        """The frames after some numbers of steps, with independent noise in each field of the batch.

        Where fields are measured with noise, so is u, and the true state is u − η; each later frame is a measurement,
        with noise of its own.

        Args:
            u: initial fields, one for each realization.
            kept: these numbers of steps Δt, ascending; the frame after 0 steps is u.
            generator: random numbers, on the device of u.
            progress: called after each frame with the number of steps times the number of fields.

        Raises:
            ValueError: if the numbers do not ascend from 0 on.
            FloatingPointError: if a state is not finite or an implicit step does not converge; it names the step.
        """
        if not kept or any(later <= step for step, later in pairwise([-1, *kept])):
            raise ValueError(f"kept steps are {list(kept)}, expected ascending numbers from 0 on")
        frames = u.new_empty(*u.shape[:2], len(kept), *u.shape[2:])
        small = u[:, :1].numel() <= SMALL
        with torch.no_grad(), one_thread() if small else contextlib.nullcontext():
            for rows, advance in self.mean.groups(u, kept[-1]):
                gamma = self.mean.gamma if len(self.mean.gamma) == 1 else self.mean.gamma[rows]
                noise = self.fluctuations.prepared(self.grid, gamma)
                _Group(advance, noise, generator).fill(u[:, rows], kept, frames[:, rows], progress)
        return frames


@dataclass(frozen=True)
class _Group:
    """States that are advanced together."""

    advance: Callable[[Tensor, int], Tensor]
    noise: Noise
    generator: torch.Generator

    def fill(
        self,
        u: Float[Tensor, "R B C *X"],
        kept: Sequence[int],
        frames: Float[Tensor, "R B T C *X"],
        progress: Callable[[int], object],
    ) -> None:
        """The frames after these numbers of steps from u."""
        if kept[0] == 0:
            frames[:, :, 0] = u
        if self.noise.measured:
            u = u - self.noise.measurement(u, self.generator)
        done = 0
        for frame, steps in enumerate(kept):
            if steps == 0:
                continue
            for step in range(done, steps):
                try:
                    u = self.advance(u, 1) + self.noise.kick(u, self.generator)
                except FloatingPointError as error:  # of the implicit scheme
                    raise FloatingPointError(f"step {step + 1}: {error}") from error
            if not u.isfinite().all():
                broken = (~u.isfinite()).flatten(1).any(1).nonzero().flatten().tolist()
                raise FloatingPointError(f"realization(s) {broken} are not finite after {steps} steps")
            frames[:, :, frame] = u + self.noise.measurement(u, self.generator) if self.noise.measured else u
            progress((steps - done) * u.shape[1])
            done = steps
