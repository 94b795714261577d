"""Predictions of a checkpoint: their shapes, choices, other grids, xarray, and files that are refused."""

import pickle
from pathlib import Path

import heat
import numpy as np
import pytest
import small
import torch
import xarray
from heat import wave

from morlight.analysis.checkpoint import ModeStatistics
from morlight.analysis.extrapolation import Extrapolation
from morlight.analysis.model import load

CHECKPOINTS = Path(__file__).parents[1] / "checkpoints"


@pytest.fixture
def model(tmp_path):
    return load(heat.checkpoint(tmp_path / "model.ckpt"))


def test_axes_of_the_result_follow_those_of_the_initial_state(model):
    assert model.predict(wave(), 4).shape == (2, 5, 16)
    assert model.predict(wave(1), 4).shape == (2, 5, 1, 16)
    assert model.predict(wave(3, 1), 4, every=2).shape == (2, 3, 3, 1, 16)


def test_first_frame_is_the_initial_state_and_steps_compose(model):
    frames = model.predict(wave(), 6)
    assert np.array_equal(frames[:, 0], wave(2))
    again = model.predict(frames[0, 4], 2)
    assert np.allclose(again[0, -1], frames[0, 6], rtol=0, atol=1e-14)


def test_prediction_conserves_what_the_bias_conserves(model):
    frames = model.predict(wave(), 1000, every=1000)
    assert np.abs(frames.mean(-1) - 1).max() < 1e-12


@pytest.mark.parametrize("shape", [(15,), (2, 16), (1, 1, 2, 16), (16, 1)])
def test_initial_states_of_another_shape_are_refused(model, shape):
    with pytest.raises(ValueError, match=r"initial state has shape .* expected \(16,\) points"):
        model.predict(np.ones(shape), 1)


def test_complex_initial_states_are_refused_and_the_name_of_a_model_is_one_line(model):
    with pytest.raises(ValueError, match="is complex, expected real numbers"):
        model.predict(np.ones(model.grid.points) * 1j, 1)
    assert repr(model).startswith(f"Model({model.path}: ")
    assert len(repr(model)) < len(str(model.path)) + 100


@pytest.mark.parametrize("points", [1, [16, 16], 10**20])
def test_grids_that_no_model_has_are_refused(model, points):
    with pytest.raises(ValueError, match=r"points are .*, expected 1 number\(s\), each at least 2, and at most"):
        model.on(points)


def test_initial_states_with_nan_are_refused(model):
    with pytest.raises(ValueError, match="NaN or infinite"):
        model.predict(np.full(16, np.nan), 1)


def test_a_model_goes_to_devices_that_are_there_only(model):
    there = model.to("cpu")
    assert there is not model
    assert np.array_equal(there.predict(wave(), 4), model.predict(wave(), 4))
    with pytest.raises(ValueError, match=r"device 'nowhere' is not available, expected cpu or an accelerator"):
        model.to("nowhere")


def test_states_that_blow_up_stop_with_the_step(tmp_path):
    model = load(heat.checkpoint(tmp_path / "model.ckpt"))
    with torch.no_grad():
        model.operator.h.nonlinearity.network.weights[-1].fill_(1e308)
    with pytest.raises(FloatingPointError, match=r"realization\(s\) \[0, 1\] are not finite after \d+ steps"):
        model.predict(wave(), 50)


def test_checkpoint_with_code_in_it_does_not_run_it(tmp_path):
    class Payload:
        def __reduce__(self):
            return (open, (str(tmp_path / "executed"), "w"))

    path = tmp_path / "evil.ckpt"
    torch.save({"morlight": {"layout": 1}, "state_dict": Payload()}, path)
    with pytest.raises(ValueError, match="not a readable checkpoint"):
        load(path)
    path.write_bytes(pickle.dumps(Payload()))
    with pytest.raises(ValueError, match="not a readable checkpoint"):
        load(path)
    assert not (tmp_path / "executed").exists()


def without(*keys):
    """A change of a nested dictionary that takes one key away."""

    def change(saved):
        *parents, last = keys
        for key in parents:
            saved = saved[key]
        del saved[last]

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("morlight"), "'morlight' is missing"),
        (lambda saved: saved["morlight"].update(layout=99), "layout 99 is unknown"),
        (lambda saved: saved["state_dict"].clear(), "weights do not fit"),
        (without("state_dict"), "'state_dict' is missing"),
        (without("morlight", "data"), "'data' is missing"),
        (without("morlight", "operator", "biases"), "'biases' is missing"),
        (lambda saved: saved["morlight"].update(data=[1]), "values of other types"),
        (lambda saved: saved["morlight"]["operator"].update(width=0), "model.width is 0, expected at least 1"),
    ],
)
def test_checkpoints_of_something_else_are_refused(tmp_path, change, message):
    changed_and_refused(heat.checkpoint(tmp_path / "model.ckpt"), tmp_path / "changed.ckpt", change, message)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (("hyper_parameters",), "'data' is missing"),
        (("hyper_parameters", "data"), "'data' is missing"),
        (("hyper_parameters", "biases"), "'biases' is missing"),
        (("hyper_parameters", "symbol"), "'symbol' is missing"),
        (("hyper_parameters", "literal"), "'literal' is missing"),
    ],
)
def test_checkpoints_of_the_first_layout_without_what_they_all_had_are_refused(tmp_path, keys, message):
    changed_and_refused(CHECKPOINTS / "layout1.ckpt", tmp_path / "changed.ckpt", without(*keys), message)


def changed_and_refused(source, path, change, message):
    saved = torch.load(source, weights_only=True)
    change(saved)
    torch.save(saved, path)
    with pytest.raises(ValueError, match=message) as refused:
        load(path)
    assert str(path) in str(refused.value)


def test_files_that_are_no_checkpoints_are_refused(tmp_path):
    (tmp_path / "text.ckpt").write_text("hello")
    whole = heat.checkpoint(tmp_path / "whole.ckpt").read_bytes()
    (tmp_path / "half.ckpt").write_bytes(whole[: len(whole) // 2])
    for name in ("text.ckpt", "half.ckpt"):
        with pytest.raises(ValueError, match=f"{name}: not a readable checkpoint"):
            load(tmp_path / name)
    with pytest.raises(ValueError, match="no such checkpoint file"):
        load(tmp_path / "absent.ckpt")


def test_the_best_realization_is_that_of_the_smallest_loss(tmp_path):
    losses = {"name": "val_loss", "per_realization": [np.nan, 0.5]}
    model = load(small.mark(heat.checkpoint(tmp_path / "model.ckpt"), losses=losses))
    everything = model.predict(wave(), 5)
    for choice, expected in (("best", everything[1]), (0, everything[0]), ([1, 0], everything[::-1])):
        # products of other sizes round otherwise
        assert np.allclose(model.predict(wave(), 5, realizations=choice), expected, rtol=0, atol=1e-12)


def test_the_mean_has_the_standard_deviation_beside_it(model):
    everything = model.predict(wave(3, 1), 5)
    mean, sd = model.predict(wave(3, 1), 5, realizations="mean")
    assert np.array_equal(mean, everything.mean(0))
    # of two numbers it is |a − b|/√2
    assert np.allclose(sd, np.abs(everything[0] - everything[1]) / np.sqrt(2), rtol=0, atol=1e-15)


@pytest.mark.parametrize("wrong", ["worst", 2, [0, 2], []])
def test_realizations_that_are_not_there_are_refused(model, wrong):
    with pytest.raises(ValueError, match="expected all, best, mean, data, or numbers from 0 to 1"):
        model.predict(wave(), 1, realizations=wrong)
    if isinstance(wrong, list):
        with pytest.raises(ValueError, match="numbers from 0 to 1"):
            model.only(wrong)


def test_a_checkpoint_that_does_not_know_its_best_realization_says_so(model):
    with pytest.raises(ValueError, match="does not hold the losses"):
        model.predict(wave(), 1, realizations="best")


def straight(tmp_path):
    """An operator with h(u) a straight line, so that each mode is multiplied by a number of its own."""
    model = load(heat.checkpoint(tmp_path / "straight.ckpt"))
    network = model.operator.h.nonlinearity.network
    network.activation = lambda x: x
    return model


@pytest.mark.filterwarnings("ignore::morlight.analysis.extrapolation.Extrapolation")
def test_on_another_grid_the_same_waves_evolve_alike(tmp_path):
    model = straight(tmp_path)

    def field(points):
        x = (np.arange(points) + 0.5) * 2 * np.pi / points
        return 1 + 0.5 * np.sin(x) + 0.2 * np.cos(3 * x)

    coarse, fine = model.predict(field(16), 3), model.on(48).predict(field(48), 3)
    # every third of the finer cells has its center where a coarse one has it; band-limited, so exact to rounding
    assert np.allclose(fine[..., 1::3], coarse, rtol=0, atol=1e-12)


def test_waves_beyond_the_identified_band_bring_a_warning_with_their_share(tmp_path):
    errors = np.where(np.arange(9) <= 4, 0.01, 1.0)
    modes = ModeStatistics(rate_errors=(tuple(errors.tolist()),))
    model = load(heat.checkpoint(tmp_path / "known.ckpt", modes=modes))
    x = (np.arange(48) + 0.5) * 2 * np.pi / 48
    with pytest.warns(Extrapolation, match=r"goes up to 24.* for 1 ≤ \|κ\| ≤ 4; 20 % of the variance"):
        model.on(48).predict(2 * np.sin(3 * x) + np.cos(20 * x), 1)
    model.on(8).predict(np.sin(3 * x[::6]), 1)  # a coarser grid has no others


def test_parameters_outside_the_training_range_bring_a_warning(tmp_path):
    data = heat.description(parameters=[small.parameter("rho", 0.2, low=0.1, high=0.3)])
    model = load(heat.checkpoint(tmp_path / "rho.ckpt", data))
    inside = model.predict(wave(), 3, gamma={"rho": 0.2})
    assert np.array_equal(inside, model.predict(wave(), 3, gamma=np.array([[0.2]])))
    for start in (wave(), xarray.Dataset({"density": ("x", wave())})):
        with pytest.warns(Extrapolation, match=r"rho = 0.5 lies outside the training data, 0.1 to 0.3"):
            model.predict(start, 1, gamma={"rho": 0.5})
    with pytest.raises(ValueError, match="parameters sigma are given, expected rho"):
        model.predict(wave(), 1, gamma={"sigma": 0.2})
    with pytest.raises(ValueError, match="NaN"):
        model.predict(wave(), 1, gamma={"rho": np.nan})


def test_xarray_goes_in_and_comes_out_with_names(model):
    x = (np.arange(16) + 0.5) * 2 * np.pi / 16
    u0 = xarray.DataArray(wave(2, 3), dims=("member", "place", "x"), coords={"x": x, "member": [7, 9]})
    later = model.predict(u0, 4, every=2)
    assert later.dims == ("realization", "member", "place", "time", "x")
    assert later.time.values == pytest.approx([0, 0.02, 0.04])
    assert list(later.member.values) == [7, 9]
    plain = model.predict(wave(6, 1), 4, every=2)[:, :, :, 0].reshape(2, 2, 3, 3, 16)
    assert np.array_equal(later.values, plain)
    both = model.predict(u0.to_dataset(name="density"), 4, realizations="mean")
    assert set(both.data_vars) == {"density", "density_sd"}
    assert both.attrs["checkpoint"] == str(model.path)


@pytest.mark.filterwarnings("ignore::morlight.analysis.extrapolation.Extrapolation")
def test_coordinates_show_another_grid_or_another_domain(model):
    x = (np.arange(32) + 0.5) * 2 * np.pi / 32
    u0 = xarray.DataArray(1 + 0.1 * np.sin(x), dims="x", coords={"x": x})
    assert model.predict(u0, 1).sizes == {"realization": 2, "time": 2, "x": 32}
    with pytest.raises(ValueError, match="the coordinates fill the length"):
        model.predict(u0.assign_coords(x=x / 2), 1)
    with pytest.raises(ValueError, match="initial state has shape"):
        model.predict(u0.drop_vars("x"), 1)
    with pytest.raises(ValueError, match="variable 'density' is missing"):
        model.predict(u0.to_dataset(name="mass"), 1)


def test_states_that_blow_up_between_two_frames_stop_with_their_own_step(tmp_path):
    model = load(heat.checkpoint(tmp_path / "model.ckpt"))
    with torch.no_grad():
        model.operator.h.nonlinearity.network.weights[-1].fill_(1e308)
    with pytest.raises(FloatingPointError, match=r"are not finite after [1-9] steps"):
        model.predict(wave(), 50, every=50)


def test_checkpoints_of_the_first_layout_predict_what_they_predicted():
    """The file and the states after 50 steps were written by the version that had layout 1."""
    model = load(CHECKPOINTS / "layout1.ckpt")
    x = (np.arange(64) + 0.5) * 2 * np.pi / 64
    later = model.predict(1 + 0.5 * np.sin(x) + 0.2 * np.cos(5 * x), 50, every=50)[:, -1]
    assert np.allclose(later, np.load(CHECKPOINTS / "layout1.npy"), rtol=0, atol=1e-12)
