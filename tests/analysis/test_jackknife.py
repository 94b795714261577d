"""Standard errors due to the data: the arithmetic, what predictions have of it, and what is refused."""

import numpy as np
import pytest
import small
import torch
from heat import wave

from morlight.analysis.data_errors import SHARE, scaled_deviation, standard_error
from morlight.analysis.jackknife import Jackknife
from morlight.analysis.model import Model, load
from morlight.cli import main as cli
from morlight.data.trajectory_file import TrajectoryFile
from morlight.operators import build

BLOCKS = 12
ALIKE = 6.0
STUDENT = np.sqrt(ALIKE / (ALIKE - 2))  # standard deviation of t with as many degrees of freedom


@pytest.fixture
def made(tmp_path) -> Model:
    """A model of two realizations, of which one weight changes from block to block by known numbers."""
    data = small.description(where=small.grid((16,)), dt=0.01)
    operator = small.operator(data, size=0.3)
    names = dict(operator.named_parameters())
    name = next(name for name in names if name.startswith("h."))
    changes = {key: torch.zeros(BLOCKS, *each.shape) for key, each in names.items()}
    changes[name].view(BLOCKS, 2, -1)[:, :, 0] = torch.from_numpy(shifts())[:, None].float()
    path = small.save(tmp_path / "model.ckpt", operator, data, jackknife=Jackknife(BLOCKS, ALIKE, False, changes))
    return load(path)


def shifts() -> np.ndarray:
    return 0.1 * np.random.default_rng(0).normal(size=BLOCKS)


def moved(model: Model, by: float) -> Model:
    """The model with another value of this weight."""
    other = model.only(range(model.realizations))
    name = next(name for name, _ in other.operator.named_parameters() if name.startswith("h."))
    with torch.no_grad():
        dict(other.operator.named_parameters())[name].view(2, -1)[:, 0] += by
    return other


def expected(model: Model, of) -> np.ndarray:
    """Derivative with respect to the weight, and the standard error of the weight by the jackknife."""
    derivative = (of(moved(model, 1e-5)) - of(moved(model, -1e-5))).mean(0) / 2e-5
    delta = shifts()
    return abs(derivative) * STUDENT * np.sqrt((BLOCKS - 1) / BLOCKS * ((delta - delta.mean()) ** 2).sum())


def test_the_error_of_a_number_is_its_derivative_times_the_error_of_the_weights(made):
    def symbol(model: Model) -> torch.Tensor:
        return torch.from_numpy(model.predict(wave(), 3)[:, -1])

    found = standard_error(made, symbol)
    assert found is not None
    assert np.allclose(found.numpy(), expected(made, lambda m: m.predict(wave(), 3)[:, -1]), rtol=1e-4)


@pytest.mark.parametrize("ratio", [1.0, 0.8, 0.6])
def test_errors_cover_the_truth_where_blocks_differ_in_their_information(ratio):
    """The slopes of 20 000 regressions through the origin, whose truth is 0; each block has `ratio` of the last one."""
    rng, S = np.random.default_rng(0), 20
    energy = ratio ** np.arange(S)[:, None]
    product = np.sqrt(energy) * rng.normal(size=(S, 20_000))
    without = (product.sum(0) - product) / (energy.sum() - energy)
    alike = float(energy.sum() ** 2 / (energy**2).sum())
    error = Jackknife(S, alike, False, {}).student * scaled_deviation(SHARE * torch.from_numpy(without)).numpy()
    covered = np.mean(abs(product.sum(0) / energy.sum()) < 1.96 * error)
    assert 0.945 < covered < 0.965  # 0.916 at a ratio of 0.6 with S − 1 degrees of freedom


def test_predictions_have_the_scatter_of_networks_and_the_error_of_the_data_beside_the_mean(made):
    everything = made.predict(wave(3, 1), 4)
    mean, sd, error = made.predict(wave(3, 1), 4, realizations="data")
    assert np.array_equal(mean, everything.mean(0))
    assert np.array_equal(sd, everything.std(0, ddof=1))
    assert np.allclose(error, expected(made, lambda m: m.predict(wave(3, 1), 4)), rtol=1e-4, atol=1e-12)


def test_one_realization_has_the_error_of_the_data_alone(made):
    one = made.only([1])
    _, sd, error = one.predict(wave(), 4, realizations="data")
    assert not sd.any()
    assert error[0] == pytest.approx(0, abs=1e-12)  # the initial state is given
    assert error[-1].max() > 0


def test_the_command_writes_both_and_says_which_is_which(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("u.npy", wave())
    cli.main(["predict", "model.ckpt", "--initial", "u.npy", "--steps", "4", "--realizations", "data", "-o", "out.h5"])
    file = TrajectoryFile.open("out.h5")
    _, sd, error = made.predict(wave(), 4, realizations="data")
    written = file.read(["density_sd", "density_error"])[0]
    assert written[:, 0] == pytest.approx(sd, abs=1e-6)
    assert written[:, 1] == pytest.approx(error, abs=1e-6)
    assert file.attributes["NAME_sd"] == "standard deviation over 2 realizations"
    assert "12 blocks of the data (trajectories" in file.attributes["NAME_error"]


def test_without_blocks_the_error_is_refused(tmp_path):
    model = small.model(tmp_path / "model.ckpt", small.description(where=small.grid((16,))))
    with pytest.raises(ValueError, match="the standard error due to the data is not known: it needs"):
        model.predict(wave(), 1, realizations="data")


def test_checkpoints_that_do_not_say_what_their_blocks_are_worth_count_every_block(made):
    known = made.checkpoint.jackknife
    assert known is not None
    plain = {key: value for key, value in known.to_plain().items() if key != "alike"}
    assert Jackknife.from_plain(plain, made.checkpoint.weights).alike == BLOCKS


def test_changes_that_do_not_fit_the_weights_are_refused(tmp_path):
    data = small.description(where=small.grid((16,)))
    operator = build.operator(small.config(), data)
    changes = {name: torch.zeros(4, 1) for name, _ in operator.named_parameters()}
    path = small.save(tmp_path / "model.ckpt", operator, data, jackknife=Jackknife(4, 4.0, False, changes))
    with pytest.raises(ValueError, match="do not fit the weights beside them"):
        load(path)
