"""How much of what the data say of the exponent a fit uses: flights of single sets, each fitted by itself.

    python -m experiments.studies.levy_information FLIGHTS.h5 RESULTS.jsonl [--sets 100] [--KEY VALUE …]

FLIGHTS.h5 is of `morlight simulate levy --deposit fourier`; further options are those of `morlight fit`. A second call
continues where the first one stopped, and prints a table. The scatter of the exponents over the sets is compared with
the bound of Cramér and Rao for modes that do not know of each other. With
λ = exp(−c|κ|^α Δt), amplitudes a of the density and P flights, a pair of frames tells of c and α by each mode

    2 P E|a|² ∇λ ∇λᵀ/(1 − λ²)  (decay)  +  4 λ² ∇λ ∇λᵀ/(1 − λ²)²  (size of the fluctuations).
"""

import argparse
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from experiments.support import json_lines
from experiments.support.fits import untracked_file
from experiments.support.tables import table
from morlight.analysis.equations.choice import choose
from morlight.analysis.equations.forms import Form
from morlight.analysis.model import Model
from morlight.data.trajectory_file import TrajectoryFile
from morlight.data.trajectory_writer import write


@dataclass(frozen=True)
class Single:
    """One set.

    Attributes:
        value: α of the closed form; NaN if none is justified.
        error: its standard error due to the data, as the fit states it.
        bounds: least standard error of α, by the decay alone and by the size of the fluctuations as well.
    """

    value: float
    error: float
    bounds: tuple[float, float]


def exponent(model: Model) -> tuple[float, float]:
    """α of the closed form and its standard error due to the data; NaN if none is justified."""
    chosen = choose(model, 0)
    if isinstance(chosen, str) or not isinstance(chosen.form, Form):
        return math.nan, math.nan
    return chosen.form.exponent.value, chosen.form.exponent.data


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


def measured(file: TrajectoryFile, row: int, settings: Mapping[str, Any], folder: Path) -> Single:
    """A fit of one set, and the bounds."""
    u = file.read(["density"], slice(row, row + 1))[:, :, 0]
    about = {name: file.attributes[name] for name in ("generator", "generator_version", "generator_parameters")}
    path = folder / "one.h5"
    write(path, name="levy", fields={"density": u}, grid=file.grid, times=file.times, provenance=about, overwrite=True)
    model = untracked_file(path, {"model.realizations": 1, **settings}, "levy")
    return Single(*exponent(model), bounds(file, row))


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit each set by itself, and compare the scatter of the exponents with the bounds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("flights", type=Path)
    parser.add_argument("results", type=Path, help="JSON lines, which are continued")
    parser.add_argument("--sets", type=int, default=100)
    options, more = parser.parse_known_args(arguments)
    changes = {key.removeprefix("--"): value for key, value in zip(more[::2], more[1::2], strict=True)}
    file = TrajectoryFile.open(options.flights)
    done = len(json_lines.read(options.results))
    with tempfile.TemporaryDirectory() as folder:
        for row in range(done, options.sets):
            json_lines.append(options.results, asdict(measured(file, row, changes, Path(folder))))
    found = [Single(**line) for line in json_lines.read(options.results)]
    print(summary(found, file.attributes["generator_parameters"]["alpha"]))


def summary(found: Sequence[Single], alpha: float) -> str:
    """Scatter, stated errors, bounds, and the share of the information that is used."""
    values, count = np.array([each.value for each in found]), len(found)
    scatter = float(np.sqrt(((values - alpha) ** 2).mean()))
    stated = float(np.sqrt(np.mean([each.error**2 for each in found])))
    by_decay, by_both = np.sqrt((np.array([each.bounds for each in found]) ** 2).mean(0))
    share = (by_both / scatter) ** 2
    rows = [
        ("mean exponent", f"{values.mean():.5f} ± {values.std(ddof=1) / count**0.5:.5f}"),
        ("deviation from the true exponent, rms", f"{scatter:.5f} ± {scatter / (2 * count) ** 0.5:.5f}"),
        ("standard error that the fit states, rms", f"{stated:.5f}"),
        ("bound, decay alone", f"{by_decay:.5f}"),
        ("bound, decay and fluctuations", f"{by_both:.5f}"),
        ("share of the information that the fit uses", f"{share:.2f} ± {share * (2 / count) ** 0.5:.2f}"),
    ]
    return table(["for one set", f"from {count} sets"], rows)


if __name__ == "__main__":
    main()
