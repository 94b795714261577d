"""Brownian walkers: laws of their increments and of the decay of their density, exact mass, streams of the seed."""

import json
from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch
from scipy import stats

from morlight.data.trajectory_file import TrajectoryFile, digest
from morlight.data.trajectory_writer import Parts
from morlight.simulate.walkers import Walkers, brownian, fixed_point, levy, mixture, plane

SMALL = Walkers(sets=3, walkers=500, steps=4, bins=16)


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_walker_increments_are_normal_with_variance_2dt(tmp_path):
    # the path of one walker, read off its cell; a uniform place within the cell undoes the binning
    dt, bins, rng = 1e-3, 2048, np.random.default_rng(0)
    brownian(tmp_path / "a.h5", Walkers(1, 1, 4000, bins, dt))
    cell = TrajectoryFile.open(tmp_path / "a.h5").read()[0, :, 0].argmax(axis=1)
    steps = np.diff((cell + rng.random(len(cell))) * 2 * np.pi / bins)
    steps -= 2 * np.pi * np.round(steps / (2 * np.pi))
    spread = np.hypot(np.sqrt(2 * dt), 2 * np.pi / bins / np.sqrt(6))  # two uniform places add h²/6
    assert stats.kstest(steps, "norm", (0, spread)).pvalue > 1e-5


@pytest.mark.parametrize("deposit", ["histogram", "fourier"])
@pytest.mark.parametrize("dt", [0.01, 0.1])
def test_each_mode_decays_as_the_characteristic_function(tmp_path, deposit, dt):
    # given the start, a mode of W walkers has the mean c(0) exp(−k²t) and the variance (1 − exp(−2k²t)) / W
    W, steps, bins = 2_000_000, 2, 64
    brownian(tmp_path / "a.h5", Walkers(2, W, steps, bins, dt, deposit), seed=1)
    c = np.fft.rfft(TrajectoryFile.open(tmp_path / "a.h5").read()[:, :, 0].astype("float64"))[..., 1:6] / bins
    k, t = np.arange(1, 6), dt * np.arange(steps + 1)[:, None]
    alias = 2 * k / bins  # of the noise of modes k ± 64, by the sinc of the cells
    error = abs(c - c[:, :1] * np.exp(-(k**2) * t))
    assert (error <= 5 * (np.sqrt(-np.expm1(-2 * k**2 * t)) + alias) / np.sqrt(W)).all()


@pytest.mark.parametrize("bins", [16, 12])
def test_no_walker_is_lost(tmp_path, bins):
    brownian(tmp_path / "a.h5", Walkers(2, 500, 20, bins, 0.05))
    counts = TrajectoryFile.open(tmp_path / "a.h5").read().astype("float64") * 500 / bins
    np.testing.assert_allclose(counts, counts.round(), atol=1e-4)  # single precision of counts up to 500
    np.testing.assert_array_equal(counts.round().sum(-1), 500)


def test_the_fourier_deposit_keeps_the_mean(tmp_path):
    brownian(tmp_path / "a.h5", Walkers(2, 500, 5, 12, deposit="fourier"))
    np.testing.assert_allclose(TrajectoryFile.open(tmp_path / "a.h5").read().mean(-1), 1, atol=1e-6)  # single precision


def test_both_deposits_see_the_same_walkers(tmp_path):
    modes = []
    for deposit in ("histogram", "fourier"):
        brownian(tmp_path / f"{deposit}.h5", Walkers(1, 5000, 3, 64, deposit=deposit))
        modes.append(np.fft.rfft(TrajectoryFile.open(tmp_path / f"{deposit}.h5").read())[..., 1:4] / 64)
    # cells damp mode k by sinc(πk / 64): 1 % for 3, and alias k ± 64 by noise of sinc(π (64 ± k) / 64) / √W
    np.testing.assert_allclose(*modes, atol=5e-3)


def test_walkers_start_from_the_von_mises_mixture_of_their_stream():
    draw = np.random.default_rng(5)
    concentration, mean = draw.uniform(5, 10, 5), draw.uniform(0, 2 * np.pi, 5)
    x = mixture(np.random.default_rng(5), 50_000) + np.pi  # cells are counted from −π
    unrolled = [stats.vonmises(kappa, loc=mu) for kappa, mu in zip(concentration, mean, strict=True)]

    def share(y):
        return np.mean([part.cdf(y) - part.cdf(0) for part in unrolled], axis=0)

    assert stats.kstest(x, share).pvalue > 1e-5


def test_fixed_point_is_the_angle_to_the_last_bit_kept():
    x = np.array([-np.pi, -1.0, 0.0, 1e-6, 3.0, np.pi])
    got = fixed_point(x).numpy().astype("float64") * 2 * np.pi / 2**32
    np.testing.assert_allclose(got, x, atol=2 * np.pi / 2**32)


def test_the_seed_alone_decides_whatever_the_number_of_workers(tmp_path, threads):
    digests = set()
    for workers in (1, 2, 3):
        threads(workers)
        brownian(tmp_path / "a.h5", SMALL, seed=4, overwrite=True)
        digests.add(digest(tmp_path / "a.h5"))
    assert len(digests) == 1


def test_another_seed_and_another_set_are_other_walkers(tmp_path):
    for seed in (0, 1):
        brownian(tmp_path / f"{seed}.h5", SMALL, seed=seed)
    u = np.concatenate([TrajectoryFile.open(tmp_path / f"{seed}.h5").read()[:, :, 0] for seed in (0, 1)])
    assert len(np.unique(u.reshape(6, -1), axis=0)) == 6


def test_the_first_sets_stay_when_sets_are_added(tmp_path):
    brownian(tmp_path / "3.h5", SMALL)
    brownian(tmp_path / "5.h5", Walkers(5, 500, 4, 16))
    np.testing.assert_array_equal(
        TrajectoryFile.open(tmp_path / "3.h5").read(), TrajectoryFile.open(tmp_path / "5.h5").read()[:3]
    )


def test_the_file_says_where_it_comes_from(tmp_path):
    brownian(tmp_path / "a.h5", SMALL, seed=9)
    held = TrajectoryFile.open(tmp_path / "a.h5")
    assert (held.fields, held.trajectories, held.grid.boundaries) == (("density",), 3, ("PERIODIC",))
    np.testing.assert_allclose(held.grid.length, 2 * np.pi, rtol=1e-14)
    np.testing.assert_allclose(held.times, [0, 1e-3, 2e-3, 3e-3, 4e-3], rtol=1e-14)
    with h5py.File(tmp_path / "a.h5") as file:
        assert (file.attrs["generator"], file.attrs["seed"]) == ("brownian", 9)
        stated = json.loads(file.attrs["generator_parameters"])
    assert {
        "alpha": 2.0,
        "diffusivity": 1.0,
        "walkers": 500,
        "dt": 1e-3,
        "deposit": "histogram",
    }.items() <= stated.items()


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("sets", 0),
        ("walkers", 0),
        ("steps", -1),
        ("bins", 1),
        ("dt", 0.0),
        ("dt", float("nan")),
        ("deposit", "spline"),
        ("alpha", 0.0),
        ("alpha", 2.1),
        ("anisotropy", 1.5),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(word, value):
    with pytest.raises(ValueError, match=f"{word} is .*{value}.*expected"):
        Walkers(**{word: value})


def test_a_device_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match="abacus"):
        brownian(tmp_path / "a.h5", SMALL, device="abacus")


def test_an_output_that_cannot_be_written_is_refused_before_any_walk(tmp_path):
    with pytest.raises(ValueError, match="none"):
        brownian(tmp_path / "none" / "a.h5", Walkers())  # the whole set of the paper would take minutes


FLIGHTS = Walkers(sets=3, walkers=2000, steps=5, bins=16, alpha=1.5, drift=(0.0, 0.0))


@pytest.mark.parametrize("deposit", ["histogram", "fourier"])
def test_each_mode_of_flights_in_the_plane_decays_as_the_characteristic_function(tmp_path, deposit):
    W, steps, bins, alpha, drift = 1_000_000, 3, 32, 1.5, (2.0, -1.0)
    levy(tmp_path / "a.h5", Walkers(1, W, steps, bins, 0.02, deposit, alpha, drift), seed=1)
    modes = np.fft.fft2(TrajectoryFile.open(tmp_path / "a.h5").read()[0, :, 0].astype("float64")) / bins**2
    for k in ((1, 0), (0, 2), (2, -1), (3, 3)):
        c, t = modes[:, k[0], k[1]], 0.02 * np.arange(steps + 1)
        factor = np.exp(-(np.hypot(*k) ** alpha + 1j * np.dot(k, drift)) * t)
        alias = 2 * np.hypot(*k) / bins  # of the noise of modes beyond the cells, by the sinc of the cells
        noise = np.sqrt(1 - abs(factor) ** 2) + (alias if deposit == "histogram" else alias / 8)
        assert (abs(c - c[0] * factor) <= 5 * noise / np.sqrt(W)).all()


@pytest.mark.parametrize("setting", [FLIGHTS, replace(FLIGHTS, deposit="linear"), SMALL])
def test_the_mean_density_is_one_whatever_the_deposit(tmp_path, setting):
    levy(tmp_path / "a.h5", setting)
    u = TrajectoryFile.open(tmp_path / "a.h5").read()
    np.testing.assert_allclose(u.reshape(*u.shape[:2], -1).mean(-1), 1, rtol=1e-6)  # single precision


def test_counts_are_kept_as_small_integers_and_read_as_densities(tmp_path):
    levy(tmp_path / "a.h5", FLIGHTS)
    with h5py.File(tmp_path / "a.h5") as file:
        stored = file["t0_fields/density"]
        assert stored.dtype == "int16"
        np.testing.assert_allclose(
            TrajectoryFile.open(tmp_path / "a.h5").read()[:, :, 0], stored[:] * stored.attrs["scale_factor"], rtol=1e-6
        )
        assert (stored[:].sum((2, 3)) == 2000).all()


@pytest.mark.parametrize(("anisotropy", "uniform"), [(0.0, False), (1.0, True)])
def test_anisotropy_flattens_the_initial_density_along_x_alone(anisotropy, uniform):
    x, y = plane(np.random.default_rng(0), replace(FLIGHTS, walkers=20_000, anisotropy=anisotropy))
    assert (stats.kstest(x, "uniform", (-np.pi, 2 * np.pi)).pvalue > 1e-5) == uniform
    assert stats.kstest(y, "uniform", (-np.pi, 2 * np.pi)).pvalue < 1e-5


@pytest.mark.parametrize("shared", [False, True])
def test_x_and_y_are_independent_unless_they_share_their_component(shared):
    x, y = plane(np.random.default_rng(3), replace(FLIGHTS, walkers=50_000, shared_component=shared))
    counts, *_ = np.histogram2d(x, y, 8, [[-np.pi, np.pi]] * 2)
    assert (stats.chi2_contingency(counts + 1).pvalue < 1e-5) == shared


def test_an_interrupted_simulation_goes_on_where_it_stopped(tmp_path, monkeypatch):
    whole, path = tmp_path / "whole.h5", tmp_path / "a.h5"
    levy(whole, FLIGHTS)
    put = Parts.put

    def fail(self, trajectory, fields):
        if trajectory == 2:
            raise KeyboardInterrupt
        put(self, trajectory, fields)

    monkeypatch.setattr(Parts, "put", fail)
    with pytest.raises(KeyboardInterrupt):
        levy(path, FLIGHTS)
    assert not path.exists()
    begun = []
    monkeypatch.setattr(Parts, "put", lambda self, i, fields: (begun.append(i), put(self, i, fields)))
    levy(path, FLIGHTS)
    assert begun == [2]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.h5", "whole.h5"]
    np.testing.assert_array_equal(TrajectoryFile.open(path).read(), TrajectoryFile.open(whole).read())


@pytest.mark.parametrize(("name", "value"), [("sets", 10**9), ("sets", 0), ("steps", 10**20), ("bins", 1)])
def test_numbers_that_no_simulation_has_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} is {value}, expected at least . and less than"):
        Walkers(**{name: value})


def test_a_file_that_is_there_is_refused_before_any_walk(tmp_path):
    path = tmp_path / "a.h5"
    path.write_text("precious")
    with pytest.raises(ValueError, match="exists already, expected another name, or --overwrite to replace it"):
        brownian(path, Walkers())  # the whole set of the paper would take minutes
    assert [p.name for p in tmp_path.iterdir()] == ["a.h5"]
    assert path.read_text() == "precious"
    brownian(path, SMALL, overwrite=True)
    assert TrajectoryFile.open(path).trajectories == 3


def test_what_another_seed_left_is_not_taken_for_ones_own(tmp_path, monkeypatch):
    path = tmp_path / "a.h5"
    with monkeypatch.context() as patch:
        patch.setattr(Parts, "__exit__", lambda *_: None)  # all sets are there, but not joined yet
        levy(path, FLIGHTS, seed=1)
    levy(path, FLIGHTS, seed=2)
    levy(tmp_path / "b.h5", FLIGHTS, seed=2)
    np.testing.assert_array_equal(TrajectoryFile.open(path).read(), TrajectoryFile.open(tmp_path / "b.h5").read())
