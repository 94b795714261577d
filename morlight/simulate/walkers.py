"""Independent random walkers on a periodic box, counted at every step (Sec. 5.2.1, 5.2.3).

Positions are 32-bit integers with 2³² = 2π: the periodic wrap is the overflow of the addition, exact and free,
and the cell is the high bits. The rounding, 1.5e-9, is far below any step.
"""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from tqdm import tqdm

from morlight import __version__
from morlight.data import deposit
from morlight.data.trajectories import Grid, Trajectories, Writer

CIRCLE = 2.0**32  # of the integers that stand for 2π
COMPONENTS = 5  # of the von Mises mixture (Eq. 22)
OVERSAMPLING = 16  # fine cells to one of the grid for the Fourier deposit
DEPOSITS = ("histogram", "fourier")


@dataclass(frozen=True)
class Walkers:
    """What is simulated; the defaults are the paper's (Sec. 5.2.1).

    Attributes:
        sets: trajectories, each with an initial density of its own.
        walkers: in each set.
        steps: time steps; every one becomes a frame, after the initial one.
        bins: cells of [0, 2π).
        dt: Δt of a step.
        deposit: histogram, or fourier (see `morlight.data.deposit`).
    """

    sets: int = 100
    walkers: int = 51_200
    steps: int = 1000
    bins: int = 256
    dt: float = 1e-3
    deposit: str = "histogram"

    def __post_init__(self) -> None:
        for name, least in (("sets", 1), ("walkers", 1), ("steps", 1), ("bins", 2)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}, expected at least {least}")
        if not 0 < self.dt < math.inf:
            raise ValueError(f"dt is {self.dt}, expected a positive time")
        if self.deposit not in DEPOSITS:
            raise ValueError(f"deposit is {self.deposit!r}, expected {' or '.join(DEPOSITS)}")


def brownian(path: str | Path, setting: Walkers | None = None, *, seed: int = 0, device: str = "cpu") -> None:
    """Write the densities of Brownian walkers, dX = dZ with increments N(0, 2Δt), as a trajectory file (Eq. 19).

    Each set has a stream of random numbers of its own, so that a file depends on the seed alone, not on the number
    of cores (it does depend on the kind of device).

    Args:
        path: file to write.
        setting: what to simulate.
        seed: of all streams.
        device: of torch.

    Raises:
        ValueError: where the file cannot be written or the device is not there.
    """
    setting = setting or Walkers()
    _check_device(device)
    grid = Grid((setting.bins,), (2 * math.pi,), ("PERIODIC",))
    times = np.arange(setting.steps + 1) * setting.dt
    provenance = {
        "generator": "brownian",
        "generator_version": __version__,
        "generator_parameters": {"alpha": 2.0, "diffusivity": 1.0, **asdict(setting)},
        "seed": seed,
        "device": device,
    }
    held = Trajectories(Path(path), "brownian", ("density",), grid, times, setting.sets, {}, provenance)
    streams = np.random.SeedSequence(seed).spawn(setting.sets)
    workers = torch.get_num_threads() if device == "cpu" else 1
    with Writer(held) as writer, ThreadPoolExecutor(workers) as pool:
        try:
            sets = pool.map(lambda stream: _densities(stream, setting, device), streams)
            for i, u in enumerate(tqdm(sets, "simulating", setting.sets, unit="set")):
                writer.put(i, {"density": u})
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _check_device(device: str) -> None:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device {device!r} is not there, expected cpu or an accelerator that torch finds") from error


def _densities(stream: np.random.SeedSequence, setting: Walkers, device: str) -> Float[np.ndarray, "time bins"]:
    """Density of one set at every step, in single precision."""
    rng = np.random.default_rng(stream)
    generator = torch.Generator(device).manual_seed(int(rng.integers(2**63)))
    x = fixed_point(mixture(rng, setting.walkers)).to(device)
    noise = torch.empty(setting.walkers, device=device)
    scale = math.sqrt(2 * setting.dt) * CIRCLE / (2 * math.pi)
    integer = torch.int32 if scale < 2**27 else torch.int64  # steps of a whole turn would not fit 32 bits
    count = _counter(setting)
    frames = torch.empty(setting.steps + 1, setting.bins)
    frames[0] = count(x)
    for step in range(1, setting.steps + 1):
        x += noise.normal_(0, scale, generator=generator).round_().to(integer)
        frames[step] = count(x)
    return frames.numpy()


def mixture(rng: np.random.Generator, walkers: int) -> Float[np.ndarray, " walkers"]:
    """Positions in (−π, π] from a mixture of five von Mises densities, drawn anew for each set (Eq. 22).

    Concentrations are uniform in [5, 10], mean directions in [0, 2π), as in Sec. 5.2.1.
    """
    concentration, mean = rng.uniform(5, 10, COMPONENTS), rng.uniform(0, 2 * math.pi, COMPONENTS)
    component = rng.integers(COMPONENTS, size=walkers)
    return rng.vonmises(mean[component] - math.pi, concentration[component])


def fixed_point(x: Float[np.ndarray, "*P"]) -> Int[Tensor, "*P"]:
    """Positions in (−π, π] as integers, −2³¹ at −π."""
    return torch.from_numpy(np.clip(np.round(x / (2 * math.pi) * CIRCLE), -(2**31), 2**31 - 1).astype(np.int32))


def _counter(setting: Walkers) -> Callable[[Tensor], Tensor]:
    """Density of mean 1 of integer positions."""
    oversampling = OVERSAMPLING if setting.deposit == "fourier" else 1
    cells = setting.bins * oversampling
    weight = cells / setting.walkers
    bits = cells.bit_length() - 1
    power_of_two = cells == 2**bits

    def density(x: Tensor) -> Tensor:
        index = (x >> (32 - bits)) + cells // 2 if power_of_two else ((x.long() + 2**31) * cells) >> 32
        u = torch.bincount(index, minlength=cells) * weight
        return u if oversampling == 1 else deposit.truncate(u.double(), (setting.bins,))

    return density
