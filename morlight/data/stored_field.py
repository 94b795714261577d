"""One field in a trajectory file: a dataset, or a component of one."""

from typing import Any, NamedTuple

import h5py
import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

SCALE = "scale_factor"  # attribute of a field stored as integers: what one of them stands for


class StoredField(NamedTuple):
    """Where the values of a field are.

    Attributes:
        dataset: (trajectory, time, *X), with one more axis for a vector.
        component: index along that axis; empty for a scalar.
        scale: of whole numbers, by which they are multiplied.
        precision: in which it is read; counts with a scale in single precision.
    """

    dataset: h5py.Dataset
    component: tuple[int, ...]
    scale: float | None
    precision: np.dtype[Any]

    @classmethod
    def of(cls, dataset: h5py.Dataset, *component: int) -> "StoredField":
        """With the scale that the dataset states."""
        scale = dataset.attrs.get(SCALE)
        return cls(dataset, component, scale, dataset.dtype if scale is None else np.dtype(np.float32))

    def read(self, trajectory: int, frames: range, out: Float[NDArray[Any], "t *X"]) -> None:
        """Values of some frames of a trajectory into one block of memory.

        This is `read_direct` without the selections of h5py, which take as long as the reading of 30 frames.

        Raises:
            OSError: if they are damaged.
        """
        ones, zeros = (1,) * len(self.component), (0,) * (out.ndim - 1)
        space = self.dataset.id.get_space()
        space.select_hyperslab(
            (trajectory, frames.start, *zeros, *self.component),
            (1, *out.shape, *ones),
            (1, frames.step, *(1 for _ in zeros), *ones),
        )
        self.dataset.id.read(h5py.h5s.create_simple(out.shape), space, out)
        if self.scale is not None:
            out *= self.scale
