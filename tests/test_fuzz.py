"""A few spoiled inputs of every kind; `make fuzz` tries thousands."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz import inputs, run


@pytest.mark.parametrize("kind", inputs.KINDS)
def test_whole_inputs_are_taken(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    inputs.write(tmp_path)
    for command in inputs.KINDS[kind].commands:
        status, said, _ = run.told(command.format(inputs.KINDS[kind].file))
        assert status == 0, said
        Path("out.h5").unlink(missing_ok=True)


def test_spoiled_inputs_are_refused_in_one_sentence():
    words = [sys.executable, "-m", "tests.fuzz.run", "--count", "60", "--seed", "7"]
    done = subprocess.run(words, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
