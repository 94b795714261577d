"""The basis of fields between walls, from how fast their series of cosines and of sines fall off."""

from collections.abc import Mapping, Sequence

from jaxtyping import Float
from torch import Tensor

from morlight.data.trajectory_file import TrajectoryFile
from morlight.operators import build
from morlight.operators.bases import Basis
from morlight.operators.config import Wall
from morlight.training.least_squares.band import power, share_of_band
from morlight.training.least_squares.noise import noise_variance

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
        known: bases that need not be found.
        noisy: whether the fields are counts, of which only the means over time are looked at.

    Raises:
        ValueError: where a field has both a value and a slope at the walls.
    """
    if "WALL" not in file.grid.boundaries:
        return {}
    cosine, sine = (build.basis(file.grid, wall).double() for wall in ("cosine", "sine"))
    u = u.mean((0, 1), keepdim=True) if noisy else u
    bases: dict[str, Wall] = {}
    for c, name in enumerate(names):
        bases[name] = known[name] if name in known else _better(file, name, u[:, :, c : c + 1], cosine, sine)
    return bases


def _better(file: TrajectoryFile, name: str, u: Float[Tensor, "B T 1 *X"], cosine: Basis, sine: Basis) -> Wall:
    tails = {"cosine": _tail(cosine, u), "sine": _tail(sine, u)}
    best: Wall = "sine" if tails["sine"][1] * CLEAR < tails["cosine"][1] else "cosine"
    longer, shorter = tails[best]
    basis = sine if best == "sine" else cosine
    noise = noise_variance(basis, u)[0] if u.shape[1] > 1 else shorter
    seen = shorter > NOISY * noise and shorter > ROUNDING * float(u.square().mean())
    if seen and shorter > ALGEBRAIC * longer:
        raise ValueError(
            f"{file.path}: field '{name}' neither vanishes at the walls (basis sine) nor has zero slope there (cosine);"
            f" subtract a steady profile with the same values at the walls, or say which: `morlight suggest"
            f" {file.path} --basis {name}=cosine`, or legendre for networks"
        )
    return best


def _tail(basis: Basis, u: Float[Tensor, "B T 1 *X"]) -> tuple[float, float]:
    """Mean energy of a mode in the last two octaves but one, and in the last one, without the shortest waves."""
    energy, share = power(basis, u)[0], share_of_band(basis)
    longer, shorter = (share > 0.2) & (share < 0.4), (share > 0.4) & (share < 0.8)
    return float(energy[longer].mean()), float(energy[shorter].mean())
