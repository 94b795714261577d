"""Fields from the averages of `fix ave/chunk` for particles of one mass: means over the particles times densities."""

import numpy as np
import pytest

from morlight.cli import main as cli
from morlight.data.trajectory_file import TrajectoryFile

# masses differ from 1, all components and temperatures differ: no two columns can stand for one another
NUMBER, MASS = np.array([2.0, 3.0]), np.array([9.0, 13.5])
ALIKE = ["--walls", "x", "--mass", "all=4.5", "--units", "lj"]
VELOCITY = {"x": np.array([0.5, -1.0]), "y": np.array([1.5, 2.0]), "z": np.array([-3.0, 0.25])}
TEMPERATURE = np.array([1.1, 0.9])
EXPECTED = {
    "density": NUMBER,
    "momentum_x": MASS * VELOCITY["x"],
    "momentum_y": MASS * VELOCITY["y"],
    "momentum_z": MASS * VELOCITY["z"],
    "density_temperature": NUMBER * TEMPERATURE,
}


def chunk_file(path, *scales):
    """A file of two cells and two samples, all velocities times a number."""
    columns = "# Chunk Coord1 Ncount density/number density/mass vx vy vz temp"
    lines = ["# Chunk-averaged data for fix p and group all", "# Timestep Number-of-chunks Total-count", columns]
    for step, scale in enumerate(scales):
        lines.append(f"{10 * step} 2 5")
        for cell in (0, 1):
            moving = [scale * VELOCITY[axis][cell] for axis in "xyz"]
            values = [cell + 1, cell + 0.5, NUMBER[cell], NUMBER[cell], MASS[cell], *moving, TEMPERATURE[cell]]
            lines.append(" " + " ".join(map(str, values)))
    path.write_text("\n".join(lines) + "\n")
    return str(path)


@pytest.mark.parametrize("flow", ["x", "y", "z"])
def test_momenta_are_mass_densities_times_velocities_and_heat_is_the_number_density_times_the_temperature(
    tmp_path, flow
):
    path, names = chunk_file(tmp_path / "profile.txt", 1, 2), [*EXPECTED, "momentum"]
    more = [*ALIKE, "--flow", flow, "--columns", "density_temperature=density/number*temp"]
    cli.main(["deposit", path, "-o", str(tmp_path / "u.h5"), "--fields", ",".join(names), *more])
    u = dict(zip(names, TrajectoryFile.open(tmp_path / "u.h5").read(names)[0].swapaxes(0, 1), strict=True))
    for name, values in {**EXPECTED, "momentum": EXPECTED[f"momentum_{flow}"]}.items():
        speeds = np.array([[1.0], [2.0]]) if name.startswith("momentum") else 1.0
        assert u[name] == pytest.approx(speeds * values * np.ones((2, 1)), rel=1e-6), name


def test_errors_of_means_over_runs_and_over_frames_fall_with_the_root_of_their_number(tmp_path):
    speeds = [1.0, 2.0, 4.0, 8.0, 16.0]
    runs = [chunk_file(tmp_path / f"{k}.txt", speed, speed) for k, speed in enumerate(speeds)]
    cli.main(["deposit", *runs, "-o", str(tmp_path / "runs.h5"), "--fields", "momentum", "--mean", *ALIKE])
    series = chunk_file(tmp_path / "series.txt", *speeds)
    averages = ["--fields", "momentum", "--average", "5", *ALIKE]
    cli.main(["deposit", series, "-o", str(tmp_path / "frames.h5"), *averages])
    expected = np.std(speeds, ddof=1) / np.sqrt(5) * np.abs(EXPECTED["momentum_y"])
    for name in ("runs.h5", "frames.h5"):
        found = TrajectoryFile.open(tmp_path / name).read(["momentum_error"])[0, 0, 0]
        assert found == pytest.approx(expected, rel=1e-6)
