"""The sets that come with the package: physics that must hold in them, whatever the seeds."""

import itertools
import json

import numpy as np
import pytest

import morlight.data
from experiments.support.channel_systems import systems
from morlight.cli import main as cli
from morlight.data import shipped as sets
from morlight.data.trajectory_file import TrajectoryFile
from morlight.simulate import lammps as channels

NAMES = ("colloid", "lj", "lj_refinement")


@pytest.fixture(scope="module")
def found():
    return {name: systems(morlight.data.open(name)) for name in NAMES}


SYSTEMS = {
    "lj": [(density,) for density in channels.DENSITIES],
    "lj_refinement": [(0.01,)],
    "colloid": list(itertools.product(channels.CONCENTRATIONS, channels.RADII)),
}


@pytest.mark.parametrize("name", NAMES)
def test_every_system_of_the_paper_is_there_with_an_ensemble(name):
    held = morlight.data.open(name)
    names = [parameter for parameter in held.parameters if parameter != "seed"]
    gammas = list(zip(*(held.parameters[parameter].tolist() for parameter in names), strict=True))
    assert sorted(set(gammas)) == sorted(SYSTEMS[name])
    assert min(gammas.count(gamma) for gamma in SYSTEMS[name]) >= 2  # halves, for the noise ceiling
    assert (len(held.times), held.dt, held.grid.points) == (41, pytest.approx(1 / 40), (80,))


def test_the_sets_together_are_small():
    assert sum(path.stat().st_size for path in sets.FOLDER.iterdir()) < 20 * 2**20


@pytest.mark.parametrize("name", NAMES)
def test_no_particle_is_lost(found, name):
    assert max(one.lost() for one in found[name]) < 1e-6  # single precision


@pytest.mark.parametrize("name", NAMES)
def test_flow_starts_at_rest_and_becomes_steady(found, name):
    for one in found[name]:
        flow = one.flow.mean(0)
        assert abs(flow[0]) < 0.25 * flow[-5:].mean()
        assert flow[-5:].mean() > 0
        # between the two quarters that come last there is no trend beyond their scatter
        last, before = flow[-10:], flow[-20:-10]
        assert abs(last.mean() - before.mean()) < 5 * np.hypot(last.std(), before.std()) / np.sqrt(10) + 0.1 * flow[-1]


def test_temperature_across_the_flow_is_held(found):
    for one in [*found["lj"], *found["lj_refinement"]]:
        assert one.warmth() == pytest.approx(2.0, abs=0.03)
    for large, small in zip(found["colloid"][::2], found["colloid"][1::2], strict=True):
        assert (large.label, large.species, small.species) == (small.label, "large", "small")
        heat, density = (getattr(large, name).sum(2) + getattr(small, name).sum(2) for name in ("heat", "density"))
        assert (heat / density).mean() == pytest.approx(2.0, abs=0.03)


def test_dense_fluid_sticks_to_the_walls_and_thin_gas_slips(found):
    slip = [one.slip() for one in found["lj"]]  # by density, the smallest first
    assert slip[0] > 0.3
    assert slip[-1] < 0.15
    assert slip[0] > 2 * slip[-1]


def test_dense_fluids_are_layered_at_the_walls(found):
    half, dense = (one.density[:, 10:].mean((0, 1)) for one in found["lj"][-2:])
    assert half[[1, -2]].min() > 1.1 * half[30:50].mean()  # a layer
    noise = dense[30:50].std()
    for profile in (dense, dense[::-1]):  # cells of 0.8 see layers 0.9 apart as a beat
        assert profile[1] > profile[2] + 5 * noise
        assert profile[4] > profile[2] + 5 * noise


def test_sets_are_listed_and_their_cards_printed(capsys):
    cli.main(["data", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert sorted(told) == sorted(NAMES)
    assert told["lj"]["parameters"]["density"] == list(channels.DENSITIES)
    cli.main(["data", "lj"])
    assert "| ρ* = 0.005 |" in capsys.readouterr().out


def test_a_set_is_opened_by_its_name_wherever_a_file_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert TrajectoryFile.open("lj").path == sets.FOLDER / "lj.h5"
    (tmp_path / "lj").write_text("a file of that name comes first")
    with pytest.raises(ValueError, match="not an HDF5 file"):
        TrajectoryFile.open("lj")


def test_an_unknown_name_is_one_sentence(capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["data", "argon"])
    assert end.value.code == 2
    assert (
        "there is no set and no file 'argon', expected a path or one of colloid, lj, lj_refinement"
        in capsys.readouterr().err
    )


def test_provenance_tells_how_to_make_a_set_again():
    for name in NAMES:
        told = morlight.data.open(name).attributes
        system = {"lj": channels.LJ, "colloid": channels.COLLOID}[str(told["generator"]).split()[-1]]
        assert channels.commands(told["deck"]) == channels.commands(channels.deck_text(system))
        assert told["lammps_version"] != "unknown"
        assert min(told["core_seconds"]) > 0
