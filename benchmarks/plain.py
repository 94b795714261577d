"""The operators of `cases` as one would write them down: the reference of the benchmarks and of their tests.

One realization; h at every point, g at every mode and for every γ anew in each step, torch's own derivatives.
"""

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.cases import Case
from morlight.operators import Operator, Perceptrons, SpectralOperator, Symbol, System
from morlight.operators.real_transforms import dct, dst, idct, idst


def network(layers: Perceptrons, copy: int, x: Tensor) -> Tensor:
    """(…, inputs) ↦ (…, outputs)."""
    for layer, (weight, offset) in enumerate(zip(layers.weights, layers.offsets, strict=True)):
        x = functional.linear(x, weight[copy], offset[copy, :, 0])
        if layer + 1 < len(layers.weights):
            x = functional.elu(x)
    return x


def networks(part: SpectralOperator) -> tuple[Perceptrons, Perceptrons, float]:
    """Those of g and h, and the unit of κ."""
    g, h = (next(m for m in side.modules() if isinstance(m, Perceptrons)) for side in (part.g, part.h))
    return g, h, next(m.scale for m in part.g.modules() if isinstance(m, Symbol))


def periodic(part: SpectralOperator, u: Tensor, isotropic: bool) -> Tensor:
    """Π⁻¹ χ(κ) ĝ(κ) Π sign(u) (ĥ(|u|) − ĥ(0)) for fields (B, 1, *X)."""
    of_g, of_h, largest = networks(part)
    kappa = part.basis.wavenumbers
    modulus = kappa.square().sum(0).sqrt()
    outputs = network(of_g, 0, (modulus[..., None] if isotropic else kappa.movedim(0, -1)) / largest)
    g = outputs[..., 0] if isotropic else torch.complex(outputs[..., 0], outputs[..., 1])
    h = network(of_h, 0, u.abs()[..., None]) - network(of_h, 0, u.new_zeros(1))
    c = torch.fft.rfftn(torch.sign(u) * h[..., 0], dim=part.basis.last)
    return torch.fft.irfftn(torch.where(modulus > 0, g, 0) * c, s=part.basis.points, dim=part.basis.last)


def channel(parts: System, u: Tensor, gamma: Tensor) -> Tensor:
    """Σ_k C⁻¹ g_k C h_k for the density and Σ_k S⁻¹ g_k S h_k for the momentum, fields (B, 2, N), γ (B, 1)."""
    scaled = parts.operators[0].units.scaled(gamma)
    inputs = torch.cat([u.movedim(1, -1), scaled[:, None].expand(-1, u.shape[-1], 1)], -1)
    increments = []
    for part, (forward, inverse) in zip(parts.operators, ((dct, idct), (dst, idst)), strict=True):
        of_g, of_h, largest = networks(part)
        kappa = part.basis.wavenumbers[0]
        pairs = torch.stack(torch.broadcast_tensors(kappa / largest, scaled), -1)
        moving = 1.0 if forward is dst else (kappa > 0).to(u.dtype)
        terms = range(of_g.copies)
        increments.append(
            sum(
                inverse(moving * network(of_g, k, pairs)[..., 0] * forward(network(of_h, k, inputs)[..., 0]))
                for k in terms
            )
        )
    return torch.stack([torch.as_tensor(part) for part in increments], 1)


def loss(case: Case, operator: Operator, u: Tensor, target: Tensor, steps: int, gamma: Tensor) -> Tensor:
    """Mean square after some steps of explicit Euler (Eq. 21), fields (B, C, *X)."""
    for _ in range(steps):
        if isinstance(operator, System):
            u = u + channel(operator, u, gamma)
        else:
            assert isinstance(operator, SpectralOperator)
            u = u + periodic(operator, u, case.isotropic)
    return (u - target).square().mean()
