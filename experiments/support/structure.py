"""Static and dynamic structure of a periodic Lennard-Jones fluid in equilibrium, from its atoms and from fields.

With the atoms' density and current in Fourier space, ρ_k = Σ exp(−ik·x) and j_k = Σ v exp(−ik·x),

    F(k, t) = ⟨ρ_k(t) ρ_k*(0)⟩/N,   C_L(k, t) = ⟨k̂·j_k(t) k̂·j_k*(0)⟩/N,   C_T(k, t) = ⟨j_k(t)·j_k*(0)⟩/N across k,

and S(k) = F(k, 0). dynasor (pip install dynasor) computes them from dumps of atoms.
"""

import importlib.util
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Complex, Float, Int
from scipy.optimize import curve_fit

from experiments.support.lammps_runs import finished_run
from morlight.data.particles import kernels, lammps_dump
from morlight.data.particles.frames import Frame
from morlight.data.trajectory_file import TrajectoryFile, digest
from morlight.data.trajectory_writer import write
from morlight.data.whole_file import whole_file
from morlight.operators.description import Grid
from morlight.simulate.lammps import TIMESTEP

DECK = Path(__file__).with_name("decks") / "structure.in"
DENSITY, LENGTH, SIDE, ATOMS = 0.1, 60.0, 8.0, 2880  # as in the deck
EVERY, FRAMES = 400, 600  # steps from frame to frame, and frames after the first, as in the deck
POINTS = 16
FIELDS = {"density": (), "energy": ("v_energy",), "momentum_x": ("vx",), "momentum_y": ("vy",)}


@dataclass(frozen=True)
class Structure:
    """Correlation functions F, C_L and C_T, in the mean over all wave vectors of one length in the plane of x and y.

    Attributes:
        kappa: |k|.
        times: t.
        functions: F(k, t), C_L(k, t) and C_T(k, t).
    """

    kappa: Float[np.ndarray, " K"]
    times: Float[np.ndarray, " T"]
    functions: Float[np.ndarray, "3 K T"]


@dataclass(frozen=True)
class LongWave:
    """Damping and sound of one |k|.

    Attributes:
        viscosity: ν of C_T ∝ exp(−νk²t).
        speed: c of C_L ∝ exp(−Γk²t) cos(ckt).
        attenuation: Γ.
    """

    viscosity: float
    speed: float
    attenuation: float


def simulate(folder: Path, seeds: Sequence[int]) -> list[Path]:
    """Dumps of runs in equilibrium with these seeds, carried out where they are not finished."""
    places = [finished_run(folder / f"seed{seed}", DECK, {"density": DENSITY, "seed": seed}) for seed in seeds]
    return [place / "atoms.dump.gz" for place in places]


def deposited(dumps: Sequence[Path], path: Path, every: int) -> Path:
    """File of the Fourier modes of density, energy and momentum in every so many frames of some dumps.

    It is made unless it is there, of these frames of the dumps as they are now.
    """
    made_of = {"every": every, "dumps": [digest(dump) for dump in dumps]}
    if path.exists() and TrajectoryFile.open(path).attributes.get("made_of") == made_of:
        return path
    columns = ["x", "y", *(name for names in FIELDS.values() for name in names)]
    frames = [itertools.islice(lammps_dump.read(dump, columns), 0, None, every) for dump in dumps]
    u = np.stack([np.stack([_fields(frame) for frame in each]) for each in frames])
    names = list(FIELDS)
    write(
        path,
        name=path.stem,
        fields={name: u[:, :, place] for place, name in enumerate(names)},
        grid=Grid((POINTS, POINTS), (LENGTH, LENGTH), ("PERIODIC", "PERIODIC")),
        times=np.arange(u.shape[1]) * every * EVERY * TIMESTEP,
        provenance={"generator": "lammps structure", "deck": DECK.read_text(encoding="utf-8"), "made_of": made_of},
        overwrite=True,
    )
    return path


def _fields(frame: Frame) -> Float[np.ndarray, "F X Y"]:
    """Densities of the four fields in one frame, without modes beyond the Nyquist wavenumber."""
    columns = [frame.column(name[0]) if name else np.ones(len(frame)) for name in FIELDS.values()]
    positions, weights = (
        torch.from_numpy(np.stack(each)) for each in ((frame.column("x"), frame.column("y")), columns)
    )
    size, length, boundaries = (POINTS, POINTS), (LENGTH, LENGTH), ("PERIODIC", "PERIODIC")
    return kernels.sums(positions, weights, size, length, boundaries, "spectral").numpy() / SIDE


def wave_vectors(largest: float) -> Int[np.ndarray, "2 n"]:
    """Wave vectors in the plane, in units of 2π/L, one of each pair k and −k, up to some length."""
    reach = np.arange(-int(largest), int(largest) + 1)
    p, q = np.meshgrid(reach, reach, indexing="ij")
    half = ((q > 0) | ((q == 0) & (p > 0))) & (p**2 + q**2 <= largest**2)
    return np.stack([p[half], q[half]])


def check_dynasor() -> None:
    """Refuse to begin without dynasor.

    Raises:
        ValueError: if it is not installed.
    """
    if importlib.util.find_spec("dynasor") is None:
        raise ValueError(
            "dynasor is not installed, which computes structure factors: pip install 'morlight[transport]'"
        )


def of_atoms(dump: Path, largest: float, lags: int) -> list[Structure]:
    """From both halves of a dump, by dynasor, which takes σ for Å and τ for fs; kept beside the dump.

    C_T is the mean over both directions across k, one of which is z.
    """
    found = []
    for half in range(2):
        kept = dump.with_name(f"structure_{half}_{largest:g}_{lags}.npz")
        if not kept.exists() or kept.stat().st_mtime_ns <= dump.stat().st_mtime_ns:
            one = _by_dynasor(dump, half, wave_vectors(largest), lags)
            with whole_file(kept) as draft, open(draft, "wb") as file:
                np.savez(file, kappa=one.kappa, times=one.times, functions=one.functions)
        with np.load(kept) as arrays:
            found.append(Structure(**arrays))
    return found


def _by_dynasor(dump: Path, half: int, vectors: Int[np.ndarray, "2 n"], lags: int) -> Structure:
    from dynasor import Trajectory, compute_dynamic_structure_factors
    from dynasor.logging_tools import set_logging_level

    set_logging_level("WARNING")
    points = np.zeros((vectors.shape[1], 3))
    points[:, :2] = math.tau / LENGTH * vectors.T
    start, stop = half * FRAMES // 2, (half + 1) * FRAMES // 2
    atoms = Trajectory(
        str(dump), trajectory_format="lammps_internal", length_unit="Angstrom", time_unit="fs", frame_start=start,
        frame_stop=stop,
    )  # fmt: skip
    found = compute_dynamic_structure_factors(
        atoms, points, dt=EVERY * TIMESTEP, window_size=lags, calculate_currents=True, logging_interval=0
    )
    return _by_modulus(vectors, found.time, found.Fqt_coh, found.Clqt, found.Ctqt)


def of_fields(u: Float[np.ndarray, "n T 3 X Y"], dt: float, largest: float, lags: int) -> Structure:
    """From density, momentum_x and momentum_y."""
    vectors = wave_vectors(largest)
    modes = np.fft.fft2(u)[..., vectors[0], vectors[1]] * (LENGTH**2 * SIDE / POINTS**2)
    k = vectors / np.hypot(*vectors)
    density, x, y = modes[:, :, 0], modes[:, :, 1], modes[:, :, 2]
    along, across = k[0] * x + k[1] * y, k[0] * y - k[1] * x
    each = [_correlation(c, lags) / ATOMS for c in (density, along, across)]
    return _by_modulus(vectors, dt * np.arange(lags + 1), *each)


def _correlation(c: Complex[np.ndarray, "n T k"], lags: int) -> Float[np.ndarray, "k L"]:
    """Mean of Re c(t) c*(0) over all origins of time."""
    T = c.shape[1]
    return np.stack([(c[:, lag:] * c[:, : T - lag].conj()).real.mean((0, 1)) for lag in range(lags + 1)], 1)


def _by_modulus(vectors: Int[np.ndarray, "2 n"], times: np.ndarray, *functions: Float[np.ndarray, "n T"]) -> Structure:
    squares = (vectors**2).sum(0)
    kinds = np.unique(squares)
    means = [np.stack([each[squares == kind].mean(0) for kind in kinds]) for each in functions]
    return Structure(math.tau / LENGTH * np.sqrt(kinds), times, np.stack(means))


def long_wave(found: Structure, place: int) -> LongWave:
    """ν, c and Γ of one |k|, by least squares from the first frame after t = 0 on; the stress has then followed."""
    k, t = found.kappa[place], found.times[1:]
    _, along, across = found.functions[:, place, 1:] / found.functions[:, place, :1]
    (_, rate), _ = curve_fit(lambda t, size, rate: size * np.exp(-rate * t), t, across, p0=(1.0, 2.5 * k**2))

    def sound(t: np.ndarray, size: float, damping: float, frequency: float, phase: float) -> np.ndarray:
        return size * np.exp(-damping * t) * np.cos(frequency * t + phase)

    (_, damping, frequency, _), _ = curve_fit(sound, t, along, p0=(1.0, 3 * k**2, 1.9 * k, 0.0))
    return LongWave(float(rate / k**2), float(frequency / k), float(damping / k**2))
