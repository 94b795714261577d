"""Whole inputs of every kind that commands take, and the commands that take them."""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))  # where the small model of the tests is

import heat

LAMMPS_FRAME = """ITEM: TIMESTEP
{step}
ITEM: NUMBER OF ATOMS
3
ITEM: BOX BOUNDS pp pp pp
0 10
0 4
-1 1
ITEM: ATOMS id type x y z vx vy vz
1 1 0.5 1 0 1 2 3
2 1 5.5 2 0 -1 0 0
3 2 9.5 3 0.5 0 1e-3 -2
"""
AVERAGES = """# Chunk-averaged data for fix p and group all
# Timestep Number-of-chunks Total-count
# Chunk Coord1 Ncount density/number vx
0 2 10
  1 0.5 4 0.4 1.0
  2 1.5 6 0.6 2.0
10 2 10
  1 0.5 5 0.5 1.0
  2 1.5 5 0.5 2.0
"""
CONFIGURATION = {
    "name": "q",
    "data": {"path": "heat.h5", "batch": 10, "validation": 0.0, "test": 0.0, "fields": ["density"]},
    "model": {"biases": ["conservation"], "width": 3, "depth": 3, "horizons": [1, 2], "lr": 0.01, "realizations": 2},
    "trainer": {"max_epochs": 2, "accelerator": "cpu", "enable_progress_bar": False, "precision": "64-true"},
}
SWEEP = {
    "config": "base.yaml",
    "set": {"data.batch": 20},
    "space": {
        "model.width": {"low": 1, "high": 8},
        "model.lr": {"low": 1e-5, "high": 0.1, "log": True, "when": {"model.activation": "elu"}},
        "model.activation": ["elu", "gelu"],
    },
    "objective": "val_loss",
    "direction": "minimize",
    "sampler": "random",
    "pruner": "none",
    "trials": 10,
    "workers": 1,
    "seed": 0,
}
DEPOSIT = "deposit {} -o out.h5 --bins 4 --timestep 0.1 --units lj"


@dataclass(frozen=True)
class Kind:
    """A kind of input.

    Attributes:
        file: name of a whole one.
        commands: that take it, in place of {}.
    """

    file: str
    commands: tuple[str, ...]


KINDS = {
    "trajectory": Kind(
        "heat.h5",
        (
            "data {}",
            "evaluate model.ckpt --data {} --json",
            "predict model.ckpt --initial {} --steps 2 -o out.h5",
            "discover {}",
            "doctor {}",
        ),
    ),
    "checkpoint": Kind(
        "model.ckpt",
        (
            "inspect {} --json",
            "check {}",
            "evaluate {} --data heat.h5",
            "predict {} --initial heat.h5 --steps 2 -o out.h5",
        ),
    ),
    "npy": Kind("u.npy", ("convert {} -o out.h5 --dt 0.1 --length 1 --boundaries wall",)),
    "states": Kind("states.npy", ("predict model.ckpt --initial {} --trajectory 0 --steps 1 -o out.h5",)),
    "npz": Kind("u.npz", ("convert {} -o out.h5 --dt 0.1 --length 1 --boundaries wall",)),
    "mat": Kind("u.mat", ("convert {} -o out.h5 --dt 0.1 --length 1 --boundaries wall",)),
    "netcdf": Kind(
        "u.nc", ("convert {} -o out.h5 --boundaries wall", "predict model.ckpt --initial {} --steps 1 -o out.h5")
    ),
    "netcdf3": Kind("u.nc3", ("convert {} -o out.h5 --boundaries wall",)),
    "dump": Kind("a.dump", (DEPOSIT, "doctor {}")),
    "averages": Kind("a.profile", ("deposit {} -o out.h5 --walls x --units lj",)),
    "h5md": Kind("a.h5md", ("deposit {} -o out.h5 --bins 4 --box-origin 0",)),
    "configuration": Kind("q.yaml", ("fit --config {}",)),
    "sweep": Kind("s.yaml", ("sweep --config {}",)),
}


def write(folder: Path) -> None:
    """One whole file of every kind."""
    heat.checkpoint(folder / "model.ckpt")
    heat.write(folder)
    u = np.random.default_rng(0).normal(size=(2, 5, 16))
    np.save(folder / "u.npy", u)
    np.save(folder / "states.npy", 1 + 0.1 * u[:, :1])
    np.savez(folder / "u.npz", u=u, v=2 * u)
    _matlab(folder / "u.mat", u)
    _netcdf(folder, u)
    (folder / "a.dump").write_text("".join(LAMMPS_FRAME.format(step=step) for step in (0, 10, 20)))
    (folder / "a.profile").write_text(AVERAGES)
    _h5md(folder / "a.h5md")
    for name, plain in (("q.yaml", CONFIGURATION), ("base.yaml", CONFIGURATION), ("s.yaml", SWEEP)):
        (folder / name).write_text(yaml.safe_dump(plain, sort_keys=False))


def _matlab(path: Path, u: np.ndarray) -> None:
    from scipy.io import savemat

    savemat(path, {"u": u})


def _netcdf(folder: Path, u: np.ndarray) -> None:
    import xarray

    x, t = (np.arange(16) + 0.5) * 2 * np.pi / 16, 0.1 * np.arange(5)
    states = xarray.Dataset({"density": (("trajectory", "time", "x"), u)}, {"time": t, "x": x})
    states.isel(time=slice(0, 5)).to_netcdf(folder / "u.nc", engine="h5netcdf")
    states.to_netcdf(folder / "u.nc3", engine="scipy")


def _h5md(path: Path) -> None:
    rng = np.random.default_rng(1)
    with h5py.File(path, "w") as file:
        file.create_group("h5md").attrs["version"] = [1, 1]
        part = file.create_group("particles/all")
        box = part.create_group("box")
        box.attrs["boundary"] = [b"periodic"] * 3
        box.attrs["dimension"] = 3
        box["edges"] = [10.0, 8.0, 6.0]
        for name in ("position", "velocity"):
            group = part.create_group(name)
            group["value"] = rng.uniform(0, 6, (3, 20, 3))
            group["step"] = [0, 10, 20]
            group["time"] = [0.0, 1.0, 2.0]


def copied(source: Path, target: Path) -> None:
    """All files, as they were."""
    for path in target.iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    for path in source.iterdir():
        shutil.copy(path, target)
