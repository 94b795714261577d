"""`morlight check` on operators with every parameter redrawn: biases hold, and without them nothing does."""

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
