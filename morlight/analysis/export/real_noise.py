"""The noise of a step in real arithmetic: Π⁻¹ s Π [a(u) ξ] as a function of u, γ and normal numbers ξ."""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from morlight.analysis.export.real_arithmetic import Parts, RealTransform, product
from morlight.operators import build
from morlight.operators.bases import Fourier
from morlight.operators.build import crossed
from morlight.operators.derivative import Derivative
from morlight.operators.description import Grid
from morlight.operators.fluctuations import Fluctuations, ModeFluctuations, hermitian_root


def check(known: Fluctuations | None, grid: Grid) -> str | None:
    """Why there is no program with this noise; None if there is one."""
    if known is None:
        return "the noise of its steps was not learned, expected the program without fluctuations"
    if len(known.gamma) > 1 and any(len(part.places) > 1 for part in known.parts):
        return "the noise of coupled fields depends on γ, expected the program without fluctuations"
    if grid.dimensions > 1 and any(any(part.conserved) and not part.amplitude.constant for part in known.parts):
        return "the noise is a random flux along several axes, expected the program without fluctuations"
    return None


class RealNoise(nn.Module):
    """Noise of all fields; the standard normal numbers ξ have the shape of u.

    Args:
        known: the noise of R realizations.
        grid: of the fields.
    """

    def __init__(self, known: Fluctuations, grid: Grid) -> None:
        super().__init__()
        self.places = [list(part.places) for part in known.parts]
        self.parts = nn.ModuleList(RealPart(part, known.gamma, grid) for part in known.parts)

    def forward(
        self, u: Float[Tensor, "R B C *X"], noise: Float[Tensor, "R B C *X"], gamma: Float[Tensor, "B P"] | None
    ) -> Float[Tensor, "R B C *X"]:
        fields: dict[int, Tensor] = {}
        for part, places in zip(self.parts, self.places, strict=True):
            drawn = part(u[:, :, places], noise[:, :, places], gamma)
            fields |= {place: drawn[:, :, c] for c, place in enumerate(places)}
        return torch.stack([fields[place] for place in sorted(fields)], 2)


class RealPart(nn.Module):
    """Noise of the fields in one basis."""

    known: Float[Tensor, " G"]
    spectrum: Float[Tensor, "R G K"]
    root_real: Float[Tensor, "R 1 c c *K"]
    root_imaginary: Float[Tensor, "R 1 c c *K"]
    knots: Float[Tensor, "R G c n"]
    squares: Float[Tensor, "R G c n"]
    phase_real: Float[Tensor, " K"]
    phase_imaginary: Float[Tensor, " K"]
    conserved: Float[Tensor, "c 1"]

    def __init__(self, part: ModeFluctuations, gamma: tuple[float, ...], grid: Grid) -> None:
        super().__init__()
        space = build.basis(grid, part.wall).double()
        self.modes, self.coupled = space.energy.shape, len(part.places) > 1
        density = math.prod(grid.points) / math.prod(grid.length)  # of ξ, 1/ΔV
        self.register_buffer("known", torch.tensor(gamma))
        if self.coupled:
            root = hermitian_root(part.process[:, :1] * density).movedim(2, -1).unflatten(-1, self.modes)
            self.register_buffer("root_real", root.real)
            self.register_buffer("root_imaginary", root.imag if root.is_complex() else torch.zeros_like(root))
        else:
            self.register_buffer("spectrum", part.process[..., 0, 0].real * density)
        self.constant = part.amplitude.constant
        self.register_buffer("knots", part.knots)
        self.register_buffer("squares", part.squares)
        self.plain = RealTransform(space)
        self.flows, self.periodic = any(part.conserved) and not self.constant, isinstance(space, Fourier)
        if self.flows:
            self._add_flux(space, part.conserved)

    def _add_flux(self, space: Any, conserved: tuple[bool, ...]) -> None:
        """Factors of the coefficients of a flux: iκ/|κ| of a periodic axis, 1/|κ| behind ∂ₓ between walls."""
        kappa = space.wavenumbers[0]
        inside = kappa.abs() > 0
        nyquist = (kappa.abs() / (math.pi * space.points[0] / space.length[0]) - 1).abs() < 1e-9
        turns = inside & ~nyquist & self.periodic
        size = torch.where(inside, 1.0 if self.periodic else 1 / kappa.abs(), 0.0).double()
        self.register_buffer("phase_real", torch.where(turns, 0.0, size))
        self.register_buffer("phase_imaginary", torch.where(turns, size, 0.0))
        self.register_buffer("conserved", torch.tensor(conserved).double()[:, None])
        self.flux = self.plain if self.periodic else RealTransform(Derivative(crossed(space, 0), 0).double())

    def forward(
        self, u: Float[Tensor, "R B c *X"], noise: Float[Tensor, "R B c *X"], gamma: Float[Tensor, "B P"] | None
    ) -> Float[Tensor, "R B c *X"]:
        weights = self._weights(gamma)
        v = noise if self.constant else noise * self._squares(u, weights).sqrt()
        a, b = self.plain.forward(v)
        if self.flows:
            p, q = product((self.phase_real, self.phase_imaginary if self.periodic else None), self.flux.forward(v))
            a = torch.lerp(a, p, self.conserved)
            b = None if b is None or q is None else torch.lerp(b, q, self.conserved)
        inverse: Tensor = self.plain.inverse(self._colored((a, b), weights))
        return inverse

    def _colored(self, c: Parts, weights: Float[Tensor, "b G"]) -> Parts:
        """s times coefficients."""
        if not self.coupled:
            root = torch.einsum("bg,rgk->rbk", weights, self.spectrum).sqrt().unflatten(-1, self.modes)[:, :, None]
            return product((root, None), c)
        a, b = c
        parts = (a.unsqueeze(2), None if b is None else b.unsqueeze(2))
        p, q = product((self.root_real, None if b is None else self.root_imaginary), parts)
        return p.sum(3), None if q is None else q.sum(3)

    def _weights(self, gamma: Float[Tensor, "B P"] | None) -> Float[Tensor, "b G"]:
        """Weights of the values of γ of the training, in linear interpolation; constant beyond them."""
        if gamma is None or len(self.known) == 1:
            return torch.ones_like(self.known[:1, None])
        below, above = self.known[:-1], self.known[1:]
        share = ((gamma[:, :1] - below) / (above - below)).clamp(0, 1)
        return torch.cat([1 - share[:, :1], share[:, :-1] - share[:, 1:], share[:, -1:]], 1)

    def _squares(self, u: Float[Tensor, "R B c *X"], weights: Float[Tensor, "b G"]) -> Float[Tensor, "R B c *X"]:
        """a²(u), from a line and its bends."""
        inner = [1] * len(self.modes)
        knots, squares = (torch.einsum("bg,rgcn->rbcn", weights, each) for each in (self.knots, self.squares))
        slopes = (squares[..., 1:] - squares[..., :-1]) / (knots[..., 1:] - knots[..., :-1])
        k, s, m = (each.view(*each.shape, *inner) for each in (knots, squares, slopes))
        value = s[:, :, :, 0] + m[:, :, :, 0] * (u - k[:, :, :, 0])
        for n in range(1, slopes.shape[-1]):
            value = value + (m[:, :, :, n] - m[:, :, :, n - 1]) * (u - k[:, :, :, n]).clamp_min(0.0)
        return value.clamp_min(0.0)
