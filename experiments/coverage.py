"""How often the error bars of fits contain the truth: Brownian walkers, Lévy flights and walkers with drift on a line.

    python -m experiments.coverage RESULTS.jsonl [--sets 300] [--only NAME] [--figure FILE]

makes independent data sets of each case, fits each with `model.optimizer: moments` as `morlight fit` does, and writes
one line for each set and length of roll-outs. A second call continues where the first one stopped, and prints, for each
number, the fraction of intervals of one and two standard errors that contain the truth, with the binomial standard
error, the bias in standard errors, and the ratio of the actual to the stated scatter. The truth of the Fourier deposit
is exact for each wavenumber: walkers that take steps of α-stable increments have the generator −|κ|^α − iVκ.
"""

import argparse
import itertools
import json
import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from experiments.coverage_figure import draw
from experiments.support.fits import untracked
from experiments.support.tables import table
from morlight.analysis.equations.forms import Form
from morlight.analysis.inspection import inspect
from morlight.analysis.jackknife import standard_error
from morlight.analysis.model import Model
from morlight.simulate.walkers import Walkers, levy
from morlight.training.quiet import quiet
from morlight.training.settings import from_mapping

SIZE: dict[str, Any] = {"sets": 20, "walkers": 4000, "steps": 40, "bins": 24, "deposit": "fourier"}
CASES: dict[str, dict[str, Any]] = {  # changes of the size and of the walkers
    "Brownian": {"alpha": 2.0, "dt": 0.01},
    "Lévy 1.2": {"alpha": 1.2, "dt": 0.02},
    "Lévy 1.5": {"alpha": 1.5, "dt": 0.02},
    "Lévy 1.8": {"alpha": 1.8, "dt": 0.01},
    "drift": {"alpha": 2.0, "dt": 0.01, "drift": (1.0,)},
}
SETTINGS: dict[str, Any] = {  # of configs/levy.yaml, for one realization
    "model.biases": ["conservation", "reflection"],
    "model.width": 8,
    "model.realizations": 1,
    "model.optimizer": "moments",
    "model.horizons": [4],
    "model.smoothness": 1e-4,
    "data.particles": "file",
    "data.validation": 0,
    "data.test": 0,
    "trainer.max_epochs": 1,
    "trainer.accelerator": "cpu",
    "trainer.enable_progress_bar": False,
}
LENGTHS = (0.1, 1.0, 10.0)  # of roll-outs, in units of the length of the data
NORMAL = {0.68: 0.994458, 0.95: 1.959964}  # standard deviations within which a share of normal numbers lies


@dataclass(frozen=True)
class Estimate:
    """A number that a fit prints, with its standard error due to the data and its truth."""

    name: str
    value: float
    error: float
    truth: float


def fitted(path: Path) -> Model:
    """The model of a trajectory file, without the tracking of `morlight fit`."""
    return untracked(from_mapping(SETTINGS, None, str(path)), path.with_suffix(".ckpt"))


def estimates(model: Model, setting: Walkers) -> Iterator[Estimate]:
    """Everything that `morlight inspect` prints with a standard error, beside the truth."""
    field = inspect(model).fields["density"]
    chosen = field.equation
    if not isinstance(chosen, str) and isinstance(chosen.form, Form) and chosen.form.power is not None:
        c, alpha = chosen.form.power
        yield Estimate("c", c.value, c.data, 1.0)
        yield Estimate("α", alpha.value, alpha.data, setting.alpha)
        for v, truth in zip(chosen.form.drift, setting.drift, strict=False):
            yield Estimate("V", v.value, v.data, truth)
    generator, band = field.generator, field.band
    if generator is None or generator.real_sd is None or generator.imag_sd is None or band is None:
        return
    for k, kappa in enumerate(generator.kappa):
        if 0.999 * band[0] <= kappa <= 1.001 * band[1]:
            real, imag = np.mean([row[k] for row in generator.real]), np.mean([row[k] for row in generator.imag])
            yield Estimate(f"Re G({kappa:.0f})", float(real), generator.real_sd[k], -(kappa**setting.alpha))
            yield Estimate(f"Im G({kappa:.0f})", float(imag), generator.imag_sd[k], -setting.drift[0] * kappa)


def rollouts(model: Model, setting: Walkers) -> Iterator[dict[str, float]]:
    """Share of the points of roll-outs within one and two standard errors of the exact fields, for each length."""
    L, N = model.grid.length[0], model.grid.points[0]
    x, kappa = L * np.arange(N) / N, 2 * math.pi / L * np.arange(N // 2 + 1)
    u = 1 + 0.5 * np.cos(x) + 0.3 * np.cos(2 * x + 1) + 0.1 * np.cos(3 * x + 2)
    for length in LENGTHS:
        steps = round(length * SIZE["steps"])

        def last(other: Model, steps: int = steps) -> Tensor:
            return torch.from_numpy(other.predict(u, steps, every=steps)[:, -1])

        error = standard_error(model, last)
        if error is None:
            return
        rate = -(kappa**setting.alpha) - 1j * setting.drift[0] * kappa
        exact = np.fft.irfft(np.fft.rfft(u) * np.exp(rate * steps * model.dt), N)
        off, sd = abs(last(model).mean(0).numpy() - exact), error.numpy()
        inside = {f"coverage_{share:g}": float((off < reach * sd).mean()) for share, reach in NORMAL.items()}
        yield {
            "length": length,
            **inside,
            "error": float(np.sqrt((off**2).mean())),
            "sd": float(np.sqrt((sd**2).mean())),
        }


def run(results: Path, sets: int, only: str) -> None:
    """Fit all sets that are not in the results yet; a set that was interrupted is done again."""
    lines = read(results)
    done = {(line["case"], line["seed"]) for line in lines}
    draft = results.with_suffix(".part")
    draft.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    draft.replace(results)
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(sets):
            for number, (name, case) in enumerate(CASES.items()):
                if only not in name or (name, seed) in done:
                    continue
                setting = Walkers(**{**SIZE, **case})
                path = Path(folder) / "walkers.h5"
                with quiet():
                    levy(path, setting, seed=1000 * seed + number, overwrite=True)
                model = fitted(path)
                line = {
                    "case": name,
                    "seed": seed,
                    "estimates": [vars(each) for each in estimates(model, setting)],
                    "rollouts": list(rollouts(model, setting)),
                }
                with results.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line, ensure_ascii=False) + "\n")


def read(results: Path) -> list[dict[str, Any]]:
    """The lines of the results, without one that was cut."""
    lines = results.read_text(encoding="utf-8").splitlines(keepends=True) if results.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def summary(values: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Coverage, bias and scatter of one number over the sets."""
    value, error, truth = (np.array([each[key] for each in values]) for key in ("value", "error", "truth"))
    z = (value - truth) / error
    found = {f"coverage_{share:g}": float((abs(z) < reach).mean()) for share, reach in NORMAL.items()}
    return found | {"sets": len(z), "bias": float(z.mean()), "ratio": float(z.std())}


def summaries(lines: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str, dict[str, float]]]:
    """Case, number and summary of everything that most of the sets have, and of all cases together."""
    for case in CASES:
        own = [line["estimates"] for line in lines if line["case"] == case]
        names = dict.fromkeys(each["name"] for line in own for each in line)
        for name in names:
            values = [each for line in own for each in line if each["name"] == name]
            if len(values) > len(own) / 2:
                yield case, name, summary(values)
    everything = [each for line in lines for each in line["estimates"]]
    for kind in ("c", "α", "Re G", "Im G"):
        values = [each for each in everything if each["name"].split("(")[0] == kind]
        if values:
            yield "all", kind, summary(values)


def report(lines: Sequence[Mapping[str, Any]]) -> str:
    """A table of the coverage of each number."""
    rows = []
    for case, name, found in summaries(lines):
        n = found["sets"]
        within = [f"{100 * found[f'coverage_{p:g}']:.1f}({100 * math.sqrt(p * (1 - p) / n):.1f}) %" for p in NORMAL]
        rows.append(
            [case, name, f"{n:.0f}", *within, f"{found['bias']:.2f}({1 / math.sqrt(n):.2f})", f"{found['ratio']:.2f}"]
        )
    return table(["case", "number", "sets", "68 % interval", "95 % interval", "bias", "actual / stated scatter"], rows)


def rollout_report(lines: Sequence[Mapping[str, Any]]) -> str:
    """A table of the coverage of roll-outs; points of one roll-out are correlated, and sets are not."""
    rows = []
    for case, length in itertools.product(CASES, LENGTHS):
        own = [each for line in lines if line["case"] == case for each in line["rollouts"] if each["length"] == length]
        within = [np.array([each[f"coverage_{p:g}"] for each in own]) for p in NORMAL]
        if own:
            shares = [f"{100 * p.mean():.1f}({100 * p.std() / math.sqrt(len(p)):.1f}) %" for p in within]
            error, sd = (math.sqrt(np.mean([each[key] ** 2 for each in own])) for key in ("error", "sd"))
            rows.append([case, f"{length:g}", str(len(own)), *shares, f"{error:.1e}", f"{sd:.1e}"])
    return table(["case", "length", "sets", "68 % interval", "95 % interval", "rms error", "rms standard error"], rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Continue the study, and print its table."""
    parser = argparse.ArgumentParser(prog="python -m experiments.coverage", description=__doc__)
    parser.add_argument("results", type=Path, help="JSON lines, which are continued")
    parser.add_argument("--sets", type=int, default=300, help="data sets of each case")
    parser.add_argument("--only", default="", help="part of the name of the cases")
    parser.add_argument("--figure", type=Path, help="where to write a figure of the coverage")
    options = parser.parse_args(arguments)
    run(options.results, options.sets, options.only)
    lines = read(options.results)
    print(report(lines), rollout_report(lines), sep="\n\n")
    if options.figure is not None:
        draw(options.figure, list(summaries(lines)))


if __name__ == "__main__":
    main()
