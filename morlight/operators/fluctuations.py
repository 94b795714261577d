"""Noise of the steps of an operator, u_{j+1} = S(u_j) + Π⁻¹ s(κ; γ) Π [a(u_j; γ) ξ_j] with white noise ξ.

ξ has the variance 1/ΔV in cells of the volume ΔV, so that Σ(κ) = s sᴴ is the spectral density of the noise per step.
For several fields in one basis, Σ is a Hermitian matrix for each mode, and s its Hermitian root. Fields are measured
with noise of their own, y = u + η, with the spectral density Σ_η, which does not enter the next step.

The noise of a conserved field is the divergence of a random flux: s ξ stands for s(κ) Σ_d (iκ_d/|κ|) ξ_d, with white
noise ξ_d for each axis. The variance of each mode is the same. Noise at one point then moves what is conserved to its
neighbors, and a(u) is the amplitude of the flux through that point; |κ| in place of iκ would move it far away.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from jaxtyping import Float, Inexact
from torch import Tensor

from morlight.operators.amplitudes import Amplitude
from morlight.operators.bases import Basis
from morlight.operators.build import basis
from morlight.operators.config import Wall
from morlight.operators.description import Grid
from morlight.operators.flux import Flux
from morlight.operators.noise_diagnostics import NoiseDiagnostics
from morlight.operators.units import NO_GAMMA


@dataclass(frozen=True)
class ModeFluctuations:
    """Noise of the fields that share a basis.

    Attributes:
        places: of the fields among the channels.
        wall: their basis between walls.
        conserved: for each field, whether its total never changes.
        process: Σ of the steps, with |κ| flattened, at each γ of the training.
        measurement: Σ_η.
        knots: values u of each field at which a² is given.
        squares: a² there; its mean over the training data is 1.
        errors: standard errors of the diagonal of Σ due to the data.
        diagnostics: what the training data show of it; None if not known.
    """

    places: tuple[int, ...]
    wall: Wall
    conserved: tuple[bool, ...]
    process: Inexact[Tensor, "R G K c c"]
    measurement: Inexact[Tensor, "R G K c c"]
    knots: Float[Tensor, "R G c n"]
    squares: Float[Tensor, "R G c n"]
    errors: Float[Tensor, "R G K c"]
    diagnostics: NoiseDiagnostics | None = None

    @property
    def amplitude(self) -> Amplitude:
        """a² at each γ of the training."""
        return Amplitude(self.knots, self.squares)

    def map(self, change: Any) -> "ModeFluctuations":
        """The same change of every tensor."""
        diagnostics = None if self.diagnostics is None else self.diagnostics.map(change)
        return replace(self, diagnostics=diagnostics, **{name: change(getattr(self, name)) for name in TENSORS})

    def to_plain(self) -> dict[str, Any]:
        """Values that a checkpoint stores."""
        plain = {each.name: getattr(self, each.name) for each in fields(self)}
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}
        return plain | {"diagnostics": None if self.diagnostics is None else self.diagnostics.to_plain()}


WALLS = ("cosine", "sine")  # bases of fields whose noise is learned
TENSORS = ("process", "measurement", "knots", "squares", "errors")


@dataclass(frozen=True)
class Fluctuations:
    """Noise of all fields of R realizations, at the values of γ of the training and linear in γ between them.

    Attributes:
        gamma: these values, ascending; one value of no meaning without parameters.
        parts: noise of the fields in each basis.
        lags: correlation of the whitened residuals with those one and two steps before, and its standard error: the
            mean over the modes whose decay the data identify, and the median of the realizations; empty where there
            are too few frames.
    """

    gamma: tuple[float, ...]
    parts: tuple[ModeFluctuations, ...]
    lags: tuple[tuple[float, float], ...] = ()

    @property
    def measured(self) -> bool:
        """Whether fields are measured with noise."""
        return any(bool(part.measurement.any()) for part in self.parts)

    def only(self, rows: Sequence[int]) -> "Fluctuations":
        """The noise of some of the realizations."""
        return replace(self, parts=tuple(part.map(lambda each: each[list(rows)]) for part in self.parts))

    def to(self, device: torch.device) -> "Fluctuations":
        """The same on another device."""
        return replace(self, parts=tuple(part.map(lambda each: each.to(device)) for part in self.parts))

    def weights(self, gamma: Float[Tensor, "b P"]) -> Float[Tensor, "b G"]:
        """Weights of the values of γ of the training for others, in linear interpolation; constant beyond them."""
        if len(self.gamma) == 1 or not gamma.shape[1]:
            return torch.ones(len(gamma), 1, dtype=torch.float64, device=gamma.device)
        known = torch.tensor(self.gamma, dtype=torch.float64, device=gamma.device)
        values = gamma[:, 0].double().clamp(known[0], known[-1])
        upper = torch.searchsorted(known, values).clamp(1, len(known) - 1)
        share = (values - known[upper - 1]) / (known[upper] - known[upper - 1])
        unit = torch.eye(len(known), dtype=torch.float64, device=gamma.device)
        return (1 - share)[:, None] * unit[upper - 1] + share[:, None] * unit[upper]

    def prepared(self, grid: Grid, gamma: Float[Tensor, "b P"] = NO_GAMMA) -> "Noise":
        """The noise on a grid at some γ, one row for each field of a batch or one for all of them.

        Raises:
            ValueError: if the grid is not that of the training.
        """
        rows = gamma if len(gamma) else NO_GAMMA
        return Noise([_Part(part, grid, self.weights(rows)) for part in self.parts], self.measured)

    def to_plain(self) -> dict[str, Any]:
        """Values that a checkpoint stores."""
        parts = [part.to_plain() for part in self.parts]
        return {"gamma": list(self.gamma), "parts": parts, "lags": [list(lag) for lag in self.lags]}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any], realizations: int, count: int) -> "Fluctuations":
        """The noise that a checkpoint stores, for so many realizations and fields.

        Raises:
            ValueError: if it is not that of these fields, or not finite.
        """
        gamma = tuple(float(value) for value in plain["gamma"])
        parts = tuple(_read(part, (realizations, len(gamma))) for part in plain["parts"])
        lags = tuple((float(value), float(error)) for value, error in plain["lags"])
        if sorted(place for part in parts for place in part.places) != list(range(count)):
            raise ValueError(f"fluctuations are not those of {count} field(s), expected one noise for each")
        if not gamma or list(gamma) != sorted(set(gamma)):
            raise ValueError(f"fluctuations.gamma is {list(gamma)}, expected ascending values")
        for part in parts:
            if part.wall not in WALLS:
                raise ValueError(f"fluctuations.wall is {part.wall!r}, expected one of {', '.join(WALLS)}")
            c, n, K = len(part.places), part.knots.shape[-1], part.process.shape[2]
            for name, inner in zip(TENSORS, [(K, c, c), (K, c, c), (c, n), (c, n), (K, c)], strict=True):
                value = getattr(part, name)
                if tuple(value.shape) != (realizations, len(gamma), *inner) or n < 2:
                    raise ValueError(f"fluctuations.{name} has the shape {tuple(value.shape)}, which fits no operator")
                if not torch.isfinite(torch.view_as_real(value) if value.is_complex() else value).all():
                    raise ValueError(f"fluctuations.{name} is not finite")
            if not (part.knots.diff(dim=-1) > 0).all():
                raise ValueError("fluctuations.knots are not ascending")
        return cls(gamma, parts, lags)


def _read(plain: Mapping[str, Any], lead: tuple[int, int]) -> ModeFluctuations:
    names = [each.name for each in fields(ModeFluctuations) if each.name != "diagnostics"]
    values: dict[str, Any] = {name: plain[name] for name in names}
    if not all(isinstance(values[name], Tensor) for name in TENSORS):
        raise TypeError("fluctuations hold no tensors")
    lists = {name: tuple(values[name]) for name in ("places", "conserved")}
    part = ModeFluctuations(**{**values, **lists})
    part = part.map(lambda each: each.to(torch.complex128 if each.is_complex() else torch.float64))
    if plain.get("diagnostics") is None:
        return part
    sizes = part.process.shape[2], len(part.places), part.knots.shape[-1]
    return replace(part, diagnostics=NoiseDiagnostics.from_plain(plain["diagnostics"], lead, sizes))


class Noise:
    """Noise on a grid at some γ, ready to be drawn.

    Args:
        parts: noise of the fields in each basis.
        measured: whether fields are measured with noise.
    """

    def __init__(self, parts: Sequence["_Part"], measured: bool) -> None:
        self.parts, self.measured = parts, measured

    def kick(self, u: Float[Tensor, "R B C *X"], generator: torch.Generator) -> Float[Tensor, "R B C *X"]:
        """The random part of one step from the states u."""
        return self._gathered(u, [part.kick(u[:, :, part.places], generator) for part in self.parts])

    def measurement(self, u: Float[Tensor, "R B C *X"], generator: torch.Generator) -> Float[Tensor, "R B C *X"]:
        """η of one measurement of the states u."""
        return self._gathered(u, [part.measurement(u[:, :, part.places], generator) for part in self.parts])

    def _gathered(self, u: Tensor, drawn: Sequence[Tensor]) -> Tensor:
        if len(self.parts) == 1:
            return drawn[0]
        whole = torch.empty_like(u)
        for part, values in zip(self.parts, drawn, strict=True):
            whole[:, :, part.places] = values
        return whole


class _Part:
    """Noise of the fields in one basis, with its roots computed once."""

    def __init__(self, known: ModeFluctuations, grid: Grid, weights: Float[Tensor, "b G"]) -> None:
        self.places = list(known.places)
        self.basis = basis(grid, known.wall).double().to(weights.device)
        modes = self.basis.energy.shape
        if math.prod(modes) != known.process.shape[2]:
            raise ValueError(
                f"the fluctuations are not known on {' × '.join(map(str, grid.points))} points, expected those of the"
                " training data"
            )
        self.axes = len(modes)
        density = math.sqrt(math.prod(grid.points) / math.prod(grid.length))  # of ξ, 1/√ΔV

        def root(spectrum: Tensor) -> Tensor:
            mixed = torch.einsum("bg,rgkij->rbkij", weights.to(spectrum.dtype), spectrum)
            return hermitian_root(mixed).movedim(2, -1).unflatten(-1, modes) * density

        self.of_process, self.of_measurement = root(known.process), root(known.measurement)
        self.amplitude = known.amplitude.mixed(weights)
        self.flux = None
        if any(known.conserved) and not self.amplitude.constant:
            mask = torch.tensor(known.conserved).view(-1, *[1] * self.axes)
            self.flux = Flux(self.basis), mask.to(weights.device)

    def kick(self, u: Float[Tensor, "R B c *X"], generator: torch.Generator) -> Float[Tensor, "R B c *X"]:
        if self.amplitude.constant:
            return self._colored(self.of_process, self.basis.forward(_white(u, generator)))
        a = self.amplitude(u).sqrt()
        if self.flux is None:
            return self._colored(self.of_process, self.basis.forward(a * _white(u, generator)))
        flux, conserved = self.flux
        axes = a.unsqueeze(3)
        c = flux(axes * _white(axes.expand(*axes.shape[:3], self.axes, *axes.shape[4:]), generator))
        if not conserved.all():
            c = torch.where(conserved, c, self.basis.forward(a * _white(u, generator)))
        return self._colored(self.of_process, c)

    def measurement(self, u: Float[Tensor, "R B c *X"], generator: torch.Generator) -> Float[Tensor, "R B c *X"]:
        return self._colored(self.of_measurement, self.basis.forward(_white(u, generator)))

    def _colored(self, root: Inexact[Tensor, "R b c c *K"], c: Inexact[Tensor, "R B c *K"]) -> Tensor:
        if root.shape[2] == 1:
            return self.basis.inverse(root[:, :, 0] * c)
        return self.basis.inverse((root * c.unsqueeze(2)).sum(3))


def hermitian_root(spectrum: Inexact[Tensor, "*k c c"]) -> Inexact[Tensor, "*k c c"]:
    """The Hermitian root of positive matrices."""
    if spectrum.shape[-1] == 1:
        return spectrum.real.clamp_min(0).sqrt().to(spectrum.dtype)
    values, vectors = torch.linalg.eigh(spectrum)
    return (vectors * values.clamp_min(0).sqrt().unsqueeze(-2)) @ vectors.mH


def white_modes(space: Basis) -> Float[Tensor, "*K"]:
    """E |c|² of the coefficients of white noise with the spectral density 1, which has the variance 1/ΔV in a cell."""
    return space.freedom / space.energy


def _white(like: Float[Tensor, "*u"], generator: torch.Generator) -> Float[Tensor, "*u"]:
    """Standard normal numbers; single precision, which costs half, is enough for them."""
    return torch.randn(like.shape, generator=generator, device=like.device, dtype=torch.float32).to(like.dtype)
