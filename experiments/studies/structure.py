"""Static and dynamic structure of a Lennard-Jones fluid in equilibrium: roll-outs with noise beside the atoms.

    python -m experiments.studies.structure FOLDER

carries out the runs of LAMMPS that are missing in the folder, learns operators with noise from the fields of some runs,
and compares their roll-outs with the atoms of the other runs, whose correlation functions dynasor computes (pip install
'morlight[transport]'). It prints the tables and makes the figure of docs/fluctuations.md.
"""

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.support import structure
from experiments.support.equilibrium import Measured
from experiments.support.fits import Fit
from experiments.support.results import FIGURES, write
from experiments.support.structure import LongWave, Structure
from experiments.support.study import Study
from experiments.support.tables import table
from morlight.analysis.model import Model
from morlight.analysis.noise import inspect_noise
from morlight.data.trajectory_file import TrajectoryFile

LEARNED_FROM, HELD_OUT = (1, 2, 3), (7, 8)  # seeds
EVERY = 2  # frames of the dumps from frame to frame of the fields: Δt = 4 τ
LARGEST = 4.0  # |k| in units of 2π/L
LAGS = 40  # frames of the dumps
MODELS: Mapping[str, Mapping[str, object]] = {
    "one step": {},
    "four steps": {"model.horizons": [4]},
    "one step, without energy": {"data.fields": ["density", "momentum_x", "momentum_y"]},
}
SETTINGS = {"model.fluctuations": True, "model.realizations": 2, "model.horizons": [1], "trainer.max_epochs": 5}
SHOWN = ("density", "momentum_x", "momentum_y")
MEMBERS, SETTLED, STEPS = 4, 100, 200  # of each run and realization; steps before and after equilibrium
LONGEST = 3  # |k| whose damping and sound are compared
NAMES = ("F(k, t)/F(k, 0)", "C_L(k, t)/C_L(k, 0)", "C_T(k, t)/C_T(k, 0)")


@dataclass(frozen=True)
class Rolled:
    """Structure in roll-outs of one model.

    Attributes:
        kappa: |k|.
        times: t.
        functions: F(k, t), C_L(k, t) and C_T(k, t).
        ratios: [ratio, standard error] of the noise of each field and the noise that its damping needs, by `morlight
            inspect`; empty if not known.
        lags: [correlation, standard error] of the residuals, one step apart and two steps apart.
    """

    kappa: list[float]
    times: list[float]
    functions: list[list[list[float]]]
    ratios: dict[str, list[float]]
    lags: list[list[float]]

    @property
    def structure(self) -> Structure:
        """As arrays."""
        return Structure(np.array(self.kappa), np.array(self.times), np.array(self.functions))


def rolled(model: Model, starts: Path) -> Rolled:
    """Roll-outs with noise, from the first frames of a file."""
    names, noise = model.data.field_names, inspect_noise(model)
    assert noise is not None
    u = TrajectoryFile.open(starts).read(names)[:, 0].astype(np.float64)
    frames = model.predict(u, SETTLED + STEPS, fluctuations=MEMBERS)[:, :, :, SETTLED:]
    each = frames.reshape(-1, *frames.shape[3:])[:, :, [names.index(name) for name in SHOWN]]
    found = structure.of_fields(each, model.dt, LARGEST, LAGS // EVERY)
    ratios = {name: field.balance for name, field in noise.fields.items()}
    return Rolled(
        found.kappa.tolist(),
        found.times.tolist(),
        found.functions.tolist(),
        {name: [] if ratio is None else [ratio.value, ratio.error] for name, ratio in ratios.items()},
        [list(lag) for lag in noise.lags],
    )


def measured(values: Sequence[float] | Float[np.ndarray, " n"]) -> Measured:
    """Mean and standard error over halves of runs."""
    each = np.asarray(values)
    return Measured(float(each.mean()), float(each.std(ddof=1) / math.sqrt(len(each))))


def fields_of(path: Path) -> list[Structure]:
    """Structure of the fields in both halves of each trajectory."""
    file = TrajectoryFile.open(path)
    u = file.read(SHOWN).astype(np.float64)
    halves = np.split(u[:, : len(file.times) // 2 * 2], 2, 1)
    return [structure.of_fields(each[None], file.dt, LARGEST, LAGS // EVERY) for half in halves for each in half]


def static(atoms: Mapping[str, Sequence[Structure]], models: Mapping[str, Rolled]) -> str:
    """Table of equal-time values, in the mean over the band, and the ratios that `morlight inspect` prints."""
    rows = []
    for name, runs in atoms.items():
        means = [measured([each.functions[place, :, 0].mean() for each in runs]) for place in range(3)]
        rows.append([name, *map(str, means), ""])
    for name, each in models.items():
        values = each.structure.functions[:, :, 0].mean(1)
        ratios = ", ".join(str(Measured(*each.ratios[field])) for field in SHOWN[:2] if each.ratios[field])
        rows.append([name, *(f"{value:.3f}" for value in values), ratios])
    return table(["", "S", "C_L(k, 0)", "C_T(k, 0)", "ratios of density and momentum"], rows)


def dynamic(atoms: Sequence[Structure], models: Mapping[str, Rolled]) -> str:
    """Table of damping and sound of the longest waves."""
    rows = []
    for place in range(LONGEST):
        of_atoms = [structure.long_wave(each, place) for each in atoms]
        values = [str(measured([getattr(each, key) for each in of_atoms])) for key in LongWave.__annotations__]
        rows.append([f"{atoms[0].kappa[place]:.3f}", "atoms", *values])
        for name, each in models.items():
            found = structure.long_wave(each.structure, place)
            rows.append(["", name, *(f"{getattr(found, key):.2f}" for key in LongWave.__annotations__)])
    return table(["k (1/σ)", "", "ν (σ²/τ)", "c (σ/τ)", "Γ (σ²/τ)"], rows)


def figure(atoms: Sequence[Structure], models: Mapping[str, Rolled], path: Path) -> None:
    """Equal-time values over k, and the three functions over time at two k."""
    drawing = Figure((9, 6.4), layout="constrained")
    (first, *others) = drawing.subplots(2, 2).flat
    _static(first, atoms, models)
    for which, axes in enumerate(others):
        _dynamic(axes, which, atoms, models)
    drawing.savefig(path, dpi=110)


def _static(axes: Axes, atoms: Sequence[Structure], models: Mapping[str, Rolled]) -> None:
    kappa, each = atoms[0].kappa, np.stack([one.functions[:, :, 0] for one in atoms])
    error = each.std(0, ddof=1) / math.sqrt(len(each))
    for which, (name, color) in enumerate((("S(k)", "C0"), ("C_L(k, 0)", "C1"), ("C_T(k, 0)", "C2"))):
        axes.errorbar(kappa, each.mean(0)[which], error[which], fmt="-", color=color, lw=1, capsize=2, label=name)
        for marker, one in zip("ox^", models.values(), strict=True):
            axes.plot(kappa, one.structure.functions[which, :, 0], marker, color=color, ms=4, fillstyle="none")
    axes.set(xlabel="k (1/σ)", ylabel="S(k);  C_L(k, 0), C_T(k, 0) (σ²/τ²)", ylim=(0, None))
    axes.legend(frameon=False, fontsize="small")


def _dynamic(axes: Axes, which: int, atoms: Sequence[Structure], models: Mapping[str, Rolled]) -> None:
    for color, place in (("C3", 0), ("C4", 2)):
        each = np.stack([one.functions[which, place] / one.functions[which, place, 0] for one in atoms])
        mean, error = each.mean(0), each.std(0, ddof=1) / math.sqrt(len(each))
        axes.plot(atoms[0].times, mean, color=color, lw=1, label=f"atoms, k = {atoms[0].kappa[place]:.2f}")
        axes.fill_between(atoms[0].times, mean - error, mean + error, color=color, alpha=0.2, lw=0)
        for marker, (name, one) in zip("ox^", models.items(), strict=True):
            line = one.structure.functions[which, place]
            label = name if place == 0 else None
            axes.plot(one.times, line / line[0], marker, color=color, ms=4, fillstyle="none", label=label)
    axes.axhline(0, color="gray", lw=0.5)
    axes.set(xlabel="t (τ)", ylabel=NAMES[which])
    if which == 0:
        axes.legend(frameon=False, fontsize="x-small")


def _rounded(each: Rolled) -> list[list[list[float]]]:
    """Correlation functions with the digits that mean anything."""
    return np.round(each.functions, 3).tolist()


def main(words: Sequence[str] | None = None) -> None:
    """Runs, fits, tables and figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of the runs and files")
    folder = parser.parse_args(words).folder
    try:
        structure.check_dynasor()
    except ValueError as error:
        parser.error(str(error))
    learned_from, held_out = (structure.simulate(folder, seeds) for seeds in (LEARNED_FROM, HELD_OUT))
    fields = structure.deposited(learned_from, folder / "learned_from.h5", EVERY)
    atoms = [half for dump in held_out for half in structure.of_atoms(dump, LARGEST, LAGS)]
    study = Study("structure", "paper", Rolled)
    fits = {name: Fit("plane", str(fields.resolve()), {**SETTINGS, **changes}) for name, changes in MODELS.items()}
    models = {name: study.fit(name, fit, partial(rolled, starts=fields)).measured for name, fit in fits.items()}
    mean = np.mean([each.functions for each in atoms], 0)
    shown = Rolled(atoms[0].kappa.tolist(), atoms[0].times.tolist(), mean.tolist(), {}, [])
    kept = {"atoms": shown, **models}
    write("structure", {name: asdict(each) | {"functions": _rounded(each)} for name, each in kept.items()})
    figure(atoms, models, FIGURES / "structure.png")
    runs = {"atoms, held out": atoms, "fields that were learned from": fields_of(fields)}
    print("\n\n".join([static(runs, models), dynamic(atoms, models)]))


if __name__ == "__main__":
    main()
