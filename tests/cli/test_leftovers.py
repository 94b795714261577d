"""What killed commands leave, listed with its meaning and removed only where nothing needs it."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from morlight.cli import main as cli
from morlight.data.trajectory_writer import Parts
from morlight.data.whole_file import whole_file
from morlight.simulate.walkers import Walkers, brownian
from tests.data.test_whole_file import KILLED

OLD = time.time() - 2 * 3600


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mlruns/sweeps/search.alive").mkdir(parents=True)
    return tmp_path


def old(path):
    for each in (Path(path), *Path(path).rglob("*")):
        os.utime(each, (OLD, OLD))


def found(capsys, *words):
    cli.main(["leftovers", *words, "--json"])
    return {each["path"]: each for each in json.loads(capsys.readouterr().out)}


def test_the_draft_of_a_killed_process_is_listed_and_removed_and_that_of_a_living_one_is_not(folder, capsys):
    code = KILLED.format(name="film.gif", write="draft.write_bytes(bytes(3 * 2**20))")
    subprocess.run([sys.executable, "-c", code], check=False)
    (left,) = folder.glob(".film*")
    with whole_file("film.gif") as draft:  # removes the other one
        draft.touch()
        assert not left.exists()
        assert found(capsys) == {}
    subprocess.run([sys.executable, "-c", code], check=False)
    (left,) = folder.glob(".film*")
    cli.main(["leftovers"])
    assert f"{left.name}: a file that was not completed, 3.0 MiB, " in (said := capsys.readouterr().out)
    assert "--remove" in said
    assert found(capsys, "--remove")[left.name]["removed"]
    assert not left.exists()
    assert Path("film.gif").exists()
    cli.main(["leftovers"])
    assert capsys.readouterr().out == ".: no leftovers\n"


def test_what_a_command_goes_on_from_is_removed_only_with_all(folder, capsys, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Parts, "__exit__", lambda *_: None)
        brownian("walkers.h5", Walkers(sets=2, walkers=100, steps=2, bins=4))
    (parts,) = folder.glob(".walkers*")
    assert found(capsys) == {}  # written a moment ago: a simulation may be at work
    old(parts)
    assert found(capsys, "--remove")[parts.name]["continued_by"] == "the same `morlight simulate` goes on from them"
    assert parts.exists()
    assert found(capsys, "--remove", "--all")[parts.name]["size"] > 2 * 1000
    assert not parts.exists()


def test_below_mlruns_what_is_old_is_found_at_every_depth_and_nothing_else(folder, capsys):
    kept = ["mlruns/mlflow.db", "mlruns/fits/a/1/last.ckpt", "mlruns/sweeps/search.journal", "other/.a.part"]
    left = ["mlruns/fits/a/1/.last.ckpt.part", "mlruns/sweeps/search.journal.lock", "mlruns/sweeps/search.alive/3"]
    for name in (*kept, *left):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    assert found(capsys) == {}
    old(folder)
    listed = {"mlruns/fits/a/1/.last.ckpt.part", "mlruns/sweeps/search.journal.lock", "mlruns/sweeps/search.alive"}
    assert set(found(capsys, "--remove")) == listed
    assert all(Path(name).exists() for name in kept)
    assert not any(Path(name).exists() for name in left)


def test_no_link_is_followed_or_removed(folder, capsys):
    Path("precious").mkdir()
    Path("precious/.a.part").touch()
    old("precious")
    Path("mlruns/.link.part").symlink_to("../precious")
    Path("mlruns/there").symlink_to("../precious")
    assert found(capsys, "--remove", "--all") == {}
    assert Path("precious/.a.part").exists()
    assert Path("mlruns/.link.part").is_symlink()


@pytest.mark.parametrize("words", [["absent"], ["--all"]])
def test_bad_input_is_one_sentence(folder, words, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["leftovers", *words])
    assert ended.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
