"""The basis of fields between walls, from the rate at which their cosine and sine series converge."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from morlight.data.trajectory_file import TrajectoryFile
from morlight.operators import build
from morlight.operators.bases import Basis
from morlight.operators.config import OperatorConfig, Wall
from morlight.operators.description import DataDescription
from morlight.operators.grids import share_of_band
from morlight.training.least_squares.band import power
from morlight.training.least_squares.noise import noise_variance

WALLS: tuple[Wall, Wall] = ("cosine", "sine")
CLEAR = 1.5  # ratio of the energies of the short waves from which one basis is the better one
ALGEBRAIC = 1 / 40  # energy of a mode over that of one of half its κ, of a field with a slope or a value at a wall
NOISY = 4.0  # times the noise, energy of short waves that carry a signal
ROUNDING = 1e-9  # of the energy, below which short waves say nothing


def wall_bases(
    file: TrajectoryFile, names: Sequence[str], u: Float[Tensor, "B T C *X"], known: Mapping[str, Wall], *, noisy: bool
) -> dict[str, Wall]:
    """The basis of each field between walls; none without walls.

    Args:
        file: of the fields.
        names: of the fields.
        u: values.
        known: bases that are given.
        noisy: whether the fields are counts, of which only the means over time are examined.

    Raises:
        ValueError: if a field has both a value and a slope at the walls.
    """
    if "WALL" not in file.grid.boundaries:
        return {}
    cosine, sine = (build.basis(file.grid, wall).double() for wall in WALLS)
    u = u.mean((0, 1), keepdim=True) if noisy else u
    bases: dict[str, Wall] = {}
    for c, name in enumerate(names):
        best = None if name in known else _best(u[:, :, c : c + 1], cosine, sine)
        if best is not None and not best.fits:
            raise ValueError(
                f"{file.path}: field '{name}' neither vanishes at the walls (basis sine) nor has zero slope there"
                " (cosine); subtract a steady profile with the same values at the walls, or choose one by `morlight"
                f" suggest {file.path} --basis {name}=cosine`, and for networks robin (slip) or legendre"
            )
        bases[name] = known[name] if best is None else best.wall
    return bases


def other_bases(config: OperatorConfig, data: DataDescription, u: Float[Tensor, "B T C *X"]) -> str:
    """Setting with the bases that suit the values at the walls, if a configuration has others; otherwise empty.

    Args:
        config: with the bases of the fields.
        data: names of the fields, and their grid.
        u: values.
    """
    if "WALL" not in data.grid.boundaries:
        return ""
    cosine, sine = (build.basis(data.grid, wall).double() for wall in WALLS)
    words = []
    for c, name in enumerate(data.field_names):
        best = _best(u[:, :, c : c + 1].double(), cosine, sine)
        if name not in config.walls and best.clear and best.fits and best.wall != config.wall(name):
            words.append(f"{name}: {best.wall}")
    return f"model.bases {{{', '.join(words)}}}" if words else ""


class _Best(NamedTuple):
    """The better of two bases, whether it is clearly the better one, and whether the field fits into it."""

    wall: Wall
    clear: bool
    fits: bool


def _best(u: Float[Tensor, "B T 1 *X"], cosine: Basis, sine: Basis) -> _Best:
    tails = {"cosine": _tail(cosine, u), "sine": _tail(sine, u)}
    wall: Wall = "sine" if tails["sine"][1] * CLEAR < tails["cosine"][1] else "cosine"
    other = "cosine" if wall == "sine" else "sine"
    longer, shorter = tails[wall]
    noise = noise_variance(sine if wall == "sine" else cosine, u)[0] if u.shape[1] > 1 else shorter
    seen = shorter > NOISY * noise and shorter > ROUNDING * float(u.square().mean())
    return _Best(wall, shorter * CLEAR < tails[other][1], not (seen and shorter > ALGEBRAIC * longer))


def _tail(basis: Basis, u: Float[Tensor, "B T 1 *X"]) -> tuple[float, float]:
    """Mean energy of a mode in the last two octaves before the shortest fifth of the waves, longer waves first."""
    energy, share = power(basis, u)[0], share_of_band(basis)
    longer, shorter = (share > 0.2) & (share < 0.4), (share > 0.4) & (share < 0.8)
    return float(energy[longer].mean()), float(energy[shorter].mean())
