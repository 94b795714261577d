"""H5MD as pyh5md writes it: constant and changing boxes, lists and increments of steps, several groups."""

import h5py
import numpy as np
import pytest
from pyh5md import File, element

from morlight.data.particles.convert import convert
from morlight.data.particles.settings import Deposit
from morlight.data.trajectory_file import TrajectoryFile

SIDES = np.array([10.0, 8.0, 6.0])
FRAMES = 4
VOLUME = SIDES.prod()


def h5md(path, groups=(60,), boundary=("periodic",) * 3, store="time", box="time", times=True):
    """A file with groups A, B, … of so many particles; returns their positions."""
    rng = np.random.default_rng(3)
    positions = {}
    with File(str(path), "w", author="nobody", creator="tests") as file:
        for name, count in zip("AB", groups, strict=False):
            positions[name] = x = rng.uniform(0, SIDES, (FRAMES, count, 3))
            part = file.particles_group(name)
            edges = {"store": "fixed", "data": SIDES} if box == "fixed" else {"store": "time", "data": np.diag(SIDES)}
            clock = {"time": True} if times else {}
            part.create_box(3, list(boundary), **edges, **(clock if box == "time" else {}))
            if store == "linear":
                clock = {"step": 100, "step_offset": 7, **({"time": 0.5, "time_offset": 2.0} if times else {})}
            place = element(part, "position", store=store, data=x[0], **clock)
            speed = element(part, "velocity", store=store, data=x[0], **clock)
            element(part, "mass", store="fixed", data=np.arange(1.0, count + 1))
            element(part, "species", store="fixed", data=1 + np.arange(count) % 2)
            for frame in range(FRAMES):
                place.append(x[frame], frame * 100, frame * 0.5)
                speed.append(-x[frame], frame * 100, frame * 0.5)
                if box == "time":
                    part.box.edges.append(np.diag(SIDES), frame * 100, frame * 0.5)
    return positions


def counts(x, bins=8):
    return np.array([np.histogram(frame[:, 0], bins, (0, SIDES[0]))[0] for frame in x])


@pytest.mark.parametrize("store", ["time", "linear"])
@pytest.mark.parametrize("box", ["time", "fixed"])
@pytest.mark.parametrize("times", [True, False])
def test_every_form_of_h5md_is_read(tmp_path, store, box, times):
    x = h5md(tmp_path / "a.h5", store=store, box="fixed" if store == "linear" else box, times=times)["A"]
    how = Deposit(bins=(8,), box_origin=[0.0], timestep=None if times else 0.005)
    convert([tmp_path / "a.h5"], tmp_path / "b.h5", how)
    held = TrajectoryFile.open(tmp_path / "b.h5")
    assert (held.dt, held.grid.boundaries) == (pytest.approx(0.5), ("PERIODIC",))
    assert held.times[0] == pytest.approx((2.0 if times else 7 * 0.005) if store == "linear" else 0)
    assert TrajectoryFile.open(held.path).read()[0, :, 0] * VOLUME / 8 == pytest.approx(counts(x))


def test_masses_species_and_velocities_of_h5md(tmp_path):
    x = h5md(tmp_path / "a.h5")["A"]
    how = Deposit(fields=["momentum"], bins=(8,), box_origin=[0.0], species={"odd": [1], "even": ["2"]})
    convert([tmp_path / "a.h5"], tmp_path / "b.h5", how)
    held = TrajectoryFile.open(tmp_path / "b.h5")
    mass = np.arange(1.0, 61)
    for place, name in enumerate(held.fields):
        kept = slice(0, None, 2) if name == "momentum_odd" else slice(1, None, 2)
        due = [
            np.histogram(frame[kept, 0], 8, (0, 10), weights=-mass[kept] * frame[kept, 1])[0] for frame in x
        ]  # fmt: skip
        assert TrajectoryFile.open(held.path).read()[0, :, place] * VOLUME / 8 == pytest.approx(np.array(due), rel=1e-5)


def test_walls_of_h5md_are_walls(tmp_path):
    h5md(tmp_path / "a.h5", boundary=("none", "periodic", "periodic"))
    for axis, boundary in (("x", "WALL"), ("y", "PERIODIC")):
        convert([tmp_path / "a.h5"], tmp_path / f"{axis}.h5", Deposit(bins=(8,), axes=[axis], box_origin=[0.0]))
        assert TrajectoryFile.open(tmp_path / f"{axis}.h5").grid.boundaries == (boundary,)


def test_of_several_groups_one_is_asked_for(tmp_path):
    x = h5md(tmp_path / "a.h5", groups=(60, 40))
    with pytest.raises(ValueError, match="the groups of particles are A, B; expected --group with one of them"):
        convert([tmp_path / "a.h5"], tmp_path / "b.h5", Deposit(box_origin=[0.0]))
    with pytest.raises(ValueError, match="the groups of particles are A, B; expected one of them, not 'C'"):
        convert([tmp_path / "a.h5"], tmp_path / "b.h5", Deposit(box_origin=[0.0], group="C"))
    for name in "AB":
        convert([tmp_path / "a.h5"], tmp_path / f"{name}.h5", Deposit(bins=(8,), box_origin=[0.0], group=name))
        assert TrajectoryFile.open(tmp_path / f"{name}.h5").read()[0, :, 0] * VOLUME / 8 == pytest.approx(
            counts(x[name])
        )


def test_the_origin_of_the_box_is_asked_for(tmp_path):
    h5md(tmp_path / "a.h5")
    with pytest.raises(ValueError, match="does not state where its box begins on axis x"):
        convert([tmp_path / "a.h5"], tmp_path / "b.h5", Deposit())


def _without(key):
    def change(file):
        del file[key]

    return change


def _other_steps(file):
    file["particles/A/velocity/step"][:] += 1


def _no_boundary(file):
    del file["particles/A/box"].attrs["boundary"]


def _tilted(file):
    file["particles/A/box/edges/value"][1, 0, 1] = 1.0


DAMAGED = {
    "no positions": (_without("particles/A/position"), "'particles/A/position' is missing"),
    "no values": (_without("particles/A/position/value"), "'particles/A/position/value' is missing"),
    "no box": (_without("particles/A/box"), "'particles/A/box/edges' is missing"),
    "no particles": (_without("particles"), "an HDF5 file without the group 'particles', expected H5MD"),
    "other steps": (_other_steps, "'particles/A/velocity' has other frames than the positions"),
    "no boundary": (_no_boundary, "does not state whether axis x is periodic, expected --walls"),
    "tilted": (_tilted, "frame 1: the box is tilted"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_what_is_wrong_with_h5md_is_one_sentence(tmp_path, case):
    change, said = DAMAGED[case]
    h5md(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "a") as file:
        change(file)
    with pytest.raises(ValueError, match=said):
        convert([tmp_path / "a.h5"], tmp_path / "b.h5", Deposit(fields=["momentum"], box_origin=[0.0]))
