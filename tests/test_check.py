"""What `morlight check` promises for operators of several parts: second order in time, fluxes, walls, 3-D."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from morlight import checking, cli
from morlight.operators import build
from morlight.prediction import Model

WORDS = {
    "biases": [], "symbol": "plain", "width": 4, "depth": 3, "activation": "elu", "realizations": 2, "seed": 0,
    "literal": False,
}  # fmt: skip
SINES = {"bases": {"momentum": "sine"}}


def described(fields=("density",), points=(16,), boundary="PERIODIC", **more):
    size = len(fields)
    return {
        "fields": list(fields), "points": list(points), "length": [2 * np.pi] * len(points),
        "boundaries": [boundary] * len(points), "dt": 0.1, "scale": [1.3] * size, "low": [0.2] * size,
        "high": [2.0] * size,
    } | more  # fmt: skip


def redrawn(data=None, **words):
    data, settings = data or described(), WORDS | words
    operator = build.operator(settings, data).double()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in operator.parameters():
            parameter.uniform_(-0.5, 0.5, generator=generator)
    return Model(Path("made.ckpt"), operator.requires_grad_(False), settings, data, None)


def told(model):
    found = checking.check(model)["properties"]
    return {name: (one["promised"], one["holds"]) for name, one in found.items()}


def saved(path, model):
    state = {f"operator.{key}": value for key, value in model.operator.state_dict().items()}
    hyper = model.settings | {"data": model.data}
    torch.save({"morlight": {"layout": 1}, "hyper_parameters": hyper, "state_dict": state}, path)
    return str(path)


@pytest.mark.parametrize("biases", [["reflection"], {"rate": ["reflection"]}, {"u": ["reflection"]}])
def test_reflection_of_second_order_in_time_is_that_of_the_rates_that_are_learned(biases):
    data = described(("u", "rate"))
    assert told(redrawn(data, biases=biases, order=2))["reflection"] == (True, True)
    assert told(redrawn(data, order=2))["reflection"] == (False, False)


def test_literal_isotropy_leaves_no_field_radial():
    found = told(redrawn(described(points=(12, 12)), biases=["isotropy"], literal=True))
    assert found["isotropy, radial fields"] == (False, False)


def test_isotropy_is_told_in_three_dimensions_and_on_unequal_sides():
    cube = told(redrawn(described(points=(6, 6, 6)), biases=["isotropy"]))
    sides = told(redrawn(described(points=(12, 10)), biases=["isotropy"]))
    assert cube["isotropy, quarter turns"] == cube["isotropy, radial fields"] == (True, True)
    assert sides["isotropy, radial fields"] == (True, True)
    assert "isotropy, quarter turns" not in sides


def test_fluxes_do_not_promise_isotropy():
    found = told(redrawn(described(points=(8, 8), boundary="WALL"), biases=["isotropy"], flux=True))
    assert found["isotropy, quarter turns"] == (False, False)
    assert "isotropy, radial fields" not in found


@pytest.mark.parametrize("flux", [False, True])
def test_each_field_keeps_its_condition_at_the_walls(flux):
    found = told(redrawn(described(("density", "momentum"), boundary="WALL"), flux=flux, **SINES))
    assert found["boundary of density"] == found["boundary of momentum"] == (True, True)


def test_walls_across_one_axis_are_checked_there_and_translation_along_the_other():
    found = told(redrawn(described(points=(8, 6), boundaries=["PERIODIC", "WALL"])))
    assert found["boundary"] == found["translation"] == (True, True)
    assert "boundary" not in told(redrawn())
    free = redrawn(described(boundary="WALL"), bases={"density": "legendre"})
    assert "boundary" not in told(free)


def test_cosines_where_sines_are_claimed_break_the_boundary():
    data = described(("density", "momentum"), boundary="WALL")
    liar = dataclasses.replace(redrawn(data), settings=WORDS | SINES)
    assert checking.broken(checking.check(liar)) == ["boundary of momentum"]


def test_operators_without_time_are_checked_but_for_stability():
    found = told(redrawn(described(targets=["flux"], unit=[1.0]), biases=["conservation", "reflection"]))
    assert found["conservation"] == found["reflection"] == (True, True)
    assert "stability" not in found


def test_the_table_says_nan_where_one_realisation_is(tmp_path, capsys):
    model = redrawn(biases=["reflection"])
    with torch.no_grad():  # the second of two
        model.operator.h.nonlinearity.network.offsets[0][1].fill_(torch.inf)
    path = saved(tmp_path / "model.ckpt", model)
    with pytest.raises(SystemExit) as ended:
        cli.main(["check", path])
    assert ended.value.code == 1
    captured = capsys.readouterr()
    assert ["reflection", "yes", "no", "nan"] in [line.split() for line in captured.out.splitlines()]
    with pytest.raises(SystemExit):
        cli.main(["check", path, "--json"])
    first, second = json.loads(capsys.readouterr().out)["properties"]["reflection"]["per_realization"]
    assert (first, second) == (0, None)


def test_no_checkpoint_ends_with_2_and_a_sentence(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["check", str(tmp_path / "absent.ckpt"), "--json"])
    assert ended.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "absent.ckpt: not a file; expected a checkpoint" in captured.err
