"""Velocity and temperature: ratios of predicted fields, with the scatter of the realizations."""

import inspect

import numpy as np
import pytest
import small_fits
import xarray
from command import refused

from morlight.analysis.ratios import places
from morlight.cli import main as cli
from morlight.data.trajectory_file import TrajectoryFile

RATIOS = {"velocity": "momentum/density"}


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.chdir(tmp_path_factory.mktemp("ratios"))
    patch.delenv("MLFLOW_TRACKING_URI", raising=False)
    rng = np.random.default_rng(0)
    decay = np.exp(-np.arange(6))[None, :, None]
    u = {name: mean + 0.1 * decay * rng.normal(size=(3, 1, 8)) for name, mean in (("density", 2.0), ("momentum", 1.0))}
    path = small_fits.write("fluid.h5", u, dt=0.1, length=(2.0,))
    yield small_fits.fit(path, {"data.fields": ["density", "momentum"]})
    patch.undo()


def test_a_ratio_is_that_of_each_realization_and_so_is_its_scatter(fitted):
    model = fitted.model.with_ratios(RATIOS)
    start = TrajectoryFile.open("fluid.h5").read(["density", "momentum"])[:, 0]
    plain, more = fitted.model.predict(start, 4), model.predict(start, 4)
    assert np.array_equal(more[:, :, :, :2], plain)
    velocity = plain[:, :, :, 1] / plain[:, :, :, 0]
    assert np.array_equal(more[:, :, :, 2], velocity)
    mean, sd = model.predict(start, 4, realizations="mean")
    assert mean[:, :, 2] == pytest.approx(velocity.mean(0))
    assert sd[:, :, 2] == pytest.approx(velocity.std(0, ddof=1))
    assert sd[:, -1, 2].min() > 0


def test_files_and_figures_have_the_ratio_and_its_deviation(fitted, tmp_path):
    words = ["predict", fitted.checkpoint, "--initial", "fluid.h5", "--steps", 4, "--realizations", "mean"]
    words += ["--ratios", "velocity=momentum/density", "-o", tmp_path / "p.h5", "--plot", tmp_path / "p.png"]
    cli.main([str(word) for word in words])
    file = TrajectoryFile.open(tmp_path / "p.h5")
    assert set(file.fields) == {f"{name}{end}" for name in ("density", "momentum", "velocity") for end in ("", "_sd")}
    start = TrajectoryFile.open("fluid.h5").read(["density", "momentum"])[:1, 0]
    mean, sd = fitted.model.with_ratios(RATIOS).predict(start, 4, realizations="mean")
    found = file.read(["velocity", "velocity_sd"])[0]
    assert found[:, 0] == pytest.approx(mean[0, :, 2], rel=1e-6)
    assert found[:, 1] == pytest.approx(sd[0, :, 2], rel=1e-5)
    assert (tmp_path / "p.png").stat().st_size > 10_000


@pytest.mark.parametrize("realizations", ["all", "mean"])
def test_ratio_over_an_empty_cell_is_refused(fitted, tmp_path, realizations, capsys):
    start = TrajectoryFile.open("fluid.h5").read(["density", "momentum"])[0, 0]
    start[:, 3] = 0
    np.save(tmp_path / "empty.npy", start)
    words = f"predict {fitted.checkpoint} --initial {tmp_path / 'empty.npy'} --steps 4 --realizations {realizations}"
    sentence = refused(f"{words} --ratios velocity=momentum/density -o {tmp_path / 'p.h5'}", capsys)
    assert "ratio velocity = momentum/density is not finite where density is 0" in sentence
    assert not (tmp_path / "p.h5").exists()


def test_datasets_have_the_ratio_by_its_name(fitted):
    u = TrajectoryFile.open("fluid.h5").read(["density", "momentum"])[0, 0]
    start = xarray.Dataset({name: ("x", u[c]) for c, name in enumerate(("density", "momentum"))})
    found = fitted.model.with_ratios(RATIOS).predict(start, 4)
    assert np.array_equal(found["velocity"], found["momentum"] / found["density"])


@pytest.mark.parametrize(
    ("ratios", "named"),
    [
        ({"velocity": "momentum"}, "expected FIELD/FIELD of density, momentum"),
        ({"density": "momentum/density"}, "name"),
        ({"density_sd": "momentum/density"}, "'density_sd' = momentum/density: names with the endings _sd and _error"),
        ({"v_error": "momentum/density"}, "endings"),
        ({"a/b": "momentum/density"}, "'a/b' = momentum/density: expected a name of letters, digits and _"),
        ({"": "momentum/density"}, "expected a name"),
    ],
)
def test_other_ratios_are_refused(fitted, ratios, named):
    with pytest.raises(ValueError, match=named):
        fitted.model.with_ratios(ratios)


@pytest.mark.parametrize("ratios", [{"v": ("momentum", "density")}, "v=momentum/density"])
def test_what_is_no_mapping_of_texts_is_refused(ratios):
    with pytest.raises(ValueError, match=r"expected FIELD/FIELD|expected names and ratios such as"):
        inspect.unwrap(places)(ratios, ["density", "momentum"])  # without the type checks of the tests
