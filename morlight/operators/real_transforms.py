"""Cosine and sine transforms along the last axes, normalized as in `bases`.

The real transforms cost one FFT of N points (Makhoul 1980). With V the FFT of v = (u_0, u_2, …, u_3, u_1) and
w_k = 2 exp(−iπk/2N), the cosine coefficients are c_k = Re w_k V_k and c_{N−k} = −Im w_k V_k. And since
sin(πk x_j/L) = (−1)ʲ cos(π(N−k) x_j/L), sine coefficient k of u_j is cosine coefficient N−k of (−1)ʲ u_j.
"""

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from morlight.operators.exact import Exact

# Up to here the matrix of a real transform beats its FFT. Forward, inverse and their gradients, (20, 100, N),
# one core of an EPYC, ms by FFT and by matrix, in float32 and in float64: N = 20 0.56, 0.12 and 0.66, 0.31;
# N = 96 1.6, 1.4 and 2.7, 2.5; N = 128 2.0, 2.4 and 3.6, 5.3. Fourier gains nothing, at N = 32 0.22, 0.25 and
# 0.27, 0.62, and has none.
MATRIX_POINTS = 96


class AlongAxes(Exact):
    """A real transform along each of the last axes; of few points by its matrix.

    The matrix transforms the unit vectors. Fields of another precision than the module's do without it.
    """

    def __init__(self, transform: Callable[[Tensor], Tensor], points: Sequence[int]) -> None:
        super().__init__()
        self.transform = transform
        self.last = tuple(range(-len(points), 0))
        small = {N for N in points if N <= MATRIX_POINTS}
        self.hold(**{f"matrix_{N}": transform(torch.eye(N, dtype=torch.float64, device="cpu")) for N in small})

    def forward(self, u: Float[Tensor, "*u"]) -> Float[Tensor, "*u"]:
        for place in self.last:
            u = u.movedim(place, -1)
            matrix = getattr(self, f"matrix_{u.shape[-1]}", None)
            if matrix is None or matrix.dtype != u.dtype:
                u = self.transform(u)
            else:  # one product of matrices, where `u @ matrix` makes one for each row of a u that is not contiguous
                u = (u.reshape(-1, u.shape[-1]) @ matrix).view(u.shape)
            u = u.movedim(-1, place)
        return u


def dct(u: Float[Tensor, "*u"]) -> Float[Tensor, "*u"]:
    """Coefficients of the cosine series along the last axis, by FFT."""
    N = u.shape[-1]
    V = torch.fft.rfft(torch.cat([u[..., ::2], u[..., 1::2].flip(-1)], -1))
    c = 2 * _half_cell(N, u).conj() * V
    return torch.cat([c.real, -c.imag[..., 1 : (N + 1) // 2].flip(-1)], -1)


def idct(c: Float[Tensor, "*c"]) -> Float[Tensor, "*c"]:
    """Values of the cosine series along the last axis, by FFT."""
    N, K, half = c.shape[-1], c.shape[-1] // 2 + 1, (c.shape[-1] + 1) // 2
    mirrored = nn.functional.pad(c[..., N - K + 1 :].flip(-1), (1, 0))  # c_{N−k}, where c_N = 0
    v = torch.fft.irfft(_half_cell(N, c) / 2 * torch.complex(c[..., :K], -mirrored), n=N)
    odd = nn.functional.pad(v[..., half:].flip(-1), (0, N % 2))
    return torch.stack([v[..., :half], odd], -1).flatten(-2)[..., :N]


def dst(u: Float[Tensor, "*u"]) -> Float[Tensor, "*u"]:
    """Coefficients of the sine series along the last axis, by FFT."""
    return dct(_alternate(u)).flip(-1)


def idst(c: Float[Tensor, "*c"]) -> Float[Tensor, "*c"]:
    """Values of the sine series along the last axis, by FFT."""
    return _alternate(idct(c.flip(-1)))


def _half_cell(N: int, like: Tensor) -> Complex[Tensor, " K"]:
    """exp(iπk/2N) for the modes of rfft."""
    angle = torch.arange(N // 2 + 1, dtype=like.dtype, device=like.device) * (math.pi / 2 / N)
    return torch.polar(torch.ones_like(angle), angle)


def _alternate(u: Float[Tensor, "*u"]) -> Float[Tensor, "*u"]:
    """(−1)ʲ u_j."""
    return u * (1 - 2 * (torch.arange(u.shape[-1], device=u.device) % 2))
