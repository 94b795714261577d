"""What it takes to compute on other devices than the CPU."""

from collections.abc import Sequence

import torch
from jaxtyping import Inexact
from torch import Tensor


def check_device(device: str) -> None:
    """Refuse a device that is not there.

    Raises:
        ValueError: with its name.
    """
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device {device!r} is not there, expected cpu or an accelerator that torch finds") from error


def some_fields(u: Inexact[Tensor, "r B C *X"], places: Sequence[int]) -> Inexact[Tensor, "r B c *X"]:
    """Some of the fields, without the list of places being copied to a GPU at every call, which waits for it."""
    return torch.stack([u[:, :, place] for place in places], 2)
