"""Trajectory files: the layout of The Well by its documented names, read back exactly, and plain refusals."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from morlight.data.trajectory_file import Contents, TrajectoryFile, digest
from morlight.data.trajectory_writer import Writer, write
from morlight.operators.description import Grid

GRID = Grid((8, 6), (1.0, 3.0), ("PERIODIC", "WALL"))
TIMES = np.arange(5) * 0.25


def fields(seed: int = 0, dtype: str = "float32") -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=(3, 5, 8, 6)).astype(dtype) for name in ("density", "momentum")}


def put(path: Path, u: dict[str, np.ndarray], **more) -> Path:
    write(path, name="test", fields=u, grid=GRID, times=TIMES, provenance=more.pop("provenance", {}), **more)
    return path


@pytest.fixture
def path(tmp_path):
    return put(tmp_path / "a.h5", fields(), parameters={"gamma": np.array([1.0, 2.0, 4.0])})


def edited(path: Path, edit) -> Path:
    with h5py.File(path, "r+") as file:
        edit(file)
    return path


def refusal(call) -> str:
    """The sentence of a ValueError: one line, which names the file."""
    with pytest.raises(ValueError, match=r"\.h5|directory") as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_written_is_read_back_bit_for_bit(tmp_path, dtype):
    u = fields(dtype=dtype)
    got = TrajectoryFile.open(put(tmp_path / "a.h5", u)).read()
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, np.stack([u["density"], u["momentum"]], axis=2))


def test_fields_come_in_the_order_asked_for_and_slices_select(path):
    u = fields()
    got = TrajectoryFile.open(path).read(["momentum", "density"], slice(1, None), slice(0, 5, 2))
    np.testing.assert_array_equal(got[:, :, 0], u["momentum"][1:, ::2])
    np.testing.assert_array_equal(got[:, :, 1], u["density"][1:, ::2])


def test_the_file_has_the_documented_names_of_the_well(path):
    with h5py.File(path) as file:
        assert set(file) == {
            "boundary_conditions",
            "dimensions",
            "scalars",
            *(f"t{order}_fields" for order in range(3)),
        }
        assert file.attrs["dataset_name"] == "test"
        assert file.attrs["grid_type"] == "cartesian"
        assert (file.attrs["n_spatial_dims"], file.attrs["n_trajectories"]) == (2, 3)
        assert len(file.attrs["simulation_parameters"]) == 0
        assert list(file["dimensions"].attrs["spatial_dims"]) == ["x", "y"]
        assert list(file["t0_fields"].attrs["field_names"]) == ["density", "momentum"]
        assert len(file["t1_fields"].attrs["field_names"]) == len(file["t2_fields"].attrs["field_names"]) == 0
        density = file["t0_fields/density"]
        assert density.shape == (3, 5, 8, 6)
        assert all(np.all(density.attrs[f"{what}_varying"]) for what in ("sample", "time", "dim"))
        assert list(file["scalars"].attrs["field_names"]) == ["gamma"]
        np.testing.assert_array_equal(file["scalars/gamma"], [1, 2, 4])
        for axis, kind, points in (("x", "PERIODIC", 8), ("y", "WALL", 6)):
            side = file[f"boundary_conditions/{axis}_{kind.lower()}"]
            assert side.attrs["bc_type"] == kind
            assert list(side.attrs["associated_dims"]) == [axis]
            assert side["mask"].shape == (points,)
            assert side["mask"][0]
            assert side["mask"][-1]


def test_coordinates_are_the_centres_of_the_cells(path):
    with h5py.File(path) as file:
        np.testing.assert_allclose(file["dimensions/x"], (np.arange(8) + 0.5) / 8, rtol=1e-15)
        np.testing.assert_allclose(file["dimensions/y"], (np.arange(6) + 0.5) / 2, rtol=1e-15)


def test_the_description_is_what_was_written(path):
    held = TrajectoryFile.open(path)
    assert (held.name, held.fields, held.trajectories) == ("test", ("density", "momentum"), 3)
    assert (held.grid.points, held.grid.boundaries) == (GRID.points, GRID.boundaries)
    np.testing.assert_allclose(held.grid.length, GRID.length, rtol=1e-14)
    np.testing.assert_array_equal(held.times, TIMES)
    assert held.dt == 0.25
    np.testing.assert_array_equal(held.parameters["gamma"], [1, 2, 4])


def test_one_frame_has_no_time_step(tmp_path):
    u = {"density": np.ones((1, 1, 8, 6), np.float32)}
    write(tmp_path / "a.h5", name="one", fields=u, grid=GRID, times=np.zeros(1), provenance={})
    assert np.isnan(TrajectoryFile.open(tmp_path / "a.h5").dt)


def test_provenance_stands_in_the_root_and_parameters_as_json(tmp_path):
    provenance = {"generator": "walk", "parameters": {"dt": 0.5, "deposit": "fourier"}, "seed": 7}
    path = put(tmp_path / "a.h5", fields(), provenance=provenance)
    with h5py.File(path) as file:
        assert (file.attrs["generator"], file.attrs["seed"]) == ("walk", 7)
        assert json.loads(file.attrs["parameters"]) == provenance["parameters"]
    assert provenance.items() <= TrajectoryFile.open(path).attributes.items()


def test_components_of_a_vector_are_read_by_name(path):
    p = np.random.default_rng(1).normal(size=(3, 5, 8, 6, 2)).astype("float32")
    edited(path, lambda file: file["t1_fields"].create_dataset("velocity", data=p))
    assert {"velocity_x", "velocity_y"} <= set(TrajectoryFile.open(path).fields)
    np.testing.assert_array_equal(TrajectoryFile.open(path).read(["velocity_y"])[:, :, 0], p[..., 1])


def test_the_same_data_have_the_same_digest_and_others_another(tmp_path):
    same = [digest(put(tmp_path / f"{i}.h5", fields())) for i in range(2)]
    assert same[0] == same[1] != digest(put(tmp_path / "2.h5", fields(seed=1)))
    assert len(same[0]) == 16
    assert int(same[0], 16) >= 0


@pytest.mark.parametrize("key", ["dimensions", "dimensions/time", "dimensions/y", "boundary_conditions", "t0_fields"])
def test_a_missing_member_is_named(path, key):
    assert key in refusal(lambda: TrajectoryFile.open(edited(path, lambda file: file.__delitem__(key))))


@pytest.mark.parametrize("key", ["dataset_name", "n_spatial_dims", "n_trajectories"])
def test_a_missing_attribute_is_named(path, key):
    assert key in refusal(lambda: TrajectoryFile.open(edited(path, lambda file: file.attrs.__delitem__(key))))


def test_a_file_without_fields_is_refused(path):
    assert "field" in refusal(lambda: TrajectoryFile.open(edited(path, lambda file: file["t0_fields"].clear())))


def test_a_field_that_does_not_fit_the_dimensions_is_named_with_both_shapes(path):
    def shorten(file):
        del file["t0_fields/density"]
        file["t0_fields/density"] = np.ones((3, 5, 7, 6))

    sentence = refusal(lambda: TrajectoryFile.open(edited(path, shorten)))
    assert all(word in sentence for word in ("density", "(3, 5, 7, 6)", "(3, 5, 8, 6)"))


@pytest.mark.parametrize("axis", ["time", "x", "y"])
@pytest.mark.parametrize("value", [-1.0, 0.3, np.nan])
def test_an_axis_with_unequal_steps_is_named(path, axis, value):
    sentence = refusal(
        lambda: TrajectoryFile.open(edited(path, lambda file: file["dimensions"][axis].__setitem__(1, value))).dt
    )
    at_any_times = axis == "time" and value == 0.3  # which `discover` takes, and whatever needs Δt refuses
    assert ("frames are 0.2 to 0.3 apart" if at_any_times else f"dimensions/{axis}") in sentence


def test_times_that_differ_between_trajectories_are_refused(path):
    def spread(file):
        del file["dimensions/time"]
        file["dimensions/time"] = TIMES * np.array([[1.0], [2.0], [3.0]])

    assert "dimensions/time" in refusal(lambda: TrajectoryFile.open(edited(path, spread)))


def test_a_boundary_of_unknown_type_is_named_with_those_there_are(path):
    side = "boundary_conditions/y_wall"
    sentence = refusal(
        lambda: TrajectoryFile.open(edited(path, lambda file: file[side].attrs.__setitem__("bc_type", "OPEN")))
    )
    assert all(word in sentence for word in ("OPEN", "axis y", "PERIODIC", "WALL"))


def test_what_is_no_trajectory_file_is_refused(tmp_path, path):
    assert "no such file" in refusal(lambda: TrajectoryFile.open(tmp_path / "none.h5"))
    assert "is a directory" in refusal(lambda: TrajectoryFile.open(tmp_path))
    text = tmp_path / "text.h5"
    text.write_text("x,u\n0,1\n")
    assert "not an HDF5 file" in refusal(lambda: TrajectoryFile.open(text))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "cut short" in refusal(lambda: TrajectoryFile.open(path).read())


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_located_in_the_whole_file(path, value):
    edited(path, lambda file: file["t0_fields/momentum"].__setitem__((2, 3, 1, 1), value))
    sentence = refusal(lambda: TrajectoryFile.open(path).read(trajectories=slice(1, None), times=slice(1, None)))
    assert "'momentum'" in sentence
    assert "trajectory 2, frame 3" in sentence
    TrajectoryFile.open(path).read(["density"])
    TrajectoryFile.open(path).read(times=slice(0, 3))


def test_one_field_may_stand_without_a_list(path):
    np.testing.assert_array_equal(TrajectoryFile.open(path).read("momentum")[:, :, 0], fields()["momentum"])


def test_a_missing_field_is_answered_with_those_there_are(path):
    sentence = refusal(lambda: TrajectoryFile.open(path).read(["temperature"]))
    assert all(word in sentence for word in ("temperature", "density", "momentum"))


def test_an_empty_selection_is_refused(path):
    assert "3 trajectories" in refusal(lambda: TrajectoryFile.open(path).read(trajectories=slice(3, 4)))


def writer(path: Path, overwrite: bool = False, **parameters: np.ndarray) -> Writer:
    return Writer(Contents(path, "test", ("density",), GRID, TIMES, 2, parameters, {}), overwrite=overwrite)


def test_a_file_that_is_there_is_replaced_only_when_asked_for(tmp_path):
    path = put(tmp_path / "a.h5", fields())
    before = path.read_bytes()
    other = {name: 2 * u for name, u in fields().items()}
    assert "a.h5: exists already, expected another name, or --overwrite" in refusal(lambda: put(path, other))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    put(path, other, overwrite=True)
    np.testing.assert_array_equal(TrajectoryFile.open(path).read(["density"])[:, :, 0], other["density"])


def test_an_interrupted_write_leaves_what_was_there_and_nothing_else(tmp_path):
    path = put(tmp_path / "a.h5", fields())
    before = path.read_bytes()

    def interrupt():
        with writer(path, overwrite=True) as file:
            file.put(0, {"density": np.zeros((5, 8, 6), "float32")})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupt()
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_appears_only_when_it_is_complete(tmp_path):
    path = tmp_path / "a.h5"
    frames = {"density": np.ones((5, 8, 6), "float32")}
    with writer(path) as file:
        file.put(1, frames)
        assert not path.exists()
        file.put(0, frames)
    assert list(tmp_path.iterdir()) == [path]
    np.testing.assert_array_equal(TrajectoryFile.open(path).read(), 1)


def test_a_trajectory_never_written_is_named_and_leaves_nothing(tmp_path):
    def leave_out():
        with writer(tmp_path / "a.h5") as file:
            file.put(0, {"density": np.ones((5, 8, 6), "float32")})

    assert "trajectory 1" in refusal(leave_out)
    assert not list(tmp_path.iterdir())


def test_fields_that_do_not_fit_the_grid_are_refused_and_leave_nothing(tmp_path):
    sentence = refusal(lambda: put(tmp_path / "a.h5", {"density": np.ones((3, 5, 8, 7))}))
    assert "(5, 8, 7)" in sentence
    assert "(5, 8, 6)" in sentence
    assert not list(tmp_path.iterdir())


def test_parameters_of_another_number_of_trajectories_are_refused_and_leave_nothing(tmp_path):
    assert "gamma" in refusal(writer(tmp_path / "a.h5", gamma=np.ones(3)).__enter__)
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "none" / "a.h5", tmp_path / "file" / "a.h5", Path("/proc/self/a.h5")):
        assert str(path.parent) in refusal(lambda path=path: put(path, fields()))
    assert "is a directory" in refusal(lambda: put(tmp_path, fields()))


@pytest.mark.parametrize(
    ("points", "length", "boundaries"),
    [
        ((), (), ()),
        ((8,), (1.0, 1.0), ("WALL",)),
        ((1,), (1.0,), ("WALL",)),
        ((8,), (0.0,), ("WALL",)),
        ((8,), (np.inf,), ("WALL",)),
        ((8,), (1.0,), ("OPEN",)),
    ],
)
def test_a_grid_that_is_none_is_refused(points, length, boundaries):
    with pytest.raises(ValueError, match="expected"):
        Grid(points, length, boundaries)
