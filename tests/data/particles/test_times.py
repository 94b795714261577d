"""Times and time steps are different things, and are compared relative to their spacing."""

import numpy as np
import pytest

from morlight.cli import main as cli
from morlight.data.particles import times
from morlight.data.particles.convert import convert
from morlight.data.particles.frames import Clock
from morlight.data.particles.settings import Deposit
from morlight.data.trajectory_file import TrajectoryFile
from tests.data.particles.test_lammps_dump import FRAME, written


def dump(path, steps, time_of_step=None, places=None):
    """A text dump with frames at these steps, which states times where a step has one."""
    text = ""
    for number, step in enumerate(steps):
        text += f"ITEM: TIME\n{step * time_of_step!r}\n" if time_of_step else ""
        text += FRAME.format(step=step).replace(" 5.5", f" {places[number] if places else 5.5}")
    return written(path, text)


@pytest.mark.parametrize("scale", [1e-15, 1.0, 1e15])
def test_steps_become_times_by_the_time_of_a_step(tmp_path, scale):
    convert([dump(tmp_path / "a.dump", [0, 10, 20])], tmp_path / "a.h5", Deposit(bins=(2,), timestep=scale))
    assert TrajectoryFile.open(tmp_path / "a.h5").times == pytest.approx(np.array([0, 10, 20]) * scale, rel=1e-12)


def test_without_a_timestep_the_unit_of_time_is_the_step(tmp_path):
    convert([dump(tmp_path / "a.dump", [0, 10])], tmp_path / "a.h5", Deposit(bins=(2,)))
    held = TrajectoryFile.open(tmp_path / "a.h5")
    assert (held.dt, held.attributes["time_unit"]) == (10, "time steps")


@pytest.mark.parametrize(("options", "said"), [("", "Δt = 10 time steps\n"), ("--timestep 0.005", "Δt = 0.05\n")])
def test_deposit_prints_the_time_between_frames_and_whether_it_is_in_steps(tmp_path, capsys, options, said):
    path = dump(tmp_path / "a.dump", [0, 10])
    cli.main(["deposit", str(path), "-o", str(tmp_path / "a.h5"), "--bins", "2", *options.split()])
    assert capsys.readouterr().err.endswith(said)


@pytest.mark.parametrize("option", ["timestep", "frame_spacing"])
def test_times_that_a_file_states_are_replaced_only_where_that_is_meant(tmp_path, option):
    path = dump(tmp_path / "a.dump", [0, 10], time_of_step=0.005)
    convert([path], tmp_path / "a.h5", Deposit(bins=(2,)))
    assert TrajectoryFile.open(tmp_path / "a.h5").dt == pytest.approx(0.05)
    with pytest.raises(ValueError, match=f"states its times, from 0 on, and {option} is given"):
        convert([path], tmp_path / "b.h5", Deposit(bins=(2,), **{option: 2.0}))
    convert([path], tmp_path / "b.h5", Deposit(bins=(2,), replace_times=True, **{option: 2.0}))
    assert TrajectoryFile.open(tmp_path / "b.h5").dt == pytest.approx(20 if option == "timestep" else 2)


def test_a_frame_spacing_does_not_hide_the_steps_of_a_file(tmp_path):
    with pytest.raises(ValueError, match="counts steps and frame_spacing is given"):
        convert([dump(tmp_path / "a.dump", [0, 10, 25])], tmp_path / "a.h5", Deposit(bins=(2,), frame_spacing=1.0))


@pytest.mark.parametrize("scale", [1e-15, 1.0, 1e15])
def test_irregular_frames_and_other_times_are_noticed_in_any_unit(tmp_path, scale):
    how = Deposit(bins=(2,), timestep=scale)
    with pytest.raises(ValueError, match=r"frames 2 and 3 are at .* expected frames as far apart as the first two"):
        convert([dump(tmp_path / "c.dump", [0, 10, 20, 25])], tmp_path / "a.h5", how)
    files = [dump(tmp_path / "a.dump", [0, 10]), dump(tmp_path / "b.dump", [0, 20])]
    with pytest.raises(ValueError, match="other frames, times or box than"):
        convert(files, tmp_path / "a.h5", how)


@pytest.mark.parametrize("start", [0.0, 1e6])
def test_times_in_single_precision_are_equally_spaced_within_their_rounding(start):
    stored = np.float32(start + 0.1 * np.arange(200)).astype(float)
    rounded = times.Times(stored, 2.0**-23, False)
    times.check_spacing("a.xtc", rounded)
    late = times.Times(stored + 0.05 * (np.arange(200) > 100) * (start == 0), 2.0**-23, False)
    if start == 0:
        with pytest.raises(ValueError, match="frames 100 and 101"):
            times.check_spacing("a.xtc", late)


@pytest.mark.parametrize(("repeated", "kept"), [("first", [5.5, 4.5, 5.5, 9.0]), ("last", [5.5, 4.0, 3.0, 9.0])])
@pytest.mark.parametrize("files", [1, 2])
def test_frames_of_a_restarted_run_are_kept_once(tmp_path, repeated, kept, files):
    first = ([0, 10, 20], [5.5, 4.5, 5.5])
    second = ([10, 20, 30], [4.0, 3.0, 9.0])
    if files == 1:
        paths = [dump(tmp_path / "a.dump", first[0] + second[0], places=first[1] + second[1])]
    else:
        paths = [dump(tmp_path / f"{i}.dump", steps, places=x) for i, (steps, x) in enumerate((first, second))]
    with pytest.raises(ValueError, match="--repeated first or last keeps one of the frames of a restarted run"):
        convert(paths, tmp_path / "a.h5", Deposit(bins=(20,)), series=True)
    convert(paths, tmp_path / "a.h5", Deposit(bins=(20,), repeated=repeated), series=True)
    held = TrajectoryFile.open(tmp_path / "a.h5")
    assert held.times.tolist() == [0, 10, 20, 30]
    due = [np.histogram([0.5, x, 9.5], 20, (0, 10))[0] for x in kept]
    assert TrajectoryFile.open(held.path).read()[0, :, 0] * 4 == pytest.approx(np.array(due), abs=1e-6)


def test_some_frames_with_times_and_some_without_are_refused():
    with pytest.raises(ValueError, match="some frames state a time and some do not"):
        times.times("a.dump", [Clock(step=0, time=0.0), Clock(step=1)], Deposit())


BAD = {
    "both": ({"timestep": 1.0, "frame_spacing": 1.0}, "timestep and frame_spacing are both given"),
    "nothing to replace by": ({"replace_times": True}, "there is nothing to replace them by"),
    "a negative timestep": ({"timestep": -1.0}, "timestep is -1.0, expected more than 0"),
}


@pytest.mark.parametrize("case", BAD)
def test_options_of_times_that_contradict_each_other_are_refused(case):
    options, said = BAD[case]
    with pytest.raises(ValueError, match=said):
        Deposit(**options)
