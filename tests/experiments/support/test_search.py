"""The search of Eq. 35 goes on from what it has left, where its study is gone."""

import shutil
from pathlib import Path

import channel

from experiments.support.search import Optimum, search


def test_a_search_goes_on_from_the_trials_that_were_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    fluid, folder = str(channel.write("fluid.h5", bins=80, densities=(0.01, 0.02, 0.05, 0.1, 0.2))), Path("search")
    kept = search("lj", fluid, 2, "small", folder)
    assert Optimum.read("lj", "small", folder) == kept
    shutil.rmtree("mlruns/sweeps")
    further = search("lj", fluid, 3, "small", folder)
    assert (kept.trials, further.trials) == (2, 3)
    assert further.each[:2] == kept.each
    shutil.rmtree("mlruns")
    assert search("lj", fluid, 3, "small", folder) == further
