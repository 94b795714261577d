"""Physical biases: each wraps exactly one network and makes one symmetry or law hold whatever the weights (Sec. 3)."""

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn


class Conservative(nn.Module):
    """Symbol with g(0) = 0, so that the mean of u is constant: g(κ) = χ(κ) ĝ(κ) (Eq. 15)."""

    def __init__(self, symbol: nn.Module) -> None:
        super().__init__()
        self.symbol = symbol

    def forward(self, kappa: Float[Tensor, "D *K"]) -> Complex[Tensor, "R 1 1 *K"]:
        """χ(κ) ĝ(κ) with χ(0) = 0 and χ = 1 elsewhere."""
        return torch.where(kappa.abs().sum(0) > 0, self.symbol(kappa), 0)


class Isotropic(nn.Module):
    """Symbol of the modulus alone, g(κ) = ĝ(|κ|), so that rotations commute with the operator (Eq. 14).

    A real operator that is also isotropic has a real symbol, because g(−κ) = g(κ)*; `complex_symbol` keeps the
    imaginary part of ĝ, as the paper's formula does literally.
    """

    def __init__(self, symbol: nn.Module, complex_symbol: bool = False) -> None:
        super().__init__()
        self.symbol = symbol
        self.complex_symbol = complex_symbol
        self._seen: Tensor | None = None

    def _shells(self, kappa: Tensor) -> tuple[Tensor, Tensor]:
        """Distinct |κ| and which of them each mode has; found once, since a basis keeps its wavenumbers."""
        if self._seen is not kappa:
            squares = kappa.double().square().sum(0)
            unit = squares[squares > 0].min()  # |κ|² of equal shells differs by rounding only
            distinct, self._index = torch.unique((squares / unit * 1e6).round(), return_inverse=True)
            self._moduli = (distinct * (unit / 1e6)).sqrt().to(kappa.dtype)[None]
            self._seen = kappa
        return self._moduli, self._index

    def forward(self, kappa: Float[Tensor, "D *K"]) -> Complex[Tensor, "R 1 1 *K"]:
        """ĝ evaluated at the distinct |κ| only, then spread over the modes."""
        moduli, index = self._shells(kappa)
        g = self.symbol(moduli)
        if not self.complex_symbol:
            g = torch.complex(g.real, torch.zeros_like(g.real))
        return g[..., index]


class Odd(nn.Module):
    """Nonlinearity with h(−u) = −h(u), so that −u solves the equation where u does (Sec. 3, reflection).

    One field: h(u) = sign(u) (ĥ(|u|) − ĥ(0)); several: the odd part (ĥ(u) − ĥ(−u))/2. The paper's literal form
    sign(u) ĥ(|u|) jumps at u = 0 wherever ĥ(0) ≠ 0; `literal` keeps it.
    """

    def __init__(self, nonlinearity: nn.Module, literal: bool = False) -> None:
        super().__init__()
        self.nonlinearity = nonlinearity
        self.literal = literal

    def forward(self, u: Float[Tensor, "r B C *X"]) -> Float[Tensor, "R B C *X"]:
        """h(u), odd in u."""
        if u.shape[2] > 1:
            return (self.nonlinearity(u) - self.nonlinearity(-u)) / 2
        h = self.nonlinearity(u.abs())
        if not self.literal:
            h = h - self.nonlinearity(u.new_zeros(1, 1, 1, *[1] * (u.ndim - 3)))
        return torch.sign(u) * h
