"""Files from strangers: what is in them is not executed, whichever command they are given to."""

import pickle
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import small
import torch
from command import refused

from morlight.cli import main as cli
from morlight.tracking.experiments import experiment_id
from morlight.tracking.store import connect
from tests.tracking.stores import fresh_database  # noqa: F401 - a fixture

PROOF = "executed"


class Payload:
    """Pickled, the order to run a program; the real thing, not a mock."""

    def __reduce__(self):
        import os

        return (os.system, (f"touch {PROOF}",))


def as_plain_pickle(path):
    path.write_bytes(pickle.dumps(Payload()))


def as_checkpoint_of_torch(path):
    small.save(path, small.operator())
    torch.save(torch.load(path, weights_only=True) | {"state_dict": Payload()}, path)


def as_old_file_of_torch(path):
    torch.save({"morlight": {"layout": 1}, "state_dict": Payload()}, path, _use_new_zipfile_serialization=False)


WAYS = [as_plain_pickle, as_checkpoint_of_torch, as_old_file_of_torch]
COMMANDS = [
    "predict {} --initial heat.h5 --steps 1 -o out.h5",
    "evaluate {} --data heat.h5",
    "inspect {}",
    "check {}",
    "next {} --data heat.h5 --candidates density=1",
    "export {} -o out.onnx",
    "export {} -o served",
    "fit --data.path heat.h5 --model.biases [] --ckpt_path {}",
    "validate --data.path heat.h5 --model.biases [] --ckpt_path {}",
    "test --data.path heat.h5 --model.biases [] --ckpt_path {}",
]


def test_the_payload_is_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    as_checkpoint_of_torch(Path("evil.ckpt"))
    torch.load("evil.ckpt", weights_only=False)
    assert Path(PROOF).exists()


def test_every_command_that_takes_a_checkpoint_is_tried():
    (commands,) = (action for action in cli.parser()._actions if action.dest == "command")
    takers = {words.split()[0] for words in COMMANDS}
    for name, parser in commands.choices.items():
        if any(action.dest == "checkpoint" for action in parser._actions):
            assert name in takers


@pytest.mark.parametrize("write", WAYS)
@pytest.mark.parametrize("words", COMMANDS)
def test_a_checkpoint_with_a_payload_does_not_execute(folder, capsys, words, write):
    write(folder / "evil.ckpt")
    before = sorted(folder.iterdir())
    assert "evil.ckpt: not a readable checkpoint" in refused(words.format("evil.ckpt"), capsys)
    assert sorted(folder.iterdir()) == before


@pytest.fixture
def registered(folder, fresh_database):  # noqa: F811
    """A run and a registered model whose artifacts hold the payload in every place that MLflow's flavors have."""
    (folder / "mlruns").mkdir()
    shutil.copy(fresh_database, folder / "mlruns" / "mlflow.db")
    client = connect()
    run = client.create_run(experiment_id(client, "evil", create=True)).info
    (folder / "model" / "data").mkdir(parents=True)
    for name in ("python_model.pkl", "model.pkl", "data/best.ckpt", "data/pickle_module_info.txt"):
        as_plain_pickle(folder / "model" / name)
    (folder / "model" / "MLmodel").write_text(
        "flavors:\n  python_function:\n    cloudpickle_version: 3.0.0\n    loader_module: mlflow.pyfunc.model\n"
        "    python_model: python_model.pkl\n"
    )
    client.log_artifacts(run.run_id, str(folder / "model"), "model")
    client.log_artifact(run.run_id, str(folder / "model" / "data" / "best.ckpt"), "checkpoints")
    client.create_registered_model("evil")
    version = client.create_model_version("evil", f"{run.artifact_uri}/model", run.run_id).version
    client.set_registered_model_alias("evil", "champion", version)
    return {"run": f"runs:/{run.run_id}", "alias": "models:/evil@champion", "version": f"models:/evil/{version}"}


@pytest.mark.parametrize("name", ["run", "alias", "version"])
def test_artifacts_with_a_payload_do_not_execute(folder, registered, capsys, name):
    for words in COMMANDS:
        assert "not a readable checkpoint" in refused(words.format(registered[name]), capsys)
    assert not Path(PROOF).exists()


@pytest.mark.parametrize("words", ["predict model.ckpt --initial evil.npy --steps 1 -o out.h5"])
def test_arrays_with_a_payload_do_not_execute(folder, capsys, words):
    np.save("evil.npy", np.array([Payload()], dtype=object), allow_pickle=True)
    assert "evil.npy: cannot be read" in refused(words, capsys)
    assert not Path(PROOF).exists()


def test_configurations_with_a_payload_do_not_execute(folder, capsys):
    Path("evil.yaml").write_text(f"data: !!python/object/apply:os.system ['touch {PROOF}']\n")
    with pytest.raises(SystemExit) as ended:
        cli.main(shlex.split("fit --config evil.yaml"))
    assert ended.value.code == 2
    assert not Path(PROOF).exists()


def test_a_file_of_a_later_version_is_refused_in_a_sentence(folder, capsys):
    torch.save({"morlight": {"layout": 4}}, "later.ckpt")
    told = refused("predict later.ckpt --initial heat.h5 --steps 1 -o out.h5", capsys)
    assert told == "morlight: later.ckpt: layout 4 is unknown to this version, expected one of 1, 2, 3\n"
