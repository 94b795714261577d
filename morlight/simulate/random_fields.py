"""Random Fourier fields and the exact action of an operator on them, without time (Sec. 4).

    u(x) = Σ_{|κ| ≤ band} c_κ exp(iκ·x),  c_{−κ} = c_κ*,  |c_κ| = 1,  arg c_κ ~ U[0, 2π)      (Eq. 17)

on the periodic [0, 2π)ᵈ, κ of integers, |κ| Euclidean. u is real, so c₀ is 1 or −1, each as often as the other.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import scipy.fft
from jaxtyping import Complex, Float, Int
from tqdm import tqdm

from morlight import __version__
from morlight.data.trajectory_file import Contents
from morlight.data.trajectory_writer import Writer
from morlight.operators.description import Grid

BLOCK = 2**20  # values of a field computed together, 8 MB


@dataclass(frozen=True)
class Fields:
    """Settings of the random fields; the defaults are the paper's for ∂ₓu², whose ∇²u has 128 points (Table 1).

    Attributes:
        samples: fields; 12 800 of the largest training set and 1000 held out.
        points: cells of [0, 2π) along each axis.
        band: largest |κ|.
    """

    samples: int = 13_800
    points: int = 256
    band: int = 10

    def __post_init__(self) -> None:
        for name, least in (("samples", 1), ("points", 2), ("band", 1)):
            if not least <= getattr(self, name) < 2**31:
                raise ValueError(f"{name} is {getattr(self, name)}, expected at least {least} and less than {2**31}")


def burgers(path: str | Path, setting: Fields | None = None, *, seed: int = 0, overwrite: bool = False) -> None:
    """Write random fields u on a line and the target ∂ₓu² as a trajectory file of one frame (Eq. 16, left).

    Args:
        path: file to write.
        setting: what to draw.
        seed: of the coefficients; the first samples of a larger set are those of a smaller one, and a finer grid
            holds the same functions.
        overwrite: whether a file that is there already is replaced.

    Raises:
        ValueError: where the grid does not hold u², or the file cannot be written or is there already.
    """
    setting = setting or Fields()
    _check_points(setting, 2 * setting.band, "u²")
    kappa, k = wavenumbers(setting.band, 1), np.arange(setting.points // 2 + 1)

    def pair(c: Complex[np.ndarray, "samples modes"]) -> tuple[np.ndarray, np.ndarray]:
        u = evaluate(c, kappa, setting.points)
        return u, scipy.fft.irfft(1j * k * scipy.fft.rfft(u**2), setting.points)

    _write(_held(path, ("burgers", "∂ₓu²"), 1, setting, seed), kappa, pair, overwrite=overwrite)


def laplacian(path: str | Path, setting: Fields | None = None, *, seed: int = 0, overwrite: bool = False) -> None:
    """Write random fields u in the plane and the target ∇²u as a trajectory file of one frame (Eq. 16, right).

    The arguments are those of `burgers`; by default there are 128 points along each axis.

    Raises:
        ValueError: where the grid does not hold u, or the file cannot be written or is there already.
    """
    setting = setting or Fields(points=128)
    _check_points(setting, setting.band, "u")
    kappa = wavenumbers(setting.band, 2)
    symbol = -(kappa**2).sum(axis=1)

    def pair(c: Complex[np.ndarray, "samples modes"]) -> tuple[np.ndarray, np.ndarray]:
        return evaluate(c, kappa, setting.points), evaluate(symbol * c, kappa, setting.points)

    _write(_held(path, ("laplacian", "∇²u"), 2, setting, seed), kappa, pair, overwrite=overwrite)


def wavenumbers(band: int, dimensions: int) -> Int[np.ndarray, "modes d"]:
    """0 and one of κ and −κ for each |κ| ≤ band on a line or in the plane, the last component never negative."""
    axes = [np.arange(-band, band + 1)] * dimensions
    kappa = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, dimensions)
    half = (kappa[:, -1] > 0) | (kappa[:, -1] == 0) & (kappa[:, 0] >= 0)
    return kappa[half & ((kappa**2).sum(axis=1) <= band**2)]


def coefficients(
    rng: np.random.Generator, samples: int, kappa: Int[np.ndarray, "modes d"]
) -> Complex[np.ndarray, "samples modes"]:
    """c_κ of random phase, one number drawn for each, sample after sample (Eq. 17)."""
    c = np.exp(1j * rng.uniform(0, 2 * math.pi, (samples, len(kappa))))
    zero = (kappa == 0).all(axis=1)
    c[:, zero] = np.copysign(1, c[:, zero].real)
    return c


def evaluate(
    c: Complex[np.ndarray, "samples modes"], kappa: Int[np.ndarray, "modes d"], points: int
) -> Float[np.ndarray, "samples *X"]:
    """Σ c_κ exp(iκ·x), c_{−κ} = c_κ*, at the centers xⱼ = (j + 1/2) 2π / points of the cells."""
    dimensions = kappa.shape[1]
    c = c * np.exp(1j * math.pi / points * kappa.sum(axis=1))  # transforms begin at 0, the grid at h/2
    half = np.zeros((len(c), *(points,) * (dimensions - 1), kappa[:, -1].max() + 1), complex)
    half[(slice(None), *kappa.T)] = c
    edge = kappa[:, -1] == 0  # the plane in which rfftn keeps both of κ and −κ
    half[(slice(None), *-kappa[edge].T)] = c[:, edge].conj()
    for axis in range(1, dimensions):  # before irfft pads the last axis: those columns are zero
        half = scipy.fft.ifft(half, axis=axis, norm="forward", overwrite_x=True)
    return scipy.fft.irfft(half, points, norm="forward")


def _check_points(setting: Fields, highest: int, what: str) -> None:
    if setting.points <= 2 * highest:
        raise ValueError(
            f"--points is {setting.points} at --band {setting.band}: {what} has wavenumbers up to {highest}, "
            f"expected at least {2 * highest + 1} points"
        )


def _held(path: str | Path, equation: tuple[str, str], dimensions: int, setting: Fields, seed: int) -> Contents:
    """What the file will hold, all but its fields."""
    if seed < 0:
        raise ValueError(f"seed is {seed}, expected at least 0")
    name, target = equation
    grid = Grid((setting.points,) * dimensions, (2 * math.pi,) * dimensions, ("PERIODIC",) * dimensions)
    provenance = {
        "generator": name,
        "generator_version": __version__,
        "generator_parameters": asdict(setting),
        "equation": f"target = {target}",
        "seed": seed,
    }
    return Contents(Path(path), name, ("u", "target"), grid, np.zeros(1), setting.samples, {}, provenance)


def _write(
    held: Contents,
    kappa: Int[np.ndarray, "modes d"],
    pair: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    *,
    overwrite: bool,
) -> None:
    """The file of `pair`, u and target of a block of coefficients."""
    rng = np.random.default_rng(held.attributes["seed"])
    block = max(1, BLOCK // math.prod(held.grid.points))
    with (
        Writer(held, overwrite=overwrite) as writer,
        tqdm(desc="simulating", total=held.trajectories, unit="sample") as progress,
    ):
        for start in range(0, held.trajectories, block):
            # the last block is drawn whole, so that its samples are to the last bit those of a larger set
            u, target = (values.astype("float32")[:, None] for values in pair(coefficients(rng, block, kappa)))
            for i in range(min(block, held.trajectories - start)):
                writer.put(start + i, {"u": u[i], "target": target[i]})
                progress.update()
