"""Viscosity and diffusivity of a Lennard-Jones fluid in equilibrium, by Green–Kubo and Einstein.

    η = V/T ∫₀^∞ ⟨σ_xy(0) σ_xy(t)⟩ dt,    D = ∫₀^∞ ⟨v(0) v(t)⟩ dt = lim ⟨Δx²⟩/2t.

STACIE (pip install stacie) fits the spectra of stress and displacements near zero frequency, and gives the standard
errors.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from experiments.support.lammps_runs import finished_run
from morlight.simulate.lammps import TIMESTEP

DECK = Path(__file__).with_name("decks") / "equilibrium.in"
ATOMS = 400  # as in the deck
STRESS_STEPS, POSITION_STEPS = 10, 200  # between two records, as in the deck
STEPS = {0.05: 1_000_000, 0.1: 1_000_000, 0.2: 800_000, 0.5: 500_000, 0.8442: 500_000}  # dilute fluids forget slowly


@dataclass(frozen=True)
class State:
    """Density and temperature of a fluid, ρ* and T*; by default the temperature of the channels."""

    density: float
    temperature: float = 2.0

    def __str__(self) -> str:
        """For names of files, with the temperature where it is another one."""
        usual = self.temperature == State.temperature
        return f"{self.density:g}" if usual else f"{self.density:g}_temperature{self.temperature:g}"


@dataclass(frozen=True)
class Measured:
    """A number with its standard error."""

    value: float
    error: float

    def __str__(self) -> str:
        """With one digit of the error, or two of one that begins with 1."""
        power = math.floor(math.log10(self.error))
        digits = max(0, (1 if self.error < 1.95 * 10**power else 0) - power)
        return f"{self.value:.{digits}f} ± {self.error:.{digits}f}"


def simulate(folder: Path, state: State) -> Path:
    """The folder of the run at a state, carried out where it is not finished."""
    variables = {"density": state.density, "temperature": state.temperature, "steps": STEPS[state.density]}
    return finished_run(folder / f"density{state}", DECK, variables)


def viscosity(place: Path, state: State) -> Measured:
    """η from the five independent components of the stress without its trace."""
    xx, yy, zz, xy, xz, yz = np.loadtxt(place / "stress.txt", usecols=range(1, 7)).T
    parts = np.stack([xy, xz, yz, (yy - zz) / 2, (2 * xx - yy - zz) / math.sqrt(12)])
    return _integral(parts, ATOMS / state.density / state.temperature, STRESS_STEPS * TIMESTEP)


def diffusivity(place: Path, state: State, eta: float) -> Measured:
    """D of an infinite system: that of the box, and the motion of its images added (Yeh and Hummer 2004)."""
    length = (ATOMS / state.density) ** (1 / 3)
    seen = _integral(velocities(place / "positions.txt"), 1.0, POSITION_STEPS * TIMESTEP)
    return Measured(seen.value - state.temperature / eta * images((length, length, length)), seen.error)


def velocities(path: Path) -> Float[np.ndarray, "series time"]:
    """Displacements from frame to frame over their time, a series for each coordinate: they keep the zero frequency."""
    with open(path, encoding="utf-8") as lines:
        rows = [line for line in lines if line.count(".") == 3]
    x = np.loadtxt(rows).reshape(-1, ATOMS * 3)
    return np.ascontiguousarray((np.diff(x, axis=0) / (POSITION_STEPS * TIMESTEP)).T)


def images(sides: tuple[float, float, float]) -> float:
    """(D_xx − D)η/T of a periodic box: the images of a particle hold it back by the flow that they cause.

    The sum over k ≠ 0 of (1 − k_x²/k²)/k² over the volume, less its integral, both damped by exp(−k²s²); s → 0.
    """
    volume, width = math.prod(sides), min(sides) / 12
    reach = [math.ceil(5 / width * side / math.tau) for side in sides]
    k = np.meshgrid(*(math.tau / L * np.arange(-n, n + 1) for n, L in zip(reach, sides, strict=True)), indexing="ij")
    square = sum(each**2 for each in k)
    square[tuple(reach)] = np.inf
    total = np.sum((1 - k[0] ** 2 / square) / square * np.exp(-np.minimum(square, 1e9) * width**2)) / volume
    integral = 2 / 3 / (4 * math.pi**1.5 * width)
    return float(total - integral - 2 / 3 * width**2 / volume)


def _integral(series: Float[np.ndarray, "series time"], prefactor: float, timestep: float) -> Measured:
    """Integral of the autocorrelation of independent series."""
    from stacie import ExpPolyModel, compute_spectrum, estimate_acint

    spectrum = compute_spectrum(series, prefactors=prefactor, timestep=timestep, include_zero_freq=False)
    found = estimate_acint(spectrum, ExpPolyModel([0, 2]))
    return Measured(float(found.acint), float(found.acint_std))
