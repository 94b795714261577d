"""Parts of an interrupted simulation are taken up again only where the same command has left them."""

import shutil

import h5py
import numpy as np
import pytest

from morlight.data.trajectory_file import Contents, TrajectoryFile
from morlight.data.trajectory_writer import Parts
from morlight.operators.description import Grid

U = np.random.default_rng(0).integers(0, 99, (2, 3, 8)).astype("int16")


class Interrupted(Exception):
    """In place of a signal."""


def contents(path, seed=0):
    grid, times = Grid((8,), (1.0,), ("PERIODIC",)), np.arange(3.0)
    return Contents(path, "walkers", ("density",), grid, times, 2, {}, {"seed": seed})


@pytest.fixture
def left(tmp_path):
    """The folder that an interrupted command leaves, with the first of two trajectories."""
    with pytest.raises(Interrupted), Parts(contents(tmp_path / "out.h5"), "int16", 0.5) as parts:  # noqa: PT012
        parts.put(0, {"density": U[0]})
        raise Interrupted
    return parts.folder


def resumed(folder):
    path = folder.parent / "out.h5"
    with Parts(contents(path), "int16", 0.5) as parts:
        for trajectory in parts.missing:
            parts.put(trajectory, {"density": U[trajectory]})
    return path


def test_the_parts_of_the_same_command_are_taken_up(left):
    assert np.array_equal(TrajectoryFile.open(resumed(left)).read()[:, :, 0], U * np.float32(0.5))
    assert [path.name for path in left.parent.iterdir()] == ["out.h5"]


def of_another_command(part):
    path = part.parents[1] / "other.h5"
    with pytest.raises(Interrupted), Parts(contents(path, seed=1), "int16", 0.5) as parts:  # noqa: PT012
        parts.put(0, {"density": U[1]})
        raise Interrupted
    shutil.copy(parts.folder / part.name, part)


def cut(part):
    part.write_bytes(part.read_bytes()[:3000])


def link(part):
    part.rename(part.with_name("precious"))
    part.symlink_to(part.with_name("precious"))


def of_another_trajectory(part):
    part.rename(part.with_name("000001.h5"))


def never_written(part):
    with h5py.File(part, "r+") as file:
        about = {key: getattr(file["t0_fields/density"], key) for key in ("shape", "dtype", "chunks", "shuffle")}
        del file["t0_fields/density"]
        file.create_dataset("t0_fields/density", **about, compression="gzip")


def of_another_shape(part):
    with h5py.File(part, "r+") as file:
        del file["t0_fields/density"]
        values, chunks = np.ones((1, 3, 9), "i2"), (1, 3, 9)
        file.create_dataset("t0_fields/density", data=values, chunks=chunks, shuffle=True, compression="gzip")


def open_to_others(part):
    part.parent.chmod(0o777)


WAYS = {
    of_another_command: "is not a part that this command wrote",
    of_another_trajectory: "is not a part that this command wrote",
    cut: "is damaged",
    link: "is a link",
    never_written: "of which not all was ever written",
    of_another_shape: "is not as this command writes it",
    open_to_others: "expected a folder of your own into which nobody else can write",
}


@pytest.mark.parametrize(("spoil", "sentence"), WAYS.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_what_somebody_else_put_there_is_refused(left, spoil, sentence):
    spoil(left / "000000.h5")
    with pytest.raises(ValueError, match=sentence):
        resumed(left)
    assert not (left.parent / "out.h5").exists()
