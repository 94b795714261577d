"""Names and numbers that other parts cannot take are refused where they enter."""

import re

import pytest

from morlight.cli import main as cli
from morlight.data.particles.settings import Deposit
from tests.data.particles.test_lammps_dump import FRAME, written

NAMES = ["Na+", "a/b", "a b", "α", "1st", "", "a.b", "a,b"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("key", ["species", "columns"])
def test_names_of_fields_and_species_are_letters_digits_and_underscores(name, key):
    options = {"species": {name: [1]}} if key == "species" else {"columns": {name: "vx"}, "fields": [name]}
    with pytest.raises(ValueError, match=re.escape(f"'{name}', expected a name of letters, digits and _")):
        Deposit(**options)


BAD = {
    "a field twice": ({"fields": ["density", "density"]}, "fields: density, density, expected each once"),
    "an axis twice": ({"axes": ["x", "x"], "bins": [2, 2]}, "axes: x, x, expected each once"),
    "no field": ({"fields": []}, "fields: none"),
    "a species without types": ({"species": {"a": []}}, "species: 'a' has the types [], expected a list"),
    "two species of one field": (
        {"fields": ["density", "density_b"], "columns": {"density_b": "x"}, "species": {"b": [1], "b_b": [2]}},
        "two of them give the field density_b_b",
    ),
    "no mass": ({"masses": {"1": 0.0}}, "masses: 1 has the mass 0.0"),
    "all and one": ({"masses": {"1": 1.0, "all": 1.0}}, "both 'all' and single types"),
    "unknown units": ({"units": "imperial"}, "units: 'imperial', expected any of lj, real"),
    "reversed bounds": ({"bounds": [(1.0, 0.0)]}, "bounds: 1 to 0, expected the lower end before the upper one"),
    "origins of two axes": ({"box_origin": [0.0, 0.0]}, "expected 'center' or one number for each axis"),
    "scaled bounds": ({"bounds": [(0.0, 1.0)], "scale_cells": True}, "scale_cells: given with bounds"),
    "no such kernel": ({"kernel": "gauss"}, "kernel: gauss, expected any of histogram, linear, spectral"),
}


@pytest.mark.parametrize("case", BAD)
def test_settings_that_make_no_sense_are_refused(case):
    options, said = BAD[case]
    with pytest.raises(ValueError, match=re.escape(said)):
        Deposit(**options)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--species a=1 a=2", "--species has a twice"), ("--mass 1=1 1=2", "--mass has 1 twice"),
        ("--scalar n=1 n=2", "--scalar has n twice"), ("--species a=", "--species has 'a=', expected NAME=VALUE"),
        ("--box-origin left", "--box-origin is 'left', expected a number for each axis, or center"),
        ("--bounds 1", "--bounds has 1 numbers"), ("--fields density,density", "expected each once"),
    ],
)  # fmt: skip
def test_options_given_twice_or_half_are_refused(tmp_path, capsys, words, said):
    path = written(tmp_path / "a.dump", FRAME.format(step=0))
    with pytest.raises(SystemExit) as end:
        cli.main(["deposit", str(path), "-o", str(tmp_path / "a.h5"), *words.split()])
    assert end.value.code == 2
    assert said in capsys.readouterr().err
