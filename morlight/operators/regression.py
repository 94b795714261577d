"""Least squares for the networks g and h on the moments of the data: Levenberg and Marquardt, R side by side (Eq. 7).

A network of four units a layer has a hundred weights, so few that JᵀJ is written down and solved with, where gradient
descent crawls along its narrow valleys. Each realisation has its own damping and its own steps.
"""

import copy
from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float, Inexact
from torch import Tensor, nn

from morlight.operators.biases import Conservative, Isotropic
from morlight.operators.moments import Moments
from morlight.operators.networks import Perceptrons
from morlight.operators.spectral import SpectralOperator

Problem = tuple[
    Callable[[Tensor], Tensor],
    Callable[[Tensor], tuple[Tensor, Tensor]],
]

CHUNK = 2**23  # numbers of a Jacobian computed at once, 64 MB
DAMPING = 1e-2  # λ at the start
FIRST = 10  # steps of the output layers alone
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


def jacobian(
    function: Callable[[Tensor, Tensor], Tensor], theta: Float[Tensor, "R P"], x: Float[Tensor, "D K"]
) -> Float[Tensor, "R P K O"]:
    """Derivatives of values (R, K, O) at points x that depend on the parameters of their own realisation only.

    By one pass backwards for each output at each point, all points at once: the networks have few outputs and many
    weights, so that this costs a hundredth of a pass forwards for each weight.
    """

    def at(point: Tensor) -> Tensor:
        values, pull, *_ = torch.func.vjp(lambda rows: function(rows, point[:, None])[:, 0], theta)
        directions = torch.eye(values.shape[1], dtype=theta.dtype, device=theta.device)
        return torch.func.vmap(lambda one: pull(one.expand_as(values))[0], out_dims=2)(directions)

    chunk = max(1, CHUNK // theta.numel())
    return torch.func.vmap(at, in_dims=1, out_dims=2, chunk_size=chunk)(x)


def problem(
    operator: SpectralOperator, moments: Moments
) -> tuple[Float[Tensor, "R P"], Problem, Callable[[Tensor], None]]:
    """Start, error and normal equations of an operator in double precision, and how to write parameters back."""
    symbol, isotropic = _of_moduli(operator.g)
    if isotropic:
        moments = moments.folded()
    h, g = Flat(operator.h, operator.realizations), Flat(symbol, operator.realizations)
    u = (moments.values / operator.scale)[None]
    kappa = moments.wavenumbers

    def nonlinearity(theta: Tensor, u: Tensor) -> Tensor:
        return h(theta, u[None, None]).flatten(1)[..., None] * operator.unit

    def parts(theta: Tensor, kappa: Tensor) -> Tensor:
        values = g(theta, kappa).flatten(1)
        if isotropic and not isotropic.complex_symbol:
            values = values.real
        return torch.view_as_real(values) if values.is_complex() else values[..., None]

    def split(theta: Tensor) -> tuple[Tensor, ...]:
        return theta.split([h.start.shape[1], g.start.shape[1]], 1)

    def error(theta: Tensor) -> Tensor:
        of_h, of_g = split(theta)
        return moments.error(_number(parts(of_g, kappa)), nonlinearity(of_h, u)[..., 0])

    def normal(theta: Tensor) -> tuple[Tensor, Tensor]:
        of_h, of_g = split(theta)
        dh, dg = jacobian(nonlinearity, of_h, u)[..., 0], _number(jacobian(parts, of_g, kappa))
        return moments.normal_equations(_number(parts(of_g, kappa)), nonlinearity(of_h, u)[..., 0], dg, dh)

    def write(theta: Tensor) -> None:
        for module, rows in zip((h, g), split(theta), strict=True):
            module.write(rows)

    return torch.cat([h.start, g.start], 1), (error, normal), write


def _number(parts: Float[Tensor, "*k O"]) -> Inexact[Tensor, "*k"]:
    """Real and imaginary part, or a real number alone."""
    return torch.view_as_complex(parts.contiguous()) if parts.shape[-1] == 2 else parts[..., 0]


def _of_moduli(symbol: nn.Module) -> tuple[nn.Module, Isotropic | None]:
    """The symbol as a function of the distinct |κ|, and its isotropy, if it has any."""
    if isinstance(symbol, Isotropic):
        return symbol.symbol, symbol
    if isinstance(symbol, Conservative) and isinstance(symbol.symbol, Isotropic):
        return Conservative(symbol.symbol.symbol, symbol.channels), symbol.symbol
    return symbol, None


def levenberg_marquardt(
    theta: Float[Tensor, "R P"], problem: Problem, steps: int
) -> Iterator[tuple[Float[Tensor, "R P"], Float[Tensor, " R"]]]:
    """Parameters and errors after each step of damped Gauss–Newton, (JᵀJ + λD) δ = −Jᵀr (Marquardt 1963).

    D is the largest diagonal of JᵀJ so far (Moré 1978): with the present one, a unit that saturates would be free to
    run away, and half of all networks of tanh end nowhere. λ follows the ratio of the decrease to that of the
    quadratic model (Nielsen 1999); a step that does not decrease the error of its realisation is not taken. Ends
    before `steps` where nothing improves any more.

    Args:
        theta: parameters to start from.
        problem: error (R,), and JᵀJ (R, P, P) with Jᵀr (R, P), as functions of the parameters.
        steps: at most so many.
    """
    error, normal = problem
    values = error(theta)
    damping, growth = torch.full_like(values, DAMPING), torch.full_like(values, 2.0)
    matrix, gradient = normal(theta)
    seen, largest = [values], torch.zeros_like(gradient)
    for _ in range(steps):
        diagonal = torch.diagonal(matrix, dim1=1, dim2=2)
        largest = torch.maximum(largest, diagonal)
        damped = matrix + torch.diag_embed(largest * damping[:, None] + 1e-12 * diagonal.amax(1, keepdim=True))
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


def regress(operator: SpectralOperator, moments: Moments, steps: int) -> Iterator[Float[Tensor, " R"]]:
    """Fit g and h of an operator, in place, to the moments of its data; yields the errors after each step.

    The first steps move the output layers alone: from random networks, whose product has nothing to do with the data
    yet, steps of everything at once go towards g h = 0 in one realisation of six, and stay there.

    Args:
        operator: of one field and one term, without γ.
        moments: of the data, in double precision.
        steps: at most so many.
    """
    exact = copy.deepcopy(operator).double().requires_grad_(False)
    start, whole, write = problem(exact, moments)
    outputs = _outputs(exact)
    theta = start
    for part, errors in levenberg_marquardt(start[:, outputs], _restricted(whole, start, outputs), min(FIRST, steps)):
        theta = start.index_copy(1, outputs, part)
        _adopt(operator, exact, write, theta)
        yield errors
    for everything, errors in levenberg_marquardt(theta, whole, steps - FIRST):
        _adopt(operator, exact, write, everything)
        yield errors


def _adopt(operator: SpectralOperator, exact: SpectralOperator, write: Callable[[Tensor], None], theta: Tensor) -> None:
    write(theta)
    for parameter, value in zip(operator.parameters(), exact.parameters(), strict=True):
        parameter.data.copy_(value)


def _outputs(operator: SpectralOperator) -> Tensor:
    """Places of the parameters that are not in hidden layers, h before g."""
    hidden = {
        id(parameter)
        for network in operator.modules()
        if isinstance(network, Perceptrons)
        for parameter in [*list(network.weights)[:-1], *list(network.offsets)[:-1]]
    }
    flags = [
        torch.full((parameter.numel() // operator.realizations,), id(parameter) not in hidden)
        for module in (operator.h, operator.g)
        for parameter in module.parameters()
    ]
    return torch.cat(flags).nonzero()[:, 0]


def _restricted(problem: Problem, theta: Float[Tensor, "R P"], free: Tensor) -> Problem:
    """The problem in some of its parameters, the others as they are."""
    error, normal = problem

    def part(rows: Tensor) -> tuple[Tensor, Tensor]:
        matrix, gradient = normal(theta.index_copy(1, free, rows))
        return matrix[:, free][:, :, free], gradient[:, free]

    return lambda rows: error(theta.index_copy(1, free, rows)), part
