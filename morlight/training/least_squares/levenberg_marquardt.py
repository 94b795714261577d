"""Least squares for the networks g and h on the moments of the data: Levenberg and Marquardt, R side by side.

A network of four units a layer has a hundred weights, so few that JᵀJ is written down and solved with, where gradient
descent crawls along its narrow valleys. Each realization has its own damping and its own steps.
"""

import copy
from collections.abc import Callable, Iterator, Mapping

import torch
from jaxtyping import Float, Inexact
from torch import Tensor, nn

from morlight.operators.biases import Conservative, Isotropic
from morlight.operators.networks import Perceptrons
from morlight.operators.spectral import SpectralOperator
from morlight.operators.symbols import DissipativeSymbol
from morlight.training.least_squares.moments import Moments
from morlight.training.least_squares.smoothness import Smoothness

Problem = tuple[
    Callable[[Tensor], Tensor],
    Callable[[Tensor], tuple[Tensor, Tensor]],
]

CHUNK = 2**23  # numbers of a Jacobian computed at once, 64 MB
DAMPING = 1e-2  # λ at the start
FLAT = 1e-3  # slope of h below which the increments over several steps are not told from those of this slope
FIRST = 10  # steps of the output layers alone
NEXT = 50  # steps on the increments over the fewest steps alone
RECENT = 50  # steps whose progress decides whether the search ends


class Flat:
    """The parameters of a module as one row a realization, and the module as a function of them."""

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
    """Derivatives of values (R, K, O) at points x that depend on the parameters of their own realization only.

    By one pass backwards for each output at each point, all points at once: the networks have few outputs and many
    weights, so that this costs a hundredth of a pass forwards for each weight.
    """

    def at(point: Tensor) -> Tensor:
        values, pull, *_ = torch.func.vjp(lambda rows: function(rows, point[:, None])[:, 0], theta)
        directions = torch.eye(values.shape[1], dtype=theta.dtype, device=theta.device)
        return torch.func.vmap(lambda one: pull(one.expand_as(values))[0], out_dims=2)(directions)

    chunk = max(1, CHUNK // theta.numel())
    return torch.func.vmap(at, in_dims=1, out_dims=2, chunk_size=chunk)(x)


class LeastSquares:
    """Error and normal equations of an operator in double precision, as functions of its parameters, one row each.

    Args:
        operator: of one field and one term, without γ.
        moments: of the increments over m steps, by m.
    """

    def __init__(self, operator: SpectralOperator, moments: Mapping[int, Moments]) -> None:
        symbol, self.isotropic = _of_moduli(operator.g)
        self.moments = self.folded(moments)
        self.h, self.g = Flat(operator.h, operator.realizations), Flat(symbol, operator.realizations)
        some = next(iter(self.moments.values()))
        self.unit = operator.unit
        self.u = (some.values / operator.scale)[None]
        self.kappa = some.wavenumbers
        self.sizes = [self.h.start.shape[1], self.g.start.shape[1]]
        self.start = torch.cat([self.h.start, self.g.start], 1)
        self.dissipative = any(isinstance(module, DissipativeSymbol) for module in symbol.modules())
        self.smoothness: Smoothness | None = None

    def prefer_smooth(self, weight: float) -> None:
        """Add the curvatures of h and of ln ρ to the error (see `smoothness`)."""
        self.smoothness = Smoothness(self, weight, dissipative=self.dissipative)

    def folded(self, moments: Mapping[int, Moments]) -> Mapping[int, Moments]:
        """The moments at the wavenumbers of the symbol: at the distinct |κ| where it is isotropic."""
        return {m: each.folded() for m, each in moments.items()} if self.isotropic else moments

    def error(self, theta: Float[Tensor, "R P"]) -> Float[Tensor, " R"]:
        """Σ ‖f − L u‖² of all increments, as a share of Σ ‖f‖²."""
        h, g = self.values(theta, self.u, self.kappa)
        errors = [each.error(composed(g, h @ each.slope, m)[0], h) for m, each in self.moments.items()]
        errors += [] if self.smoothness is None else [self.smoothness.error(theta)]
        return torch.stack(errors).sum(0)

    def normal(self, theta: Float[Tensor, "R P"]) -> tuple[Float[Tensor, "R P P"], Float[Tensor, "R P"]]:
        """JᵀJ and Jᵀr."""
        values, derivatives = self.values(theta, self.u, self.kappa), self.derivatives(theta, self.u, self.kappa)
        matrix, gradient = self.of_moments(self.moments, values, derivatives)
        if self.smoothness is None:
            return matrix, gradient
        A, b = self.smoothness.normal(theta)
        return A + matrix, b + gradient

    def of_moments(
        self, moments: Mapping[int, Moments], values: tuple[Tensor, Tensor], derivatives: tuple[Tensor, Tensor]
    ) -> tuple[Float[Tensor, "R P P"], Float[Tensor, "R P"]]:
        """JᵀJ and Jᵀr of some moments.

        Args:
            moments: of the increments over m steps, by m, folded where the symbol is isotropic.
            values: h at the values of u, and g at the wavenumbers of the moments.
            derivatives: of both.
        """
        (h, g), (dh, dg) = values, derivatives
        H, P = self.sizes[0], sum(self.sizes)
        matrix, gradient = h.new_zeros(len(h), P, P), h.new_zeros(len(h), P)
        for m, each in moments.items():
            whole, by_g, by_slope = composed(g, h @ each.slope, m)
            through_slope = by_slope[:, None] * (dh @ each.slope)[..., None] if m > 1 else dg[:, :0]
            of_symbol = torch.cat([through_slope.to(dg.dtype), by_g[:, None] * dg], 1)
            A, b = each.normal_equations(whole, h, of_symbol, dh)
            # the parameters of h once more where the symbol depends on its slope: their rows add up
            twice = through_slope.shape[1]
            place = torch.cat([torch.arange(H), torch.arange(twice), torch.arange(H, P)]).to(h.device)
            matrix.index_add_(1, place, torch.zeros_like(A[:, :, :P]).index_add_(2, place, A))
            gradient.index_add_(1, place, b)
        return matrix, gradient

    def write(self, theta: Float[Tensor, "R P"]) -> None:
        """Put these parameters into the operator."""
        for module, rows in zip((self.h, self.g), theta.split(self.sizes, 1), strict=True):
            module.write(rows)

    def values(
        self, theta: Float[Tensor, "R P"], u: Float[Tensor, "1 V"], kappa: Float[Tensor, "D K"]
    ) -> tuple[Float[Tensor, "R V"], Inexact[Tensor, "R K"]]:
        """h at values of u/scale, and g at wavenumbers."""
        of_h, of_g = theta.split(self.sizes, 1)
        return self._nonlinearity(of_h, u)[..., 0], _number(self._parts(of_g, kappa))

    def derivatives(
        self, theta: Float[Tensor, "R P"], u: Float[Tensor, "1 V"], kappa: Float[Tensor, "D K"]
    ) -> tuple[Float[Tensor, "R H V"], Inexact[Tensor, "R G K"]]:
        """Of both, with respect to the parameters of h and to those of g."""
        of_h, of_g = theta.split(self.sizes, 1)
        return jacobian(self._nonlinearity, of_h, u)[..., 0], _number(jacobian(self._parts, of_g, kappa))

    def _nonlinearity(self, theta: Float[Tensor, "R H"], u: Float[Tensor, "1 V"]) -> Float[Tensor, "R V 1"]:
        return self.h(theta, u[None, None]).flatten(1)[..., None] * self.unit

    def _parts(self, theta: Float[Tensor, "R G"], kappa: Float[Tensor, "D K"]) -> Float[Tensor, "R K O"]:
        values = self.g(theta, kappa).flatten(1)
        if self.isotropic and not self.isotropic.complex_symbol:
            values = values.real
        return torch.view_as_real(values) if values.is_complex() else values[..., None]


def composed(
    g: Inexact[Tensor, "R K"], slope: Float[Tensor, " R"], m: int
) -> tuple[Inexact[Tensor, "R K"], Inexact[Tensor, "R K"], Inexact[Tensor, "R K"]]:
    """G_m = ((1 + s g)^m − 1)/s of m steps, and its derivatives with respect to g and to s."""
    if m == 1:
        return g, torch.ones_like(g), torch.zeros_like(g)
    s = torch.where(slope.abs() < FLAT, FLAT, slope)[:, None]
    before = (1 + s * g) ** (m - 1)
    whole = (before * (1 + s * g) - 1) / s
    return whole, m * before, (m * g * before - whole) / s


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
    theta: Float[Tensor, "R P"], problem: Problem, steps: int, tolerance: float = 0.01
) -> Iterator[tuple[Float[Tensor, "R P"], Float[Tensor, " R"]]]:
    """Parameters and errors after each step of damped Gauss–Newton, (JᵀJ + λD) δ = −Jᵀr (Marquardt 1963).

    D is the largest diagonal of JᵀJ so far (Moré 1978): with the present one, a unit that saturates would be free to
    run away, and half of all networks of tanh end nowhere. λ follows the ratio of the decrease to that of the
    quadratic model (Nielsen 1999); a step that does not decrease the error of its realization is not taken. Ends
    before `steps` where nothing improves any more.

    Args:
        theta: parameters to start from.
        problem: error (R,), and JᵀJ (R, P, P) with Jᵀr (R, P), as functions of the parameters.
        steps: at most so many.
        tolerance: decrease over the last 50 steps, as a share of the error, below which the search ends; that of every
            realization.
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
        factor, failed = torch.linalg.cholesky_ex(damped)
        delta = -torch.cholesky_solve(gradient[..., None], factor)[..., 0]
        expected = -2 * (gradient * delta).sum(1) - ((matrix @ delta[..., None])[..., 0] * delta).sum(1)
        tried = error(theta + delta)
        better = (failed == 0) & tried.isfinite() & (tried < values)
        ratio = torch.where(better, (values - tried) / expected, 0.0)
        theta = torch.where(better[:, None], theta + delta, theta)
        values = torch.where(better, tried, values)
        shrink = (1 - (2 * ratio - 1) ** 3).clamp(min=1 / 3)
        damping = torch.where(better, damping * shrink, damping * growth).clamp(1e-14, 1e10)
        growth = torch.where(better, 2.0, growth * 2).clamp(max=64)
        yield theta, values
        seen.append(values)
        if len(seen) > RECENT and (values > (1 - tolerance) * seen[-RECENT]).all():
            return
        matrix, gradient = normal(theta)


def regress(
    operator: SpectralOperator,
    moments: Mapping[int, Moments],
    steps: int,
    smoothness: float = 0.0,
    tolerance: float = 0.01,
) -> Iterator[Float[Tensor, " R"]]:
    """Fit g and h of an operator, in place, to the moments of its data; yields the errors after each step.

    The first steps move the output layers alone: from random networks, whose product has nothing to do with the data
    yet, steps of everything at once go towards g h = 0 in one realization of six, and stay there. They and the next
    ones look at the shortest increments alone: (1 + g)^m has m roots, of which the longer ones may choose another.

    Args:
        operator: of one field and one term, without γ.
        moments: of the increments over m steps, by m, in double precision; operators without time have m = 1.
        steps: at most so many.
        smoothness: weight of the curvatures of h and of ln ρ, as a share of the error.
        tolerance: of the search (see `levenberg_marquardt`).
    """
    exact = copy.deepcopy(operator).double().requires_grad_(False)
    shortest = LeastSquares(exact, {min(moments): moments[min(moments)]})
    squares = shortest if len(moments) == 1 else LeastSquares(exact, moments)
    outputs, theta = _outputs(exact), squares.start

    def adopt(theta: Tensor) -> None:
        squares.write(theta)
        for parameter, value in zip(operator.parameters(), exact.parameters(), strict=True):
            parameter.data.copy_(value)

    first = _restricted((shortest.error, shortest.normal), squares.start, outputs)
    for part, errors in levenberg_marquardt(theta[:, outputs], first, min(FIRST, steps), tolerance):
        theta = squares.start.index_copy(1, outputs, part)
        adopt(theta)
        yield errors
    left = steps - FIRST
    if smoothness:
        squares = LeastSquares(exact, moments)
        squares.prefer_smooth(smoothness * float(squares.error(theta).median()))
    stages = [(squares, left)] if len(moments) == 1 else [(shortest, min(NEXT, left)), (squares, left - NEXT)]
    for stage, count in stages:
        for everything, errors in levenberg_marquardt(theta, (stage.error, stage.normal), count, tolerance):
            theta = everything
            adopt(theta)
            yield errors


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
