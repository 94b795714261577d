"""`morlight predict`: what goes in, what comes out, and what is refused."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import small
import xarray
from command import refused
from heat import wave
from PIL import Image

from morlight.analysis import films, prediction_plots
from morlight.analysis.model import load
from morlight.cli import main as cli
from morlight.data.trajectory_file import TrajectoryFile, digest


def predict(words):
    cli.main(["predict", "model.ckpt", *shlex.split(words)])


@pytest.fixture
def here(folder):
    """The working directory with a checkpoint that knows its run and its losses."""
    small.mark("model.ckpt", losses={"name": "val_loss", "per_realization": [2.0, 1.0]}, run="abc")
    return folder


@pytest.mark.parametrize("name", ["u.npy", "u.npz", "u.nc"])
def test_a_state_is_the_same_whatever_file_it_comes_in(here, name):
    x = (np.arange(16) + 0.5) * 2 * np.pi / 16
    if name == "u.npy":
        np.save(name, wave())
    elif name == "u.npz":
        np.savez(name, density=wave())
    else:
        xarray.Dataset({"density": ("x", wave())}, {"x": x}).to_netcdf(name)
    predict(f"--initial {name} --steps 10 -o out.h5")
    expected = load("model.ckpt").predict(wave(), 10)
    assert TrajectoryFile.open("out.h5").read()[:, :, 0] == pytest.approx(expected, abs=1e-6)


def test_batches_realizations_and_their_mean_are_distinct_in_the_file(here):
    np.save("u.npy", np.stack([wave(1), 2 * wave(1)]))
    predict("--initial u.npy --trajectory 1 0 --steps 4 -o all.h5")
    file = TrajectoryFile.open("all.h5")
    assert file.parameters["realization"].tolist() == [0, 0, 1, 1]
    assert file.parameters["initial"].tolist() == [1, 0, 1, 0]
    everything = file.read().reshape(2, 2, 5, 16)
    predict("--initial u.npy --trajectory 1 0 --steps 4 --realizations best -o best.h5")
    best = TrajectoryFile.open("best.h5")
    assert best.parameters["realization"].tolist() == [1, 1]
    assert best.read()[:, :, 0] == pytest.approx(everything[1], abs=1e-6)
    predict("--initial u.npy --trajectory 1 0 --steps 4 --realizations mean -o mean.h5")
    mean = TrajectoryFile.open("mean.h5").read(["density", "density_sd"])
    assert mean[:, :, 0] == pytest.approx(everything.mean(0), abs=1e-6)
    assert mean[:, :, 1] == pytest.approx(everything.std(0, ddof=1), abs=1e-6)


def test_the_file_says_where_it_comes_from(here):
    predict("--initial heat.h5 --frame 2 --steps 4 --every 2 -o out.h5")
    attributes = TrajectoryFile.open("out.h5").attributes
    assert attributes["generator"] == "morlight predict"
    assert attributes["checkpoint_digest"] == digest("model.ckpt")
    assert attributes["initial_digest"] == digest("heat.h5")
    assert (attributes["run"], attributes["steps"]) == ("abc", 4)
    assert attributes["initial"] == "heat.h5, trajectory 0, frame 2"


def test_another_grid_is_used_with_one_warning(here, capsys):
    np.save("fine.npy", 1 + 0.1 * np.sin((np.arange(32) + 0.5) * np.pi / 16))
    assert "--points" in refused("predict model.ckpt --initial fine.npy --steps 1 -o out.h5", capsys)
    predict("--initial fine.npy --points 32 --steps 1 -o out.h5")
    assert TrajectoryFile.open("out.h5").grid.points == (32,)
    warned = capsys.readouterr().err
    assert warned.startswith("morlight: warning: model.ckpt: on [32] points, trained on [16]")
    assert warned.count("\n") == 2  # the second line names the file


@pytest.mark.parametrize("ending", ["gif", "mp4"])
def test_films_have_the_frames_that_were_kept(here, ending):
    predict(f"--initial heat.h5 --steps 12 --every 3 -o out.h5 --animate out.{ending}")
    if ending == "gif":
        with Image.open("out.gif") as film:
            assert film.n_frames == 5
    else:
        import imageio_ffmpeg

        assert imageio_ffmpeg.count_frames_and_secs("out.mp4")[0] == 5
    assert not list(here.glob(".out*"))


def test_without_ffmpeg_mp4_is_refused_in_a_sentence(here, monkeypatch, capsys):
    monkeypatch.setattr(films, "ffmpeg", lambda: None)
    words = "predict model.ckpt --initial heat.h5 --steps 1 -o out.h5 --animate out.mp4"
    assert "there is no ffmpeg" in refused(words, capsys)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--initial heat.h5 --trajectory one", "--trajectory is 'one'"),
        ("--initial heat.h5 --realizations worst", "--realizations is 'worst'"),
        ("--initial heat.h5 --realizations 7", "expected all, best, mean, data, or numbers from 0 to 1"),
        ("--initial heat.h5 --gamma rho=1", "--gamma names rho, expected parameters of model.ckpt: it has none"),
        ("--initial heat.h5 --gamma rho", "expected NAME=VALUE"),
        ("--initial heat.h5 --points 0", "points are [0]"),
        ("--initial heat.h5 --points 8", "has [16] points, --points says [8]"),
        ("--initial heat.h5 --animate out.png", "is not a film format"),
        ("--initial heat.h5 --animate nowhere/out.gif", "nowhere"),
    ],
)
def test_bad_words_leave_nothing_behind(here, capsys, words, sentence):
    before = sorted(here.iterdir())
    assert sentence in refused(f"predict model.ckpt {words} --steps 1 -o out.h5", capsys)
    assert sorted(here.iterdir()) == before


PAGE = (Path(__file__).parents[2] / "docs" / "using.md").read_text()
SHELL = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
COMMANDS = [line for line in SHELL if line.startswith("morlight ") and "--equation" not in line]  # a random operator


@pytest.mark.parametrize(
    "line", [pytest.param(line, marks=pytest.mark.slow if "export" in line else []) for line in COMMANDS]
)
@pytest.mark.filterwarnings("ignore::morlight.analysis.extrapolation.Extrapolation")
def test_the_commands_of_the_page_on_using_a_model_run(here, line):
    words = shlex.split(line.replace("CHECKPOINT", "model.ckpt").replace("FILE", "heat.h5"), comments=True)
    cli.main(words[1:])
    outputs = [words[place + 1] for place, word in enumerate(words) if word in ("-o", "--plot", "--animate")]
    assert all((here / name).stat().st_size for name in outputs)


@pytest.mark.filterwarnings("ignore::morlight.analysis.extrapolation.Extrapolation")
def test_the_example_in_python_of_the_page_on_using_a_model_runs(here):
    example = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0].replace("runs:/ID", "model.ckpt")
    u0 = np.ones(16)
    names = {"u0": u0, "dataset": xarray.Dataset({"density": ("x", u0)})}
    exec(example.replace("400", "20"), names)
    assert names["later"].sizes["time"] == 3
    assert names["fine"].grid.points == (80,)


def test_the_frames_of_a_numpy_array_are_not_taken_for_one_initial_state(here, capsys):
    np.savez("x.npz", density=np.ones((5, 16)))
    said = refused("predict model.ckpt --initial x.npz --steps 1 -o out.h5", capsys)
    assert "x.npz: holds 5 states, or frames, of (16,) points, expected one, or a choice by --trajectory" in said
    predict("--initial x.npz --trajectory 3 --steps 1 -o out.h5")


@pytest.mark.filterwarnings("ignore::morlight.analysis.extrapolation.Extrapolation")
def test_the_figure_of_a_mean_shows_its_standard_deviation_and_says_of_how_many(here, monkeypatch, capsys):
    figures = []
    monkeypatch.setattr(prediction_plots, "save", lambda figure, path: figures.append(figure))
    predict("--initial heat.h5 --steps 3 --realizations mean -o out.h5 --plot out.png")
    (axes,) = figures[0].axes
    labels = [line.get_label() for line in axes.get_lines()]
    assert "prediction, mean ± standard deviation of 2 realizations" in labels
    mean, sd = TrajectoryFile.open("out.h5").read(["density", "density_sd"])[0, -1]
    (band,) = axes.collections
    edge = band.get_paths()[0].vertices[:, 1]
    assert (edge.min(), edge.max()) == pytest.approx(((mean - sd).min(), (mean + sd).max()), abs=1e-6)
    wrote = capsys.readouterr().err.splitlines()[-2:]
    assert wrote == ["morlight: wrote out.h5: 1 trajectory × 4 frames × 16 cells, density, density_sd, Δt = 0.01",
                     "morlight: wrote out.png"]  # fmt: skip


FIGURES = [
    ("--frame 20 --steps 30", 50),
    ("--frame 20 --steps 30 --every 10", 50),
    ("--frame 20 --steps 90", None),  # beyond the end of the file
]


@pytest.mark.parametrize(("words", "frame"), FIGURES)
def test_a_figure_shows_the_data_of_the_same_time_if_the_file_contains_it(here, monkeypatch, words, frame):
    figures = []
    monkeypatch.setattr(prediction_plots, "save", lambda figure, path: figures.append(figure))
    predict(f"--initial heat.h5 {words} -o out.h5 --plot out.png")
    (axes,) = figures[0].axes
    curves = {line.get_label(): line.get_ydata() for line in axes.get_lines()}
    u = TrajectoryFile.open("heat.h5").read()[0, :, 0]
    assert curves["initial state"] == pytest.approx(u[20], abs=1e-6)
    assert ("data" in curves) == (frame is not None)
    if frame is not None:
        assert curves["data"] == pytest.approx(u[frame], abs=1e-6)
