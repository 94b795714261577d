"""Roll-outs of the update operator, u(t + mΔt) = (I + L)^m u(t) (Eq. 6)."""

from collections.abc import Iterator

from jaxtyping import Float
from torch import Tensor

from morlight.operators.exponential_scheme import Exponential, exponential_step
from morlight.operators.implicit import implicit_step
from morlight.operators.spectral import Increment, Operator
from morlight.operators.units import NO_GAMMA


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


def stepper(
    operator: Operator,
    scheme: str | Exponential = "explicit",
    *,
    bounds: tuple[float, float] | None = None,
    gamma: Float[Tensor, "b P"] = NO_GAMMA,
) -> Increment:
    """u_j ↦ u_{j+1}, by one of three schemes.

    u_j + L u_j (explicit Euler), the solution of u_{j+1} = u_j + L u_{j+1} (implicit, Eq. 4), or that of ∂ₜu = L u/Δt
    by exponential steps.

    Args:
        operator: the update operator.
        scheme: explicit, implicit, or how exponential steps are made.
        bounds: of the field, for a table of h (see `Operator.prepared`); not for implicit steps.
        gamma: parameters of each field of the batch.
    """
    if isinstance(scheme, Exponential):
        return exponential_step(operator, scheme, bounds=bounds, gamma=gamma)
    if scheme == "implicit":
        return implicit_step(operator, gamma)
    increment = operator.prepared(bounds, gamma)
    return lambda u: u + increment(u)


def states(
    operator: Operator,
    u: Float[Tensor, "r B C *X"],
    steps: int,
    gamma: Float[Tensor, "b P"] = NO_GAMMA,
    scheme: str | Exponential = "explicit",
) -> Iterator[Float[Tensor, "R B C *X"]]:
    """The states of a roll-out one after the other, u itself first.

    Args:
        operator: the update operator with R realizations.
        u: initial fields, shared by all realizations (r = 1) or one for each, in the units of the data.
        steps: number of steps Δt.
        gamma: parameters γ of each field of the batch, for an operator that knows some.
        scheme: explicit, implicit, or how exponential steps are made.
    """
    step = stepper(operator, scheme, gamma=gamma)
    u = u.expand(operator.realizations, *u.shape[1:])
    yield u
    for _ in range(steps):
        u = step(u)
        yield u
