"""Every frame is binned by its own box, and what a file leaves open is asked for."""

import re
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from MDAnalysis import Universe
from MDAnalysis.coordinates.DCD import DCDWriter
from MDAnalysis.coordinates.TRJ import NCDFWriter
from MDAnalysis.coordinates.TRR import TRRWriter
from MDAnalysis.coordinates.XTC import XTCWriter

from morlight.data.particles.convert import convert
from morlight.data.particles.settings import Deposit
from morlight.data.trajectory_file import TrajectoryFile
from tests.data.particles.simulation import LJ
from tests.data.particles.test_lammps_dump import FRAME, written


def frame(step, low, high, x, words="pp pp pp", scale=1.0):
    rows = "".join(f"{i} 1 {place * scale!r} {scale} 0\n" for i, place in enumerate(x, 1))
    return (
        f"ITEM: TIMESTEP\n{step}\nITEM: NUMBER OF ATOMS\n{len(x)}\nITEM: BOX BOUNDS {words}\n"
        f"{low * scale!r} {high * scale!r}\n0 {4 * scale!r}\n{-scale!r} {scale!r}\nITEM: ATOMS id type x y z\n{rows}"
    )


def growing(folder, scale=1.0):
    """A box that grows from [0, 10] to [-1, 11], with four atoms at fixed places of the laboratory."""
    first = frame(0, 0, 10, [0.5, 2, 5.5, 9.5], scale=scale)
    return written(folder / "npt.dump", first + frame(10, -1, 11, [-0.5, 2, 5.5, 10.5], scale=scale))


SCALES = pytest.mark.parametrize("scale", [1.0, 1e-9, 1e9])  # SI lengths of atoms, and astronomers'


@SCALES
@pytest.mark.parametrize("bounds", [None, (0.0, 10.0)])
def test_a_periodic_box_that_changes_is_refused(tmp_path, scale, bounds):
    how = Deposit(bins=(4,), bounds=None if bounds is None else [(bounds[0], bounds[1] * scale)])
    with pytest.raises(ValueError, match=r"line 14: (another box than in the first frame|axis x is periodic with)"):
        convert([growing(tmp_path, scale)], tmp_path / "a.h5", how)


@SCALES
def test_a_window_inside_every_box_is_wrapped_by_the_box_of_each_frame(tmp_path, scale):
    how = Deposit(bins=(4,), bounds=[(0.0, 10.0 * scale)], walls=["x"], drop_outside=True)
    convert([growing(tmp_path, scale)], tmp_path / "a.h5", how)
    counts = TrajectoryFile.open(tmp_path / "a.h5").read()[0, :, 0] * (2.5 * 4 * 2 * scale**3)
    assert counts == pytest.approx(np.array([[2, 0, 1, 1], [1, 0, 1, 0]]))


@SCALES
def test_cells_may_scale_with_the_box(tmp_path, scale):
    convert([growing(tmp_path, scale)], tmp_path / "a.h5", Deposit(bins=(4,), scale_cells=True))
    counts = TrajectoryFile.open(tmp_path / "a.h5").read()[0, :, 0] * (4 * 2 * scale**3)
    # cells of 2.5, then of 3: -0.5, 2, 5.5 and 10.5 lie in one of them each
    assert counts == pytest.approx(np.array([[2 / 2.5, 0, 1 / 2.5, 1 / 2.5], [1 / 3, 1 / 3, 1 / 3, 1 / 3]]), rel=1e-6)


def test_a_window_longer_than_a_periodic_box_is_refused(tmp_path):
    path = written(tmp_path / "a.dump", frame(0, 0, 10, [1]) + frame(10, 0, 9, [1]))
    with pytest.raises(
        ValueError, match=r"line 11: the bounds 0 to 9\.5 of axis x are longer than the periodic box, 9"
    ):
        convert([path], tmp_path / "a.h5", Deposit(bins=(4,), bounds=[(0.0, 9.5)], walls=["x"]))


def test_a_moving_box_is_another_box(tmp_path):
    path = written(tmp_path / "a.dump", frame(0, 0, 10, [1]) + frame(10, 1, 11, [2]))
    with pytest.raises(ValueError, match="line 11: another box than in the first frame, 1 to 11 on axis x"):
        convert([path], tmp_path / "a.h5", Deposit(bins=(4,)))


def test_unwrapped_positions_come_back_by_the_period(tmp_path):
    text = frame(0, -4, 8, [-4, 8, 20.5, -9.5]).replace(" x y z", " xu y z")
    convert([written(tmp_path / "a.dump", text)], tmp_path / "a.h5", Deposit(bins=(12,)))
    assert TrajectoryFile.open(tmp_path / "a.h5").read()[0, 0, 0] * 8 == pytest.approx(
        np.array([3, 0, 0, 0, 0, 0, 1] + [0] * 5)
    )


@pytest.mark.parametrize(
    ("words", "boundary"),
    [
        ("pp pp pp", "PERIODIC"), ("ff pp pp", "WALL"), ("ss pp pp", "WALL"), ("fs pp pp", "WALL"),
        ("mm pp pp", "WALL"), ("rr pp pp", "WALL"), ("p p p", "PERIODIC"), ("xy xz yz pp pp pp", "PERIODIC"),
        ("oo pp pp", None), ("os pp pp", None), ("aa pp pp", None), ("", None),
    ],
)  # fmt: skip
def test_boundary_words_of_lammps_and_sparta(tmp_path, words, boundary):
    path = written(tmp_path / "a.dump", frame(0, 0, 10, [1, 2], words))
    if boundary is None:  # outflow is neither
        with pytest.raises(ValueError, match="does not state whether axis x is periodic, expected --walls"):
            convert([path], tmp_path / "a.h5", Deposit(bins=(4,)))
        boundary = "WALL"
        convert([path], tmp_path / "a.h5", Deposit(bins=(4,), walls=["x"]))
    else:
        convert([path], tmp_path / "a.h5", Deposit(bins=(4,)))
    assert TrajectoryFile.open(tmp_path / "a.h5").grid.boundaries == (boundary,)


@pytest.mark.parametrize("words", ["pp pp", "pp pp pp pp", "1 pp pp"])
def test_other_boundary_words_are_refused(tmp_path, words):
    with pytest.raises(ValueError, match="BOX BOUNDS has the words"):
        convert([written(tmp_path / "a.dump", frame(0, 0, 10, [1], words))], tmp_path / "a.h5", Deposit(bins=(4,)))


SIDES = np.array([12.0, 4.0, 8.0])
WRITERS = {"xtc": XTCWriter, "trr": TRRWriter, "dcd": DCDWriter, "nc": NCDFWriter}
STATES_TIMES = {"xtc": True, "trr": True, "dcd": False, "nc": True}


@pytest.fixture(params=WRITERS)
def foreign(request, tmp_path):
    """Three frames, 20 apart, of 100 particles in a box that begins at -4, by the writers of MDAnalysis."""
    x = np.random.default_rng(0).uniform([-4, 0, -4], [8, 4, 4], (3, 100, 3)).astype(np.float32)
    universe = Universe.empty(100, trajectory=True, velocities=request.param != "xtc")
    path = tmp_path / "particles"  # no ending: the first bytes decide
    named = tmp_path / f"particles.{request.param}"
    more = {"dt": 20.0} if request.param == "dcd" else {}
    convert_units = request.param == "trr"  # its writer cannot do without, from angstrom to nm
    scale = 10 if convert_units else 1
    with warnings.catch_warnings(), WRITERS[request.param](str(named), 100, convert_units, **more) as writer:
        warnings.simplefilter("ignore")  # NetCDF by SciPy
        for number, positions in enumerate(x):
            universe.trajectory.ts.dimensions = [*scale * SIDES, 90, 90, 90]
            universe.trajectory.ts.time, universe.trajectory.ts.frame = 20.0 * number, number
            universe.atoms.positions = scale * positions
            writer.write(universe.atoms)
    named.rename(path)
    stated = STATES_TIMES[request.param]
    return SimpleNamespace(path=path, x=x, kind=request.param, time={} if stated else {"frame_spacing": 20.0})


def test_formats_of_mdanalysis_with_what_they_leave_open(foreign, tmp_path):
    for bounds in ({"box_origin": [-4.0]}, {"bounds": [(-4.0, 8.0)]}):
        how = Deposit(bins=(6,), walls=[], **bounds, **foreign.time)
        convert([foreign.path], tmp_path / "a.h5", how, overwrite=True)
        held = TrajectoryFile.open(tmp_path / "a.h5")
        assert held.times == pytest.approx(np.array([0, 20, 40]))
        assert (held.grid.length, held.grid.boundaries) == ((pytest.approx(12),), ("PERIODIC",))
        due = [np.histogram(x[:, 0], 6, (-4, 8))[0] for x in foreign.x]
        # XTC rounds to 0.001 or 0.01: a particle at the edge of a cell may change it
        assert np.abs(TrajectoryFile.open(tmp_path / "a.h5").read()[0, :, 0] * 64 - due).max() < (
            1.5 if foreign.kind == "xtc" else 1e-3
        )
    how = Deposit(bins=(4,), axes=["z"], walls=["z"], box_origin="center", **foreign.time)
    convert([foreign.path], tmp_path / "z.h5", how)
    assert TrajectoryFile.open(tmp_path / "z.h5").grid.boundaries == ("WALL",)


def test_what_formats_of_mdanalysis_leave_open_is_asked_for(foreign, tmp_path):
    asked = [
        ({}, "does not state whether axis x is periodic, expected --walls"),
        ({"walls": []}, "does not state where its box begins on axis x, expected --box-origin"),
    ]
    if foreign.time:
        asked.append(({"walls": [], "box_origin": [-4.0]}, "states no times, expected the time between frames"))
    else:
        both = {"walls": [], "box_origin": [-4.0], "frame_spacing": 1.0}
        asked.append((both, "states its times, from 0 on, and frame_spacing is given"))
    for options, said in asked:
        with pytest.raises(ValueError, match=re.escape(said)):
            convert([foreign.path], tmp_path / "a.h5", Deposit(bins=(6,), **options))
    assert [path.name for path in tmp_path.iterdir()] == ["particles"]  # nor files of MDAnalysis


@pytest.mark.parametrize("name", ["traj.xtc", "traj.dcd"])
def test_xtc_and_dcd_of_lammps_have_the_profile_of_its_text(runs, tmp_path, name):
    time = {"frame_spacing": 5 * LJ["timestep"]} if name == "traj.dcd" else {}
    how = {"bins": (8,), "axes": ["z"], "kernel": "linear"}  # continuous in the positions, which are rounded
    convert([runs["lj"] / name], tmp_path / "a.h5", Deposit(walls=[], box_origin=[0.0], **time, **how))
    convert([runs["lj"] / "text.dump"], tmp_path / "b.h5", Deposit(**how))
    assert TrajectoryFile.open(tmp_path / "a.h5").read() == pytest.approx(
        TrajectoryFile.open(tmp_path / "b.h5").read(), abs=1e-5
    )
    times = [TrajectoryFile.open(tmp_path / file).times for file in ("a.h5", "b.h5")]
    np.testing.assert_allclose(times[0], times[1], rtol=1e-6)


def test_an_origin_that_contradicts_the_file_is_refused(tmp_path):
    path = written(tmp_path / "a.dump", FRAME.format(step=0))
    with pytest.raises(ValueError, match="states where its box begins, expected no box_origin"):
        convert([path], tmp_path / "a.h5", Deposit(bins=(4,), box_origin=[0.0]))


def test_a_species_may_be_missing_in_one_file_but_not_in_all(tmp_path):
    one = written(tmp_path / "a.dump", frame(0, 0, 10, [1, 2]))
    two = written(tmp_path / "b.dump", frame(0, 0, 10, [1, 2]).replace("2 1 2", "2 2 2"))
    convert([one, two], tmp_path / "a.h5", Deposit(bins=(2,), species={"small": [1], "large": [2]}))
    held = TrajectoryFile.open(tmp_path / "a.h5")
    sums = dict(zip(held.fields, TrajectoryFile.open(tmp_path / "a.h5").read().sum((0, 1, 3)) * 40, strict=True))
    assert sums == {"density_small": pytest.approx(3), "density_large": pytest.approx(1)}
    with pytest.raises(ValueError, match="species: 'big' is type 7, expected a type that is in the files"):
        convert([one, two], tmp_path / "b.h5", Deposit(bins=(2,), species={"big": [7]}))
    with pytest.raises(ValueError, match="masses: no particle is of type 7"):
        convert([one], tmp_path / "b.h5", Deposit(bins=(2,), masses={"7": 1.0}))
