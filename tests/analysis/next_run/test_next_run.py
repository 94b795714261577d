"""Which run is best for an equation whose coefficients are uncertain: the answer of linear regression."""

import dataclasses
import inspect
import json
import re
import shlex

import numpy as np
import pytest
import small
import small_fits
import torch
from command import refused

from morlight.analysis.model import load
from morlight.analysis.next_run.next_run import next_run
from morlight.cli import main as cli
from morlight.operators import build

LENGTH, FRAMES, DT, NOISE = 10.0, 21, 0.1, 0.01
WAVES = np.square(2 * np.pi / LENGTH * np.arange(1, 3)), np.array([1.0, 0.7])  # κ² and sizes at the start
MEAN = np.array([0.5, 0.4])  # ∂ₜu = (0.5 + 0.4 γ) ∂ₓₓu
COVARIANCE = np.array([[4e-4, -3e-4], [-3e-4, 9e-4]])
TARGET = "diffusivity of density"
X = (np.arange(16) + 0.5) * LENGTH / 16
T = DT * np.arange(FRAMES)
DATA = small.description(
    [small.field("density", -2.0, 2.0)],
    [small.parameter("shear", 0.5, low=0.1, high=0.8)],
    where=small.grid((16,), length=LENGTH),
    dt=DT,
)
OPTIONS = {"equation": {"density": ["dxx density", "dxx shear*density"]}, "scheme": "exponential"}


def checkpoint(path, realizations=31, covariance=COVARIANCE, data=DATA):
    """The equation with draws of its coefficients of exactly this covariance, after the estimate."""
    options = {**OPTIONS, "realizations": realizations}
    made = build.operator(small.config(**options), data).double()
    raw = np.random.default_rng(1).normal(size=(realizations - 1, 2))
    orthonormal = np.linalg.qr(raw - raw.mean(0))[0]
    drawn = np.sqrt(realizations - 2) * orthonormal @ np.linalg.cholesky(covariance + 1e-30 * np.eye(2)).T
    with torch.no_grad():
        made.g.theta.copy_(torch.from_numpy(MEAN + np.vstack([0 * MEAN, drawn])))
    return small.save(path / "equation.ckpt", made, data, losses=[1.0] * realizations, **options)


def solution(gamma, times=T):
    """The exact fields (T, X)."""
    squares, sizes = WAVES
    modes = sizes * np.exp(-(MEAN @ [1, gamma]) * squares * times[:, None])
    return 1 + modes @ np.cos(np.sqrt(squares)[:, None] * X)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with two noisy runs and the checkpoint."""
    path = tmp_path_factory.mktemp("runs")
    rng = np.random.default_rng(2)
    u = np.stack([solution(gamma) for gamma in (0.1, 0.8)])
    u[:, 1:] += NOISE * rng.normal(size=u[:, 1:].shape)
    small_fits.write(path / "runs.h5", {"density": u}, dt=DT, length=(LENGTH,), parameters={"shear": [0.1, 0.8]})
    checkpoint(path)
    return path


@pytest.fixture
def here(runs, monkeypatch):
    """The working directory with runs and checkpoint."""
    monkeypatch.chdir(runs)
    return runs


def information(gamma, frames=FRAMES, cells=16):
    """Of a run on the two coefficients: Σ (∂u/∂D)²/σ² times the outer product of (1, γ); cells are means of the 16."""
    squares, sizes = WAVES
    times = T[1:frames, None]
    means = np.cos(np.sqrt(squares)[:, None] * X).reshape(2, cells, -1).mean(2)
    shown = np.sqrt(16 / cells * np.square(means).sum(1) / 8)  # of each wave, in units of the noise of a cell
    change = shown * times * squares * sizes * np.exp(-(MEAN @ [1, gamma]) * squares * times)
    return 8 * np.square(change).sum() / NOISE**2 * np.outer([1, gamma], [1, gamma])  # 8: Σ cos² over the grid


def error(runs, at):
    """Standard error of D at γ after some runs, by Bayes."""
    posterior = np.linalg.inv(np.linalg.inv(COVARIANCE) + sum(runs))
    return np.sqrt(np.array([1, at]) @ posterior @ np.array([1, at]))


def test_errors_of_a_coefficient_after_each_run_are_those_of_linear_regression(here):
    model = load("equation.ckpt")
    found = model.next_run("runs.h5", {"shear": [0.1, 0.5, 0.8], "seeds": [1, 3]}, target=TARGET, at={"shear": 0.8})
    assert found.error == pytest.approx(error([np.zeros((2, 2))], 0.8), rel=1e-3)
    for each in found.ranking:
        run = each.candidate
        expected = error(run.seeds * [information(run.gamma["shear"])], 0.8)
        assert each.error == pytest.approx(expected, rel=0.15)
    assert found.best.gamma == {"shear": 0.8}


def test_short_runs_teach_less(here):
    model = load("equation.ckpt")
    found = model.next_run("runs.h5", {"shear": 0.5, "frames": [6, 21]}, target=TARGET, at={"shear": 0.5})
    errors = {each.candidate.frames: each.error for each in found.ranking}
    for frames, value in errors.items():
        assert value == pytest.approx(error([information(0.5, frames)], 0.5), rel=0.15)


def signals(found):
    """S of each number of cells, from the error C/(1 + S) that a run leaves at its own γ."""
    return {each.candidate.cells: (found.error / each.error) ** 2 - 1 for each in found.ranking}


def test_fewer_cells_show_as_much_less_as_their_means_are_smaller(here):
    model, asked = load("equation.ckpt"), {"shear": 0.5, "cells": [4, 8, 16]}
    found = signals(model.next_run("runs.h5", asked, target=TARGET, at={"shear": 0.5}))
    for cells in (4, 8):
        expected = information(0.5, cells=cells)[0, 0] / information(0.5)[0, 0]
        assert found[cells] / found[16] == pytest.approx(expected, rel=0.02)
    (plain,) = signals(model.next_run("runs.h5", {"shear": 0.5}, target=TARGET, at={"shear": 0.5})).values()
    assert found[16] == pytest.approx(plain)


def test_more_cells_than_those_of_the_model_show_what_the_runs_have_there(here, tmp_path):
    half = dataclasses.replace(DATA, grid=DATA.grid.with_points([8]), coarsen=2)
    model = load(checkpoint(tmp_path, data=half))
    found = signals(model.next_run("runs.h5", {"shear": 0.5, "cells": [8, 16]}, target=TARGET, at={"shear": 0.5}))
    expected = information(0.5)[0, 0] / information(0.5, cells=8)[0, 0]
    assert found[16] / found[8] == pytest.approx(expected, rel=0.02)


def test_cells_that_do_not_matter_are_said_not_to(here, capsys):
    words = f"next equation.ckpt --data runs.h5 --target '{TARGET}' --at shear=0.5 --candidates shear=0.5"
    cli.main(shlex.split(f"{words} cells=8,16"))
    told = capsys.readouterr().out
    assert "the number of cells does not matter: with 8, 16, the expected errors differ by less than 1 % of" in told
    assert told.count("0.5 ") == 1  # one row, without cells
    cli.main(shlex.split(f"{words} cells=2,16"))  # cells of half the length do not show the second wave
    assert "does not matter" not in capsys.readouterr().out


def test_plan_has_the_number_of_runs_that_linear_regression_needs(here):
    model, bar = load("equation.ckpt"), 1e-3
    plan = model.next_run("runs.h5", {"shear": 0.8}, target=TARGET, at={"shear": 0.8}, bar=bar).plan
    needed = next(n for n in range(1, 100) if error(n * [information(0.8)], 0.8) <= bar)
    assert plan.count == pytest.approx(needed, abs=1 + 0.3 * needed)
    assert plan.errors[-1] <= bar < plan.errors[-2]


def test_error_of_rollouts_is_that_of_the_realizations(here):
    model = load("equation.ckpt")
    found = model.next_run("runs.h5", {"shear": 0.5}, target="rollout")
    walks = model.only(range(1, 31)).predict(solution(0.5)[:1], FRAMES - 1, gamma={"shear": 0.5})
    relative = np.linalg.norm(walks.std(0, ddof=1)) / np.linalg.norm(walks.mean(0))
    assert found.error == pytest.approx(relative, rel=1e-3)


KEYS = ("gamma", "seeds", "frames", "cells", "error", "drop", "drop_per_frame", "outside")


def test_command_ranks_and_plans(here, capsys):
    words = ["next", "equation.ckpt", "--data", "runs.h5", "--candidates", "shear=0.1:0.9:3", "--bar", "1e-9"]
    cli.main([*words, "--json"])
    printed = capsys.readouterr()
    assert printed.err.count("shear = 0.9 lies outside the training data, 0.1 to 0.8") == 1
    told = json.loads(printed.out)
    assert [set(each) for each in told["ranking"]] == 3 * [{*KEYS}]
    assert {each["gamma"]["shear"]: each["outside"] for each in told["ranking"]} == {0.1: False, 0.5: False, 0.9: True}
    assert [each["error"] for each in told["ranking"]] == sorted(each["error"] for each in told["ranking"])
    assert told["plan"]["count"] is None
    cli.main(words)
    printed = capsys.readouterr().out
    assert "outside the training data" in printed
    assert "1e-09 is not expected to be reached" in printed


def test_equal_candidates_are_one_and_equal_runs_of_a_plan_are_counted(here, capsys):
    words = [
        "next",
        "equation.ckpt",
        "--data",
        "runs.h5",
        "--candidates",
        "shear=0.8,0.8",
        "--at",
        "shear=0.8",
        "--bar",
        "1e-3",
        "--target",
    ]
    cli.main([*words, TARGET, "--json"])
    told = json.loads(capsys.readouterr().out)
    assert len(told["ranking"]) == 1
    count = told["plan"]["count"]
    assert count > 1
    cli.main([*words, TARGET])
    assert f"{count} runs to 0.001: shear=0.8 × {count}\n" in capsys.readouterr().out


def test_ranking_is_by_the_drop_for_each_frame_which_is_shown_where_costs_differ(here, capsys):
    words = ["next", "equation.ckpt", "--data", "runs.h5", "--candidates", "shear=0.1,0.8", "frames=6,21"]
    cli.main([*words, "--json"])
    ranking = json.loads(capsys.readouterr().out)["ranking"]
    each = [row["drop"] / (row["frames"] - 1) for row in ranking]
    assert each == sorted(each, reverse=True)
    assert [row["drop_per_frame"] for row in ranking] == pytest.approx(each)
    cli.main(words)
    assert f"{100 * each[0]:.2g} %" in capsys.readouterr().out.splitlines()[3]


def test_table_of_candidates_is_as_good_as_ranges(here, capsys):
    (here / "table.csv").write_text("shear, seeds\n0.2, 1\n0.6, 2\n")
    words = ["next", "equation.ckpt", "--data", "runs.h5", "--json", "--candidates"]
    cli.main([*words, "table.csv"])
    of_table = json.loads(capsys.readouterr().out)["ranking"]
    cli.main([*words, "shear=0.2,0.6", "seeds=1,2"])
    of_ranges = json.loads(capsys.readouterr().out)["ranking"]
    assert len(of_table) == 2
    assert all(each in of_ranges for each in of_table)


def test_realizations_without_the_coefficient_are_named_and_can_be_left_out(here, tmp_path, capsys):
    path = checkpoint(tmp_path, realizations=8)
    saved = torch.load(path, weights_only=True)
    theta = saved["state_dict"]["operator.g.theta"]
    theta[3] = torch.tensor([0.5, -1.0])  # D = −0.3 at γ = 0.8: waves grow
    torch.save(saved, path)
    words = f"next {path} --data runs.h5 --candidates shear=0.1,0.8 --target '{TARGET}'"
    sentence = refused(words, capsys)
    assert f"realizations without {TARGET}: 3 at shear=0.8 (" in sentence
    assert (
        "; expected --realizations 1 2 4 5 6 7, in Python realizations=[1, 2, 4, 5, 6, 7], or a longer fit" in sentence
    )
    cli.main(shlex.split(f"{words} --json --realizations 1 2 4 5 6 7"))
    assert json.loads(capsys.readouterr().out)["error"] < 0.1


def growing(path, numbers, realizations=12):
    """The checkpoint with a negative diffusivity of some realizations: short waves grow without bound at any γ."""
    file = checkpoint(path, realizations)
    saved = torch.load(file, weights_only=True)
    for number in numbers:
        saved["state_dict"]["operator.g.theta"][number] = torch.tensor([-5.0, 0.0])
    torch.save(saved, file)
    return file


@pytest.mark.parametrize("target", ["rollout", "eq35"])
def test_diverging_realizations_are_left_out_and_counted(here, tmp_path, capsys, target):
    few = growing(tmp_path, [3, 7])
    cli.main(shlex.split(f"next {few} --data runs.h5 --candidates shear=0.1,0.8 --target {target} --json"))
    found = json.loads(capsys.readouterr().out)
    others = [1, 2, 4, 5, 6, 8, 9, 10, 11]
    expected = load(few).next_run("runs.h5", {"shear": [0.1, 0.8]}, target=target, realizations=others)
    assert found["diverging"] == [3, 7]
    assert found["error"] == pytest.approx(expected.error)
    assert found["error"] < 0.1  # it would be 10⁵ with them
    assert [each["error"] for each in found["ranking"]] == pytest.approx([each.error for each in expected.ranking])
    cli.main(shlex.split(f"next {few} --data runs.h5 --candidates shear=0.1,0.8 --target {target}"))
    assert "left out: 3, 7, realizations whose roll-outs diverge\n" in capsys.readouterr().out


def test_models_that_mostly_diverge_are_refused(here, tmp_path, capsys):
    many = growing(tmp_path, [1, 2, 3, 4, 5, 6, 7])
    sentence = refused(f"next {many} --data runs.h5 --candidates shear=0.1,0.8", capsys)
    assert "roll-outs of 7 of 11 realizations diverge, 7 of them at shear=0.1; expected at least 5 and more" in sentence


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (b"shear,seeds\n0.2,1\n0.4,\n", "t.csv: line 3: seeds is '', expected a number"),
        (b"shear,seeds\n0.2,1,7\n", "t.csv: line 2 has 3 cells, expected 2: shear, seeds"),
        (b"shear;seeds\n0.2;1\n", "t.csv: line 1 is separated by semicolons, expected commas"),
        (b"shear\n0.2\n\xff\n", "t.csv: line 3 is not UTF-8"),
        (b"shear\nnan\n", "t.csv: line 2: shear is 'nan', expected a finite number"),
        (b"shear,shear\n1,2\n", "t.csv: line 1 has a name twice"),
    ],
)
def test_line_of_a_table_that_is_no_candidate_is_named(here, table, sentence, capsys):
    (here / "t.csv").write_bytes(table)
    assert sentence in refused("next equation.ckpt --data runs.h5 --candidates t.csv", capsys)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--candidates speed=1", "the candidates have speed, expected shear and optionally seeds, frames and cells"),
        (
            "--candidates shear=1 cells=32",
            "cells are 32, expected a divisor of the 16 cells of the model, or a multiple",
        ),
        ("--candidates shear=1 cells=5", "cells are 5, expected a divisor of the 16 cells of the model, or a multiple"),
        ("--candidates shear=a", "shear is 'a', expected numbers such as 0.1,0.5 or a range"),
        ("--candidates shear=0.1:1:0", "shear is '0.1:1:0', expected a count of 1 or more"),
        ("--candidates shear=1 seeds=0", "seeds is 0, expected a whole number from 1"),
        ("--candidates shear=1 frames=1", "frames is 1, expected a whole number from 2 to 210"),
        ("--candidates none.csv", "none.csv: no such file, expected a table"),
        ("--candidates shear=1 --at speed=1", "γ of interest has speed, expected shear"),
        ("--candidates shear=1 --target weight", "target is 'weight', expected rollout, eq35, kinematic viscosity"),
        ("--candidates shear=1 --target bending", "bending: the model has 0 fields of momentum"),
        ("--candidates shear=0:1:10000 frames=100", "10000 γ with 100 frames are 3.6 times the values that are"),
        ("--candidates shear=1 --bar 0", "the target error (bar) is 0.0, expected a number above 0"),
    ],
)
def test_what_is_not_a_candidate_is_named(here, words, sentence, capsys):
    assert sentence in refused(f"next equation.ckpt --data runs.h5 {words}", capsys)


@pytest.mark.parametrize(
    ("asked", "keywords", "sentence"),
    [
        ([0.1, 0.2], {}, "the candidates are [0.1, 0.2], expected values by name"),
        ({"shear": [[0.1, 0.2]]}, {}, "shear is '[[0.1, 0.2]]', expected numbers"),
        ({"shear": 0.1}, {"at": 0.1}, "γ of interest (at) is 0.1, expected values by name"),
        ({"shear": 0.1}, {"bar": "x"}, "the target error (bar) is 'x', expected a number"),
        ({"shear": 0.1}, {"realizations": [0, 99]}, "realizations are [0, 99], expected all"),
    ],
)
def test_what_is_of_the_wrong_kind_is_refused_in_python(here, asked, keywords, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        inspect.unwrap(next_run)(load("equation.ckpt"), "runs.h5", asked, **keywords)  # without the tests' type checks


def test_ratios_do_not_enter(here):
    model = load("equation.ckpt")
    plain, more = (
        each.next_run("runs.h5", {"shear": 0.5}) for each in (model, model.with_ratios({"one": "density/density"}))
    )
    assert more.error == plain.error


def test_models_that_cannot_answer_say_why(here, tmp_path, capsys):
    command = "--data runs.h5 --candidates shear=1"
    few = checkpoint(tmp_path, realizations=4)
    assert "has 4 realizations, expected at least 5" in refused(f"next {few} {command}", capsys)
    same = checkpoint(tmp_path, realizations=6, covariance=0 * COVARIANCE)
    assert "the realizations agree" in refused(f"next {same} {command}", capsys)
    small.model(tmp_path / "plain.ckpt", dataclasses.replace(DATA, parameters=()))
    assert "has no parameters γ" in refused(f"next {tmp_path / 'plain.ckpt'} {command}", capsys)
