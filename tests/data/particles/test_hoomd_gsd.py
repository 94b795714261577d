"""GSD as gsd writes it: its schema defines the box, the masses and the names of types."""

import gsd.hoomd
import numpy as np
import pytest

from morlight.data.particles.convert import convert
from morlight.data.particles.settings import Deposit
from morlight.data.trajectory_file import TrajectoryFile

SIDES = np.array([12.0, 4.0, 8.0])


def gsd_file(path, tilt=0.0):
    """Three frames at steps 0, 500, 1000; returns positions and velocities."""
    rng = np.random.default_rng(1)
    x = rng.uniform(-SIDES / 2, SIDES / 2, (3, 50, 3)).astype(np.float32)
    v = rng.normal(size=(3, 50, 3)).astype(np.float32)
    with gsd.hoomd.open(str(path), "w") as file:
        for number in range(3):
            frame = gsd.hoomd.Frame()
            frame.configuration.step = 500 * number
            frame.configuration.box = [*SIDES, tilt, 0, 0]
            frame.particles.N = 50
            frame.particles.position, frame.particles.velocity = x[number], v[number]
            frame.particles.types, frame.particles.typeid = ["A", "B"], np.arange(50) % 2
            frame.particles.mass = np.where(np.arange(50) % 2, 5, 1)
            file.append(frame)
    return x, v


def test_steps_box_types_and_masses_of_gsd(tmp_path):
    x, v = gsd_file(tmp_path / "a.gsd")
    how = Deposit(fields=["density", "momentum"], bins=(6,), species={"heavy": ["B"]}, timestep=0.01)
    convert([tmp_path / "a.gsd"], tmp_path / "a.h5", how)
    held = TrajectoryFile.open(tmp_path / "a.h5")
    assert held.times == pytest.approx(np.array([0, 5, 10]))
    assert (held.grid.length, held.grid.boundaries) == ((12.0,), ("PERIODIC",))
    u = dict(zip(held.fields, TrajectoryFile.open(held.path).read()[0].transpose(1, 0, 2) * 64, strict=True))
    for frame in range(3):
        heavy, speed = x[frame, 1::2, 0], v[frame, 1::2, 1]
        assert u["density_heavy"][frame] == pytest.approx(np.histogram(heavy, 6, (-6, 6))[0])
        due = np.histogram(heavy, 6, (-6, 6), weights=5 * speed)[0]
        assert u["momentum_heavy"][frame] == pytest.approx(due, rel=1e-4, abs=1e-5)


def test_a_tilted_box_and_a_cut_file_are_refused(tmp_path):
    gsd_file(tmp_path / "a.gsd", tilt=0.5)
    with pytest.raises(ValueError, match="frame 0: the box is tilted"):
        convert([tmp_path / "a.gsd"], tmp_path / "a.h5", Deposit())
    whole = (tmp_path / "a.gsd").read_bytes()
    (tmp_path / "a.gsd").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="the GSD file is damaged or cut short"):
        convert([tmp_path / "a.gsd"], tmp_path / "a.h5", Deposit())
