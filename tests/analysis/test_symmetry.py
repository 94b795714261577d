"""`morlight check` on operators with every parameter redrawn: biases hold, and without them nothing does."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from morlight.analysis import symmetry as checking
from morlight.analysis.model import Model
from morlight.cli import main as cli
from morlight.operators import build

WORDS = {
    "biases": [], "symbol": "plain", "width": 4, "depth": 3, "activation": "elu", "realizations": 2, "seed": 0,
    "literal": False,
}  # fmt: skip


def described(fields=("density",), points=(16,), boundary="PERIODIC", **more):
    return {
        "fields": list(fields), "points": list(points), "length": [2 * np.pi] * len(points),
        "boundaries": [boundary] * len(points), "dt": 0.1, "scale": [1.3] * len(fields), "low": [0.2] * len(fields),
        "high": [2.0] * len(fields), "values": [np.linspace(0.2, 2, 11).tolist()] * len(fields),
    } | more  # fmt: skip


def redrawn(data=None, **words):
    data, settings = data or described(), WORDS | words
    operator = build.operator(settings, data).double()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in operator.parameters():
            parameter.uniform_(-0.5, 0.5, generator=generator)
    return Model(Path("made.ckpt"), operator.requires_grad_(False), settings, data, None)


SINES = {"bases": {"momentum": "sine"}}


def promises(model):
    return {name: (one["promised"], one["holds"]) for name, one in told(model).items()}


def told(model):
    return checking.check(model)["properties"]


def test_an_operator_without_biases_has_translation_alone():
    found = told(redrawn(described(points=(12, 12))))
    assert {name for name, one in found.items() if one["holds"]} == {"translation"}
    assert {name for name, one in found.items() if one["promised"]} == {"translation"}
    assert all(
        min(one["per_realization"]) > 1e-3 for name, one in found.items() if name not in ("translation", "stability")
    )


@pytest.mark.parametrize(
    ("bias", "words", "names"),
    [
        ("conservation", {}, {"conservation"}),
        ("reflection", {}, {"reflection"}),
        ("isotropy", {}, {"isotropy, quarter turns", "isotropy, radial fields", "parity"}),
        ("stability", {"symbol": "dissipative"}, {"stability"}),
    ],
)
@pytest.mark.parametrize("points", [(12, 12), (15, 15)])
def test_each_bias_holds_with_redrawn_weights_and_is_promised(bias, words, names, points):
    found = told(redrawn(described(points=points), biases=[bias], **words))
    for name in names:
        assert (found[name]["promised"], found[name]["holds"]) == (True, True), (name, found[name])


def test_biases_of_one_field_are_checked_on_that_field():
    data = described(("density", "momentum"), boundary="WALL")
    found = told(
        redrawn(data, bases={"momentum": "sine"}, biases={"density": ["conservation"], "momentum": ["reflection"]})
    )
    kept = {name: (one["promised"], one["holds"]) for name, one in found.items()}
    assert kept["conservation of density"] == (True, True)
    assert kept["conservation of momentum"] == (False, False)
    assert kept["reflection"] == (True, True)
    assert kept["parity"] == (True, True)  # real transforms
    assert "translation" not in kept


def test_fluxes_between_walls_break_parity_and_conserve_the_density():
    data = described(("density", "momentum"), boundary="WALL")
    words = {"bases": {"momentum": "sine"}, "biases": {"density": ["conservation"]}, "flux": True}
    found = told(redrawn(data, **words))
    assert (found["parity"]["promised"], found["parity"]["holds"]) == (False, False)
    assert found["conservation of density"]["holds"]


def test_parameters_and_pair_states_are_taken():
    data = described(parameters=["shear"], gamma_scale=[0.5])
    assert told(redrawn(data, biases=["conservation"]))["conservation"]["holds"]
    pair = told(redrawn(described(("u", "rate")), biases=["conservation"], order=2))
    assert pair["conservation"]["holds"]
    assert pair["conservation"]["promised"]


def test_the_literal_isotropy_is_not_one():
    found = told(redrawn(described(points=(12, 12)), biases=["isotropy"], literal=True))
    assert not found["isotropy, quarter turns"]["promised"]
    assert not found["isotropy, quarter turns"]["holds"]


def test_growth_decides_stability():
    stable = redrawn(biases=["stability"], symbol="dissipative")
    assert told(stable)["stability"]["per_realization"] == [0, 0]
    steep = redrawn(symbol="dissipative")
    with torch.no_grad():
        steep.operator.h.network.weights[-1].mul_(50)
    assert min(told(steep)["stability"]["per_realization"]) > 0.01


def saved(path, model):
    state = {f"operator.{key}": value for key, value in model.operator.state_dict().items()}
    hyper = model.settings | {"data": model.data}
    torch.save({"morlight": {"layout": 1}, "hyper_parameters": hyper, "state_dict": state}, path)
    return str(path)


def test_command_prints_a_table_or_json_and_ends_with_0(tmp_path, capsys):
    path = saved(tmp_path / "model.ckpt", redrawn(biases=["conservation"]))
    cli.main(["check", path])
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split()[:3] == ["conservation", "yes", "yes"] for line in lines)
    cli.main(["check", path, "--json"])
    assert json.loads(capsys.readouterr().out)["properties"]["conservation"]["holds"] is True


def test_a_broken_promise_ends_with_1_and_its_name(tmp_path, capsys):
    model = redrawn(biases=["reflection"])
    with torch.no_grad():  # not finite is not odd
        model.operator.h.nonlinearity.network.offsets[0].fill_(torch.inf)
    path = saved(tmp_path / "model.ckpt", model)
    with pytest.raises(SystemExit) as ended:
        cli.main(["check", path, "--json"])
    assert ended.value.code == 1
    captured = capsys.readouterr()
    assert "promised and broken: translation, reflection" in captured.err
    assert json.loads(captured.out)["properties"]["reflection"]["holds"] is False


def test_a_claim_without_its_bias_is_seen():
    liar = dataclasses.replace(redrawn(), settings=WORDS | {"biases": ["conservation", "reflection"]})
    assert checking.broken(checking.check(liar)) == ["reflection", "conservation"]


@pytest.mark.parametrize("biases", [["reflection"], {"rate": ["reflection"]}, {"u": ["reflection"]}])
def test_reflection_of_second_order_in_time_is_that_of_the_rates_that_are_learned(biases):
    data = described(("u", "rate"))
    assert promises(redrawn(data, biases=biases, order=2))["reflection"] == (True, True)
    assert promises(redrawn(data, order=2))["reflection"] == (False, False)


def test_literal_isotropy_leaves_no_field_radial():
    found = promises(redrawn(described(points=(12, 12)), biases=["isotropy"], literal=True))
    assert found["isotropy, radial fields"] == (False, False)


def test_isotropy_is_told_in_three_dimensions_and_on_unequal_sides():
    cube = promises(redrawn(described(points=(6, 6, 6)), biases=["isotropy"]))
    sides = promises(redrawn(described(points=(12, 10)), biases=["isotropy"]))
    assert cube["isotropy, quarter turns"] == cube["isotropy, radial fields"] == (True, True)
    assert sides["isotropy, radial fields"] == (True, True)
    assert "isotropy, quarter turns" not in sides


def test_fluxes_do_not_promise_isotropy():
    found = promises(redrawn(described(points=(8, 8), boundary="WALL"), biases=["isotropy"], flux=True))
    assert found["isotropy, quarter turns"] == (False, False)
    assert "isotropy, radial fields" not in found


@pytest.mark.parametrize("flux", [False, True])
def test_each_field_keeps_its_condition_at_the_walls(flux):
    found = promises(redrawn(described(("density", "momentum"), boundary="WALL"), flux=flux, **SINES))
    assert found["boundary of density"] == found["boundary of momentum"] == (True, True)


def test_walls_across_one_axis_are_checked_there_and_translation_along_the_other():
    found = promises(redrawn(described(points=(8, 6), boundaries=["PERIODIC", "WALL"])))
    assert found["boundary"] == found["translation"] == (True, True)
    assert "boundary" not in promises(redrawn())
    free = redrawn(described(boundary="WALL"), bases={"density": "legendre"})
    assert "boundary" not in promises(free)


def test_cosines_where_sines_are_claimed_break_the_boundary():
    data = described(("density", "momentum"), boundary="WALL")
    liar = dataclasses.replace(redrawn(data), settings=WORDS | SINES)
    assert checking.broken(checking.check(liar)) == ["boundary of momentum"]


def test_operators_without_time_are_checked_but_for_stability():
    found = promises(redrawn(described(targets=["flux"], unit=[1.0]), biases=["conservation", "reflection"]))
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
    assert ["reflection:", "u", "→", "−u", "yes", "no", "nan"] in [line.split() for line in captured.out.splitlines()]
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


def test_fluxes_in_a_box_keep_the_condition_at_every_wall():
    data = described(("density", "momentum"), points=(8, 8), boundary="WALL")
    found = promises(redrawn(data, flux=True, **SINES))
    assert found["boundary of density"] == found["boundary of momentum"] == (True, True)
