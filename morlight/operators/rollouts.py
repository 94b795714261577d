"""Roll-outs of many steps and states, u(t + mΔt) = (I + L)^m u(t) (Eq. 6), with any scheme.

Symbols are evaluated once. States are advanced in groups that fit into the cache, small ones by a recording of the
step (see `kernels.recorded`), on a GPU by a CUDA graph (see `kernels.graphed`), and only the requested frames are kept.
The states are those of `time_stepping.states` to rounding, and bit by bit if they form one group.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from morlight.operators.exponential_scheme import Exponential
from morlight.operators.kernels.graphed import Graph
from morlight.operators.kernels.recorded import NotRecordable, Recording, recorded
from morlight.operators.spectral import Increment, Operator
from morlight.operators.time_stepping import states, stepper
from morlight.operators.units import NO_GAMMA

GROUP = 2**14  # values of all realizations stepped on together: the arrays of a step stay in the second cache
GPU_GROUP = 2**25  # values that fill a GPU, and whose arrays fit into its memory
SMALL = 2**17  # values up to which operations are short beside the calls of them
SHORT = 100  # steps that cost what a recording costs
BLOCK = 256  # steps between two looks at the states

Advance = Callable[[Tensor, int], Tensor]  # u and a number of steps ↦ the state after them


def silent(steps: int) -> None:
    """Show no progress."""


@dataclass(frozen=True)
class Rollouts:
    """Roll-outs of one operator.

    Attributes:
        operator: the update operator with R realizations.
        gamma: parameters γ of each field of the batch, or one row for all of them.
        scheme: explicit, implicit, or the exponential steps.
    """

    operator: Operator
    gamma: Float[Tensor, "b P"] = NO_GAMMA
    scheme: str | Exponential = "explicit"

    def frames(
        self,
        u: Float[Tensor, "r B C *X"],
        steps: int,
        *,
        every: int = 1,
        finite: bool = False,
        progress: Callable[[int], object] = silent,
    ) -> Float[Tensor, "R B T C *X"]:
        """Every `every`-th state of a roll-out, starting with u, with the axis of time after the batch.

        Args:
            u: initial fields, shared by all realizations (r = 1) or one for each, in the units of the data.
            steps: number of steps Δt.
            every: number of steps between two frames; must divide `steps`.
            finite: raise an error if a state is not finite.
            progress: called after each block of steps with the number of steps times the number of fields.

        Raises:
            ValueError: if steps is negative or not a multiple of every.
            FloatingPointError: if a state is not finite or an implicit step does not converge; it names the step.
        """
        check_steps(steps, every)
        u = u.expand(self.operator.realizations, *u.shape[1:])
        if torch.is_grad_enabled() and (u.requires_grad or any(p.requires_grad for p in self.operator.parameters())):
            walk = states(self.operator, u, steps, self.gamma, self.scheme)
            return torch.stack([state for step, state in enumerate(walk) if step % every == 0], 2)
        frames = u.new_empty(*u.shape[:2], steps // every + 1, *u.shape[2:])
        frames[:, :, 0] = u
        one_group = u[:, : _group_size(u)].numel()
        with torch.no_grad(), one_thread() if one_group <= SMALL else contextlib.nullcontext():
            for rows, advance in self.groups(u, steps):
                self._fill(frames[:, rows], advance, every, finite, progress)
        return frames

    def groups(self, u: Tensor, steps: int) -> Iterator[tuple[slice, Advance]]:
        """Groups of fields that are advanced together, with the function that does it."""
        size = _group_size(u)
        shared = len(self.gamma) == 1 or not self.gamma.shape[1]
        known: dict[int, Advance] = {}
        for start in range(0, u.shape[1], size):
            rows = slice(start, start + size)
            fields = u[:, rows]
            advance = known.get(fields.shape[1]) if shared else None
            advance = advance or self._advance(fields, self.gamma if shared else self.gamma[rows], steps)
            known = {fields.shape[1]: advance}
            yield rows, advance

    def _advance(self, u: Tensor, gamma: Tensor, steps: int) -> Advance:
        step = stepper(self.operator, self.scheme, gamma=gamma)
        if steps >= SHORT and self.scheme != "implicit":  # whose iterations depend on the state
            recording = _recorded(step, u)
            if recording is not None:
                return recording.iterate

        def advance(u: Tensor, count: int) -> Tensor:
            for _ in range(count):
                u = step(u)
            return u

        return advance

    def _fill(
        self,
        frames: Float[Tensor, "R B T C *X"],
        advance: Advance,
        every: int,
        finite: bool,
        progress: Callable[[int], object],
    ) -> None:
        """All frames from the first one on."""
        block = 1 if self.scheme == "implicit" else BLOCK
        u = start = frames[:, :, 0]
        done = begun = 0
        steps = every * (frames.shape[2] - 1)
        while done < steps:
            count = min(block - (done - begun), every - done % every)
            try:
                u = advance(u, count)
            except FloatingPointError as error:  # of the implicit scheme
                raise FloatingPointError(f"step {done + 1}: {error}") from error
            done += count
            if done % every == 0:
                frames[:, :, done // every] = u
            if done - begun == block or done == steps:
                if finite and not u.isfinite().all():
                    raise _not_finite(advance, start, begun)
                progress((done - begun) * u.shape[1])
                start, begun = u.clone(), done


def rollout(
    operator: Operator,
    u: Float[Tensor, "r B C *X"],
    steps: int,
    *,
    every: int = 1,
    gamma: Float[Tensor, "b P"] = NO_GAMMA,
    scheme: str | Exponential = "explicit",
) -> Float[Tensor, "R B T C *X"]:
    """Every `every`-th state of a roll-out in one tensor, with the axis of time after the batch (see `Rollouts`).

    Raises:
        ValueError: if steps is negative or not a multiple of every.
    """
    return Rollouts(operator, gamma, scheme).frames(u, steps, every=every)


def check_steps(steps: int, every: int) -> None:
    """Refuse a negative number of steps, and one that is no multiple of `every`.

    Raises:
        ValueError: with both numbers.
    """
    if steps < 0 or every < 1 or steps % every:
        raise ValueError(f"steps is {steps} and every is {every}, expected steps ≥ 0 and a multiple of every ≥ 1")


def _recorded(step: Increment, u: Tensor) -> Recording | Graph | None:
    """The step as a recording or a CUDA graph; None if neither serves."""
    if u.device.type == "cpu":
        return recorded(step, u) if u.numel() <= SMALL else None
    try:
        return Graph(step, u) if u.device.type == "cuda" else None
    except NotRecordable:
        return None


def _group_size(u: Float[Tensor, "R B C *X"]) -> int:
    """Number of fields of the batch that are advanced together."""
    return max(1, (GROUP if u.device.type == "cpu" else GPU_GROUP) // u[:, :1].numel())


def _not_finite(advance: Advance, u: Tensor, step: int) -> FloatingPointError:
    """The error that names the first step after these whose state is not finite, and the realizations."""
    while u.isfinite().all():
        u, step = advance(u, 1), step + 1
    broken = (~u.isfinite()).flatten(1).any(1).nonzero().flatten().tolist()
    return FloatingPointError(f"realization(s) {broken} are not finite after {step} steps")


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Operations on small fields are shorter than the start of a second thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
