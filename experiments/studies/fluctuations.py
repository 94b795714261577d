"""The noise of the steps: walkers and flights, channels of molecules, and shear waves of molecules.

    python -m experiments.studies.fluctuations FOLDER

learns the noise of each, and prints the tables and makes the figure of docs/fluctuations.md. The folder holds the runs
of shear waves, those of `experiments.studies.transport`; LAMMPS carries out what is missing. The channels are those of
the set `lj`, some seeds to learn from and the others to compare the ensembles with.
"""

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.support import noise, shear
from experiments.support.equilibrium import Measured, State
from experiments.support.fits import Fit
from experiments.support.noise import ChannelNoise, ShearNoise, WalkerNoise
from experiments.support.results import FIGURES, write
from experiments.support.study import Study
from experiments.support.tables import table
from morlight.data import mirror, trajectory_writer
from morlight.data.trajectory_file import TrajectoryFile, digest
from morlight.simulate.walkers import Walkers, brownian, levy

ALPHAS = (2.0, 1.5)
DENSITIES = (0.05, 0.1, 0.2, 0.5)
SETTING = Walkers(sets=40, walkers=51_200, steps=400, bins=128, deposit="fourier")
LEARN = {"model.fluctuations": True, "model.realizations": 2}
FRAMES_APART = 4.0  # τ, of the shear waves
LEARNED_FROM = (1, 2, 3)  # seeds of the channels; ensembles are compared with the others
SIGMAS = 2  # of the shaded band of the ranks


def walkers() -> dict[float, WalkerNoise]:
    """Noise of Brownian walkers and of flights on a line."""
    study = Study("fluctuations_walkers", "paper", WalkerNoise)
    found = {}
    for alpha in ALPHAS:
        simulate, name = (brownian, "brownian") if alpha == 2 else (levy, "levy")
        setting = replace(SETTING, alpha=alpha)
        paths = [study.data(simulate, setting, name=f"{name}_{seed}", seed=seed) for seed in (0, 1)]
        fit = Fit("brownian", str(paths[0].resolve()), {**LEARN, "model.optimizer": "moments"})
        measured = study.fit(name, fit, partial(noise.of_walkers, held_out=paths[1], walkers=setting.walkers))
        found[alpha] = measured.measured
    return found


def channels(folder: Path) -> ChannelNoise:
    """Ensembles of the Lennard-Jones channel, learned from some seeds, beside the runs with the other ones."""
    runs = TrajectoryFile.open("lj")
    chosen = np.isin(runs.parameters["seed"], LEARNED_FROM)
    learned_from, held_out = (_some(runs, rows, folder / f"lj_{name}.h5") for name, rows in
                              (("learned_from", chosen), ("held_out", ~chosen)))  # fmt: skip
    single_runs = {"data.ensemble": "all", "data.mirror": False, "data.held_out": {}}
    settings = {"model.fluctuations": True, "model.realizations": 4, **single_runs}
    fit = Fit("lj", str(learned_from.resolve()), settings)
    study = Study("fluctuations_channels", "paper", ChannelNoise)
    return study.fit(
        f"lj {digest(runs.path)}", fit, partial(noise.of_channel, held_out=held_out, runs=runs.path)
    ).measured


def _some(file: TrajectoryFile, chosen: np.ndarray, path: Path) -> Path:
    """A file of some trajectories of another one."""
    u = file.read(["density", "momentum"])[chosen]
    parameters = {name: values[chosen] for name, values in file.parameters.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    trajectory_writer.write(
        path, name=path.stem, fields={"density": u[:, :, 0], "momentum": u[:, :, 1]}, grid=file.grid,
        times=file.times, parameters=parameters, provenance={mirror.ATTRIBUTE: file.attributes[mirror.ATTRIBUTE]},
        overwrite=True,
    )  # fmt: skip
    return path


def molecules(folder: Path) -> dict[float, ShearNoise]:
    """Temperature and viscosity of each density from the noise of shear waves."""
    study, found = Study("fluctuations_shear", "paper", ShearNoise), {}
    for density in DENSITIES:
        path = shear.simulate(folder, State(density))
        fit = Fit("shear", str(path.resolve()), {"model.fluctuations": True})
        found[density] = study.fit(path.stem, fit, partial(noise.of_shear, density=density)).measured
    return found


def page(
    of_walkers: Mapping[float, WalkerNoise], of_channel: ChannelNoise, of_shear: Mapping[float, ShearNoise]
) -> str:
    """The tables."""
    laws = [
        [
            f"α = {alpha:g}",
            str(Measured(*each.intensity[2:])),
            f"{each.intensity[0] * SETTING.walkers / (4 * math.pi):.3f}",
            str(Measured(*each.level)),
            *(str(Measured(*pair)) if pair else "" for pair in (each.amplitude, each.balance)),
        ]
        for alpha, each in of_walkers.items()
    ]
    heads = ["walkers", "n of Q ∝ |κ|ⁿ", "coefficient / exact", "S / (N/P)", "n of a ∝ uⁿ", "noise / damping"]
    rows = [[name, *row] for name, found in _calibrations(of_walkers, of_channel).items() for row in _rows(found)]
    ends = of_channel.calibration["times"][-1]["ceiling"]
    ceilings = [[name, f"{ends[name]:.3f}", f"{value:.3f}"] for name, value in of_channel.between_runs.items()]
    waves = [
        [
            f"{density:g}",
            str(Measured(*each.temperature)),
            str(Measured(*each.noise)),
            str(Measured(*each.operator)),
            _ratio(each),
            str(Measured(*each.ratio)) if each.ratio else "",
            f"{_with_memory(each):.2f}",
        ]
        for density, each in of_shear.items()
    ]
    return "\n\n".join(
        [
            table(heads, laws),
            table(["held-out data", "t", "spread / error", "p of uniform ranks"], rows),
            table(["noise of one run at t = 1", "of the ensemble", "scatter between runs"], ceilings),
            table(
                [
                    "ρ*",
                    "k_B T (2 in the runs)",
                    "ν of the noise",
                    "ν of the operator",
                    "ratio",
                    "from equipartition",
                    "with memory",
                ],
                waves,
            ),
        ]
    )


def _calibrations(of_walkers: Mapping[float, WalkerNoise], of_channel: ChannelNoise) -> dict[str, dict[str, Any]]:
    names = {f"walkers, α = {alpha:g}": each.calibration for alpha, each in of_walkers.items()}
    return names | {"channels": of_channel.calibration}


def _rows(found: Mapping[str, Any]) -> list[list[str]]:
    return [
        [
            f"{each['time']:g}",
            str(Measured(each["spread_over_error"], each["standard_error"])),
            f"{each['p_value']:.2f}",
        ]
        for each in found["times"]
    ]


def _ratio(each: ShearNoise) -> str:
    (a, da), (b, db) = each.noise, each.operator
    return str(Measured(a / b, a / b * math.hypot(da / a, db / b)))


def _with_memory(each: ShearNoise) -> float:
    """Ratio if the stress relaxes with one time ν/T: 1 − C(Δt) grows as Δt − τ (1 − e^{−Δt/τ}) instead of Δt."""
    share = each.operator[0] / State.temperature / FRAMES_APART
    return 1 + share * math.expm1(-1 / share)


def figure(of_walkers: Mapping[float, WalkerNoise], of_channel: ChannelNoise, path: Path) -> None:
    """Spectrum, decay of waves, amplitude, and ranks."""
    drawing = Figure((9, 6.4), layout="constrained")
    (spectrum, decay), (amplitude, ranks) = drawing.subplots(2, 2)
    for number, (alpha, each) in enumerate(of_walkers.items()):
        color, label = f"C{number}", f"α = {alpha:g}"
        kappa, shot = np.array(each.kappa[1:-1]), 2 * math.pi / SETTING.walkers
        spectrum.plot(kappa, each.density[1:-1], ".", color=color, label=label)
        spectrum.plot(kappa, shot * -np.expm1(-2e-3 * kappa**alpha), color=color, lw=1)
        for k, line in zip(noise.WAVES, each.decay, strict=True):
            decay.plot(each.times, line, ".", ms=3, color=color, label=label if k == 1 else None)
            t = np.linspace(0, each.times[-1], 200)
            decay.plot(t, np.exp(-(float(k) ** alpha) * t), color=color, lw=1)
        amplitude.plot(each.u, each.squares, ".-", color=color, lw=1, label=label)
    spectrum.set(xlabel="κ", ylabel="Σ per step", xscale="log", yscale="log")
    decay.set(xlabel="t", ylabel="F(k, t)/S(k), k = 1, 2, 4, 8", ylim=(-0.1, 1.05))
    ends = np.array([0, max(each.u[-1] for each in of_walkers.values())])
    amplitude.plot(ends, ends, color="gray", lw=1, label="a² = u")
    amplitude.set(xlabel="density u", ylabel="a²(u)")
    _ranks(ranks, of_channel)
    for axes in (spectrum, decay, amplitude, ranks):
        axes.legend(frameon=False, fontsize="small")
    drawing.savefig(path, dpi=110)


def _ranks(axes: Axes, of_channel: ChannelNoise) -> None:
    """Share of the ranks in each interval, in units of the expected one, beside two standard deviations."""
    for number, each in enumerate(of_channel.calibration["times"]):
        share = np.array(each["ranks"]) / np.array(each["expected"])
        place = (np.arange(len(share)) + 0.5) / len(share)
        axes.step(place, share, where="mid", color=f"C{number + 2}", label=f"t = {each['time']:g}")
    expected = np.array(of_channel.calibration["times"][0]["expected"])
    deviation = SIGMAS / math.sqrt(expected.mean())
    axes.axhspan(1 - deviation, 1 + deviation, color="gray", alpha=0.2, lw=0, label="two standard deviations")
    axes.set(xlabel="rank of the channel runs among the members", ylabel="share / expected", ylim=(0, 2))


def main(words: Sequence[str] | None = None) -> None:
    """Fits, tables and figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of the runs and files")
    options = parser.parse_args(words)
    of_walkers, of_channel, of_shear = walkers(), channels(options.folder), molecules(options.folder)
    keep = {f"alpha {alpha:g}": asdict(each) for alpha, each in of_walkers.items()}
    keep |= {"channels": asdict(of_channel)} | {f"shear {rho:g}": asdict(each) for rho, each in of_shear.items()}
    write("fluctuations", keep)
    figure(of_walkers, of_channel, FIGURES / "fluctuations.png")
    print(page(of_walkers, of_channel, of_shear))


if __name__ == "__main__":
    main()
