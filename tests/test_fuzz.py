"""A few spoiled inputs of every kind; `make fuzz` tries thousands."""

from pathlib import Path

import pytest

from tests.fuzz import inputs, run


def test_every_kind_is_tried_by_whole_inputs_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    inputs.write(tmp_path)
    for kind, one in inputs.KINDS.items():
        for command in one.commands:
            status, said, _ = run.told(command.format(one.file))
            assert status == 0, (kind, command, said)
            Path("out.h5").unlink(missing_ok=True)


@pytest.mark.parametrize("seed", [0])
def test_spoiled_inputs_are_refused_in_one_sentence(monkeypatch, seed):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    outcomes = run.main(count=4 * (len(inputs.KINDS) + 1), seed=seed)
    assert [outcome for outcome in outcomes if outcome.wrong] == []
