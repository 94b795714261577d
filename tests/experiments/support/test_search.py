"""The search of Eq. 35 goes on from what it has left, where its study is gone."""

import shutil
from dataclasses import replace
from pathlib import Path

import channel

from experiments.support.search import Optimum, search


def test_a_search_goes_on_from_the_trials_that_were_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    fluid = str(channel.write(tmp_path / "fluid.h5", bins=80, densities=(0.01, 0.02, 0.05, 0.1, 0.2)))
    folder = tmp_path / "search"
    kept = search("lj", fluid, 2, "small", folder)
    assert Optimum.read("lj", "small", folder) == kept
    shutil.rmtree("mlruns/sweeps")
    further = search("lj", fluid, 3, "small", folder)
    assert (kept.trials, further.trials) == (2, 3)
    assert further.each[:2] == kept.each

    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")  # neither a study nor runs
    replace(further, ceiling=0.5).write("lj", "small", folder)
    assert search("lj", fluid, 3, "small", folder) == replace(further, ceiling=0.5)
