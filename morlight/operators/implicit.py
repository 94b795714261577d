"""Implicit Euler, u_{j+1} = u_j + L u_{j+1} (Eq. 4): stable steps where explicit ones of a stiff symbol are not.

The equation is solved by iteration on its residual r(z) = u_j + L z − z,

    z ← z + Π⁻¹ (1 − s g)⁻¹ Π r(z),    s the steepest slope of h at the state,

exact in one step for straight h, and contracting for monotone h with Re g ≤ 0, however stiff: the error of a mode
shrinks by (s − h′)|g| / (1 + s|g|) < 1. Systems of several bases or terms go without the factor in the middle.
Anderson's mixing of the last residuals speeds both up. Gradients are those of the solution (implicit function
theorem), not of the iterations, by solving the transposed equation in the same way.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from morlight.operators.lstsq import lstsq
from morlight.operators.spectral import Increment, Operator, SpectralOperator
from morlight.operators.units import NO_GAMMA

MEMORY = 12  # residuals that are mixed
ITERATIONS = 200

Linear = Callable[[Tensor], Tensor]


def implicit_step(
    operator: Operator, gamma: Float[Tensor, "b P"] = NO_GAMMA
) -> Callable[[Float[Tensor, "r B C *X"]], Float[Tensor, "R B C *X"]]:
    """u_j ↦ u_{j+1} of implicit Euler, with the symbols evaluated once.

    Args:
        operator: the update operator, whose increment is taken at the end of the step.
        gamma: parameters of each field of the batch.

    Raises:
        FloatingPointError: by the function returned, where the iteration does not converge: the step is too long
            for this operator.
    """
    increment = operator.prepared(gamma=gamma)
    learning = any(parameter.requires_grad for parameter in operator.parameters())

    def step(u: Tensor) -> Tensor:
        u = u.expand(operator.realizations, *u.shape[1:])
        with torch.no_grad():
            precondition = _preconditioner(operator, u, gamma)
            z = _solve(lambda z: u + increment(z) - z, u, precondition)
        if not (torch.is_grad_enabled() and (learning or u.requires_grad)):
            return z
        z = z.detach().requires_grad_(True)
        return _attached(u + increment(z), z, precondition)

    return step


def _attached(value: Tensor, z: Tensor, precondition: Linear) -> Tensor:
    """The solution with the gradients of the implicit function theorem: (1 − L′)ᵀ y = the gradient that arrives."""

    def pull(gradient: Tensor) -> Tensor:
        def residual(y: Tensor) -> Tensor:
            (product,) = torch.autograd.grad(value, z, y, retain_graph=True)
            # value = u + L z holds u as well, but not z through u
            return gradient + product - y

        with torch.enable_grad():
            return _solve(residual, gradient, precondition)

    # the value of z, which one more L would make less exact by its steepness
    solution = z.detach() + (value - value.detach())
    if solution.requires_grad:
        solution.register_hook(lambda gradient: pull(gradient.detach()))
    return solution


def _preconditioner(operator: Operator, u: Tensor, gamma: Tensor) -> Linear:
    if not isinstance(operator, SpectralOperator) or u.shape[2] > 1:
        return lambda r: r
    basis = operator.basis.evaluated()
    symbol = operator.symbol(gamma, basis)
    if symbol.shape[2] > 1:
        return lambda r: r
    with torch.enable_grad():
        v = u.detach().requires_grad_(True)
        (slope,) = torch.autograd.grad(operator.nonlinearity(v, gamma).sum(), v)
    steepest = slope.flatten(1).amax(1).clamp_min(0).view(-1, *[1] * (symbol.ndim - 1))
    damped = torch.complex(symbol.real.clamp_max(0), symbol.imag) if symbol.is_complex() else symbol.clamp_max(0)
    factor = 1 / (1 - steepest * damped)
    return lambda r: basis.inverse(factor * basis.forward(r))


def _solve(residual: Increment, start: Tensor, precondition: Linear) -> Tensor:
    """The zero of a residual by Anderson's mixing, to the rounding of the type."""
    z, size = start, start.abs().max().clamp_min(torch.finfo(start.dtype).tiny)
    rounding = torch.finfo(start.dtype).eps
    states: list[Tensor] = []
    steps: list[Tensor] = []
    for _ in range(ITERATIONS):
        r = precondition(residual(z)).detach()
        left = float(r.abs().max() / size)
        if left < 100 * rounding:
            return z
        if not math.isfinite(left):
            break
        states.append(z.flatten(1))
        steps.append(r.flatten(1))
        del states[:-MEMORY], steps[:-MEMORY]
        z = _mixed(states, steps).view_as(z)
    if left < 10_000 * rounding:  # of a residual of many parts
        return z
    raise FloatingPointError(
        f"implicit Euler does not converge in {ITERATIONS} iterations, residual {left:.1e} of"
        " the state; expected a shorter step Δt or an operator that damps"
    )


def _mixed(states: list[Tensor], steps: list[Tensor]) -> Tensor:
    """The combination of the last states whose residuals cancel best, for each realization."""
    if len(states) == 1:
        return states[0] + steps[0]
    dz = torch.stack([states[-1] - z for z in states[:-1]], 2)
    dr = torch.stack([steps[-1] - r for r in steps[:-1]], 2)
    # a little towards no mixing, where residuals are nearly dependent: by rows below, not by squaring dr
    ridge = dr.square().sum(1).amax(1).sqrt() * 1e-12 + torch.finfo(dr.dtype).tiny
    below = torch.diag_embed(ridge[:, None].expand(-1, dr.shape[2]))
    last = torch.nn.functional.pad(steps[-1], (0, dr.shape[2]))[..., None]
    weights = lstsq(torch.cat([dr, below], 1), last)
    return states[-1] + steps[-1] - ((dz + dr) @ weights)[..., 0]
