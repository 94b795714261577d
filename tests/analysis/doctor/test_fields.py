"""Every fault that is put into clean fields is found by the check that it is meant for; the clean ones pass."""

import math

import numpy as np
import pytest
from scipy import fft

import morlight
from morlight.analysis.doctor.examination import examine
from morlight.data.trajectory_file import TrajectoryFile
from morlight.data.trajectory_writer import write
from morlight.operators.description import Grid
from morlight.simulate.walkers import Walkers, brownian

TURN = 2 * math.pi


def save(path, fields, boundaries=("PERIODIC",), dt=0.01, length=None, **parameters):
    first = next(iter(fields.values()))
    grid = Grid(first.shape[2:], (length or TURN,) * len(first.shape[2:]), boundaries)
    fields = {name: np.asarray(u, np.float32) for name, u in fields.items()}
    times = np.arange(first.shape[1]) * dt
    write(path, name="test", fields=fields, grid=grid, times=times, parameters=parameters, provenance={})
    return path


def found(path):
    """Names of the checks with a finding."""
    return {finding.check for finding in examine(path).findings}


def heat(noise=0.01, trajectories=8, frames=60, points=64, seed=0, dt=0.01):
    """Solutions of ∂ₜu = ∇²u, mode by mode, with independent noise."""
    rng = np.random.default_rng(seed)
    k = np.arange(points // 2 + 1)
    start = rng.normal(size=(trajectories, len(k))) * np.exp(1j * rng.uniform(0, TURN, (trajectories, len(k))))
    start *= (k > 0) & (k <= 5)
    u = 1 + fft.irfft(start[:, None] * np.exp(-(k**2) * dt * np.arange(frames)[:, None]) * points / 8, points)
    return u + noise * rng.normal(size=u.shape)


def walkers(tmp_path, **setting):
    words = {"sets": 6, "walkers": 6400, "steps": 40, "bins": 32} | setting
    brownian(tmp_path / "walkers.h5", Walkers(**words), seed=1)
    return tmp_path / "walkers.h5", TrajectoryFile.open(tmp_path / "walkers.h5").read()[:, :, 0].astype(float)


def lj():
    held = TrajectoryFile.open("lj")
    names = ("density", "momentum", "density_temperature")
    fields = {name: held.read([name])[:, :, 0].astype(float) for name in names}
    return fields, {key: np.asarray(values) for key, values in held.parameters.items()}


def save_lj(path, fields, parameters, boundaries=("WALL",)):
    return save(path, fields, boundaries, dt=0.025, length=1.0, **parameters)


@pytest.mark.parametrize("name", ["lj", "lj_refinement", "colloid"])
def test_nothing_is_odd_about_the_shipped_sets(name):
    assert examine(name).findings == []


def test_nothing_is_odd_about_walkers_and_about_the_heat_equation_with_noise(tmp_path):
    assert found(walkers(tmp_path)[0]) == set()
    assert found(save(tmp_path / "a.h5", {"density": heat()})) == set()
    assert found(save(tmp_path / "b.h5", {"density": heat(noise=0)})) == set()


def test_one_walker_lost_of_6400_is_found(tmp_path):
    _, u = walkers(tmp_path)
    cell = int(u[3, 20].argmax())
    u[3, 20:, cell] -= 32 / 6400
    (finding,) = examine(save(tmp_path / "a.h5", {"density": u})).findings
    assert finding.check == "particle number"
    assert finding.value == pytest.approx(1 / 6400, rel=0.01)
    assert "trajectory 3" in finding.message


@pytest.mark.parametrize("loss", [1e-3, 0.1])
def test_a_density_that_decays_is_found_in_spite_of_noise(tmp_path, loss):
    u = heat(noise=1e-4) * (1 - loss * np.linspace(0, 1, 60)[:, None])
    assert "particle number" in found(save(tmp_path / "a.h5", {"density": u}))


def test_a_total_that_fluctuates_by_the_noise_of_a_measurement_is_no_loss(tmp_path):
    assert found(save(tmp_path / "a.h5", {"density": heat(noise=0.05)})) == set()


def test_species_that_change_into_each_other_are_told_from_particles_lost(tmp_path):
    turned = np.linspace(0, 0.1, 60)[:, None]
    a, b = heat(noise=0), heat(noise=0, seed=1)
    fields = {"density_a": a * (1 - turned), "density_b": b + a * turned}
    (finding,) = [f for f in examine(save(tmp_path / "a.h5", fields)).findings if f.check == "particle number"]
    assert "species change into each other" in finding.message


@pytest.mark.parametrize("boundary", ["PERIODIC", "WALL"])
def test_a_driven_flow_is_found_in_a_periodic_box_but_not_between_walls(tmp_path, boundary):
    p = heat() - 1 + 0.1 * np.linspace(0, 1, 60)[:, None]
    checks = found(save(tmp_path / "a.h5", {"momentum": p}, (boundary,)))
    assert ("momentum" in checks) == (boundary == "PERIODIC")


def test_momentum_that_flows_from_one_species_to_the_other_is_conserved(tmp_path):
    p, given = heat(noise=0) - 1, 0.1 * np.linspace(0, 1, 60)[:, None]
    path = save(tmp_path / "a.h5", {"momentum_a": p + given, "momentum_b": p - given})
    assert "momentum" not in found(path)


def test_a_density_in_other_units_than_the_parameter_is_found(tmp_path):
    fields, parameters = lj()
    fields["density"] *= 10**3  # nm against Å
    (finding,) = [f for f in examine(save_lj(tmp_path / "a.h5", fields, parameters)).findings if f.check == "density"]
    assert finding.value == pytest.approx(1000, rel=0.01)


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_speeds_in_other_units_than_temperatures_are_found(tmp_path, factor):
    fields, parameters = lj()
    fields["momentum"] *= factor
    assert "units" in found(save_lj(tmp_path / "a.h5", fields, parameters))


def test_a_temperature_that_drifts_is_found(tmp_path):
    fields, parameters = lj()
    fields["density_temperature"] *= np.linspace(1, 1.15, 41)[:, None]
    (finding,) = examine(save_lj(tmp_path / "a.h5", fields, parameters)).findings
    assert finding.check == "temperature"
    assert finding.value == pytest.approx(0.11, abs=0.02)  # between the middles of the first and the last quarter


def test_a_temperature_other_than_its_parameter_is_found(tmp_path):
    fields, parameters = lj()
    parameters["temperature"] = np.full_like(parameters["seed"], 1.0)
    assert found(save_lj(tmp_path / "a.h5", fields, parameters)) == {"temperature"}
    parameters["temperature"] = np.full_like(parameters["seed"], 2.0)
    assert found(save_lj(tmp_path / "b.h5", fields, parameters)) == set()


def test_species_of_different_temperatures_are_found(tmp_path):
    fields, parameters = lj()
    both = {f"{name}_{word}": u for word in "ab" for name, u in fields.items()}
    both["density_temperature_b"] = both["density_temperature_b"] * 1.5
    assert found(save_lj(tmp_path / "a.h5", both, {"seed": parameters["seed"]})) == {"temperature"}


def without_a_frame(u, trajectory, frame):
    """One frame left out of one trajectory, the last one of all others."""
    short = u[:, :-1].copy()
    short[trajectory] = np.delete(u[trajectory], frame, 0)
    return short


@pytest.mark.parametrize(
    ("u", "said"),
    [(np.full((2, 20, 8), 3.0), "u is 3 everywhere"), (np.ones((2, 20, 1)) * np.arange(8.0), "u does not change")],
)
def test_a_field_that_stands_still_is_found(tmp_path, u, said):
    morlight.write(tmp_path / "still.h5", {"u": u}, dt=0.1, length=1.0, boundaries="periodic")
    (finding,) = examine(tmp_path / "still.h5").findings
    assert (finding.check, finding.value) == ("frames", 0.0)
    assert said in finding.message


@pytest.mark.parametrize("noise", [0, 1e-5])
def test_a_missing_frame_of_smooth_fields_is_found_in_its_place(tmp_path, noise):
    path = save(tmp_path / "a.h5", {"density": without_a_frame(heat(noise), 2, 31)})
    (finding,) = examine(path).findings
    assert finding.check == "frames"
    assert "between frames 30 and 31 of trajectory 2" in finding.message
    assert finding.value == pytest.approx(2, rel=0.1)


def fluctuating(friction, trajectories=12, frames=80, points=128, dt=0.1, seed=0):
    """∂ₜₜu = −friction ∂ₜu + ∂ₓₓu + noise, without ∂ₜₜu where there is no friction; each mode by small steps."""
    rng = np.random.default_rng(seed)
    kappa = np.arange(points // 2 + 1)
    u = rng.normal(size=(trajectories, len(kappa), 2)) @ [1, 1j]
    v = np.zeros_like(u)
    frames_of_u, h = [], dt / 20
    for step in range(20 * frames):
        if step % 20 == 0:
            frames_of_u.append(fft.irfft(u, points))
        force = math.sqrt(h) * (rng.normal(size=(*u.shape, 2)) @ [1, 1j])
        if friction:
            v = v + h * (-friction * v - np.minimum(kappa, 8) ** 2 * u) + force
            u = u + h * v
        else:
            u = u - h * 0.01 * kappa * u + force
    return np.stack(frames_of_u, 1)


def test_a_missing_frame_of_a_random_walk_is_found_by_the_root_of_two(tmp_path):
    u = fluctuating(0, trajectories=4, points=512)
    (finding,) = examine(save(tmp_path / "a.h5", {"u": without_a_frame(u, 2, 41)})).findings
    assert "between frames 40 and 41 of trajectory 2" in finding.message
    assert finding.value == pytest.approx(math.sqrt(2), rel=0.2)


def test_waves_that_turn_round_miss_no_frame(tmp_path):
    t, x = np.arange(80)[:, None] * 0.1, np.arange(64) * TURN / 64
    standing = np.stack([1 + np.cos(k * t) * np.cos(k * x) for k in (1, 2, 3)])
    assert "frames" not in found(save(tmp_path / "a.h5", {"u": standing}))


def test_doubled_frames_are_counted_but_not_a_state_that_has_come_to_rest(tmp_path):
    u = heat()
    u[1, 12], u[1, 30] = u[1, 11], u[1, 29]
    (finding,) = examine(save(tmp_path / "a.h5", {"density": u})).findings
    assert (finding.check, finding.value) == ("frames", 2)
    resting = np.concatenate([heat(noise=0), np.repeat(heat(noise=0)[:, -1:], 20, 1)], 1)
    assert "doubled" not in str(examine(save(tmp_path / "b.h5", {"density": resting})).findings)


def profile_between_walls(shape, noise=1e-3):
    """A profile that decays to half, with noise."""
    x = (np.arange(64) + 0.5) / 64
    rng = np.random.default_rng(0)
    u = shape(x) * np.exp(-np.linspace(0, 0.7, 50))[:, None]
    return np.stack([u] * 4) + noise * rng.normal(size=(4, 50, 64))


SHAPES = {
    "cos": lambda x: np.cos(np.pi * x),
    "sin": lambda x: np.sin(np.pi * x),
    "line": lambda x: 0.5 + x,
    "parabola": lambda x: 4 * x * (1 - x),
    "periodic": lambda x: np.sin(TURN * x + 0.7),
}


@pytest.mark.parametrize(
    ("field", "boundary", "shape", "fits"),
    [
        ("u", "WALL", "cos", True),
        ("u", "WALL", "sin", False),
        ("u", "WALL", "line", False),
        ("u", "WALL", "periodic", False),
        ("momentum", "WALL", "sin", True),
        ("momentum", "WALL", "parabola", True),
        ("momentum", "WALL", "cos", False),
        ("momentum", "WALL", "periodic", False),
        ("u", "PERIODIC", "periodic", True),
        ("u", "PERIODIC", "line", False),
        ("u", "PERIODIC", "cos", False),
        ("momentum", "PERIODIC", "parabola", False),  # no jump, but a kink
    ],
)
def test_a_profile_that_does_not_fit_the_boundary_is_found(tmp_path, field, boundary, shape, fits):
    checks = found(save(tmp_path / "a.h5", {field: profile_between_walls(SHAPES[shape])}, (boundary,)))
    assert ("boundary" in checks) == (not fits)


def test_walls_that_the_file_calls_periodic_are_found_by_the_flow_between_them(tmp_path):
    fields, parameters = lj()
    assert "boundary" in found(save_lj(tmp_path / "a.h5", fields, parameters, ("PERIODIC",)))


@pytest.mark.parametrize("amplitude", [1e-3, 0.1])
def test_energy_in_the_shortest_wave_is_found(tmp_path, amplitude):
    u = heat(noise=amplitude / 20) + amplitude * (-1.0) ** np.arange(64)
    assert found(save(tmp_path / "a.h5", {"density": u})) == {"nyquist"}


def test_the_shortest_wave_along_one_axis_of_a_plane_is_found_and_named(tmp_path):
    rng = np.random.default_rng(0)
    u = 1 + 0.01 * rng.normal(size=(4, 3, 16, 32))
    path = save(tmp_path / "a.h5", {"u": u + 0.05 * (-1.0) ** np.arange(32)}, ("PERIODIC",) * 2)
    (finding,) = examine(path).findings
    assert finding.check == "nyquist"
    assert "along y" in finding.message


def test_too_few_particles_a_cell_are_found_with_their_number(tmp_path):
    path, _ = walkers(tmp_path, walkers=100, bins=64)
    (finding,) = examine(path).findings
    assert finding.check == "particles a cell"
    assert finding.value == pytest.approx(100 / 64)


@pytest.mark.parametrize(("friction", "remembers"), [(0, False), (0.5, True)])
def test_waves_have_memory_where_their_velocity_is_not_in_the_file_and_random_walks_have_none(
    tmp_path, friction, remembers
):
    assert ("memory" in found(save(tmp_path / "a.h5", {"u": fluctuating(friction)}))) == remembers


def test_noise_of_a_measurement_is_no_memory(tmp_path):
    path = save(tmp_path / "a.h5", {"density": heat(noise=0.3, trajectories=20, dt=0.02)})
    assert "memory" not in found(path)


@pytest.mark.parametrize(("correlation", "is_correlated"), [(0.0, False), (0.3, True), (0.8, True)])
def test_noise_that_lasts_from_frame_to_frame_is_found(tmp_path, correlation, is_correlated):
    rng = np.random.default_rng(2)
    u = heat(noise=0, frames=100)
    noise = rng.normal(size=u[:, 0].shape)
    for t in range(u.shape[1]):
        u[:, t] += 0.02 * noise
        noise = correlation * noise + math.sqrt(1 - correlation**2) * rng.normal(size=noise.shape)
    assert ("noise" in found(save(tmp_path / "a.h5", {"density": u}))) == is_correlated


def test_averages_over_overlapping_times_are_found_in_the_noise(tmp_path):
    u = heat(noise=0.02)
    path = save(tmp_path / "a.h5", {"density": (u[:, 1:] + u[:, :-1]) / 2})
    (finding,) = [finding for finding in examine(path).findings if finding.check == "noise"]
    assert finding.value == pytest.approx(0.5, abs=0.05)  # the correlation of means over two that share one
    fields, parameters = lj()
    fields = {name: (v[:, 1:] + v[:, :-1]) / 2 for name, v in fields.items()}
    assert "noise" in found(save_lj(tmp_path / "b.h5", fields, parameters))


def test_a_value_that_is_not_finite_is_a_finding_and_not_an_error(tmp_path):
    u = heat()
    u[1, 2, 3] = np.nan
    (finding,) = examine(save(tmp_path / "a.h5", {"density": u})).findings
    assert finding.severity == "refused"
    assert "trajectory 1, frame 2" in finding.message


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no such file"):
        examine(tmp_path / "a.h5")
