"""An operator that is given and not trained: ∂ₜu = G(∇) P(u), where G is a sum of powers of ∇ and P a polynomial.

Its symbol is G(κ) = −c |κ|^α − iV·κ − D |κ|² − K |κ|⁴, and one step is u + Π⁻¹ (exp(G Δt) − 1) Π P(u), as for the
networks that it replaces; an operator without time is Π⁻¹ G Π P, and one whose L/Δt is the generator is Π⁻¹ G Δt Π P.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Complex, Float, Inexact
from torch import Tensor, nn

from morlight.operators.bases import Basis
from morlight.operators.lstsq import lstsq
from morlight.operators.spectral import SpectralOperator

POWERS = {"laplacian": 2.0, "fourth": 4.0}


class Symbolic(NamedTuple):
    """The numbers of G and P.

    Attributes:
        power: c and α of −c |κ|^α; None without it.
        drift: V, empty without it.
        laplacian: D.
        fourth: K.
        polynomial: power of u ↦ its coefficient in P.
    """

    power: tuple[float, float] | None
    drift: Sequence[float]
    laplacian: float
    fourth: float
    polynomial: Mapping[int, float]

    def symbol(self, kappa: Float[Tensor, "D *K"]) -> Complex[Tensor, "*K"]:
        """G at some wavenumbers."""
        modulus = kappa.square().sum(0).sqrt()
        real = -self.laplacian * modulus**2 - self.fourth * modulus**4
        if self.power is not None:
            real = real - self.power[0] * modulus ** self.power[1]
        along = torch.zeros_like(real)
        for axis, velocity in enumerate(self.drift):
            along = along - velocity * kappa[axis]
        return torch.complex(real, along)

    def times(self, factor: float) -> "Symbolic":
        """G multiplied by a number."""
        power = None if self.power is None else (self.power[0] * factor, self.power[1])
        drift = [factor * velocity for velocity in self.drift]
        return self._replace(power=power, drift=drift, laplacian=self.laplacian * factor, fourth=self.fourth * factor)


class WrittenSymbol(nn.Module):
    """g(κ) = exp(G(κ) Δt) − 1, or G itself."""

    def __init__(self, form: Symbolic, dt: float | None, real: bool) -> None:
        super().__init__()
        self.form, self.dt, self.real = form, dt, real

    def forward(
        self, kappa: Float[Tensor, "D *K"], gamma: Float[Tensor, "b P"] | None = None
    ) -> Inexact[Tensor, "1 1 1 *K"]:
        g = self.form.symbol(kappa)
        g = g if self.dt is None else torch.exp(g * self.dt) - 1
        return (g.real if self.real else g)[None, None, None]


class Polynomial(nn.Module):
    """P(u) = Σ aₙ uⁿ."""

    def __init__(self, coefficients: Mapping[int, float]) -> None:
        super().__init__()
        self.coefficients = dict(coefficients)

    def forward(
        self, u: Float[Tensor, "r B 1 *X"], gamma: Float[Tensor, "b P"] | None = None
    ) -> Float[Tensor, "r B 1 *X"]:
        value = torch.zeros_like(u)
        for power, coefficient in self.coefficients.items():
            value = value + coefficient * u**power
        return value


def written(form: Symbolic, basis: Basis, dt: float | None) -> SpectralOperator:
    """The operator of one realization, in the units of the data."""
    g = WrittenSymbol(form, dt, basis.real or not form.drift)
    return SpectralOperator(basis, g, Polynomial(form.polynomial), [1.0], [1.0]).double()


class Sum(NamedTuple):
    """A generator as a sum of powers of ∇, for every realization.

    Attributes:
        words: which of drift, laplacian and fourth.
        drift: V (R, D); zero without it.
        laplacian: D (R,).
        fourth: K (R,).
        error: standard error of each coefficient under the given weights, V by its axes first (n,).
        misfit: relative deviation, root mean square (R,).
    """

    words: tuple[str, ...]
    drift: Float[Tensor, "R D"]
    laplacian: Float[Tensor, " R"]
    fourth: Float[Tensor, " R"]
    error: Float[Tensor, " n"]
    misfit: Float[Tensor, " R"]

    @property
    def columns(self) -> Float[Tensor, "R n"]:
        """The coefficients in the order of `error`."""
        drift = self.drift if "drift" in self.words else self.drift[:, :0]
        return torch.cat([drift, *(getattr(self, word)[:, None] for word in self.words if word in POWERS)], 1)


def powers(
    kappa: Float[Tensor, "D K"], generator: Complex[Tensor, "R K"], errors: Float[Tensor, " K"], words: tuple[str, ...]
) -> Sum | None:
    """Least-squares fit of −iV·κ − D|κ|² − K|κ|⁴ with those of its terms that the words name.

    Args:
        kappa: wavenumbers of the modes.
        generator: at each of them.
        errors: relative standard error of each, infinite for those to leave out.
        words: any of drift, laplacian, fourth.
    """
    modulus = kappa.square().sum(0).sqrt()
    used = (modulus > 0) & errors.isfinite() & (generator.abs() > 0).all(0)
    kappa, modulus, generator, errors = kappa[:, used], modulus[used], generator[:, used], errors[used]
    columns = [-1j * k for k in kappa] if "drift" in words else []
    columns += [(-(modulus ** POWERS[word])).to(torch.complex128) for word in words if word in POWERS]
    matrix = torch.stack(columns, 1)
    if len(modulus) <= matrix.shape[1]:
        return None
    weight = 1 / (errors * generator.abs().median(0).values)
    both = torch.view_as_real(matrix * weight[:, None]).transpose(1, 2).flatten(0, 1)
    data = torch.view_as_real(generator * weight).flatten(1)
    covariance = torch.linalg.pinv(both.T @ both)
    found = data @ both @ covariance
    deviation = (generator - found.to(torch.complex128) @ matrix.T).abs() / generator.abs()
    known = errors.square().reciprocal()
    misfit = (deviation.square() @ known / known.sum()).sqrt()
    D = len(kappa) if "drift" in words else 0
    rest = dict(zip([word for word in words if word in POWERS], found[:, D:].T, strict=True))
    none = torch.zeros_like(misfit)
    drift = found[:, :D] if D else found.new_zeros(len(found), len(kappa))
    return Sum(
        words, drift, rest.get("laplacian", none), rest.get("fourth", none), covariance.diagonal().sqrt(), misfit
    )


def polynomial(u: Float[Tensor, " N"], h: Float[Tensor, "R N"], exponents: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Coefficients (R, n) of powers of u in h by least squares, and the relative misfit (R,)."""
    columns = torch.stack([u**n for n in exponents], 1)
    found = lstsq(columns, h.T).T
    misfit = (found @ columns.T - h).square().mean(1).sqrt() / h.square().mean(1).sqrt()
    return found, misfit
