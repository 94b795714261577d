"""Anybody's arrays as trajectory files: what is written is read back, and what is unknown is asked for."""

import numpy as np
import pytest
import xarray
from scipy.io import savemat

import morlight
from morlight.cli import main as cli

X, T = np.arange(16) * 0.25, np.arange(5) * 0.1
U = np.random.default_rng(0).normal(size=(2, 5, 16))


def refusal(path, fields, **described):
    """The one sentence of a refusal, after which there is no file."""
    with pytest.raises(ValueError, match=r"mine\.h5") as caught:
        morlight.write(path, fields, **described)
    assert not path.exists()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_arrays_are_read_back_as_they_were(tmp_path):
    path = morlight.write(
        tmp_path / "mine.h5", {"u": U}, dt=0.1, length=4.0, boundaries="periodic", parameters={"speed": [1, 2]}
    )
    file = morlight.open(path)
    assert np.array_equal(file.read()[:, :, 0], U)
    assert (file.grid.length, file.grid.boundaries, file.dt) == ((4.0,), ("PERIODIC",), pytest.approx(0.1))
    assert np.array_equal(file.parameters["speed"], [1, 2])


@pytest.mark.parametrize("dims", [("time", "x", "y"), ("y", "x", "time"), ("x", "time", "y")])
def test_axes_come_in_any_order(tmp_path, dims):
    u = np.random.default_rng(1).normal(size=(5, 6, 7))  # time, x, y
    given = u.transpose([("time", "x", "y").index(dim) for dim in dims])
    path = morlight.write(tmp_path / "mine.h5", {"u": given}, dims=dims, dt=1.0, length=(6.0, 7.0), boundaries="wall")
    assert np.array_equal(morlight.open(path).read()[0, :, 0], u)


def test_names_and_coordinates_of_xarray_are_taken(tmp_path):
    labelled = xarray.Dataset({"u": (("x", "time"), U[0].T)}, coords={"x": X, "time": 3 + T})
    file = morlight.open(morlight.write(tmp_path / "mine.h5", labelled, boundaries="periodic"))
    assert np.array_equal(file.read()[0, :, 0], U[0])
    assert file.grid.length == (pytest.approx(4.0),)
    assert np.allclose(file.times, 3 + T)


def test_every_nth_frame_is_kept_at_its_time(tmp_path):
    file = morlight.open(morlight.write(tmp_path / "mine.h5", {"u": U}, dt=0.1, length=4.0, boundaries="wall", every=2))
    assert np.array_equal(file.read()[:, :, 0], U[:, ::2])
    assert np.allclose(file.times, [0, 0.2, 0.4])


ENOUGH = {"dt": 0.1, "length": 4.0, "boundaries": "periodic"}
HOLE = np.where(np.arange(16) == 3, np.nan, U)
CLOSED = np.concatenate([np.sin(np.arange(16) / 16 * 2 * np.pi), [0.0]])[None, None] * np.ones((2, 5, 1))


@pytest.mark.parametrize(
    ("fields", "changes", "sentence"),
    [
        ({"u": U}, {"dt": None}, "expected dt"),
        ({"u": U}, {"times": T}, "not both"),
        ({"u": U}, {"dt": -1.0}, "dt is -1.0"),
        ({"u": U}, {"dt": None, "times": T[:4]}, "4 times for 5 frames"),
        ({"u": U}, {"dt": None, "times": T**2 + T}, "equally spaced frames"),
        ({"u": U}, {"length": None}, "length of axis x is missing"),
        ({"u": U}, {"length": (1.0, 2.0)}, "length is (1.0, 2.0)"),
        ({"u": U}, {"length": None, "coordinates": {"x": X**2}}, "equally spaced and growing"),
        ({"u": U}, {"boundaries": None}, "boundaries are missing"),
        ({"u": U}, {"boundaries": "open"}, "boundaries are 'open'"),
        ({"u": U[0]}, {}, "has 2 axes"),
        ({"u": U}, {"dims": ("time", "x")}, "expected one name for each axis"),
        ({"u": U + 1j}, {}, "is complex"),
        ({"u": U.astype(str)}, {}, "expected numbers"),
        ({"u": HOLE}, {}, "not finite at trajectory 0, frame 0"),
        ({"u": U, "v": U[:1]}, {}, "expected the same for all"),
        ({"u": CLOSED}, {}, "both ends of the periodic axis x"),
        ({"u": U}, {"parameters": {"speed": [1, 2, 3]}}, "has 3 values"),
        ({"u": U}, {"every": 0}, "every is 0"),
        ({}, {}, "expected arrays by the names"),
    ],
)
def test_what_is_missing_or_wrong_is_said(tmp_path, fields, changes, sentence):
    assert sentence in refusal(tmp_path / "mine.h5", fields, **{**ENOUGH, **changes})


def test_a_repeated_end_is_left_out_when_asked(tmp_path):
    file = morlight.open(morlight.write(tmp_path / "mine.h5", {"u": CLOSED}, **ENOUGH, drop_last=True))
    assert file.grid.points == (16,)


def test_a_file_that_is_there_stays(tmp_path):
    (tmp_path / "mine.h5").write_text("precious")
    with pytest.raises(ValueError, match="exists already"):
        morlight.write(tmp_path / "mine.h5", {"u": U}, **ENOUGH)
    assert (tmp_path / "mine.h5").read_text() == "precious"


def put_npy(path):
    np.save(path, U)


def put_npz(path):
    np.savez(path, u=U)


def put_mat(path):
    savemat(path, {"u": U})


def put_nc(path):
    xarray.Dataset({"u": (("trajectory", "time", "x"), U)}).to_netcdf(path)


@pytest.mark.parametrize("put", [put_npy, put_npz, put_mat, put_nc])
def test_files_of_arrays_are_converted(tmp_path, monkeypatch, put):
    monkeypatch.chdir(tmp_path)
    put(f"u.{put.__name__.removeprefix('put_')}")
    (name,) = (file.name for file in tmp_path.iterdir())
    words = ["convert", name, "-o", "mine.h5", "--dt", "0.1", "--length", "4", "--boundaries", "periodic"]
    cli.main([*words, "--scalar", "speed=1,2"])
    file = morlight.open("mine.h5")
    assert file.fields == ("u",)
    assert np.array_equal(file.read()[:, :, 0], U)
    assert np.array_equal(file.parameters["speed"], [1, 2])


def test_times_and_coordinates_come_from_arrays_of_the_file_and_files_are_joined(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for place in range(2):
        savemat(f"{place}.mat", {"usol": (U[place : place + 1] + 0j), "t": T[:, None], "x": X[None]})
    words = "convert 0.mat 1.mat -o mine.h5 --fields u=usol --times t --coordinates x=x --boundaries periodic"
    cli.main(words.split())
    file = morlight.open("mine.h5")
    assert np.array_equal(file.read()[:, :, 0], U)
    assert (file.grid.length, file.dt) == ((pytest.approx(4.0),), pytest.approx(0.1))


def test_files_of_one_trajectory_each_are_put_side_by_side(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("a.npz", u=U[0].T)
    np.savez("b.npz", u=U[1].T)
    cli.main(
        [
            "convert",
            "a.npz",
            "b.npz",
            "-o",
            "mine.h5",
            "--dims",
            "x,time",
            "--dt",
            "0.1",
            "--length",
            "4",
            "--boundaries",
            "periodic",
        ]
    )
    assert np.array_equal(morlight.open("mine.h5").read()[:, :, 0], U)
    cli.main(
        [
            "convert",
            "a.npz",
            "-o",
            "one.h5",
            "--dims",
            "x,time",
            "--dt",
            "0.1",
            "--length",
            "4",
            "--boundaries",
            "periodic",
        ]
    )
    assert np.array_equal(morlight.open("one.h5").read()[0, :, 0], U[0])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("convert a.mat -o mine.h5", "expected fields (--fields)"),
        ("convert a.mat -o mine.h5 --fields v", "there is no array 'v', expected one of usol (1, 5, 16), t (5, 1)"),
        ("convert a.mat nowhere.mat -o mine.h5", "no such file"),
        ("convert a.txt -o mine.h5", "ends in '.txt'"),
        ("convert a.mat b.mat -o mine.h5 --fields u=usol --times t --length 4 --boundaries wall", "'t' differs"),
        ("convert a.mat -o mine.h5 --fields u=usol u=t", "each field once"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path, monkeypatch, capsys, words, sentence):
    from command import refused

    monkeypatch.chdir(tmp_path)
    savemat("a.mat", {"usol": U[:1], "t": T[:, None]})
    savemat("b.mat", {"usol": U[:1], "t": 2 * T[:, None]})
    (tmp_path / "a.txt").write_text("1 2 3")
    assert sentence in refused(words, capsys)
    assert not (tmp_path / "mine.h5").exists()
