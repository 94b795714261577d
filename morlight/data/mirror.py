"""Mirror symmetry x → L − x between two walls: each run counts together with its mirror image.

Between two equal walls, and with a force that does not change in the mirror, the statistics of a fluid are those of its
mirror image,

    ⟨u(x)⟩ = s ⟨u(L − x)⟩,    s = 1 (even) or −1 (odd).

Scalars and the momentum along the flow are even; a component across the channel is odd. Half the difference of a run
and its image is noise, and the mean (u(x) + s u(L − x))/2 does not have it.

Operators on sines and cosines commute with the mirror, so that images as further samples would not change a fit: the
images are averaged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from morlight.data.trajectory_file import Contents

ATTRIBUTE = "mirror"  # of a file: the parity of each field; no field, where the walls or the forces differ
SIGNS = {"even": 1, "odd": -1}
SURE = 1e-3  # probability of an asymmetry as large by chance


@dataclass(frozen=True)
class Asymmetry:
    """Size of the mean of (u(x) − s u(L − x))/2 over independent runs, compared with the scatter of the runs.

    Attributes:
        ratio: ‖Σ a‖² / Σ ‖a‖² of the time averages a of the runs; 1 on average in symmetric data.
        runs: S.
    """

    ratio: float
    runs: int

    @property
    def probability(self) -> float:
        """That symmetric data have a ratio as large, (1 − ratio/S)^(S − 1).

        This is the F distribution of noise in two long waves with 2 and 2(S − 1) degrees of freedom.
        """
        return max(0.0, 1 - self.ratio / self.runs) ** (self.runs - 1)


def parities(contents: Contents, fields: Sequence[str], wanted: bool | Mapping[str, str]) -> tuple[int, ...]:
    """Signs s of some fields, as the file or the user states them; none where no mirror is wanted.

    Raises:
        ValueError: naming the file and the reason, where the file states no symmetry or none of one of the fields.
    """
    if not wanted:
        return ()
    stated = contents.attributes.get(ATTRIBUTE)
    if contents.grid.boundaries != ("WALL",):
        axes = contents.grid.dimensions
        here = f"{axes} axes" if axes > 1 else "one axis without walls"
        raise ValueError(
            f"{contents.path}: data.mirror is set, which needs fields along one axis between two walls, but the file"
            f" has {here}; expected data.mirror to be left out"
        )
    if stated == {}:
        raise ValueError(
            f"{contents.path}: data.mirror is set, but the file states that its walls or its forces are not symmetric"
        )
    unknown = () if wanted is True else [name for name in wanted if name not in contents.fields]
    if unknown:
        raise ValueError(
            f"{contents.path}: data.mirror names {', '.join(unknown)}, expected fields of the file:"
            f" {', '.join(contents.fields)}"
        )
    told = stated if wanted is True else wanted
    if not isinstance(told, Mapping):
        raise ValueError(
            f"{contents.path}: data.mirror is true, but the file does not state the parity of its fields; expected"
            " data.mirror to state it, such as {density: even, momentum: even}, if walls and forces are symmetric"
        )
    return tuple(_sign(contents, name, told) for name in fields)


def _sign(contents: Contents, field: str, told: Mapping[str, str]) -> int:
    """That of a field, or of the sum `a+b` of fields of one parity."""
    words = {told.get(name, "not stated") for name in field.split("+")}
    word = words.pop()
    if words or word not in SIGNS:
        raise ValueError(
            f"{contents.path}: the parity of field '{field}' in data.mirror is {' and '.join([word, *words])},"
            " expected even or odd"
        )
    return SIGNS[word]


def symmetric(u: Float[np.ndarray, "*lead C X"], signs: Sequence[int]) -> Float[np.ndarray, "*lead C X"]:
    """Means (u(x) + s u(L − x))/2 of fields and their mirror images."""
    return (u + np.array(signs, u.dtype)[:, None] * u[..., ::-1]) / 2


def asymmetry(u: Float[np.ndarray, "S T C X"], signs: Sequence[int]) -> list[Asymmetry]:
    """How far the mean over the runs differs from its mirror image, for each field."""
    u = u.astype(np.float64)
    size = np.sqrt(np.square(u).mean((1, 3), keepdims=True)).clip(np.finfo(np.float64).tiny)
    a = ((u - symmetric(u, signs)) / size).mean(1)
    noise = np.square(a).sum((0, 2))
    ratios = np.square(a.sum(0)).sum(1) / noise.clip(np.finfo(np.float64).tiny)
    return [Asymmetry(float(ratio), len(u)) for ratio in ratios]


def check(contents: Contents, fields: Sequence[str], u: Float[np.ndarray, "S T C X"], signs: Sequence[int]) -> None:
    """Refuse data that contradict a stated symmetry.

    Raises:
        ValueError: naming the file, the field and the size of its asymmetry.
    """
    for name, found in zip(fields, asymmetry(u, signs), strict=True):
        if found.probability < SURE:
            raise ValueError(
                f"{contents.path}: field '{name}' differs from its mirror image: the squared mean of the difference is"
                f" {found.ratio:.3g} times that of noise, which has a probability of {found.probability:.1g};"
                " expected data.mirror only with equal walls and symmetric forces"
            )
