import pickle

import numpy as np
import pytest
import torch

from morlight import prediction
from morlight.operators import build

SETTINGS = {
    "biases": ["conservation", "reflection"],
    "symbol": "dissipative",
    "width": 3,
    "depth": 3,
    "activation": "tanh",
    "realizations": 2,
    "seed": 0,
    "literal": False,
}
DATA = {
    "name": "made",
    "fields": ["density"],
    "points": [16],
    "length": [2 * np.pi],
    "boundaries": ["PERIODIC"],
    "dt": 0.01,
    "scale": [1.3],
    "values": [np.linspace(0.1, 2, 11).tolist()],
    "low": [0.1],
    "high": [2.0],
    "digest": "0",
}


def save(path, **changes):
    operator = build.operator(SETTINGS, DATA)
    state = {f"operator.{key}": value for key, value in operator.state_dict().items()}
    checkpoint = {"morlight": {"layout": 1}, "hyper_parameters": SETTINGS | {"data": DATA}, "state_dict": state}
    torch.save(checkpoint | changes, path)
    return path


@pytest.fixture
def model(tmp_path):
    return prediction.load(save(tmp_path / "model.ckpt"))


def wave(*lead):
    return np.broadcast_to(1 + 0.5 * np.sin(np.arange(16) * 2 * np.pi / 16), (*lead, 16))


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


def test_initial_states_with_nan_are_refused(model):
    with pytest.raises(ValueError, match="NaN or infinite"):
        model.predict(np.full(16, np.nan), 1)


def test_states_that_blow_up_stop_with_the_step(tmp_path):
    model = prediction.load(save(tmp_path / "model.ckpt"))
    with torch.no_grad():
        model.operator.h.nonlinearity.network.weights[-1].fill_(1e308)
    with pytest.raises(FloatingPointError, match=r"realisation\(s\) \[0, 1\] are not finite after \d+ steps"):
        model.predict(wave(), 50)


def test_checkpoint_with_code_in_it_does_not_run_it(tmp_path):
    class Payload:
        def __reduce__(self):
            return (open, (str(tmp_path / "executed"), "w"))

    path = tmp_path / "evil.ckpt"
    torch.save({"morlight": {"layout": 1}, "state_dict": Payload()}, path)
    with pytest.raises(ValueError, match="not a readable checkpoint"):
        prediction.load(path)
    path.write_bytes(pickle.dumps(Payload()))
    with pytest.raises(ValueError, match="not a readable checkpoint"):
        prediction.load(path)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"morlight": None}, "'morlight' is missing"),
        ({"morlight": {"layout": 99}}, "layout 99 is unknown"),
        ({"state_dict": {}}, "weights do not fit"),
        ({"hyper_parameters": SETTINGS}, "'data' is missing"),
        ({"hyper_parameters": {"data": DATA}}, "'biases' is missing"),
    ],
)
def test_checkpoints_of_something_else_are_refused(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        prediction.load(save(tmp_path / "model.ckpt", **changes))


def test_files_that_are_no_checkpoints_are_refused(tmp_path):
    (tmp_path / "text.ckpt").write_text("hello")
    whole = save(tmp_path / "whole.ckpt").read_bytes()
    (tmp_path / "half.ckpt").write_bytes(whole[: len(whole) // 2])
    for name in ("text.ckpt", "half.ckpt"):
        with pytest.raises(ValueError, match=f"{name}: not a readable checkpoint"):
            prediction.load(tmp_path / name)
    with pytest.raises(ValueError, match="no such checkpoint file"):
        prediction.load(tmp_path / "absent.ckpt")
