"""Computing on devices other than the CPU."""

from collections.abc import Sequence

import torch
from jaxtyping import Inexact
from torch import Tensor


def check_device(device: str) -> None:
    """Refuse a device that torch cannot use.

    Raises:
        ValueError: if the device is not available.
    """
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device {device!r} is not available, expected cpu or an accelerator of torch") from error


def some_fields(u: Inexact[Tensor, "r B C *X"], places: Sequence[int]) -> Inexact[Tensor, "r B c *X"]:
    """Some of the fields. Indexing with a list would copy it to the GPU at every call and wait for the copy."""
    return torch.stack([u[:, :, place] for place in places], 2)
