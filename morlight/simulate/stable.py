"""Steps of isotropic α-stable flights in any number of dimensions, E exp(ik·X) = exp(−t|k|^α) (Eq. 19, Sec. 5.2.3).

    X = t^(1/α) √(2A) Z,  Z ~ N(0, I),  A > 0 with E exp(−sA) = exp(−s^a), a = α/2:

    A = sin(aU) sin(U)^(−1/a) (sin((1 − a)U) / E)^((1−a)/a),  U uniform in (0, π), E exponential

(Kanter 1975). For α = 2, A is 1, and the steps are normal with variance 2t along each axis.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

TURN = 2.0**32  # integers to one turn of the periodic box
FAR = 2.0**10  # turns, beyond which where a jump ends is as good as uniform


class Steps:
    """Draws the steps of the walkers in blocks, in buffers that are reused and fit into the cache.

    Args:
        alpha: α in (0, 2].
        time: t of a step.
        drift: velocity along each axis, whose number is that of the dimensions.
        generator: of random numbers, on the device of the walkers.
    """

    def __init__(self, alpha: float, time: float, drift: tuple[float, ...], generator: torch.Generator) -> None:
        self.alpha = alpha
        self.scale = math.sqrt(2) * time ** (1 / alpha) * TURN / (2 * math.pi)
        self.shift = [round(v * time * TURN / (2 * math.pi)) for v in drift]
        self.generator = generator
        self.buffers = torch.empty(3, 0, device=generator.device)

    def __call__(self, x: Int[Tensor, "D n"]) -> None:
        """Move walkers by one step, in place; the box wraps by the overflow of the integers."""
        if self.buffers.shape[1] < x.shape[1]:
            self.buffers = torch.empty(3, x.shape[1], device=x.device)
        size, u, noise = self.buffers[:, : x.shape[1]]
        far = None if self.alpha == 2 else self._sizes(size, u)
        for line, shift in zip(x, self.shift, strict=True):
            noise.normal_(generator=self.generator)
            noise *= self.scale if far is None else size
            line += noise.round_().to(torch.int64)
            if shift:
                line += shift
        if far is not None and len(far):
            anywhere = torch.randint(-(2**31), 2**31, (len(x), len(far)), generator=self.generator, device=x.device)
            x[:, far] = anywhere.to(torch.int32)

    def _sizes(self, size: Float[Tensor, " n"], u: Float[Tensor, " n"]) -> Int[Tensor, " far"]:
        """t^(1/α) √(2A) in integers, for steps that go nowhere near a thousand turns; the places of the others."""
        a = self.alpha / 2
        p = (1 - a) / a
        # V = π − U: the long jumps come from U near π, where single precision tells V, but not U, from its neighbors
        v = u.uniform_(generator=self.generator).add_(2.0**-25).mul_(math.pi).clamp_(max=3.1415925)
        log = (a * math.pi - a * v).sin_().log_()
        log += ((1 - a) * math.pi - (1 - a) * v).sin_().log_().mul_(p)
        log -= v.sin_().log_().mul_(1 / a)
        log -= size.uniform_(generator=self.generator).log_().neg_().log_().mul_(p)
        torch.mul(log, 0.5, out=size).exp_().mul_(self.scale)
        far = (size > FAR * TURN).nonzero()[:, 0]
        size[far] = 0
        return far
