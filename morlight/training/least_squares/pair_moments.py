"""Second moments of the modes of a field at two times."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Inexact
from torch import Tensor

from morlight.operators.bases import Basis


@dataclass(frozen=True)
class PairMoments:
    """Mean products over all pairs of frames.

    Attributes:
        first: E |û_j|².
        product: E û_j* û_{j+m}.
        last: E |û_{j+m}|².
        pairs: number of pairs.
        horizon: m.
    """

    first: Float[np.ndarray, " K"]
    product: Inexact[np.ndarray, " K"]
    last: Float[np.ndarray, " K"]
    pairs: float
    horizon: int

    @classmethod
    def of(cls, basis: Basis, u: Float[Tensor, "n *X"], later: Float[Tensor, "n *X"], horizon: int) -> "PairMoments":
        """Of some pairs of fields that are this number of steps apart."""
        before, after = (basis.forward(v.double()).flatten(1) for v in (u, later))
        products = ((before, before), (before, after), (after, after))
        first, product, last = (torch.linalg.vecdot(a, b, dim=0).numpy(force=True) / len(u) for a, b in products)
        return cls(first.real, product, last.real, float(len(u)), horizon)
