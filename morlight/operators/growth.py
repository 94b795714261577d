"""How fast a small disturbance can grow in one step: the certificate of stability of an update operator.

One field and one term: at a state u the linearized step multiplies mode κ by 1 + g(κ) h′(u), as long as u varies
slowly; `symbol_growth` is the largest modulus over all modes and all values of u in a range. With |1 + g| ≤ 1 and
0 ≤ h′ ≤ 1 (`DissipativeSymbol`, `Monotone`) it is at most 1 by construction.

Coupled fields: the spectral radius of the linearized step I + L′(u) at given states, walls and all (`radius`).

Exponential steps: the same of the steps that are made, which multiply mode κ by R(ℓ, g h′ − ℓ)ⁿ with the growth R of
one of n sub-steps for an equation that is linear.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from morlight.operators.exponential import ExponentialStep
from morlight.operators.exponential_scheme import Exponential, middle_slopes
from morlight.operators.spectral import Operator, SpectralOperator
from morlight.operators.time_stepping import stepper
from morlight.operators.units import NO_GAMMA

Linear = Callable[[Tensor], Tensor]

SLOPES = 513  # values of u at which h′ is looked at
DENSE = 512  # unknowns up to which the matrix of the linearized step is written down
POWERS = 200  # steps of the power iteration beyond: the radius is the mean growth over the later half


def symbol_growth(
    operator: SpectralOperator, low: float, high: float, scheme: str | Exponential = "explicit"
) -> Float[Tensor, " R"]:
    """Largest |1 + g(κ) h′(u)| over the modes and low ≤ u ≤ high, for one field and one term.

    Args:
        operator: R operators.
        low: smallest value of the field.
        high: largest value of the field.
        scheme: explicit, or how exponential steps are made.
    """
    g = operator.symbol().flatten(1)
    count = operator.realizations
    u = torch.linspace(low, high, SLOPES, dtype=operator.scale.dtype, device=operator.scale.device)
    u = u.expand(count, 1, 1, -1).detach().requires_grad_(True)
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(operator.nonlinearity(u).sum(), u)
    if isinstance(scheme, Exponential):
        return _growth_of_steps(operator, slope.flatten(1), scheme)
    # |1 + g s| is convex in s: its largest value is at an end of the range of s
    ends = torch.stack([slope.flatten(1).amin(1), slope.flatten(1).amax(1)], 1)
    return (1 + g[:, None].detach() * ends[..., None]).abs().flatten(1).amax(1)


def _growth_of_steps(
    operator: SpectralOperator, slope: Float[Tensor, "R U"], scheme: Exponential
) -> Float[Tensor, " R"]:
    """Largest growth over the modes and some slopes of h, by steps of the linear equation itself."""
    with torch.no_grad():
        g = operator.symbol().flatten(1)[..., None]
        linear = g * middle_slopes(operator, scheme.fields).flatten(1)[..., None]
        rest = g * slope.detach()[:, None] - linear
        step = ExponentialStep(linear, lambda c: rest * c, scheme.length / scheme.substeps)
        return (step(torch.ones_like(rest)).abs() ** scheme.substeps).flatten(1).amax(1)


def radius(
    operator: Operator,
    u: Float[Tensor, "B C *X"],
    gamma: Float[Tensor, "b P"] = NO_GAMMA,
    scheme: str | Exponential = "explicit",
) -> Float[Tensor, " R"]:
    """Largest spectral radius of I + L′, or of a linearized exponential step, at some states, of each realization.

    Args:
        operator: R operators.
        u: states, in the units of the data.
        gamma: parameters of each state, or one row for all of them.
        scheme: explicit, or how exponential steps are made.
    """
    found = []
    with torch.no_grad():
        for b, at in enumerate(gamma.expand(len(u), -1).split(1)):
            state = u[None, b : b + 1].expand(operator.realizations, *[-1] * u.ndim).contiguous()
            dense = state[0].numel() <= DENSE
            if dense and scheme == "explicit":
                step = _explicit(operator.linearized(state, at))
            else:
                step = _linearized(stepper(operator, scheme, gamma=at), state)
            found.append(_dense(step, state) if dense else _powers(step, state))
    return torch.stack(found).amax(0)


def _explicit(change: Linear) -> Linear:
    return lambda direction: direction + change(direction)


def _linearized(advance: Linear, state: Tensor) -> Linear:
    def step(direction: Tensor) -> Tensor:
        states = state.expand(direction.shape).contiguous()  # a network overwrites its activations
        return torch.func.jvp(advance, (states,), (direction.contiguous(),))[1]

    return step


def _dense(step: Linear, state: Tensor) -> Float[Tensor, " R"]:
    n = state[0].numel()
    unit = torch.eye(n, dtype=state.dtype, device=state.device).view(1, n, *state.shape[2:])
    columns = step(unit.expand(len(state), *unit.shape[1:]))
    return torch.linalg.eigvals(columns.flatten(2).mT).abs().amax(1)


def _powers(step: Linear, state: Tensor) -> Float[Tensor, " R"]:
    generator = torch.Generator().manual_seed(0)
    v = torch.randn(state.shape, generator=generator, dtype=torch.float64).to(state)
    logs = []
    for _ in range(POWERS):
        v = step(v)
        size = v.flatten(1).norm(dim=1)
        logs.append(size.log())
        v = v / size.view(-1, *[1] * (v.ndim - 1))
    return torch.stack(logs[POWERS // 2 :]).mean(0).exp()
