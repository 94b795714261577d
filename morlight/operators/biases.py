"""Physical biases: each wraps one network so that a symmetry or law holds exactly for any weights (Sec. 3)."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Inexact
from torch import Tensor, nn

from morlight.operators.units import NO_GAMMA


class Masked(nn.Module, ABC):
    """Symbol that is zero at some wavenumbers: g(κ) = χ(κ) ĝ(κ).

    Args:
        symbol: ĝ.
        channels: whether each of its channels is masked; by default all.
    """

    def __init__(self, symbol: nn.Module, channels: Sequence[bool] | None = None) -> None:
        super().__init__()
        self.symbol = symbol
        self.channels = None if channels is None else list(channels)

    @abstractmethod
    def kept(self, kappa: Float[Tensor, "D *K"]) -> Bool[Tensor, "..."]:
        """χ(κ)."""

    def forward(
        self, kappa: Float[Tensor, "D *K"], gamma: Float[Tensor, "b P"] = NO_GAMMA
    ) -> Inexact[Tensor, "R b H *K"]:
        """χ(κ) ĝ(κ)."""
        return torch.where(self.kept(kappa), self.symbol(kappa, gamma), 0)


class Conservative(Masked):
    """Symbol with g(0) = 0, so that the mean of u is constant: g(κ) = χ(κ) ĝ(κ) (Eq. 15).

    Args:
        symbol: ĝ.
        channels: whether each of its channels conserves; by default all.
    """

    def kept(self, kappa: Float[Tensor, "D *K"]) -> Bool[Tensor, "..."]:
        """χ(κ): not at κ = 0, and elsewhere."""
        return _or_free(kappa.abs().sum(0) > 0, self.channels)


class Banded(Masked):
    """Symbol with g(κ) = 0 for waves that the data do not contain: g(κ) = χ(κ) ĝ(κ).

    The data do not determine how such waves change, and without the limit a network may let them grow.

    Args:
        symbol: ĝ.
        highest: largest |κ| of the data along each axis.
        channels: whether each of its channels is limited; by default all.
    """

    def __init__(self, symbol: nn.Module, highest: Sequence[float], channels: Sequence[bool] | None = None) -> None:
        super().__init__(symbol, channels)
        self.highest = list(highest)

    def kept(self, kappa: Float[Tensor, "D *K"]) -> Bool[Tensor, "..."]:
        """χ(κ): |κ| along each axis is no larger than in the data, up to rounding."""
        lines = zip(kappa, self.highest, strict=True)
        return _or_free(torch.stack([line.abs() <= 1.0001 * most for line, most in lines]).all(0), self.channels)


def _or_free(kept: Bool[Tensor, "*K"], channels: Sequence[bool] | None) -> Bool[Tensor, "..."]:
    """χ of each channel; 1 of those that the bias leaves free."""
    if channels is None:
        return kept
    return kept | ~torch.tensor(channels, device=kept.device).view(-1, *[1] * kept.ndim)


class Isotropic(nn.Module):
    """Symbol that depends on |κ| only, g(κ) = ĝ(|κ|), so that the operator commutes with rotations (Eq. 14).

    A real operator that is also isotropic has a real symbol, because g(−κ) = g(κ)*; `complex_symbol` keeps the
    imaginary part of ĝ, as the formula is printed.
    """

    def __init__(self, symbol: nn.Module, complex_symbol: bool = False) -> None:
        super().__init__()
        self.symbol = symbol
        self.complex_symbol = complex_symbol
        self._seen: Tensor | None = None

    def _shells(self, kappa: Tensor) -> tuple[Tensor, Tensor]:
        """Distinct |κ| and which of them each mode has; found once, since a basis keeps its wavenumbers."""
        if self._seen is not kappa:
            self._moduli, self._index = shells(kappa)
            self._seen = kappa
        return self._moduli, self._index

    def forward(
        self, kappa: Float[Tensor, "D *K"], gamma: Float[Tensor, "b P"] = NO_GAMMA
    ) -> Inexact[Tensor, "R b H *K"]:
        """ĝ, evaluated only at the distinct values of |κ|."""
        moduli, index = self._shells(kappa)
        g = self.symbol(moduli, gamma)
        return (g if self.complex_symbol else g.real)[..., index]


def shells(kappa: Float[Tensor, "D *K"]) -> tuple[Float[Tensor, "1 S"], Tensor]:
    """The distinct values of |κ|, and for each mode the index of its value."""
    squares = kappa.double().square().sum(0)
    unit = squares[squares > 0].min()  # |κ|² of equal shells differs by rounding only
    distinct, index = torch.unique((squares / unit * 1e6).round(), return_inverse=True)
    return (distinct * (unit / 1e6)).sqrt().to(kappa.dtype)[None], index


class Odd(nn.Module):
    """Nonlinearity with h(−u) = −h(u): if u solves the equation, so does −u (Sec. 3, reflection).

    For one field, h(u) = sign(u) (ĥ(|u|) − ĥ(0)). The form of the paper, sign(u) ĥ(|u|), jumps at u = 0 if ĥ(0) ≠ 0;
    `jump` keeps it. For several fields, those given by `fields` change sign together (momenta change sign in a mirror,
    densities do not), and h_i(σu) = σ_i h_i(u) with h_i(u) = (ĥ_i(u) + σ_i ĥ_i(σu))/2.

    Args:
        nonlinearity: ĥ.
        jump: use the form of the paper, for one field.
        fields: for several fields, whether each changes sign; by default all do.
        channels: the same for the channels of ĥ.
    """

    def __init__(
        self,
        nonlinearity: nn.Module,
        jump: bool = False,
        fields: Sequence[bool] | None = None,
        channels: Sequence[bool] | None = None,
    ) -> None:
        super().__init__()
        self.nonlinearity = nonlinearity
        self.jump = jump
        self.fields, self.channels = fields, channels

    def forward(
        self, u: Float[Tensor, "r B C *X"], gamma: Float[Tensor, "b P"] = NO_GAMMA
    ) -> Float[Tensor, "R B H *X"]:
        """h(u), odd in u."""
        inner = [1] * (u.ndim - 3)
        if u.shape[2] > 1:
            mirrored = self.nonlinearity(u * _signs(self.fields, u).view(-1, *inner), gamma)
            return (self.nonlinearity(u, gamma) + _signs(self.channels, u).view(-1, *inner) * mirrored) / 2
        h = self.nonlinearity(u.abs(), gamma)
        if not self.jump:
            h = h - self.nonlinearity(u.new_zeros(1, gamma.shape[0], 1, *inner), gamma)
        return torch.sign(u) * h


def _signs(flipped: Sequence[bool] | None, u: Tensor) -> Tensor:
    """−1 for what changes sign and 1 for what does not; −1 for all by default."""
    return u.new_tensor(-1.0) if flipped is None else u.new_tensor([-1.0 if flip else 1.0 for flip in flipped])


class Monotone(nn.Module):
    """Nonlinearity with 0 ≤ h′ ≤ 1 everywhere: h(u) = ∫₀ᵘ σ(ĥ(v)) dv with the logistic function σ, for one field.

    With a symbol |1 + g| ≤ 1, each linearized mode is stable by construction, because 1 + g h′ lies on the straight
    line between 1 and 1 + g, so that |1 + g h′| ≤ 1. The bound on the slope of h is no restriction, because a factor
    can be moved to g (gauge). The slope is piecewise linear between nodes and constant beyond them, so that the bounds
    hold exactly.

    Args:
        nonlinearity: ĥ, u (1, 1, 1, P) ↦ (R, 1, 1, P).
        reach: the nodes lie between −reach and reach, in the unit of the input.
        even: whether ĥ is taken at |v|, which makes h odd.
    """

    NODES = 257

    def __init__(self, nonlinearity: nn.Module, reach: float, even: bool = False) -> None:
        super().__init__()
        self.nonlinearity = nonlinearity
        self.reach = reach
        self.even = even

    def forward(
        self, u: Float[Tensor, "r B 1 *X"], gamma: Float[Tensor, "b P"] = NO_GAMMA
    ) -> Float[Tensor, "R B 1 *X"]:
        """h(u), of slope between 0 and 1."""
        v = torch.linspace(-self.reach, self.reach, self.NODES, dtype=u.dtype, device=u.device)
        slope = torch.sigmoid(self.nonlinearity((v.abs() if self.even else v).view(1, 1, 1, -1))[:, 0, 0])
        spacing = 2 * self.reach / (self.NODES - 1)
        areas = (slope[:, 1:] + slope[:, :-1]) * (spacing / 2)
        integral = nn.functional.pad(areas.cumsum(1), (1, 0))
        integral = integral - integral[:, self.NODES // 2, None]  # h(0) = 0, at the middle node
        points = u.expand(len(slope), *u.shape[1:]).reshape(len(slope), -1)
        inside = points.clamp(-self.reach, self.reach)
        position = (inside + self.reach) / spacing
        node = position.detach().floor().clamp(0, self.NODES - 2).long()
        w = position - node
        left, right = slope.gather(1, node), slope.gather(1, node + 1)
        h = integral.gather(1, node) + spacing * w * (left + w * (right - left) / 2)
        ends = torch.where(points > 0, slope[:, -1:], slope[:, :1])
        return (h + ends * (points - inside)).view(len(slope), *u.shape[1:])
