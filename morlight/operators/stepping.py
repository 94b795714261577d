"""Roll-outs of the update operator, u(t + mΔt) = (I + L)^m u(t) (Eq. 6)."""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from morlight.operators.spectral import Increment, SpectralOperator


def advance(increment: Increment, u: Float[Tensor, "r B C *X"], steps: int) -> Float[Tensor, "R B C *X"]:
    """The state after some steps of explicit Euler, (I + L)^steps u.

    Args:
        increment: u ↦ L u, as `SpectralOperator.prepared` gives it.
        u: fields in the units of the data.
        steps: number of steps Δt.
    """
    for _ in range(steps):
        u = u + increment(u)
    return u


def states(
    operator: SpectralOperator, u: Float[Tensor, "r B C *X"], steps: int, *, every: int = 1
) -> Iterator[Float[Tensor, "R B C *X"]]:
    """The states of a roll-out one after the other, u itself first, then the state after each `every` steps.

    Args:
        operator: the update operator with R realisations.
        u: initial fields, shared by all realisations (r = 1) or one for each, in the units of the data.
        steps: number of steps Δt.
        every: steps between two states.

    Raises:
        ValueError: where steps is negative or no multiple of every.
    """
    if steps < 0 or every < 1 or steps % every:
        raise ValueError(f"steps is {steps} and every is {every}, expected steps ≥ 0 and a multiple of every ≥ 1")
    increment = operator.prepared()
    u = u.expand(len(operator.symbol()), *u.shape[1:])
    yield u
    for _ in range(steps // every):
        u = advance(increment, u, every)
        yield u


def rollout(
    operator: SpectralOperator, u: Float[Tensor, "r B C *X"], steps: int, *, every: int = 1
) -> Float[Tensor, "R B T C *X"]:
    """All states of a roll-out in one tensor with the axis of time after the batch (see `states`)."""
    return torch.stack(list(states(operator, u, steps, every=every)), 2)
