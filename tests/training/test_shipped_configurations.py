"""Every configuration of the package on a small file of its kind."""

from pathlib import Path

import channel
import hydrodynamics
import numpy as np
import pytest
import yaml
from short_fits import fit

import morlight
from morlight.analysis import linear_model
from morlight.cli import main as cli
from morlight.tracking.runs import read_runs

CONFIGS = sorted(Path(__file__).parents[2].joinpath("configs").glob("*.yaml"))


def diffusing(path):
    """Ten solutions of ∂ₜu = 0.1 ∂²ₓu."""
    x, times = np.arange(24) / 24 * 2 * np.pi, np.arange(41)[:, None] * 0.1
    size = np.random.default_rng(0).normal(size=(10, 3, 1, 1))
    u = sum(size[:, k] * np.exp(-0.1 * (k + 1) ** 2 * times) * np.cos((k + 1) * x) for k in range(3))
    morlight.write(path, {"u": u}, dt=0.1, length=2 * np.pi, boundaries="periodic")


def shearing(path, densities=(0.5,)):
    """Waves of momentum at some densities that decay as in a fluid of the viscosity 1, three runs each."""
    x, times = np.arange(32) / 32 * 2 * np.pi, np.arange(41)[:, None] * 0.1
    density = np.repeat(densities, 3)[:, None, None]
    phase = np.random.default_rng(0).uniform(0, 6, size=(3, len(density), 1, 1))
    u = density * sum(np.exp(-0.1 * k**2 * times / density) * np.cos(k * x + phase[k - 1]) for k in (1, 2, 3))
    parameters = {"density": density[:, 0, 0]}
    morlight.write(path, {"momentum": u}, dt=0.1, length=2 * np.pi, boundaries="periodic", parameters=parameters)


def waves_in_the_plane(path):
    """Shear and sound waves, with an energy that follows the density."""
    u = hydrodynamics.frames(points=6, noise=1e-4)
    fields = {name: u[:, :, place] for place, name in enumerate(hydrodynamics.FIELDS)}
    fields["energy"] = 2.5 * fields["density"]
    morlight.write(path, fields, dt=hydrodynamics.DT, length=(hydrodynamics.LENGTH,) * 2, boundaries="periodic")


MADE = {
    "plane": waves_in_the_plane,
    "shear": shearing,
    "shear_densities": lambda path: shearing(path, (0.1, 0.5)),
    "own": diffusing,
    "lj": lambda path: channel.write(path, seeds=1, frames=12, bins=40),
    "colloid": lambda path: channel.write_pairs(path),
}


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_every_configuration_runs_for_one_step_an_epoch(fits, config, monkeypatch):
    monkeypatch.setattr(linear_model, "STEPS", 50)
    data, system = fits / "small.h5", config.stem.removesuffix("_paper")
    steady = system in ("burgers", "laplacian")
    size = "--samples 20 --points 48" if steady else "--sets 10 --walkers 500 --steps 20 --bins 24"
    if system in MADE:
        MADE[system](data)
    else:
        cli.main(["simulate", system, *size.split(), "-o", str(data)])
    more = ["--data.trajectories", "20"] if steady else []
    options = yaml.safe_load(config.read_text())["model"]
    if options.get("optimizer") == "moments":
        more += ["--model.iterations", "3"]
    elif "optimizer" not in options:
        more += ["--trainer.max_epochs", str(len(options["horizons"]))]  # a stage each
    fit(data, "--trainer.limit_train_batches", "1", "--trainer.accelerator", "cpu", *more, config=config)
    (run,) = read_runs("morlight")
    assert (run.status, run.name) == ("FINISHED", config.stem)
