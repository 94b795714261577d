"""Which frames a prediction keeps, at which times, and from which cells it starts."""

import numpy as np
import pytest
import small_fits
import torch
import xarray

from morlight.cli import main as cli
from morlight.data.trajectory_file import TrajectoryFile
from morlight.operators import rollout

DT = 0.1


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """A fit to cells averaged in pairs, and the fine fields."""
    patch = pytest.MonkeyPatch()
    patch.chdir(tmp_path_factory.mktemp("frames"))
    patch.delenv("MLFLOW_TRACKING_URI", raising=False)
    u = np.random.default_rng(0).normal(size=(3, 6, 16))
    path = small_fits.write("fine.h5", {"u": u}, dt=DT, length=(2.0,))
    yield small_fits.fit(path, {"data.coarsen": 2}), u
    patch.undo()


def test_frames_that_are_kept_are_every_third_of_all(found):
    model, u = found[0].model, found[1]
    start = u[:, 0, None, ::2]
    whole, kept = model.predict(start, 6), model.predict(start, 6, every=3)
    assert kept.shape[2] == 3
    assert np.array_equal(kept, whole[:, :, ::3])
    assert np.abs(np.diff(whole, axis=2)).max((0, 1, 3, 4)).min() > 1e-6  # no two frames are the same
    walks = [rollout(model.operator, torch.from_numpy(start)[None], 6, every=every) for every in (1, 2)]
    assert torch.equal(walks[1], walks[0][:, :, ::2])
    x = (np.arange(8) + 0.5) / 4
    labelled = model.predict(xarray.DataArray(start[0, 0], dims="x", coords={"x": x}), 6, every=3)
    assert labelled.time.values == pytest.approx([0, 3 * DT, 6 * DT])
    alone = labelled.transpose("realization", "time", "x").values
    assert np.allclose(alone, kept[:, 0, :, 0], rtol=0, atol=1e-12)  # a smaller batch rounds otherwise


def test_the_file_of_a_prediction_has_its_frames_at_their_times(found, tmp_path):
    for every in (1, 3):
        words = ["predict", found[0].checkpoint, "--initial", "fine.h5", "--steps", 6, "--every", every]
        cli.main([*map(str, words), "-o", str(tmp_path / f"{every}.h5")])
    whole, kept = (TrajectoryFile.open(tmp_path / f"{every}.h5") for every in (1, 3))
    assert whole.times == pytest.approx(np.arange(7) * DT)
    assert kept.times == pytest.approx(np.arange(3) * 3 * DT)
    frames = [TrajectoryFile.open(tmp_path / f"{every}.h5").read() for every in (1, 3)]
    assert np.array_equal(frames[1], frames[0][:, ::3])


def test_finer_initial_states_are_averaged_as_the_training_data_were(found, tmp_path):
    model, u = found[0].model, found[1]
    words = ["predict", found[0].checkpoint, "--initial", "fine.h5", "--trajectory", 2, "--frame", 4, "--steps", 2]
    cli.main([*map(str, words), "-o", str(tmp_path / "later.h5")])
    start = (u[2, 4, ::2] + u[2, 4, 1::2]) / 2
    later = TrajectoryFile.open(tmp_path / "later.h5").read()[:, :, 0]
    assert later == pytest.approx(model.predict(start, 2), rel=1e-5, abs=1e-5)  # single precision of the file
