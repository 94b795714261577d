"""Walkers, whose exact solution is known: square waves and symbols against ∂ₜu = −(−Δ)^(α/2) u − V·∇u."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Inexact
from torch import Tensor

from morlight.analysis.learned import continuum
from morlight.analysis.model import Model
from morlight.data.trajectory_file import Contents
from morlight.operators import slopes

KAPPA = 16.0  # the band of wavenumbers over which symbols are compared


@dataclass(frozen=True)
class Walkers:
    """The exact equation of the walkers on [0, 2π)^D that a file holds.

    Attributes:
        alpha: α.
        velocity: V, the mean velocity along each axis.
    """

    alpha: float
    velocity: tuple[float, ...]

    @classmethod
    def of(cls, contents: Contents) -> "Walkers | None":
        """The equation of the walkers in a file; None if the file contains other data."""
        if contents.attributes.get("generator") not in ("brownian", "levy"):
            return None
        settings = contents.attributes.get("generator_parameters", {})
        velocity = settings.get("drift", [0.0] * contents.grid.dimensions)
        return cls(float(settings["alpha"]), tuple(map(float, velocity)))

    def decay(self, modulus: Tensor) -> Tensor:
        """Rate |κ|^α at which a mode decays, in 1/time."""
        return modulus**self.alpha


def square_wave(
    points: tuple[int, ...], decay: Callable[[Tensor], Tensor], time: float, velocity: Sequence[float] = ()
) -> Float[Tensor, "*X"]:
    """Truncated Fourier series of a square wave after a time (Eq. 23, 25), û = ∏_d c(κ_d) exp(−(decay(|κ|) + iV·κ) t).

    c(κ) = −2iN/(πκ) for odd κ and 0 for even, on [0, 2π)^D with N points along each axis.

    Args:
        points: N along each axis.
        decay: rate at which the mode with |κ| decays, in 1/time.
        time: t.
        velocity: V of a drift along each axis; none by default.
    """
    axes = [torch.fft.fftfreq(n, 1 / n, dtype=torch.float64) for n in points]
    kappa = torch.stack(torch.meshgrid(*axes, indexing="ij"))
    coefficients = torch.ones(points, dtype=torch.complex128)
    for n, k in zip(points, kappa, strict=True):
        odd = (k % 2 == 1) & (k.abs() < n / 2)
        coefficients = coefficients * torch.where(odd, -2j * n / (math.pi * torch.where(odd, k, 1)), 0)
    rate = decay(kappa.square().sum(0).sqrt()) + 1j * _turning(kappa, velocity)
    return torch.fft.ifftn(coefficients * torch.exp(-rate * time)).real


def _turning(kappa: Float[Tensor, "D *K"], velocity: Sequence[float]) -> Float[Tensor, "*K"]:
    """V·κ, 0 without a drift."""
    return sum((v * k for v, k in zip(velocity, kappa, strict=bool(velocity))), start=torch.zeros_like(kappa[0]))


def linearized_symbol(model: Model) -> Inexact[Tensor, "R *K"]:
    """Σₖ gₖ(κ) h′ₖ of the first field, with the slopes of straight lines through h over the training data."""
    operator = model.spectral
    slope = slopes(operator, torch.tensor(model.data.fields[0].quantiles, dtype=torch.float64))
    g = operator.symbol()[:, 0, : slope.shape[1]]
    return (g * slope.view(*slope.shape, *[1] * (g.ndim - 2))).sum(1)


def symbol_errors(
    model: Model, decay: Callable[[Tensor], Tensor], velocity: Sequence[float] = ()
) -> dict[str, list[float]]:
    """Largest relative error over 0 < |κ| ≤ 16 of the increment exp(−rate Δt) − 1 and of the generator −rate.

    The rate is decay(|κ|) + iV·κ. A mode at the Nyquist wavenumber stands for κ and −κ and cannot drift.
    """
    basis = model.spectral.basis
    kappa = basis.wavenumbers.double()
    modulus = kappa.square().sum(0).sqrt()
    band = (modulus > 0) & (modulus <= KAPPA)
    for k, N, L in zip(kappa, basis.points, basis.length, strict=True):
        band &= (k.abs() * L < math.pi * (N - 0.5)) | (not any(velocity))
    rate = decay(modulus[band]) + 1j * _turning(kappa, velocity)[band]
    g = linearized_symbol(model)[:, band]
    increment, dt = torch.expm1(-rate * model.data.dt), model.data.dt
    rates = continuum(model, g)
    g = torch.expm1(rates * dt) if model.continuous else g
    return {
        "increment_kappa16": ((g - increment).abs() / increment.abs()).amax(1).tolist(),
        "generator_kappa16": ((rates + rate).abs() / rate.abs()).amax(1).tolist(),
    }
