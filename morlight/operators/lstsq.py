"""Linear least squares that give the same numbers each time."""

import torch
from jaxtyping import Inexact
from torch import Tensor


def lstsq(A: Inexact[Tensor, "*b M N"], y: Inexact[Tensor, "*b M K"]) -> Inexact[Tensor, "*b N K"]:
    """x of least ‖Ax − y‖; of all such x, on the CPU, the smallest.

    The method that torch chooses on the CPU, gelsy, reads memory that it has not set: its rounding changes from call to
    call, and sometimes its rank (pytorch issues 71222, 187411). On CUDA there is one method, for columns that are
    independent.
    """
    return torch.linalg.lstsq(A, y, driver="gels" if A.is_cuda else "gelsd").solution
