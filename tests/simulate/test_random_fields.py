"""Random Fourier fields: the law of their coefficients, their targets by direct sums, streams of the seed, the CLI."""

import json
import shlex
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy import stats

from morlight.cli import main as cli
from morlight.data.trajectory_file import TrajectoryFile, digest
from morlight.simulate.random_fields import Fields, burgers, coefficients, evaluate, laplacian, wavenumbers

DRAW = {"burgers": (burgers, 1), "laplacian": (laplacian, 2)}
SMALL = Fields(samples=5, points=24, band=5)
EACH = pytest.mark.parametrize("system", ["burgers", "laplacian"])


def lattice(band, dimensions):
    """Every κ with Euclidean |κ| ≤ band, one a row."""
    kappa = np.stack(np.meshgrid(*[np.arange(-band, band + 1)] * dimensions), -1).reshape(-1, dimensions)
    return kappa[np.hypot.reduce(kappa, axis=1) <= band + 1e-9]


def drawn(path, system, setting, seed=0):
    """u and target of a new file, one sample a row, and the coordinates written in it, one point a row."""
    DRAW[system][0](path, setting, seed=seed)
    with h5py.File(path) as file:
        axes = [np.asarray(file["dimensions"][axis]) for axis in "xy"[: DRAW[system][1]]]
    x = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(axes))
    values = TrajectoryFile.open(path).read(("u", "target")).astype("float64").reshape(setting.samples, 2, -1)
    return values[:, 0], values[:, 1], x


def projected(u, x, kappa):
    """c_κ = mean of u exp(−iκ·x), exact for a trigonometric sum below the Nyquist wavenumber."""
    return u @ np.exp(-1j * x @ kappa.T) / len(x)


@EACH
@pytest.mark.parametrize("points", [43, 48])
def test_target_is_the_derivative_of_the_trigonometric_sum(tmp_path, system, points):
    u, target, x = drawn(tmp_path / "a.h5", system, Fields(3, points, 10))
    kappa = lattice(10, DRAW[system][1])
    c, waves = projected(u, x, kappa), np.exp(1j * kappa @ x.T)
    np.testing.assert_allclose(c @ waves, u, atol=1e-5)  # nothing of u is outside the band; single precision of 20
    if system == "burgers":
        expected = 2 * u * ((c * 1j * kappa[:, 0]) @ waves).real
    else:
        expected = ((c * -(kappa**2).sum(1)) @ waves).real
    # single precision, once in the file and once more in c, which a derivative weighs by at most |κ|² = 100
    np.testing.assert_allclose(target, expected, atol=2e-6 * abs(expected).max())


@EACH
def test_coefficients_have_modulus_one_within_the_band_and_zero_outside(tmp_path, system):
    u, _, x = drawn(tmp_path / "a.h5", system, SMALL)
    kappa = lattice(11, DRAW[system][1])
    within = np.hypot.reduce(kappa, axis=1) <= 5 + 1e-9
    c = projected(u, x, kappa)
    np.testing.assert_allclose(abs(c), np.broadcast_to(within, c.shape), atol=1e-6)  # single precision


@EACH
def test_the_mean_is_one_or_minus_one_equally_often(tmp_path, system):
    u, _, _ = drawn(tmp_path / "a.h5", system, Fields(1000, 21, 5))
    np.testing.assert_allclose(abs(u.mean(-1)), 1, atol=1e-6)  # single precision
    assert stats.binomtest(int((u.mean(-1) > 0).sum()), 1000).pvalue > 1e-5


@EACH
def test_arguments_of_the_coefficients_are_uniform_and_independent(tmp_path, system):
    u, _, x = drawn(tmp_path / "a.h5", system, Fields(500, 21, 5), seed=3)
    kappa = lattice(5, DRAW[system][1])
    kappa = kappa[[tuple(k) > (0,) * len(k) for k in kappa]]  # the other half is conjugate
    phase = np.angle(projected(u, x, kappa)) % (2 * np.pi)
    turn = stats.uniform(0, 2 * np.pi).cdf
    assert stats.kstest(phase.ravel(), turn).pvalue > 1e-5
    for step in (np.diff(phase, axis=0), np.diff(phase, axis=1)):  # between samples, between modes
        assert stats.kstest((step % (2 * np.pi)).ravel()[::2], turn).pvalue > 1e-5


@pytest.mark.parametrize("dimensions", [1, 2])
def test_evaluation_is_the_direct_sum_at_the_centres_of_the_cells(dimensions):
    kappa, points = wavenumbers(3, dimensions), 9
    assert 2 * len(kappa) - 1 == len(lattice(3, dimensions))
    c = coefficients(np.random.default_rng(1), 2, kappa)
    zero = (kappa == 0).all(1)
    x = np.stack(np.meshgrid(*[(np.arange(points) + 0.5) * 2 * np.pi / points] * dimensions, indexing="ij"), -1)
    expected = (np.where(zero, 1, 2) * c @ np.exp(1j * kappa @ x.reshape(-1, dimensions).T)).real
    got = evaluate(c, kappa, points)
    assert got.shape == (2, *(points,) * dimensions)
    np.testing.assert_allclose(got.reshape(2, -1), expected, atol=1e-12)  # rounding of a hundred waves


@EACH
def test_a_finer_grid_holds_the_same_functions_at_its_own_coordinates(tmp_path, system):
    kappa = lattice(5, DRAW[system][1])
    c = []
    for points in (24, 31):
        u, _, x = drawn(tmp_path / f"{points}.h5", system, Fields(5, points, 5))
        c.append(projected(u, x, kappa))
    np.testing.assert_allclose(*c, atol=1e-6)  # single precision


@EACH
def test_the_same_seed_is_the_same_file_and_another_is_other_fields(tmp_path, system):
    u, _, _ = drawn(tmp_path / "a.h5", system, SMALL, seed=1)
    drawn(tmp_path / "b.h5", system, SMALL, seed=1)
    other, _, _ = drawn(tmp_path / "c.h5", system, SMALL, seed=2)
    assert digest(tmp_path / "a.h5") == digest(tmp_path / "b.h5")
    assert len(np.unique(np.concatenate([u, other]), axis=0)) == 10


@EACH
@pytest.mark.parametrize("block", [1, 7 * 24**2, 2**20])
def test_the_first_samples_stay_when_samples_are_added(tmp_path, system, block, monkeypatch):
    monkeypatch.setattr("morlight.simulate.random_fields.BLOCK", block)
    drawn(tmp_path / "5.h5", system, SMALL)
    drawn(tmp_path / "30.h5", system, Fields(30, 24, 5))
    np.testing.assert_array_equal(
        TrajectoryFile.open(tmp_path / "5.h5").read(), TrajectoryFile.open(tmp_path / "30.h5").read()[:5]
    )


@EACH
def test_the_file_says_where_it_comes_from(tmp_path, system):
    DRAW[system][0](tmp_path / "a.h5", SMALL, seed=9)
    held = TrajectoryFile.open(tmp_path / "a.h5")
    dimensions = DRAW[system][1]
    assert (held.name, set(held.fields), held.trajectories) == (system, {"u", "target"}, 5)
    assert (held.grid.points, held.grid.boundaries) == ((24,) * dimensions, ("PERIODIC",) * dimensions)
    np.testing.assert_allclose(held.grid.length, 2 * np.pi, rtol=1e-14)
    np.testing.assert_array_equal(held.times, [0.0])
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["t0_fields/target"].dtype == np.float32
        assert (file.attrs["generator"], file.attrs["seed"]) == (system, 9)
        assert file.attrs["equation"] == {"burgers": "target = ∂ₓu²", "laplacian": "target = ∇²u"}[system]
        assert json.loads(file.attrs["generator_parameters"]) == {"samples": 5, "points": 24, "band": 5}


@pytest.mark.parametrize(("word", "value"), [("samples", 0), ("points", 1), ("band", 0)])
def test_a_setting_that_makes_no_sense_is_named(word, value):
    with pytest.raises(ValueError, match=f"{word} is {value}, expected"):
        Fields(**{word: value})


@pytest.mark.parametrize(("system", "least"), [("burgers", 21), ("laplacian", 11)])
def test_the_coarsest_grid_taken_is_the_coarsest_that_holds_the_target(tmp_path, system, least):
    # the mean of target² is Σ |its coefficients|² as long as none is aliased, so it is that of a fine grid
    power = [(drawn(tmp_path / f"{N}.h5", system, Fields(4, N, 5))[1] ** 2).mean(-1) for N in (least, 64)]
    np.testing.assert_allclose(*power, rtol=1e-6)  # single precision
    with pytest.raises(ValueError, match=f"--points is {least - 1} at --band 5: .* at least {least} points"):
        DRAW[system][0](tmp_path / "a.h5", Fields(4, least - 1, 5))


@EACH
def test_the_command_line_writes_what_the_function_writes(tmp_path, system, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cli.main(shlex.split(f"simulate {system} --samples 5 --points 24 --band 5 --seed 4 -o a.h5"))
    DRAW[system][0]("b.h5", SMALL, seed=4)
    assert digest("a.h5") == digest("b.h5")


@EACH
def test_a_file_that_is_there_is_replaced_only_with_overwrite(tmp_path, system, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("a.h5").write_text("precious")
    words = f"simulate {system} --samples 2 --points 24 --band 5 -o a.h5"
    with pytest.raises(SystemExit) as ended:
        cli.main(shlex.split(words))
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        "morlight: a.h5: exists already, expected another name, or --overwrite to replace it\n"
    )
    assert Path("a.h5").read_text() == "precious"
    cli.main(shlex.split(f"{words} --overwrite"))
    assert TrajectoryFile.open("a.h5").trajectories == 2


@pytest.mark.parametrize(("system", "points"), [("burgers", (256,)), ("laplacian", (128, 128))])
def test_the_defaults_are_those_of_table_1(tmp_path, system, points):
    options = cli.parser().parse_args(["simulate", system, "-o", "a.h5"])
    assert (options.samples, options.points, options.band) == (13_800, points[0], 10)
    assert Fields() == Fields(13_800, 256, 10)
    cli.main(shlex.split(f"simulate {system} --samples 1 -o {tmp_path / 'a.h5'}"))
    assert TrajectoryFile.open(tmp_path / "a.h5").grid.points == points


@EACH
@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("--points 20 -o out.h5", "--points is 20 at --band 10"),
        ("--samples 0 -o out.h5", "samples is 0"),
        ("--band -1 -o out.h5", "band is -1"),
        ("--seed -1 -o out.h5", "seed is -1"),
        ("--points many -o out.h5", "--points"),
        ("-o nowhere/out.h5", "nowhere"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing_behind(tmp_path, system, words, named, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        cli.main(shlex.split(f"simulate {system} {words}"))
    printed = capsys.readouterr()
    assert (ended.value.code, printed.out, printed.err.count("\n")) == (2, "", 1)
    assert named in printed.err
    assert not list(tmp_path.iterdir())
