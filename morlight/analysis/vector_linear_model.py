"""The linear model of a system with vectors: û(t + Δt) = (1 + G(κ)) û, with the most general isotropic G.

G has a few real functions of |κ| (see `morlight.operators.vector_isotropy`). For each |κ| by itself, they are the
least-squares solution over all modes of this |κ| and all windows, with the noise of each field as it is at this |κ|.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from morlight.operators import Basis, SpectralOperator, shells
from morlight.operators.networks import selected
from morlight.operators.units import NO_GAMMA
from morlight.operators.vector_isotropy import VectorNonlinearity, VectorSymbol

AT_ONCE = 10  # steps of L-BFGS
DRAWS = 200  # of functions, for the errors of rates
POINTS = 1000  # at which h is compared with u


@dataclass(frozen=True)
class Coupled:
    """The linear model of all fields.

    Attributes:
        basis: Π, in double precision.
        places: of the fields, in the order of the operator.
        symbol: of the operator, for its layout alone.
        scale: unit of each field.
        functions: of |κ|, one row for each block.
        information: of the functions at each |κ|, the inverse of their covariance.
    """

    basis: Basis
    places: list[int]
    symbol: VectorSymbol
    scale: Float[Tensor, " C"]
    functions: Float[Tensor, "n S"]
    information: Float[Tensor, "S n n"] | None = None

    def advance(
        self, u: Float[Tensor, "B C *X"], steps: int, gamma: Float[Tensor, "b P"] = NO_GAMMA
    ) -> Float[Tensor, "B C *X"]:
        """All fields after some steps."""
        kappa = self.basis.wavenumbers
        matrix = self.symbol.matrix(self.functions[:, shells(kappa)[1]], kappa)
        unit = self.scale.view(-1, *[1] * (kappa.ndim - 1))
        c = self.basis.forward(u / unit)
        for _ in range(steps):
            c = c + _applied(matrix, c)
        return self.basis.inverse(c) * unit


def part_of(operator: SpectralOperator) -> VectorSymbol | None:
    """The symbol of a system with vectors; None of other operators."""
    return next((module for module in operator.g.modules() if isinstance(module, VectorSymbol)), None)


def regress(operator: SpectralOperator, symbol: VectorSymbol, frames: Float[Tensor, "2 n C *X"]) -> Coupled:
    """The functions of |κ| by least squares over one step."""
    basis, scale = copy.deepcopy(operator.basis).double(), operator.scale.double()
    kappa = basis.wavenumbers
    moduli, index = shells(kappa)
    unit = scale.view(-1, *[1] * (kappa.ndim - 1))
    c, later = (basis.forward(u.double() / unit) for u in frames)
    known = torch.stack(
        [_applied(symbol.matrix(one, kappa), c) for one in _units(symbol.tensors.blocks, kappa)]
    )  # (blocks, windows, fields, modes)
    S, weight = moduli.shape[1], basis.freedom
    noise = torch.ones(len(scale), S, dtype=torch.float64)
    functions = torch.zeros(len(known), S, dtype=torch.float64)
    for _ in range(2):  # the second time with the noise that the first one left
        each = weight / noise[:, index]
        gram = _over_shells(torch.einsum("mwf...,nwf...->mn...", known.conj() * each, known).real, index, S)
        right = _over_shells(((known.conj() * each) * (later - c)).real.sum((1, 2)), index, S)
        functions = (torch.linalg.pinv(gram.movedim(-1, 0), hermitian=True) @ right.T[..., None])[..., 0].T
        rest = later - c - torch.einsum("n...,nwf...->wf...", functions[:, index].to(known.dtype), known)
        count = _over_shells(weight, index, S) * len(c)
        noise = _over_shells(rest.abs().square().sum(0) * weight, index, S) / count
        noise = _shared(noise, symbol).clamp_min(1e-24 * float(c.abs().square().mean()))
    return Coupled(basis, list(range(len(scale))), symbol, scale, functions, gram.movedim(-1, 0))


def rate_errors(known: Coupled) -> Float[Tensor, "C S"]:
    """Relative standard errors of the decay rates at each |κ|: of shear waves for vectors, of sound for scalars.

    From draws of the functions with their covariance; infinite if the error exceeds the rate.
    """
    assert known.information is not None
    symbol, tensors = known.symbol, known.symbol.tensors
    moduli = shells(known.basis.wavenumbers)[0]
    kappa = torch.zeros(len(known.basis.points), moduli.shape[1], dtype=torch.float64)
    kappa[0] = moduli
    values, vectors = torch.linalg.eigh(torch.linalg.pinv(known.information, hermitian=True))
    normal = torch.randn(DRAWS, *values.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    drawn = torch.einsum("snm,dsm->nds", vectors * values.clamp_min(0).sqrt()[:, None], normal)
    change = symbol.matrix(known.functions[:, None] + drawn, kappa).movedim((0, 1), (2, 3))
    errors = torch.full((tensors.fields, moduli.shape[1]), torch.inf, dtype=torch.float64)
    for places in tensors.vectors:
        along = [*tensors.scalars, places[0]]
        modes = 1 + torch.linalg.eigvals(change[..., along, :][..., along])
        turning = modes.gather(-1, modes.imag.argmax(-1, keepdim=True))[..., 0]
        errors[list(places)] = _relative((1 + change[..., places[1], places[1]]).abs())
        errors[tensors.scalars] = _relative(turning.abs())
    return errors


def _relative(factor: Float[Tensor, "d S"]) -> Float[Tensor, " S"]:
    """Relative standard deviation of −ln λ over draws."""
    rate = -factor.log()
    error = rate.std(0) / rate.mean(0)
    return torch.where((error > 0) & (error < 1), error, torch.inf)


def start(operator: SpectralOperator, known: Coupled, states: Float[Tensor, "n C *X"], steps: int) -> Iterator[int]:
    """Take the networks, in place, to the linear model: h(u) = u at the values of some states, g from |κ| by |κ|.

    Each realization is fitted by itself, by the quasi-Newton method L-BFGS with an equal share of the steps.
    """
    R = operator.realizations
    for r in range(R):
        one = selected(operator, R, [r]).double()
        optimizer = torch.optim.LBFGS(
            one.parameters(), max_iter=AT_ONCE, history_size=50, line_search_fn="strong_wolfe", tolerance_change=0
        )
        distance = _Distance(one, known, states, optimizer)
        for step in range(0, steps // R, AT_ONCE):
            optimizer.step(distance)
            yield from range(step, step + AT_ONCE)
        with torch.no_grad():
            for mine, fitted in zip(operator.parameters(), one.parameters(), strict=True):
                mine.unflatten(0, (R, -1))[r] = fitted


class _Distance:
    """Distance of an operator from a linear model, and its gradient.

    Args:
        operator: of one realization, in double precision.
        known: the linear model.
        states: at whose values h is compared with u.
        optimizer: of the parameters of the operator.
    """

    def __init__(
        self,
        operator: SpectralOperator,
        known: Coupled,
        states: Float[Tensor, "n C *X"],
        optimizer: torch.optim.Optimizer,
    ) -> None:
        symbol, h = part_of(operator), operator.h
        assert symbol is not None
        assert isinstance(h, VectorNonlinearity)
        assert known.information is not None
        self.symbol, self.h, self.optimizer = symbol, h, optimizer
        moduli = shells(operator.basis.wavenumbers)[0]
        used = moduli[0] > 0
        self.moduli, self.target, weight = moduli[:, used], known.functions[:, used], known.information[used]
        self.weight = weight / torch.einsum("ns,snm,ms->s", self.target, weight, self.target).sum()
        self.z = operator.units.scaled(operator.units.scale[None])
        self.order = [place for each in symbol.tensors.places for place in each]
        seen = states.transpose(0, 1).flatten(1).double()
        chosen = torch.randperm(seen.shape[1], generator=torch.Generator().manual_seed(0))[:POINTS]
        self.u = (seen[:, chosen] / operator.scale[:, None])[None, None]
        self.spread = self.u.new_tensor(symbol.spread)[self.order, None]

    def __call__(self) -> float:
        """The distance; the gradient is left in the parameters."""
        self.optimizer.zero_grad()
        functions = self.symbol.blocks(self.moduli, self.z)[0, 0].unflatten(0, (-1, len(self.target))).sum(0)
        miss = functions - self.target
        of_symbol = torch.einsum("ns,snm,ms->", miss, self.weight, miss)
        features = self.h.features(self.u, self.z).unflatten(2, (-1, len(self.order)))
        of_h = ((features - self.u[:, :, None, self.order]) / self.spread).square().mean((0, 1, 4)).sum()
        distance = of_symbol + of_h
        distance.backward()
        return distance.item()


def _applied(matrix: Complex[Tensor, "C C *K"], c: Complex[Tensor, "B C *K"]) -> Complex[Tensor, "B C *K"]:
    return (matrix * c[:, None]).sum(2)


def _units(count: int, kappa: Tensor) -> Iterator[Float[Tensor, "n *K"]]:
    """Each function alone, equal to 1 at all modes."""
    for block in range(count):
        one = kappa.new_zeros(count, *kappa.shape[1:])
        one[block] = 1
        yield one


def _over_shells(values: Float[Tensor, "*nK"], index: Tensor, S: int) -> Float[Tensor, "*n S"]:
    flat = values.flatten(-index.ndim)
    return flat.new_zeros(*flat.shape[:-1], S).index_add_(-1, index.flatten(), flat)


def _shared(noise: Float[Tensor, "C S"], symbol: VectorSymbol) -> Float[Tensor, "C S"]:
    """The mean over the components of each vector."""
    shared = noise.clone()
    for places in symbol.tensors.vectors:
        shared[list(places)] = noise[list(places)].mean(0)
    return shared
