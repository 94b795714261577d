"""What a fit refuses, in one sentence and before a run begins."""

from pathlib import Path

import numpy as np
import pytest
from short_fits import fit

from morlight.data.trajectory_writer import write as write_trajectories
from morlight.operators.description import Grid

BAD = {
    "unknown key": (["--model.wdth", "3"], "wdth"),
    "unknown bias": (["--model.biases", "[conservatism]"], "conservatism"),
    "unknown activation": (["--model.activation", "sine"], "sine"),
    "unknown symbol": (["--model.symbol", "round"], "round"),
    "unknown loss": (["--model.loss", "hinge"], "hinge"),
    "no horizon": (["--model.horizons", "[0]"], "horizons"),
    "horizon beyond the data": (["--model.horizons", "[1, 2, 400]"], "too few"),
    "fewer epochs than horizons": (["--trainer.max_epochs", "2"], "max_epochs"),
    "no batch": (["--data.batch", "0"], "batch"),
    "unknown field": (["--data.fields", "[mass]"], "mass"),
    "all held out": (["--data.test", "1.0"], "data.test"),
    "nothing to continue": (["--ckpt_path", "last"], "last.ckpt"),
    "checkpoint is not there": (["--ckpt_path", "nowhere.ckpt"], "nowhere.ckpt"),
    "not a number": (["--model.lr", "fast"], "lr"),
    "moments on a GPU": (["--model.optimizer", "moments", "--trainer.accelerator", "gpu"], "computes on the CPU"),
}


@pytest.mark.parametrize(("words", "named"), BAD.values(), ids=BAD)
def test_bad_input_is_one_sentence_and_status_2_and_writes_nothing(fits, heat_file, capsys, words, named):
    with pytest.raises(SystemExit) as ended:
        fit(heat_file, *words)
    error = capsys.readouterr().err.strip()
    assert ended.value.code == 2
    assert error.startswith("morlight: ")
    assert named in error
    assert "\n" not in error
    assert not (fits / "mlruns").exists()


@pytest.mark.parametrize(("config", "named"), [("absent.yaml", "absent.yaml"), ("broken.yaml", "broken.yaml")])
def test_bad_configuration_file_is_named(fits, heat_file, capsys, config, named):
    (fits / "broken.yaml").write_text("model: [unclosed")
    with pytest.raises(SystemExit) as ended:
        fit(heat_file, config=config)
    assert ended.value.code == 2
    assert named in capsys.readouterr().err


WALLED = ["--model.bases", "{density: sine}", "--model.biases"]


@pytest.mark.parametrize(
    ("fields", "more", "named"),
    [
        (("density",), [*WALLED, "[conservation]"], "conservation of density in a basis of sines"),
        (("density", "mass"), [*WALLED, "[]"], "model.loss is noise"),
        (("density",), ["--model.bases", "{speed: sine}"], "model.bases names speed, expected fields of density"),
        (("density",), ["--model.order", "2"], "each u and then each ∂ₜu"),
        (("density", "mass"), ["--model.biases", "{density: [stability]}"], "stability of coupled fields"),
        (("density", "mass"), ["--model.optimizer", "moments", "--model.horizons", "[1]"], "one field"),
    ],
)
def test_data_that_the_operator_cannot_take_are_refused_before_a_run_begins(fits, capsys, fields, more, named):
    grid = Grid((8,), (1.0,), ("WALL",))
    u = {name: np.random.default_rng(0).random((4, 9, 8)) for name in fields}
    write_trajectories("other.h5", name="other", fields=u, grid=grid, times=np.arange(9) * 0.1, provenance={})
    with pytest.raises(SystemExit) as ended:
        fit("other.h5", *more)
    assert ended.value.code == 2
    assert named in capsys.readouterr().err
    assert not (fits / "mlruns").exists()


def test_checkpoint_of_another_model_is_refused(fits, heat_file, capsys):
    fit(heat_file)
    with pytest.raises(SystemExit) as ended:
        fit(heat_file, "--model.width", "5", "--ckpt_path", "last")
    assert ended.value.code == 2
    assert "model.width is 3 there, 5 in this configuration" in capsys.readouterr().err


@pytest.mark.parametrize("optimizer", ["moments", "adam"])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_field_that_never_varies_is_refused(fits, value, optimizer, capsys):
    grid = Grid((16,), (2 * np.pi,), ("PERIODIC",))
    u = np.full((6, 31, 16), value)
    write_trajectories(
        "flat.h5", name="flat", fields={"density": u}, grid=grid, times=np.arange(31) * 0.1, provenance={}
    )
    with pytest.raises(SystemExit) as end:
        fit("flat.h5", "--model.optimizer", optimizer)
    assert end.value.code == 2
    assert f"flat.h5: field 'density' is {value:g} everywhere, expected one that varies" in capsys.readouterr().err
    assert not Path("mlruns").exists()


def test_a_file_cut_short_is_refused_before_a_run_begins(fits, heat_file, capsys):
    whole = heat_file.read_bytes()
    Path("cut.h5").write_bytes(whole[: len(whole) * 9 // 10])
    with pytest.raises(SystemExit) as end:
        fit("cut.h5")
    assert end.value.code == 2
    assert "cut.h5: damaged or cut short" in capsys.readouterr().err
    assert not Path("mlruns").exists()
