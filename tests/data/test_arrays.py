"""Anybody's arrays as trajectory files: what is written is read back, and what is unknown is asked for."""

import subprocess
import sys

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
        ({"u": U}, {"dt": None, "times": T[::-1]}, "expected one for each, increasing"),
        ({"u": U}, {"length": None}, "length of axis x is missing"),
        ({"u": U}, {"length": (1.0, 2.0)}, "length is (1.0, 2.0)"),
        ({"u": U}, {"length": None, "coordinates": {"x": X**2}}, "equally spaced and increasing"),
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
        ({"u": U}, {"every": 5}, "every is 5 of 5 frames"),
        ({"u": U}, {"dt": 1e308}, "expected a time above 0"),
        ({"u": U}, {"dt": None, "times": T.astype("datetime64[s]")}, "times holds datetime64[s]"),
        (
            {"u": U},
            {"length": None, "coordinates": {"x": X.astype("datetime64[s]")}},
            "coordinate x holds datetime64[s]",
        ),
        ({"u": U}, {"coordinates": {"x": 2 * X}}, "length of x is 4, expected 8"),
        ({"u": U}, {"coordinates": {"q": X}}, "coordinates of 'q'"),
        ({"u": U}, {"parameters": {"speed": ["a", "b"]}}, "parameter 'speed' holds <U1"),
        ({"v/w": U}, {}, "'v/w' is the name of a field or parameter"),
        ({"a,b": U}, {}, "'a,b' is the name of a field or parameter"),
        ({"u": U}, {"parameters": {"a b": [1, 2]}}, "'a b' is the name of a field or parameter"),
        ({"u": np.ma.masked_greater(U, 1.0)}, {}, "has masked values"),
        ({"u": U > 0}, {}, "holds bool"),
        ({"u": U[..., :1]}, {}, "at least 2 points"),
        ({"u": U[:0]}, {}, "has the shape (0, 5, 16)"),
        ({"u": U}, {"drop_last": True}, "differs between both ends"),
        ({}, {}, "expected arrays by the names"),
    ],
)
def test_what_is_missing_or_wrong_is_said(tmp_path, fields, changes, sentence):
    assert sentence in refusal(tmp_path / "mine.h5", fields, **{**ENOUGH, **changes})


def test_a_repeated_end_is_left_out_when_asked(tmp_path):
    file = morlight.open(morlight.write(tmp_path / "mine.h5", {"u": CLOSED}, **ENOUGH, drop_last=True))
    assert file.grid.points == (16,)


def test_fields_that_are_alike_at_both_ends_are_asked_about_and_kept_when_asked(tmp_path):
    x = (np.arange(16) + 0.5) / 16 * 2 * np.pi  # centers of cells, around which cos is even
    even = np.cos(x)[None, None] * np.ones((2, 5, 1))
    assert "drop_last=False (--keep-last)" in refusal(tmp_path / "mine.h5", {"u": even}, **ENOUGH)
    file = morlight.open(morlight.write(tmp_path / "mine.h5", {"u": even}, **ENOUGH, drop_last=False))
    assert np.array_equal(file.read()[:, :, 0], even)


UNTYPED = """
import numpy as np
import morlight

u = {"u": np.random.default_rng(0).normal(size=(2, 5, 16))}
for place, length in enumerate([np.float32(4), np.int64(4), np.array(4.0), 4, [4]]):
    path = morlight.write(f"{place}.h5", u, dt=1, length=length, boundaries="periodic")
    assert morlight.open(path).grid.length == (4.0,)
wrong_values = [
    {"dt": "0.1"}, {"dt": True}, {"dt": [0.1]}, {"length": "6"}, {"length": (None,)}, {"boundaries": 1}, {"every": 2.0}
]
for wrong in wrong_values:
    try:
        morlight.write("mine.h5", u, **{"dt": 0.1, "length": 4.0, "boundaries": "periodic", **wrong})
    except ValueError as error:
        (key,) = wrong
        assert str(error).startswith(f"mine.h5: {key} ") and "expected" in str(error), error
    else:
        raise AssertionError(wrong)
"""


def test_values_of_other_types_are_numbers_or_refused(tmp_path):
    """In a process of its own, without the type checks of the other tests."""
    subprocess.run([sys.executable, "-c", UNTYPED], cwd=tmp_path, check=True, timeout=300)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["0.h5", "1.h5", "2.h5", "3.h5", "4.h5"]


def test_half_precision_is_kept_in_single(tmp_path):
    file = morlight.open(morlight.write(tmp_path / "mine.h5", {"u": U.astype(np.float16)}, **ENOUGH))
    assert np.array_equal(file.read()[:, :, 0], U.astype(np.float16).astype(np.float32))


def test_time_and_space_in_the_wrong_order_are_asked_about(tmp_path):
    x, t = np.arange(32) / 32 * 2 * np.pi, np.arange(40)[:, None] * 0.05
    u = np.exp(-t) * np.sin(x) + np.exp(-4 * t) * np.cos(2 * x - 3 * t)
    described = {"dt": 0.05, "length": 2 * np.pi, "boundaries": "periodic"}
    with pytest.raises(ValueError, match="expected time and x in the other order in dims"):
        morlight.write(tmp_path / "u.h5", {"u": u}, dims=("x", "time"), **described)
    morlight.write(tmp_path / "u.h5", {"u": u}, dims=("time", "x"), **described)
    traveling = np.sin(x - 2 * np.pi * np.arange(40)[:, None] / 40)  # a period in both
    morlight.write(tmp_path / "v.h5", {"u": traveling}, dims=("x", "time"), **described)


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
