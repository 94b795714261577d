"""Sets of channels: runs of several files together, and the noise that a card states."""

import numpy as np
import pytest

from experiments.studies import channel_noise
from experiments.support.channel_systems import System
from experiments.support.joined_runs import joined
from morlight.data.trajectory_writer import write
from morlight.operators.description import Grid
from morlight.simulate import lammps


def runs(path, density, seeds, **changes):
    """A file as `morlight simulate lj` writes it, whose fields are the number of the seed."""
    times = np.arange(3) / 2
    u = np.broadcast_to(np.array(seeds, np.float32)[:, None, None], (len(seeds), 3, 20))
    fields = {f"{name}{end}": u for name in ("density", "momentum", "density_temperature") for end in ("", "_error")}
    parameters = {"density": np.full(len(seeds), density), "seed": np.array(seeds, float)}
    told = {
        "generator": "lammps lj", "generator_version": "0.2.0", "generator_parameters": {"atoms": 1000}, "units": "lj",
        "lammps_version": "1", "deck": lammps.deck_text(lammps.LJ), "core_seconds": [10.0 * seed for seed in seeds],
    }  # fmt: skip
    grid = Grid((20,), (1.0,), ("WALL",))
    write(path, name="lj", fields=fields, grid=grid, times=times, parameters=parameters, provenance=told | changes)
    return str(path)


def test_files_are_joined_by_density_and_seed_with_the_symmetry_of_their_deck(tmp_path):
    dense, thin = runs(tmp_path / "a.h5", 0.2, (2, 1)), runs(tmp_path / "b.h5", 0.1, (3, 4, 5))
    held = joined([dense, thin], tmp_path / "set.h5")
    assert held.parameters["density"].tolist() == pytest.approx([0.1] * 3 + [0.2] * 2)
    assert held.parameters["seed"].tolist() == [3, 4, 5, 1, 2]
    assert held.read(["momentum"])[:, 0, 0, 0].tolist() == [3, 4, 5, 1, 2]
    assert held.attributes["core_seconds"] == [30, 40, 50, 10, 20]
    assert held.attributes["mirror"] == dict.fromkeys(("density", "momentum", "density_temperature"), "even")
    assert set(held.fields) == {"density", "momentum", "density_temperature"}


def test_runs_that_are_there_twice_or_made_otherwise_are_refused(tmp_path):
    one = runs(tmp_path / "one.h5", 0.2, (1, 2))
    same, longer = runs(tmp_path / "same.h5", 0.2, (2, 3)), runs(tmp_path / "longer.h5", 0.2, (4,), unit_time=7.0)
    with pytest.raises(ValueError, match=r"'seed': 2\.0\} is there twice"):
        joined([one, same], tmp_path / "set.h5")
    with pytest.raises(ValueError, match="attribute 'unit_time' differs"):
        joined([one, longer], tmp_path / "set.h5")
    assert not (tmp_path / "set.h5").exists()


@pytest.fixture(scope="module")
def system():
    """16 runs of a field of size 1 with white noise of 0.2."""
    rng = np.random.default_rng(0)
    u = 1 + 0.2 * rng.normal(size=(16, 12, 20))
    return System("noise", "", u, u, u)


def test_noise_ceiling_is_that_of_the_runs_and_their_images(system):
    # from 15 × 5 × 10 squares
    assert system.ceiling(system.momentum) == pytest.approx(0.2 / np.sqrt(2 * 16), rel=4 / np.sqrt(2 * 750))
    assert system.ceiling(system.momentum, system.density) == pytest.approx(system.ceiling(system.momentum))


def test_images_halve_the_variance_of_white_noise(system):
    gains = channel_noise._mirror_row(system)[-1].split(" and ")
    # of 15 × 12 × 20 deviations and of half as many
    assert [float(gain) for gain in gains] == pytest.approx([2, 2], rel=4 * np.sqrt(2 / 1800))


def test_averages_of_independent_blocks_have_a_variance_of_one_over_their_number():
    blocks = np.random.default_rng(1).normal(size=(200, 10, 20))
    for count in (1, 2, 5, 10):
        # of 4000 cells times 10/count blocks
        expected = pytest.approx(20 / count, rel=4 * np.sqrt(2 * count / 40_000))
        assert channel_noise._variance(blocks, count) == expected
