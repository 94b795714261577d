"""Constants of modules that are held in double precision."""

from collections.abc import Callable

import torch
from jaxtyping import Float64
from torch import Tensor, nn


class Exact(nn.Module):
    """Constants that are rounded from double precision whenever the module changes its precision."""

    def __init__(self) -> None:
        super().__init__()
        self._exact: dict[str, Tensor] = {}

    def hold(self, **constants: Float64[Tensor, "..."]) -> None:
        """Buffers of these names, in no checkpoint since they follow from the constructor's arguments."""
        for name, value in constants.items():
            self.register_buffer(name, value.to(torch.get_default_dtype()), persistent=False)
            self._exact[name] = value

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Exact":
        super()._apply(fn, recurse)
        for name, value in self._exact.items():
            setattr(self, name, value.to(getattr(self, name)))
        return self
