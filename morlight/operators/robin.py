"""Walls with a slip length b: u = b ∂ₙu at a wall, with the normal n into the domain (Robin; in fluids, Navier).

The eigenfunctions of −∂ₓ² on [0, L] with slip lengths b₋ and b₊ are sines that vanish a distance φ/κ behind the walls,

    s_n(x) = sin(κ_n x + φ₋),    tan φ∓ = b∓ κ_n,    κ_n L + φ₋ + φ₊ = nπ,    n = 1, 2, …

which are the sines of walls without slip for b = 0, and cosines for b → ∞. With x_j = (j + ½) L/N,

    u_j = Σ_{n ≤ N} c_n s_n(x_j)/(2 Σ_i s_n(x_i)²),

where Π is the inverse of this matrix; at the N points, the N functions are almost orthogonal (the condition number of
the normalized matrix is below 1.4). Coefficients have the normalization of `Sine` and `Cosine`. Slip lengths are
learned, for each realization, or given.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Inexact
from torch import Tensor, nn

from morlight.operators.bases import Axis, Basis, Length, Points, sides

START = 0.1  # b/L before training
RATE = 5.0  # of ln b beside other parameters, which change by the learning rate in a step
SHORTEST, LONGEST = 1e-6, 1e6  # b/L
ITERATIONS = 6  # 5 give κ to rounding for all b from 0 to 10¹³ L and 300 modes


@dataclass(frozen=True)
class Eigenfunctions:
    """Π and Π⁻¹ at R pairs of slip lengths.

    Attributes:
        kappa: κ_n.
        analysis: u (…, N) to c.
        synthesis: c to u.
    """

    kappa: Float[Tensor, "R N"]
    analysis: Float[Tensor, "R N N"]
    synthesis: Float[Tensor, "R N N"]

    def forward(self, u: Float[Tensor, "*u"]) -> Float[Tensor, "*c"]:
        """Coefficients Π u."""
        return _by_realization(u, self.analysis)

    def inverse(self, c: Float[Tensor, "*c"]) -> Float[Tensor, "*u"]:
        """Values Π⁻¹ c."""
        return _by_realization(c, self.synthesis)

    def filtered(self, v: Float[Tensor, "r B H N"], g: Float[Tensor, "R b h N"], fields: int) -> Float[Tensor, "..."]:
        """Π⁻¹ Σ_k g_k Π v_k, as for `Basis`."""
        c = g * self.forward(v)
        return self.inverse(c if c.shape[2] == fields else c.unflatten(2, (fields, -1)).sum(3))

    def symbol(self, g: Callable[[Tensor], Tensor]) -> Float[Tensor, "R b H N"]:
        """g of each realization at its own wavenumbers."""
        return at_own(g(self.kappa[None]))


class Robin(Basis):
    """Fields with u = b ∂ₙu at two walls, on one axis.

    Args:
        points: N.
        length: L.
        slip: b at both walls, or one for both; None where it is learned.
        realizations: R, number of slip lengths that are learned side by side.

    Attributes:
        log_slip: ln(b/L)/RATE of the learned slip lengths; None if all are given.
    """

    start: Float[Tensor, "1 2"]

    def __init__(
        self,
        points: Points,
        length: Length,
        slip: Sequence[float | None] = (None, None),
        realizations: int = 1,
    ) -> None:
        [(N, L)] = sides(points, length)
        start = torch.tensor([[START * L if b is None else b for b in slip]], dtype=torch.float64).expand(1, 2)
        x = (torch.arange(N, dtype=torch.float64) + 0.5) * (L / N)
        kappa, samples = eigenfunctions(start, N, L)
        super().__init__([Axis(L, x, kappa[0], L / N / (4 * samples[0].square().sum(1)), torch.ones_like(x))])
        self.hold(start=start)
        self.given = tuple(slip)
        learned = sum(b is None for b in slip)
        self.log_slip = nn.Parameter(torch.full((realizations, learned), math.log(START) / RATE)) if learned else None

    @property
    def slip(self) -> Float64[Tensor, "R 2"]:
        """b at x = 0 and at x = L, in the unit of length."""
        if self.log_slip is None:
            return self.start.double()
        learned = self.length[0] * (RATE * self.log_slip.double()).exp().clamp(SHORTEST, LONGEST)
        columns = iter(learned.unbind(1))
        slip = [next(columns) if b is None else learned.new_full((len(learned),), b) for b in self.given]
        return torch.stack(slip, 1).expand(-1, 2)

    @property
    def reference(self) -> "Robin":
        """The basis at the slip lengths before training, which all realizations share."""
        return self._at(self._exact["start"][0].tolist())

    @property
    def middle(self) -> "Robin":
        """The basis at the geometric means of the slip lengths over the realizations."""
        return self._at(self.slip.detach().log().mean(0).exp().tolist())

    def _at(self, slip: Sequence[float]) -> "Robin":
        return Robin(self.points, self.length, slip).to(self.coordinates)

    def with_points(self, points: Points) -> "Robin":
        """The same slip lengths on another grid."""
        finer = Robin(points, self.length, self.given, 1 if self.log_slip is None else len(self.log_slip))
        if self.log_slip is not None and finer.log_slip is not None:
            finer.log_slip = nn.Parameter(self.log_slip.detach().clone(), self.log_slip.requires_grad)
        return finer

    def evaluated(self) -> Eigenfunctions:
        """Π at the present slip lengths."""
        return self._in(self.coordinates.dtype)

    def _in(self, dtype: torch.dtype) -> Eigenfunctions:
        kappa, samples = eigenfunctions(self.slip, self.points[0], self.length[0])
        synthesis = samples / (2 * samples.square().sum(2, keepdim=True))
        analysis = torch.linalg.inv_ex(synthesis).inverse  # which always exists
        return Eigenfunctions(kappa.to(dtype), analysis.to(dtype), synthesis.to(dtype))

    def forward(self, u: Float[Tensor, "*u"]) -> Float[Tensor, "*c"]:
        return self._in(u.dtype).forward(u)

    def inverse(self, c: Inexact[Tensor, "*c"]) -> Float[Tensor, "*u"]:
        return self._in(c.dtype).inverse(c)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, slip={self.given}"


def at_own(g: Float[Tensor, "r b H R N"]) -> Float[Tensor, "S b H N"]:
    """A symbol of each realization at its own wavenumbers, from that at those of all."""
    R = g.shape[3]
    if R == 1:
        return g.squeeze(3)
    return g.expand(R, *g.shape[1:]).diagonal(dim1=0, dim2=3).movedim(-1, 0)


def eigenfunctions(
    slip: Float64[Tensor, "R 2"], points: int, length: float
) -> tuple[Float64[Tensor, "R N"], Float64[Tensor, "R N N"]]:
    """κ_n, and s_n(x_j) in the row n and the column j, differentiable in the slip lengths.

    Args:
        slip: b at both walls.
        points: N.
        length: L.
    """
    beta = slip[..., None] / length
    q = _roots(points, beta)
    excess, slope = _excess(q, beta)
    q = q - excess / slope.detach()  # a last step of Newton, which carries the derivative
    x = (torch.arange(points, dtype=slip.dtype, device=slip.device) + 0.5) / points
    return q / length, torch.sin(q[..., None] * x + torch.atan(beta[:, 0] * q)[..., None])


def _excess(
    q: Float64[Tensor, "R N"], beta: Float64[Tensor, "R 2 1"]
) -> tuple[Float64[Tensor, "R N"], Float64[Tensor, "R N"]]:
    """q + φ₋ + φ₊ − nπ for q = κL and β = b/L, and its derivative by q."""
    n = torch.arange(1, q.shape[1] + 1, dtype=q.dtype, device=q.device)
    tangents = beta * q[:, None]
    return q + torch.atan(tangents).sum(1) - n * math.pi, 1 + (beta / (1 + tangents.square())).sum(1)


@torch.no_grad()
def _roots(points: int, beta: Float64[Tensor, "R 2 1"]) -> Float64[Tensor, "R N"]:
    """q_n between (n − 1)π and nπ, by Newton's method from below, as q + φ₋ + φ₊ is concave."""
    q = (torch.arange(points, dtype=beta.dtype, device=beta.device) * math.pi).repeat(len(beta), 1)
    # of bounds by π/2 − atan(y) ≥ 1/(y + 2/π), at both walls and at that with the shorter slip length
    both = 2 / (1 / math.pi + (1 / math.pi**2 + 2 * beta.amax(1)).sqrt())
    one = 1 / (1 / math.pi + (1 / math.pi**2 + beta.amin(1)).sqrt())
    q[:, :1] = torch.maximum(both, one)
    for _ in range(ITERATIONS):
        excess, slope = _excess(q, beta)
        q = q - excess / slope
    return q


def _by_realization(u: Float[Tensor, "*u"], matrix: Float[Tensor, "R N N"]) -> Float[Tensor, "*v"]:
    """u @ matrix along the last axis, each realization by its own; of one realization, over any leading axes."""
    if len(matrix) == 1:
        return (u.reshape(-1, u.shape[-1]) @ matrix[0]).view(u.shape)
    u = u.expand(len(matrix), *u.shape[1:])
    return torch.bmm(u.flatten(1, -2), matrix).view(u.shape)
