from pathlib import Path

import numpy as np
import pytest
import xarray

from morlight.data import initial, labelled

WANTED = initial.Wanted(["density", "momentum"], ["rho"], [1.0], ["WALL"], [8])
X = (np.arange(8) + 0.5) / 8
DENSITY, MOMENTUM = np.cos(np.pi * X), np.sin(np.pi * X)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def dataset(**more):
    return xarray.Dataset({"density": ("x", DENSITY), "momentum": ("x", MOMENTUM)}, {"x": X, **more})


def test_arrays_of_numpy_with_and_without_names_are_the_same_state():
    np.save("a.npy", np.stack([DENSITY, MOMENTUM]))
    np.savez("b.npz", momentum=MOMENTUM, density=DENSITY)
    for path in ("a.npy", "b.npz"):
        found = initial.read(path, WANTED)
        assert np.array_equal(found.states, np.stack([DENSITY, MOMENTUM])[None])
        assert found.gamma == {}


@pytest.mark.parametrize("engine", ["h5netcdf", "scipy"])
def test_netcdf_of_both_generations_tells_states_and_parameters(engine):
    dataset(rho=0.3).to_netcdf("a.nc", engine=engine)
    found = initial.read("a.nc", WANTED)
    assert np.array_equal(found.states, np.stack([DENSITY, MOMENTUM])[None])
    assert found.gamma["rho"] == pytest.approx([0.3])


def test_frames_and_batches_of_netcdf_are_chosen():
    whole = dataset().expand_dims(time=[0.0, 1.0], run=[0, 1, 2]) * xarray.DataArray([1.0, 10.0], dims="time")
    (whole * xarray.DataArray([1.0, 2.0, 3.0], dims="run")).to_netcdf("a.nc")
    found = initial.read("a.nc", WANTED, [2, 0], 1)
    assert found.rows == [2, 0]
    assert np.allclose(found.states[:, 0], [30 * DENSITY, 10 * DENSITY], rtol=0, atol=1e-14)
    assert len(initial.read("a.nc", WANTED, None).states) == 3


def test_dimensions_may_come_in_any_order_and_parameters_along_a_batch():
    density = xarray.DataArray(np.outer(DENSITY, [1.0, 2.0]), dims=("x", "run"), coords={"rho": ("run", [0.1, 0.2])})
    momentum = xarray.DataArray(np.outer([1.0, 2.0], MOMENTUM), dims=("run", "x"))
    found = labelled.arrays(xarray.Dataset({"density": density, "momentum": momentum}), *WANTED_NAMES)
    assert np.array_equal(found.states[1], 2 * np.stack([DENSITY, MOMENTUM]))
    assert found.gamma["rho"].tolist() == [0.1, 0.2]


def test_a_parameter_with_the_name_of_a_field_is_told_apart():
    found = labelled.arrays(dataset(gamma_density=0.4), WANTED.fields, ["density"], 1)
    assert found.gamma["density"].tolist() == [0.4]
    assert labelled.arrays(dataset(), WANTED.fields, ["density"], 1).gamma == {}


WANTED_NAMES = (WANTED.fields, WANTED.parameters, 1)


class Payload:
    def __reduce__(self):
        return (open, ("executed", "w"))


def write_bad(name):
    """A file of each kind that is no initial state."""
    if name == "object.npy":
        np.save(name, np.array([Payload()], dtype=object), allow_pickle=True)
    elif name == "object.npz":
        np.savez(name, density=np.array([Payload()], dtype=object), momentum=MOMENTUM)
    elif name in ("text.npy", "text.npz", "text.nc"):
        Path(name).write_text("no numbers here")
    elif name == "words.npy":
        np.save(name, np.array(["a", "b"]))
    elif name in ("short.npy", "huge.npy"):
        np.save(name, np.ones((2, 5)) if name == "short.npy" else np.stack([DENSITY, 1e95 * MOMENTUM]))
    elif name == "lacking.npz":
        np.savez(name, density=DENSITY)
    elif name == "lacking.nc":
        dataset()[["density"]].to_netcdf(name)
    elif name == "stretched.nc":
        dataset().assign_coords(x=X**2).to_netcdf(name)
    elif name == "longer.nc":
        dataset().assign_coords(x=2 * X).to_netcdf(name)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("object.npy", "cannot be read, expected an array of numbers"),
        ("object.npz", "cannot be read, expected an array of numbers"),
        ("text.npy", "cannot be read"),
        ("text.npz", "cannot be read"),
        ("text.nc", "cannot be read, expected a NetCDF file"),
        ("words.npy", "holds no numbers"),
        ("huge.npy", r"values up to .*e\+94, expected numbers of single precision"),
        ("short.npy", r"shape \(2, 5\), expected one state \(a single frame\) of 2 field\(s\) \(density, momentum\)"),
        ("lacking.npz", "array 'momentum' is missing"),
        ("lacking.nc", "variable 'momentum' is missing"),
        ("stretched.nc", "'x' is not equally spaced"),
        ("longer.nc", "the coordinates fill the length"),
        ("absent.npy", "no such file"),
        ("absent.nc", "no such file"),
        ("absent.h5", "no such file"),
    ],
)
def test_what_is_no_initial_state_is_told_in_one_sentence_and_not_executed(tmp_path, name, sentence):
    write_bad(name)
    with pytest.raises(ValueError, match=sentence) as told:
        initial.read(name, WANTED)
    assert name in str(told.value)
    assert "\n" not in str(told.value)
    assert not (tmp_path / "executed").exists()
