"""How much of what the data say of the exponent a fit uses: flights of single sets, each fitted by itself.

    python -m experiments.studies.levy_information FLIGHTS.h5 [--sets 12] [--KEY VALUE …]

FLIGHTS.h5 is of `morlight simulate levy --deposit fourier`; further options are those of `morlight fit`. The scatter of
the exponents over the sets is compared with the bound of Cramér and Rao for modes that do not know of each other. With
λ = exp(−c|κ|^α Δt), amplitudes a of the density and P flights, a pair of frames tells of c and α by each mode

    2 P E|a|² ∇λ ∇λᵀ/(1 − λ²)  (decay)  +  4 λ² ∇λ ∇λᵀ/(1 − λ²)²  (size of the fluctuations).
"""

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from experiments.support.fits import Fit
from experiments.support.study import Study
from experiments.support.tables import table
from morlight.analysis.equations.choice import choose
from morlight.analysis.equations.forms import Form
from morlight.analysis.model import Model
from morlight.data.trajectory_file import TrajectoryFile
from morlight.data.trajectory_writer import write

ALL = {"data.validation": 0.0, "data.test": 0.0}


@dataclass(frozen=True)
class Exponent:
    """What was read off one set.

    Attributes:
        value: α, the mean over the realizations; NaN where no closed form is justified.
        error: its standard error due to the data, as the fit states it.
    """

    value: float
    error: float

    @classmethod
    def of(cls, model: Model) -> "Exponent":
        """The exponent of the closed form."""
        chosen = choose(model, 0)
        if isinstance(chosen, str) or not isinstance(chosen.form, Form):
            return cls(math.nan, math.nan)
        return cls(chosen.form.exponent.value, chosen.form.exponent.data)


def bounds(file: TrajectoryFile, row: int) -> tuple[float, float]:
    """Least standard error of α from one set, by the decay alone and by the size of the fluctuations as well."""
    settings = file.attributes["generator_parameters"]
    alpha, P = settings["alpha"], settings["walkers"]
    axes = [np.fft.fftfreq(n, 1 / n) for n in file.grid.points]
    modulus = np.sqrt(sum(k**2 for k in np.meshgrid(*axes, indexing="ij")))
    nyquist = np.add.outer(*(2 * np.abs(k) >= n for k, n in zip(axes, file.grid.points, strict=True))) > 0
    used = (modulus > 0) & ~nyquist
    frames = file.read(["density"], slice(row, row + 1))[0, :-1, 0].astype(np.float64)
    power = np.zeros(modulus.shape)
    for u in frames:
        power += np.abs(np.fft.fft2(u, norm="forward")) ** 2 / len(frames)
    k, decay = modulus[used], np.exp(-(modulus[used] ** alpha) * file.dt)
    slopes = np.stack([np.log(k), np.ones_like(k)]) * decay * np.log(decay)  # by α and by ln c
    left = 1 - decay**2
    of_decay, of_size = 2 * P * power[used] / left, 4 * decay**2 / left**2
    pairs = len(frames) / 2  # of both modes ±κ, which are one complex number
    return _error(slopes, pairs * of_decay), _error(slopes, pairs * (of_decay + of_size))


def _error(slopes: Float[np.ndarray, "2 K"], weight: Float[np.ndarray, " K"]) -> float:
    return float(np.sqrt(np.linalg.inv((slopes * weight) @ slopes.T)[0, 0]))


def single(file: TrajectoryFile, row: int, path: Path) -> Path:
    """One set as a file of its own."""
    u = file.read(["density"], slice(row, row + 1))[:, :, 0]
    about = {name: file.attributes[name] for name in ("generator", "generator_version", "generator_parameters")}
    write(path, name="levy", fields={"density": u}, grid=file.grid, times=file.times, provenance=about, overwrite=True)
    return path


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit each set by itself, and compare the scatter of the exponents with the bounds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("flights", type=Path)
    parser.add_argument("--sets", type=int, default=12)
    options, more = parser.parse_known_args(arguments)
    changes = {key.removeprefix("--"): value for key, value in zip(more[::2], more[1::2], strict=True)}
    study, file = Study("levy_information", "paper", Exponent), TrajectoryFile.open(options.flights)
    found, limits = [], []
    for row in range(options.sets):
        limits.append(bounds(file, row))
        path = study.folder / "one.h5"
        fit = Fit("levy", str(path), {**ALL, "model.realizations": 3, **changes})
        key = f"{options.flights.stem}/{row}" + "".join(f"/{name}={value}" for name, value in changes.items())
        single(file, row, path)
        found.append(study.fit(key, fit, Exponent.of).measured)
    print(summary(found, np.array(limits), file.attributes["generator_parameters"]["alpha"]))


def summary(found: Sequence[Exponent], limits: Float[np.ndarray, "S 2"], alpha: float) -> str:
    """Scatter, stated errors, bounds, and the share of the information that is used."""
    values = np.array([each.value for each in found])
    scatter, count = float(np.sqrt(((values - alpha) ** 2).mean())), len(values)
    by_decay, by_both = np.sqrt((limits**2).mean(0))
    rows = [
        ("mean exponent", f"{values.mean():.5f} ± {values.std(ddof=1) / count**0.5:.5f}"),
        ("deviation from the true exponent, root mean square", f"{scatter:.5f} ({100 / (2 * count) ** 0.5:.0f} %)"),
        ("standard error that the fit states", f"{np.mean([each.error for each in found]):.5f}"),
        ("bound, by the decay alone", f"{by_decay:.5f}"),
        ("bound, by decay and fluctuations", f"{by_both:.5f}"),
        ("share of all information that the fit uses", f"{(by_both / scatter) ** 2:.2f}"),
    ]
    return table(["of one set", f"{count} sets"], rows)


if __name__ == "__main__":
    main()
