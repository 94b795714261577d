"""`morlight check` on operators with every parameter redrawn: biases hold, and without them nothing does."""

import dataclasses
import json
from pathlib import Path

import pytest
import small
import torch

from morlight.analysis import symmetry
from morlight.analysis.checkpoint import Checkpoint, ModeStatistics
from morlight.analysis.model import Model
from morlight.cli import main as cli

PAPER_ISOTROPY = {"biases": ["isotropy"], "complex_isotropy": True}
SINES = {"bases": {"momentum": "sine"}}


def described(fields=("density",), points=(16,), boundaries="PERIODIC", **more):
    """A description of fields between 0.2 and 2."""
    fields = [small.field(name, 0.2, 2.0, 1.3, target=1.0 if "targets" in more else None) for name in fields]
    return small.description(fields, where=small.grid(points, boundaries=boundaries), **more)


def redrawn(data=None, **options):
    """A model of which every parameter is drawn anew."""
    data = data or described()
    checkpoint = Checkpoint(
        Path("made.ckpt"), small.config(**options), {}, data, ModeStatistics(), None, None, None, {}
    )
    operator = small.operator(data, seed=1, **options)
    return Model(checkpoint, operator.requires_grad_(False), data.grid)


def claiming(model, **options):
    """The same operator with a configuration that says something else."""
    config = dataclasses.replace(model.config, **options)
    return dataclasses.replace(model, checkpoint=dataclasses.replace(model.checkpoint, config=config))


def promises(model):
    """Whether each property is promised, and whether it holds."""
    return {name: (each.promised, each.holds) for name, each in measured(model).items()}


def measured(model):
    """The properties of a model by their names."""
    return symmetry.check(model).properties


def test_an_operator_without_biases_has_translation_alone():
    properties = measured(redrawn(described(points=(12, 12))))
    assert {name for name, each in properties.items() if each.holds} == {"translation"}
    assert {name for name, each in properties.items() if each.promised} == {"translation"}
    others = [each for name, each in properties.items() if name not in ("translation", "stability")]
    assert all(min(each.violation) > 1e-3 for each in others)
    assert len(others) == 5


@pytest.mark.parametrize(
    ("bias", "options", "names"),
    [
        ("conservation", {}, {"conservation"}),
        ("reflection", {}, {"reflection"}),
        ("isotropy", {}, {"isotropy, quarter turns", "isotropy, radial fields", "parity"}),
        ("stability", {"symbol": "dissipative"}, {"stability"}),
    ],
)
@pytest.mark.parametrize("points", [(12, 12), (15, 15)])
def test_each_bias_holds_with_redrawn_weights_and_is_promised(bias, options, names, points):
    properties = measured(redrawn(described(points=points), biases=[bias], **options))
    for name in names:
        assert (properties[name].promised, properties[name].holds) == (True, True), properties[name]


def test_biases_of_one_field_are_checked_on_that_field():
    data = described(("density", "momentum"), boundaries="WALL")
    kept = promises(redrawn(data, biases={"density": ["conservation"], "momentum": ["reflection"]}, **SINES))
    assert kept["conservation of density"] == (True, True)
    assert kept["conservation of momentum"] == (False, False)
    assert kept["reflection"] == (True, True)
    assert kept["parity"] == (True, True)  # real transforms
    assert "translation" not in kept


def test_fluxes_between_walls_break_parity_and_conserve_the_density():
    data = described(("density", "momentum"), boundaries="WALL")
    kept = promises(redrawn(data, biases={"density": ["conservation"]}, flux=True, **SINES))
    assert kept["parity"] == (False, False)
    assert kept["conservation of density"] == (True, True)


def test_parameters_and_pair_states_are_taken():
    data = described(parameters=[small.parameter("shear", 0.5)])
    assert measured(redrawn(data, biases=["conservation"]))["conservation"].holds
    pair = promises(redrawn(described(("u", "rate")), biases=["conservation"], order=2))
    assert pair["conservation"] == (True, True)


def test_the_complex_isotropy_of_the_paper_is_not_one():
    kept = promises(redrawn(described(points=(12, 12)), **PAPER_ISOTROPY))
    assert kept["isotropy, quarter turns"] == (False, False)


def test_growth_decides_stability():
    stable = redrawn(biases=["stability"], symbol="dissipative")
    assert measured(stable)["stability"].violation == (0, 0)
    steep = redrawn(symbol="dissipative")
    with torch.no_grad():
        steep.operator.h.network.weights[-1].mul_(50)
    assert min(measured(steep)["stability"].violation) > 0.01


def saved(path, model, **options):
    """The path of a checkpoint of a model with these options."""
    return str(small.save(path, model.operator, model.data, **options))


def test_command_prints_a_table_or_json_and_ends_with_0(tmp_path, capsys):
    path = saved(tmp_path / "model.ckpt", redrawn(biases=["conservation"]), biases=["conservation"])
    cli.main(["check", path])
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split()[:3] == ["conservation", "yes", "yes"] for line in lines)
    cli.main(["check", path, "--json"])
    assert json.loads(capsys.readouterr().out)["properties"]["conservation"]["holds"] is True


def test_a_broken_promise_ends_with_1_and_its_name(tmp_path, capsys):
    model = redrawn(biases=["reflection"])
    with torch.no_grad():  # not finite is not odd
        for weights in model.operator.h.nonlinearity.network.weights:
            weights.fill_(1e200)  # whose products are infinite
    path = saved(tmp_path / "model.ckpt", model, biases=["reflection"])
    with pytest.raises(SystemExit) as ended:
        cli.main(["check", path, "--json"])
    assert ended.value.code == 1
    captured = capsys.readouterr()
    assert "promised but violated: translation, reflection" in captured.err
    assert json.loads(captured.out)["properties"]["reflection"]["holds"] is False


def test_a_claim_without_its_bias_is_seen():
    liar = claiming(redrawn(), biases=["conservation", "reflection"])
    assert symmetry.check(liar).broken == ["reflection", "conservation"]


@pytest.mark.parametrize("biases", [["reflection"], {"rate": ["reflection"]}, {"u": ["reflection"]}])
def test_reflection_of_second_order_in_time_is_that_of_the_rates_that_are_learned(biases):
    data = described(("u", "rate"))
    assert promises(redrawn(data, biases=biases, order=2))["reflection"] == (True, True)
    assert promises(redrawn(data, order=2))["reflection"] == (False, False)


def test_the_complex_isotropy_of_the_paper_leaves_no_field_radial():
    kept = promises(redrawn(described(points=(12, 12)), **PAPER_ISOTROPY))
    assert kept["isotropy, radial fields"] == (False, False)


def test_isotropy_is_measured_in_three_dimensions_and_on_unequal_sides():
    cube = promises(redrawn(described(points=(6, 6, 6)), biases=["isotropy"]))
    sides = promises(redrawn(described(points=(12, 10)), biases=["isotropy"]))
    assert cube["isotropy, quarter turns"] == cube["isotropy, radial fields"] == (True, True)
    assert sides["isotropy, radial fields"] == (True, True)
    assert "isotropy, quarter turns" not in sides


def test_fluxes_do_not_promise_isotropy():
    kept = promises(redrawn(described(points=(8, 8), boundaries="WALL"), biases=["isotropy"], flux=True))
    assert kept["isotropy, quarter turns"] == (False, False)
    assert "isotropy, radial fields" not in kept


@pytest.mark.parametrize("flux", [False, True])
def test_each_field_keeps_its_condition_at_the_walls(flux):
    kept = promises(redrawn(described(("density", "momentum"), boundaries="WALL"), flux=flux, **SINES))
    assert kept["boundary of density"] == kept["boundary of momentum"] == (True, True)


def test_walls_across_one_axis_are_checked_there_and_translation_along_the_other():
    kept = promises(redrawn(described(points=(8, 6), boundaries=("PERIODIC", "WALL"))))
    assert kept["boundary"] == kept["translation"] == (True, True)
    assert "boundary" not in promises(redrawn())
    free = redrawn(described(boundaries="WALL"), bases={"density": "legendre"})
    assert "boundary" not in promises(free)


def test_cosines_where_sines_are_claimed_break_the_boundary():
    liar = claiming(redrawn(described(("density", "momentum"), boundaries="WALL")), **SINES)
    assert symmetry.check(liar).broken == ["boundary of momentum"]


def test_operators_without_time_are_checked_but_for_stability():
    kept = promises(redrawn(described(targets=("flux",)), biases=["conservation", "reflection"]))
    assert kept["conservation"] == kept["reflection"] == (True, True)
    assert "stability" not in kept


def test_the_table_says_nan_where_one_realization_is(tmp_path, capsys):
    model = redrawn(biases=["reflection"])
    with torch.no_grad():  # the second of two
        for weights in model.operator.h.nonlinearity.network.weights:
            weights[1].fill_(1e200)  # whose products are infinite
    path = saved(tmp_path / "model.ckpt", model, biases=["reflection"])
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
    data = described(("density", "momentum"), points=(8, 8), boundaries="WALL")
    kept = promises(redrawn(data, flux=True, **SINES))
    assert kept["boundary of density"] == kept["boundary of momentum"] == (True, True)


@pytest.mark.parametrize("bias", ["reflection", "stability"])
def test_walls_with_values_keep_boundaries_and_bounds_but_no_mirror(bias):
    fields = described(("density", "momentum"), boundaries="WALL")
    model = redrawn(fields, terms=2, biases=[bias], walls={"momentum": [0, 0.5]}, **SINES)
    found = promises(model)
    assert found["boundary of momentum"] == (True, True)
    assert found["reflection"] == (False, False)
    assert found["parity"] == (False, False)
    if bias == "stability":
        assert found["boundedness"] == (True, True)
