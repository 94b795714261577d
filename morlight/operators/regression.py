"""Least squares for the networks g and h on the moments of the data: Levenberg and Marquardt, R side by side (Eq. 7).

A network of four units a layer has a hundred weights, so few that JᵀJ is written down and solved with, where gradient
descent crawls along its narrow valleys. Each realisation has its own damping and its own steps.
"""

import copy
from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn

from morlight.operators.biases import Conservative, Isotropic
from morlight.operators.moments import Moments
from morlight.operators.spectral import SpectralOperator

Problem = tuple[
    Callable[[Tensor], Tensor],
    Callable[[Tensor], tuple[Tensor, Tensor]],
]

CHUNK = 64  # directions of the Jacobian at once: it would be large for wide networks on a fine grid
LEAST = 0.99  # of the error 50 steps ago: with less progress in every realisation the search ends


class Flat:
    """The parameters of a module as one row a realisation, and the module as a function of them."""

    def __init__(self, module: nn.Module, realizations: int) -> None:
        self.module = module
        self.shapes = {name: parameter.shape for name, parameter in module.named_parameters()}
        rows = [parameter.detach().reshape(realizations, -1) for parameter in module.parameters()]
        self.sizes = [row.shape[1] for row in rows]
        self.start = torch.cat(rows, 1)

    def __call__(self, theta: Float[Tensor, "R P"], *inputs: Tensor) -> Tensor:
        """The module with these parameters."""
        rows = theta.split(self.sizes, 1)
        named = {name: row.reshape(shape) for (name, shape), row in zip(self.shapes.items(), rows, strict=True)}
        return torch.func.functional_call(self.module, named, inputs)

    def write(self, theta: Float[Tensor, "R P"]) -> None:
        """Put these parameters into the module."""
        for parameter, row in zip(self.module.parameters(), theta.split(self.sizes, 1), strict=True):
            parameter.data.copy_(row.reshape(parameter.shape))


def jacobian(function: Callable[[Tensor], Tensor], theta: Float[Tensor, "R P"]) -> Float[Tensor, "R P *out"]:
    """Derivatives of values (R, *out) that each depend on the parameters of their own realisation only."""

    def along(direction: Tensor) -> Tensor:
        return torch.func.jvp(function, (theta,), (direction.expand_as(theta),))[1]

    directions = torch.eye(theta.shape[1], dtype=theta.dtype, device=theta.device)
    return torch.func.vmap(along, chunk_size=CHUNK)(directions).transpose(0, 1)


def problem(
    operator: SpectralOperator, moments: Moments
) -> tuple[Float[Tensor, "R P"], Problem, Callable[[Tensor], None]]:
    """Start, error and normal equations of an operator in double precision, and how to write parameters back."""
    realizations = operator.realizations
    h, g = Flat(operator.h, realizations), Flat(operator.g, realizations)
    if _isotropic(operator.g):
        moments = moments.folded()
    u = (moments.values / operator.scale).view(1, 1, 1, -1)

    def nonlinearity(theta: Tensor) -> Tensor:
        return h(theta, u).flatten(1) * operator.unit

    def parts(theta: Tensor) -> Tensor:
        symbol = g(theta, moments.wavenumbers).flatten(1)
        return torch.view_as_real(symbol) if symbol.is_complex() else symbol

    def symbol(values: Tensor) -> Tensor:
        return torch.view_as_complex(values.contiguous()) if values.shape[-1] == 2 and values.ndim > 2 else values

    def split(theta: Tensor) -> list[Tensor]:
        return list(theta.split([h.start.shape[1], g.start.shape[1]], 1))

    def error(theta: Tensor) -> Tensor:
        of_h, of_g = split(theta)
        return moments.error(symbol(parts(of_g)), nonlinearity(of_h))

    def normal(theta: Tensor) -> tuple[Tensor, Tensor]:
        of_h, of_g = split(theta)
        dg = jacobian(parts, of_g)
        dg = torch.view_as_complex(dg.contiguous()) if dg.ndim == 4 else dg
        return moments.normal_equations(symbol(parts(of_g)), nonlinearity(of_h), dg, jacobian(nonlinearity, of_h))

    def write(theta: Tensor) -> None:
        for module, rows in zip((h, g), split(theta), strict=True):
            module.write(rows)

    return torch.cat([h.start, g.start], 1), (error, normal), write


def levenberg_marquardt(
    theta: Float[Tensor, "R P"], problem: Problem, steps: int
) -> Iterator[tuple[Float[Tensor, "R P"], Float[Tensor, " R"]]]:
    """Parameters and errors after each step of damped Gauss–Newton, (JᵀJ + λ diag JᵀJ) δ = −Jᵀr (Marquardt 1963).

    λ follows the ratio of the decrease to that of the quadratic model (Nielsen 1999); a step that does not decrease
    the error of its realisation is not taken. Ends before `steps` where nothing improves any more.

    Args:
        theta: parameters to start from.
        problem: error (R,), and JᵀJ (R, P, P) with Jᵀr (R, P), as functions of the parameters.
        steps: at most so many.
    """
    error, normal = problem
    values = error(theta)
    damping, growth = torch.full_like(values, 1e-2), torch.full_like(values, 2.0)
    matrix, gradient = normal(theta)
    seen = [values]
    for _ in range(steps):
        diagonal = torch.diagonal(matrix, dim1=1, dim2=2)
        damped = matrix + torch.diag_embed(diagonal * damping[:, None] + 1e-12 * diagonal.amax(1, keepdim=True))
        delta = -torch.linalg.solve_ex(damped, gradient[..., None])[0][..., 0]
        expected = -2 * (gradient * delta).sum(1) - ((matrix @ delta[..., None])[..., 0] * delta).sum(1)
        tried = error(theta + delta)
        better = tried.isfinite() & (tried < values)
        ratio = torch.where(better, (values - tried) / expected, 0.0)
        theta = torch.where(better[:, None], theta + delta, theta)
        values = torch.where(better, tried, values)
        shrink = (1 - (2 * ratio - 1) ** 3).clamp(min=1 / 3)
        damping = torch.where(better, damping * shrink, damping * growth).clamp(1e-14, 1e10)
        growth = torch.where(better, 2.0, growth * 2).clamp(max=64)
        yield theta, values
        seen.append(values)
        if len(seen) > 50 and (values > LEAST * seen[-50]).all():
            return
        matrix, gradient = normal(theta)


@torch.no_grad()  # of generators it lets go between their values
def regress(operator: SpectralOperator, moments: Moments, steps: int) -> Iterator[Float[Tensor, " R"]]:
    """Fit g and h of an operator, in place, to the moments of its data; yields the errors after each step.

    Args:
        operator: of one field and one term, without γ.
        moments: of the data, in double precision.
        steps: at most so many.
    """
    exact = copy.deepcopy(operator).double()
    start, functions, write = problem(exact, moments)
    for theta, errors in levenberg_marquardt(start, functions, steps):
        write(theta)
        for parameter, found in zip(operator.parameters(), exact.parameters(), strict=True):
            parameter.copy_(found)
        yield errors


def _isotropic(symbol: nn.Module) -> bool:
    inner = symbol.symbol if isinstance(symbol, Conservative) else symbol
    return isinstance(inner, Isotropic)
