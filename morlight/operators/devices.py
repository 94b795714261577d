"""Devices on which torch computes."""

import torch


def check_device(device: str) -> None:
    """Refuse a device that is not there.

    Raises:
        ValueError: with its name.
    """
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device {device!r} is not there, expected cpu or an accelerator that torch finds") from error
