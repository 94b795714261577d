"""Independent random walkers on a periodic box, counted at every step (Sec. 5.2).

Positions are 32-bit integers with 2³² = 2π: the periodic wrap is the overflow of the addition, exact and free,
and cells are exact. The rounding, 1.5e-9, is far below any step.
"""

import math
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int, Num
from torch import Tensor
from tqdm import tqdm

from morlight import __version__
from morlight.data.particles import kernels as deposit
from morlight.data.particles.cell_sums import cell_sums
from morlight.data.trajectory_file import Contents
from morlight.data.trajectory_writer import Parts
from morlight.operators.description import Grid
from morlight.operators.devices import check_device
from morlight.simulate.stable import TURN, Steps

COMPONENTS = 5  # of the von Mises mixture (Eq. 22)
DEPOSITS = ("histogram", "fourier", "linear")
BLOCK = 32_768  # walkers moved at once: what they need stays in the cache of a core, and torch spreads no threads
MOST = 2**31
SETS = 10**6  # each is a file of its own until all are there
CROWDED = 100  # times the mean count: more than the densest cell of the initial densities has


@dataclass(frozen=True)
class Walkers:
    """Settings of a simulation; the defaults are those of Sec. 5.2.1, Brownian walkers on a line.

    Attributes:
        sets: trajectories, each with an initial density of its own.
        walkers: in each set.
        steps: time steps; every one becomes a frame, after the initial one.
        bins: cells of [0, 2π) along each axis.
        dt: Δt of a step.
        deposit: histogram, fourier or linear (see `morlight.data.particles.kernels`).
        alpha: α of the increments, E exp(ikX) = exp(−Δt|k|^α); 2 for Brownian motion.
        drift: mean velocity along each axis.
        anisotropy: β of the initial densities in the plane, 0 alike along both axes, 1 uniform along x.
        shared_component: whether x and y of a walker come from the same component of the mixture, in the plane.
    """

    sets: int = 100
    walkers: int = 51_200
    steps: int = 1000
    bins: int = 256
    dt: float = 1e-3
    deposit: str = "histogram"
    alpha: float = 2.0
    drift: tuple[float, ...] = (0.0,)
    anisotropy: float = 0.0
    shared_component: bool = False

    def __post_init__(self) -> None:
        for name, least, most in (("sets", 1, SETS), ("walkers", 1, MOST), ("steps", 1, MOST), ("bins", 2, MOST)):
            if not least <= getattr(self, name) < most:
                raise ValueError(f"{name} is {getattr(self, name)}, expected at least {least} and less than {most}")
        if not 0 < self.dt < math.inf:
            raise ValueError(f"dt is {self.dt}, expected a positive time")
        if self.deposit not in DEPOSITS:
            raise ValueError(f"deposit is {self.deposit!r}, expected {' or '.join(DEPOSITS)}")
        if not 0 < self.alpha <= 2:
            raise ValueError(f"alpha is {self.alpha}, expected more than 0 and at most 2")
        if not 0 <= self.anisotropy <= 1:
            raise ValueError(f"anisotropy is {self.anisotropy}, expected 0 to 1")
        if self.dimensions not in deposit.FINER or not all(map(math.isfinite, self.drift)):
            raise ValueError(f"drift is {self.drift}, expected one velocity for each of one or two axes")

    @property
    def dimensions(self) -> int:
        """Number of axes: one velocity for each."""
        return len(self.drift)


PLANE = Walkers(walkers=819_200, bins=64, alpha=1.5, drift=(0.0, 0.0))  # Sec. 5.2.3


def brownian(
    path: str | Path, setting: Walkers | None = None, *, seed: int = 0, device: str = "cpu", overwrite: bool = False
) -> None:
    """Write the densities of Brownian walkers, dX = dZ with increments N(0, 2Δt), as a trajectory file (Eq. 19).

    Args and errors as for `levy`.
    """
    _simulate("brownian", path, setting or Walkers(), seed=seed, device=device, overwrite=overwrite)


def levy(
    path: str | Path, setting: Walkers | None = None, *, seed: int = 0, device: str = "cpu", overwrite: bool = False
) -> None:
    """Write the densities of α-stable flights as a trajectory file (Eq. 19, Sec. 5.2.3).

    Each set has a stream of random numbers of its own, so that a file depends on the seed alone, not on the number
    of cores (it does depend on the kind of device). Finished sets are kept beside the file until all are there: the
    same call goes on where an earlier one was stopped.

    Args:
        path: file to write.
        setting: what to simulate; the paper's 100 sets of 819 200 flights in the plane with α = 1.5 if left out.
        seed: of all streams.
        device: of torch.
        overwrite: whether a file that is there already is replaced.

    Raises:
        ValueError: where the file cannot be written or is there already, or the device is not there.
    """
    _simulate("levy", path, setting or PLANE, seed=seed, device=device, overwrite=overwrite)


def _simulate(name: str, path: str | Path, setting: Walkers, *, seed: int, device: str, overwrite: bool) -> None:
    check_device(device)
    if seed < 0:
        raise ValueError(f"seed is {seed}, expected at least 0")
    d = setting.dimensions
    cells = setting.bins**d
    small = "int16" if CROWDED * setting.walkers < 2**15 * cells else "int32"
    dtype = small if name == "levy" and setting.deposit == "histogram" else "float32"
    unit = cells / setting.walkers if setting.deposit == "histogram" else 1.0  # the density of one count
    held = Contents(
        Path(path),
        name,
        ("density",),
        Grid((setting.bins,) * d, (2 * math.pi,) * d, ("PERIODIC",) * d),
        np.arange(setting.steps + 1) * setting.dt,
        setting.sets,
        {},
        {
            "generator": name,
            "generator_version": __version__,
            "generator_parameters": {"diffusivity": 1.0, **asdict(setting), "drift": list(setting.drift)},
            "seed": seed,
            "device": device,
        },
    )
    streams = np.random.SeedSequence(seed).spawn(setting.sets)
    workers = torch.get_num_threads() if device == "cpu" else 1
    stop = threading.Event()
    with (
        Parts(held, dtype, None if dtype == "float32" else unit, overwrite=overwrite) as parts,
        ThreadPoolExecutor(workers) as pool,
        tqdm(desc="simulating", total=setting.sets * setting.steps, unit="step", delay=1, smoothing=0.05) as bar,
    ):
        bar.update(setting.steps * (setting.sets - len(parts.missing)))

        def simulate(trajectory: int) -> None:
            u = np.empty((setting.steps + 1, *held.grid.points), dtype)
            for step, frame in enumerate(_Set(streams[trajectory], setting, device).frames()):
                if stop.is_set():
                    return
                u[step] = frame * unit if dtype == "float32" else frame
                bar.update(step > 0)
            parts.put(trajectory, {"density": u})

        try:
            for task in as_completed([pool.submit(simulate, trajectory) for trajectory in parts.missing]):
                task.result()
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise


class _Set:
    """Walkers of one set on their way."""

    def __init__(self, stream: np.random.SeedSequence, setting: Walkers, device: str) -> None:
        rng = np.random.default_rng(stream)
        generator = torch.Generator(device).manual_seed(int(rng.integers(2**63)))
        x = mixture(rng, setting.walkers) if setting.dimensions == 1 else plane(rng, setting)
        self.x = fixed_point(np.atleast_2d(x)).to(device)
        self.blocks = self.x.split(BLOCK if device == "cpu" else setting.walkers, 1)
        self.steps = setting.steps
        self.advance = Steps(setting.alpha, setting.dt, setting.drift, generator)
        self.count = _counter(setting)

    def frames(self) -> Iterator[Num[np.ndarray, "*X"]]:
        """Counts, or densities, at the start and after every step."""
        yield self.count(self.x).numpy(force=True)
        for _ in range(self.steps):
            for block in self.blocks:
                self.advance(block)
            yield self.count(self.x).numpy(force=True)


def mixture(rng: np.random.Generator, walkers: int) -> Float[np.ndarray, " walkers"]:
    """Positions in (−π, π] from a mixture of five von Mises densities, drawn anew for each set (Eq. 22).

    Concentrations are uniform in [5, 10], mean directions in [0, 2π), as in Sec. 5.2.1.
    """
    concentration, mean = rng.uniform(5, 10, COMPONENTS), rng.uniform(0, 2 * math.pi, COMPONENTS)
    component = rng.integers(COMPONENTS, size=walkers)
    return rng.vonmises(mean[component] - math.pi, concentration[component])


def plane(rng: np.random.Generator, setting: Walkers) -> Float[np.ndarray, "2 walkers"]:
    """Positions in (−π, π]², x and y each from a mixture of five von Mises densities of its own (Eq. 24).

    Concentrations are uniform in [1, 10], those along x times 1 − β; mean directions in [0, 2π), as in Sec. 5.2.3.
    """
    concentration, mean = rng.uniform(1, 10, (2, COMPONENTS)), rng.uniform(0, 2 * math.pi, (2, COMPONENTS))
    concentration[0] *= 1 - setting.anisotropy
    component = rng.integers(COMPONENTS, size=(1 if setting.shared_component else 2, setting.walkers))
    component = np.broadcast_to(component, (2, setting.walkers))
    along = np.arange(2)[:, None]
    return rng.vonmises(mean[along, component] - math.pi, concentration[along, component])


def fixed_point(x: Float[np.ndarray, "*P"]) -> Int[Tensor, "*P"]:
    """Positions in (−π, π] as integers, −2³¹ at −π."""
    return torch.from_numpy(np.clip(np.round(x / (2 * math.pi) * TURN), -(2**31), 2**31 - 1).astype(np.int32))


def _counter(setting: Walkers) -> Callable[[Int[Tensor, "D walkers"]], Num[Tensor, "*X"]]:
    """Counts in the cells for the histogram, a density of mean 1 for the other deposits, of integer positions."""
    d, N = setting.dimensions, setting.bins
    if setting.deposit == "linear":
        return lambda x: deposit.cloud(x.double() + TURN / 2, (N,) * d, (TURN,) * d)
    cells = (N * deposit.FINER[d] if setting.deposit == "fourier" else N,) * d
    ranges = [(-TURN / 2, TURN / 2)] * d
    if setting.deposit == "histogram":
        return lambda x: cell_sums(x, cells, ranges)
    unit = math.prod(cells) / setting.walkers
    return lambda x: deposit.truncate(cell_sums(x, cells, ranges) * unit, (N,) * d)
