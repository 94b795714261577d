"""One step of an operator without complex numbers and without FFT: transforms are real matrices, one an axis.

    c = a + ib,    Π u = A u + i B u,    Π⁻¹(g c) = Re Π⁻¹ of (g_r a − g_i b) + i (g_r b + g_i a)

Runtimes that know neither FFT nor complex tensors (ONNX Runtime) run this graph. It does what `stepping` does with
explicit Euler, to rounding.
"""

import copy
import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from morlight.operators.bases import Basis, Fourier, TensorProduct
from morlight.operators.biases import Banded, Conservative, Isotropic, shells
from morlight.operators.derivative import Derivative
from morlight.operators.networks import Perceptrons
from morlight.operators.robin import Robin, at_own
from morlight.operators.spectral import Operator, SecondOrder, SpectralOperator
from morlight.operators.stability import Anchored, decaying
from morlight.operators.symbols import DissipativeSymbol, Symbol
from morlight.operators.units import NO_GAMMA

Parts = tuple[Tensor, Tensor | None]  # real and imaginary, None where it is zero


def elu(x: Tensor) -> Tensor:
    """exp(x) − 1 where x < 0: ONNX Runtime has Elu in single precision only."""
    return torch.where(x > 0, x, torch.exp(x.clamp_max(0.0)) - 1)


def softplus(x: Tensor) -> Tensor:
    """ln(1 + eˣ), for the same reason."""
    return x.clamp_min(0.0) + torch.log(1 + torch.exp(-x.abs()))


def silu(x: Tensor) -> Tensor:
    """x / (1 + e⁻ˣ)."""
    return x * torch.sigmoid(x)


PLAIN = {
    "elu": elu,
    "softplus": softplus,
    "silu": silu,
}  # activations as functions that runtimes have in both precisions


class RealStep(nn.Module):
    """u_j ↦ u_{j+1} = u_j + L u_j, or L u_j of an operator without time.

    Args:
        operator: R operators, evaluated as they are; explicit steps.
        steady: whether the output is L u instead of u + L u.
        activation: of the networks, a key of `ACTIVATIONS`.
        gamma: whether the operator has parameters γ.
    """

    def __init__(self, operator: Operator, *, steady: bool, activation: str, gamma: bool) -> None:
        super().__init__()
        if activation in PLAIN:
            for module in operator.modules():
                if isinstance(module, Perceptrons):
                    module.activation = PLAIN[activation]
        self.dt = operator.dt if isinstance(operator, SecondOrder) else None
        summands = list(operator.summands())
        self.targets, self.changed = [summand.places for summand in summands], operator.changed
        self.summands = nn.ModuleList(RealTerm(summand.operator, gamma=gamma) for summand in summands)
        self.steady = steady

    def forward(
        self, u: Float[Tensor, "R B C *X"], gamma: Float[Tensor, "B P"] | None = None
    ) -> Float[Tensor, "R B C *X"]:
        parts: list[Tensor | None] = [None] * self.changed
        for term, places in zip(self.summands, self.targets, strict=True):
            change = term(u, gamma)
            for channel, place in enumerate(places):
                one, known = change[:, :, channel], parts[place]
                parts[place] = one if known is None else known + one
        change = torch.stack([part for part in parts if part is not None], 2)
        if self.dt is not None:
            rate = u.chunk(2, 2)[1] + change
            change = torch.cat([self.dt * rate, change], 2)
        return change if self.steady else u + change


class RealTerm(nn.Module):
    """Σ_k Π⁻¹ g_k Π h_k in real arithmetic; without γ the symbols are constants."""

    real: Float[Tensor, "R b H *K"]
    imaginary: Float[Tensor, "..."]

    def __init__(self, operator: SpectralOperator, *, gamma: bool) -> None:
        super().__init__()
        self.operator, self.fields, self.known = operator, len(operator.unit), not gamma
        self.transform, self.slipping = RealTransform(operator.basis), isinstance(operator.basis, Robin)
        if self.known:
            with torch.no_grad():
                g, _ = operator.terms()
            self.register_buffer("real", g.real)
            self.register_buffer("imaginary", g.imag if g.is_complex() else torch.zeros(()).to(g))
            self.rotates = g.is_complex()
        else:
            self.symbol = real_symbol(operator.g, _wavenumbers(operator))

    def forward(
        self, u: Float[Tensor, "R B C *X"], gamma: Float[Tensor, "B P"] | None = None
    ) -> Float[Tensor, "R B T *X"]:
        lift = self.operator.lift
        h = self.operator.nonlinearities(NO_GAMMA if self.known or gamma is None else gamma)(u)
        terms = h.shape[2] // self.fields
        if self.known or gamma is None:
            g: Parts = (self.real, self.imaginary if self.rotates else None)
        else:
            g = self.symbol(self.operator.units.scaled(gamma))
            g = g if lift is None else (lift.symbols(g[0]), None if g[1] is None else lift.symbols(g[1]))
            g = (at_own(g[0]), None) if self.slipping else g
        a, b = product(g, self.transform.forward(h))
        if terms > 1:
            a = a.unflatten(2, (self.fields, terms)).sum(3)
            b = None if b is None else b.unflatten(2, (self.fields, terms)).sum(3)
        return self.transform.inverse((a, b))


def _wavenumbers(operator: SpectralOperator) -> Float[Tensor, "D *K"]:
    """κ of the symbols; in a basis with slip those of all realizations (1, R, N)."""
    if isinstance(operator.basis, Robin):
        return operator.basis.evaluated().kappa.detach()[None]
    return (operator.basis if operator.lift is None else operator.lift).wavenumbers


def product(g: Parts, c: Parts) -> Parts:
    """g c of complex numbers."""
    (p, q), (a, b) = g, c
    if q is None:
        return p * a, None if b is None else p * b
    if b is None:
        return p * a, q * a
    return p * a - q * b, p * b + q * a


class RealTransform(nn.Module):
    """Π and Π⁻¹ of a basis as one or two real matrices an axis."""

    kappa: Float[Tensor, "*K"]
    differentiation: Float[Tensor, "K K"]

    def __init__(self, basis: Basis) -> None:
        super().__init__()
        derivative = basis if isinstance(basis, Derivative) else None
        source: Any = derivative.source if derivative else basis
        target: Any = derivative.target if derivative else basis
        self.ahead = _Axes(source)
        self.back = _Axes(target) if derivative else self.ahead
        self.axis = derivative.axis if derivative else None
        self.turns = derivative is not None and derivative.kind is Fourier
        if derivative is not None:
            kind, N, L = derivative.kind, derivative.points[derivative.axis], derivative.length[derivative.axis]
            if self.turns:
                self.register_buffer("kappa", derivative.wavenumbers[derivative.axis])
            else:  # ∂ₓ of one axis: from coefficients to those of the other kind
                made: Any = kind
                source = made(N, L).to(basis.wavenumbers)
                unit = torch.eye(N, dtype=basis.wavenumbers.dtype)
                self.register_buffer("differentiation", Derivative(source).to(unit).forward(source.inverse(unit)))

    def forward(self, u: Float[Tensor, "*u"]) -> Parts:
        c = self.ahead.forward(u)
        if self.axis is None:
            return c
        if self.turns:  # times iκ
            a, b = c
            return (torch.zeros_like(a) if b is None else -self.kappa * b), self.kappa * a
        place = self.axis - len(self.ahead.kinds)
        a, b = c
        matrix = self.differentiation
        return _along(a, matrix, place), None if b is None else _along(b, matrix, place)

    def inverse(self, c: Parts) -> Float[Tensor, "*u"]:
        return self.back.inverse(c)


class _Axes(nn.Module):
    """Matrices of the axes of a basis that is no derivative."""

    def __init__(self, basis: Basis) -> None:
        super().__init__()
        factors: list[Basis] = list(basis.factors) if isinstance(basis, TensorProduct) else [basis]
        sides = [(f, N, L) for f in factors for N, L in zip(f.points, f.length, strict=True)]
        periodic = [place for place, (f, _, _) in enumerate(sides) if isinstance(f, Fourier)]
        dtype = basis.wavenumbers.dtype
        self.kinds: list[str] = []
        for place, (factor, N, L) in enumerate(sides):
            if isinstance(factor, Robin):
                known = copy.deepcopy(factor).double().evaluated()
                kind, matrices = "real", [m.detach().unsqueeze(1) for m in (known.analysis, known.synthesis)]
            elif not isinstance(factor, Fourier):
                made: Any = type(factor)
                kind, single = "real", made(N, L).double()
                eye = torch.eye(N, dtype=torch.float64)
                matrices = [single.forward(eye), single.inverse(eye)]
            elif place == periodic[-1]:
                kind, matrices = "half", _half(N)
            else:
                kind, matrices = "whole", _whole(N)
            self.kinds.append(kind)
            for number, matrix in enumerate(matrices):
                self.register_buffer(f"axis{place}_{number}", matrix.to(dtype))

    def _matrix(self, place: int, number: int) -> Tensor:
        matrix: Tensor = getattr(self, f"axis{place}_{number}")
        return matrix

    def _places(self, kind: str) -> Sequence[int]:
        return [place for place, word in enumerate(self.kinds) if word == kind]

    def forward(self, u: Float[Tensor, "*u"]) -> Parts:
        D = len(self.kinds)
        for place in self._places("real"):
            u = _along(u, self._matrix(place, 0), place - D)
        half = self._places("half")
        if not half:
            return u, None
        a, b = (_along(u, self._matrix(half[0], n), half[0] - D) for n in (0, 1))
        for place in self._places("whole"):  # (a + ib)(C − iS)
            C, S = self._matrix(place, 0), self._matrix(place, 1)
            x = place - D
            a, b = _along(a, C, x) + _along(b, S, x), _along(b, C, x) - _along(a, S, x)
        return a, b

    def inverse(self, c: Parts) -> Float[Tensor, "*u"]:
        D = len(self.kinds)
        a, b = c
        half = self._places("half")
        if half:
            b = torch.zeros_like(a) if b is None else b
            for place in self._places("whole"):  # (a + ib)(C + iS)/N
                C, S = self._matrix(place, 2), self._matrix(place, 3)
                x = place - D
                a, b = _along(a, C, x) - _along(b, S, x), _along(b, C, x) + _along(a, S, x)
            x = half[0] - D
            a = _along(a, self._matrix(half[0], 2), x) + _along(b, self._matrix(half[0], 3), x)
        for place in self._places("real"):
            a = _along(a, self._matrix(place, 1), place - D)
        return a


def _half(N: int) -> list[Tensor]:
    """Re and Im of rfft as matrices, and irfft of real and of imaginary coefficients."""
    c = torch.fft.rfft(torch.eye(N, dtype=torch.float64))
    unit = torch.eye(c.shape[1], dtype=torch.complex128)
    return [c.real, c.imag, torch.fft.irfft(unit, n=N), torch.fft.irfft(1j * unit, n=N)]


def _whole(N: int) -> list[Tensor]:
    """Cosines and sines of fft, and those of ifft."""
    k = torch.arange(N, dtype=torch.float64)
    angle = torch.outer(k, k).remainder(N) * (2 * math.pi / N)
    return [torch.cos(angle), torch.sin(angle), torch.cos(angle) / N, torch.sin(angle) / N]


def _along(u: Float[Tensor, "*u"], matrix: Float[Tensor, "*R n m"], axis: int) -> Float[Tensor, "*v"]:
    if axis == -1:
        return u @ matrix
    return (u.movedim(axis, -1) @ matrix).movedim(-1, axis)


def real_symbol(g: nn.Module, kappa: Float[Tensor, "D *K"]) -> "RealSymbol | RealAnchored":
    """g(κ; γ) at fixed κ as a function of γ, which returns real and imaginary parts."""
    kept, shell, keep_imaginary = None, None, True
    while isinstance(g, Conservative | Banded):
        kept = g.kept(kappa) if kept is None else kept & g.kept(kappa)
        g = g.symbol
    if isinstance(g, Anchored):
        return RealAnchored(real_symbol(g.decay, kappa), real_symbol(g.symbol, kappa), kept)
    if isinstance(g, Isotropic):
        moduli, shell = shells(kappa)
        keep_imaginary, kappa, g = g.complex_symbol, moduli, g.symbol
    assert isinstance(g, Symbol | DissipativeSymbol)
    return RealSymbol(g, kappa, kept, shell, keep_imaginary)


class RealAnchored(nn.Module):
    """Symbols of an anchored field: that of its decaying term, and those of the others."""

    kept: Bool[Tensor, "..."] | None

    def __init__(self, decay: nn.Module, symbol: nn.Module, kept: Tensor | None) -> None:
        super().__init__()
        self.decay, self.symbol = decay, symbol
        self.register_buffer("kept", kept)

    def forward(self, gamma: Float[Tensor, "b P"]) -> Parts:
        log_rate, _ = self.decay(gamma)
        anchor = decaying(log_rate)
        parts: list[Tensor | None] = []
        for part, first in zip(self.symbol(gamma), (anchor, torch.zeros_like(anchor)), strict=True):
            if part is None:
                parts.append(None)
                continue
            g = torch.cat([first.unsqueeze(3), part.unflatten(2, (first.shape[2], -1))], 3).flatten(2, 3)
            parts.append(g if self.kept is None else torch.where(self.kept, g, 0.0))
        a, b = parts
        assert a is not None
        return a, b


class RealSymbol(nn.Module):
    """A symbol at fixed wavenumbers with what its biases do to it, in real arithmetic."""

    kappa: Float[Tensor, "D K"]
    kept: Bool[Tensor, "..."] | None
    shell: Int[Tensor, "*K"] | None

    def __init__(
        self, g: Symbol | DissipativeSymbol, kappa: Tensor, kept: Tensor | None, shell: Tensor | None, turns: bool
    ) -> None:
        super().__init__()
        self.g, self.shape, self.turns = g, kappa.shape[1:], turns
        self.register_buffer("kappa", kappa.flatten(1))
        self.register_buffer("kept", kept)
        self.register_buffer("shell", shell)

    def forward(self, gamma: Float[Tensor, "b P"]) -> Parts:
        parts: list[Tensor | None] = []
        for part in self.g.parts(self.kappa, gamma):
            if part is None or (parts and not self.turns):
                parts.append(None)
                continue
            g = part.transpose(1, 2).unflatten(3, self.shape)
            g = g if self.shell is None else g[..., self.shell]
            parts.append(g if self.kept is None else torch.where(self.kept, g, 0.0))
        a, b = parts
        assert a is not None
        return a, b
