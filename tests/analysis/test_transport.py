"""Transport coefficients of operators whose equation is known, and the limit of long waves of rates that are known."""

import math

import numpy as np
import pytest
import small
import small_fits
import torch
from scipy.fft import dst

from morlight.analysis.long_waves import long_waves
from morlight.analysis.model import load
from morlight.cli import main as cli
from morlight.operators import build

DENSITIES = (0.1, 0.3, 0.8)


def equation(path, terms, coefficients, fields=("momentum",), parameters=(), boundary="PERIODIC", **options):
    """A model of an equation with these coefficients and no error."""
    data = small.description(
        [small.field(name, -1.0, 1.0) for name in fields],
        [small.parameter(name, 0.3, low=0.1, high=0.8) for name in parameters],
        where=small.grid((16,), length=10.0, boundaries=boundary),
    )
    options = {"equation": terms, "scheme": "exponential", "realizations": 2, **options}
    made = build.operator(small.config(**options), data).double()
    with torch.no_grad():
        made.g.theta.copy_(torch.tensor([coefficients, coefficients]))
    return load(small.save(path / "equation.ckpt", made, data, **options))


@pytest.mark.parametrize("density", DENSITIES)
def test_viscosities_are_those_of_the_equation_at_each_density(tmp_path, density):
    terms = {"momentum": ["dxx momentum", "dxx density*momentum"]}
    model = equation(tmp_path, terms, [0.5, 2.0], parameters=["density"])
    found = model.transport({"density": density})
    assert found.kinematic_viscosity.value == pytest.approx(0.5 + 2 * density, rel=1e-6)
    assert found.dynamic_viscosity.value == pytest.approx(density * (0.5 + 2 * density), rel=1e-6)
    assert found.bending.value == pytest.approx(0, abs=1e-6)


def test_diffusivity_of_walkers_is_that_of_the_equation(tmp_path):
    model = equation(tmp_path, {"density": ["dxx density"]}, [0.7], fields=["density"])
    assert model.transport().diffusivity["density"].value == pytest.approx(0.7, rel=1e-6)


def test_diffusivity_of_a_nonlinear_equation_is_that_of_the_state(tmp_path):
    model = equation(tmp_path, {"density": ["dxx density", "dxx density^2"]}, [0.5, 2.0], fields=["density"])
    (at_rest, denser) = (model.transport(state={"density": u}).diffusivity["density"].value for u in (0.0, 0.4))
    assert at_rest == pytest.approx(0.5, rel=1e-6)
    assert denser == pytest.approx(0.5 + 2 * 2.0 * 0.4, rel=1e-6)


def test_flow_between_walls_has_the_viscosity_and_the_force_of_the_equation_and_does_not_slip(tmp_path):
    terms, wall = {"momentum": ["dxx momentum", "1"]}, {"bases": {"momentum": "sine"}}
    found = equation(tmp_path, terms, [0.6, 0.3], boundary="WALL", **wall).transport()
    assert found.kinematic_viscosity.value == pytest.approx(0.6, rel=1e-6)
    assert found.body_force.value == pytest.approx(0.3, rel=1e-6)
    assert found.slip_length.value == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("slip", [0.0, 0.05, 0.2])
def test_slip_length_is_that_of_a_steady_flow_between_slipping_walls(slip):
    N, W, nu, force = 4096, 3.0, 0.8, 0.4
    x = (np.arange(N) + 0.5) * W / N
    flow = force / (2 * nu) * (x * (W - x) + slip * W)
    odd = np.arange(1, 12, 2)  # modes that a constant force drives
    pushed, moved = (dst(u, type=2)[odd - 1] for u in (np.full(N, force), flow))
    rates = torch.tensor(pushed / moved)[None]
    found = long_waves(torch.tensor(math.pi * odd / W), rates, None)
    assert found.coefficient.item() == pytest.approx(nu, rel=1e-4)  # sums instead of integrals
    assert 2 * found.bending.item() / W == pytest.approx(slip, abs=1e-3 * W)


def test_line_of_long_waves_gives_the_rate_of_one_relaxation_time():
    kappa, nu, length = torch.arange(1.0, 9.0).double() / 8, 1.7, 0.9
    found = long_waves(kappa, (nu * kappa**2 / (1 + (length * kappa) ** 2))[None], None)
    assert found.coefficient.item() == pytest.approx(nu)
    assert found.bending.item() == pytest.approx(length**2)
    assert found.exponent is None


def test_standard_errors_cover_the_noise_of_the_rates():
    generator = torch.Generator().manual_seed(0)
    kappa, noise = torch.arange(1.0, 9.0).double() / 8, torch.linspace(0.08, 0.04, 8).double()
    rates = kappa**2 / (1 + kappa**2)
    draws = [rates * (1 + noise * torch.randn(8, generator=generator).double()) for _ in range(200)]
    found = [long_waves(kappa, draw[None], noise) for draw in draws]
    for value, error in (("coefficient", "coefficient_error"), ("bending", "bending_error")):
        distance = np.array([abs(float(getattr(each, value)) - 1) / getattr(each, error) for each in found])
        assert np.mean(distance < 1) == pytest.approx(0.68, abs=0.1)  # three times its standard error, 0.033
        assert np.mean(distance < 2) == pytest.approx(0.95, abs=0.06)


def test_waves_that_decay_by_another_power_are_no_diffusion(tmp_path):
    model = equation(tmp_path, {"density": ["frac1.5 density"]}, [1.0], fields=["density"])
    assert model.transport().diffusivity["density"] == (
        "density: its long waves decay as |κ|^1.5, which is not diffusion"
    )


def test_each_number_that_a_model_does_not_have_is_refused_by_a_sentence(tmp_path):
    walkers = equation(tmp_path, {"density": ["dxx density"]}, [0.7], fields=["density"]).transport()
    assert walkers.kinematic_viscosity == (
        "the model has 0 fields of momentum, expected one along the flow, or the components of a vector (model.vectors)"
    )
    assert walkers.sound_speed == "sound needs the density and the momentum as a vector (model.vectors)"
    flow = equation(tmp_path, {"momentum": ["dxx momentum"]}, [0.7]).transport()
    assert flow.dynamic_viscosity == "the density is not known, expected a field or a parameter of this name"
    assert flow.slip_length == "momentum has no walls at which it vanishes (model.bases {momentum: sine})"
    assert flow.body_force == "the total of momentum is conserved, so that there is no body force"
    growing = equation(tmp_path, {"momentum": ["dxx momentum"]}, [-0.7]).transport()
    assert growing.kinematic_viscosity == "momentum: the data identify the decay of fewer than 2 of its long waves"


def test_models_without_time_have_no_transport_coefficients(tmp_path):
    model = small.model(tmp_path / "steady.ckpt", small.description(targets=("f",)))
    with pytest.raises(ValueError, match="without time, expected an operator with rates of decay"):
        model.transport()


def test_viscosity_is_learned_from_exact_waves_at_each_density(folder):
    densities, kappa, x = np.array(DENSITIES), 2 * math.pi / 10, (np.arange(16) + 0.5) / 16 * 10.0
    times = 0.2 * np.arange(12)
    waves = [
        np.exp(-np.multiply.outer(0.5 + 2 * densities, (n * kappa) ** 2 * times))[..., None] * np.cos(n * kappa * x + n)
        for n in (1, 2, 3)
    ]
    momentum = densities[:, None, None] * sum(waves)
    small_fits.write("waves.h5", {"momentum": momentum}, dt=0.2, length=(10.0,), parameters={"density": densities})
    equation = {"model.optimizer": "equation", "model.terms": 1, "model.horizons": [1], "model.lr": 1e-2}
    found = small_fits.fit("waves.h5", {**equation, "data.parameters": ["density"]}).model.transport({"density": 0.5})
    assert found.kinematic_viscosity.value == pytest.approx(0.5 + 2 * 0.5, rel=1e-5)
    assert found.dynamic_viscosity.value == pytest.approx(0.5 * (0.5 + 2 * 0.5), rel=1e-5)


def test_command_prints_the_coefficients_at_the_density_asked_for(tmp_path, capsys):
    terms = {"momentum": ["dxx momentum", "dxx density*momentum"]}
    path = equation(tmp_path, terms, [0.5, 2.0], parameters=["density"]).path
    cli.main(["inspect", str(path), "--gamma", "density=0.25"])
    printed = capsys.readouterr().out
    assert "transport coefficients at density = 0.25, in the units of the data\n" in printed
    assert "  kinematic viscosity 1 ± 0 length²/time\n" in printed
    assert "  no slip length: momentum has no walls at which it vanishes (model.bases {momentum: sine})\n" in printed
    answers = small_fits.told("inspect", path, "--gamma", "density=0.25")["transport"]
    assert answers["dynamic_viscosity"]["value"] == pytest.approx(0.25)
    assert "no walls" in answers["slip_length"]["refused"]


@pytest.mark.parametrize("terms", [1, 2])
def test_a_constant_that_walls_carry_is_no_force(terms, tmp_path):
    data = small.description([small.field("momentum", -1.0, 1.0)], where=small.grid((16,), boundaries="WALL"))
    options = {"biases": [], "bases": {"momentum": "sine"}, "terms": terms, "walls": {"momentum": [-1, 1]}}
    model = small.model(tmp_path / "model.ckpt", data, **options)
    before = model.transport()
    with torch.no_grad():
        model.operator.h.network.offsets[-1].view(2, terms)[:, 0] += 0.7  # of the first term, which is lifted
    after = model.transport()
    for one, other in ((before.body_force, after.body_force), (before.slip_length, after.slip_length)):
        assert str(one) == str(other)
    assert isinstance(after.body_force, str) == (terms == 1)


def test_a_learned_slip_length_is_among_the_coefficients_with_its_scatter(tmp_path):
    data = small.description([small.field("momentum", -1.0, 1.0)], where=small.grid((16,), boundaries="WALL"))
    options = {"biases": [], "bases": {"momentum": "robin"}, "terms": 2, "walls": {"momentum": [-1, 1]}}
    model = small.model(tmp_path / "model.ckpt", data, realizations=3, **options)
    each = model.operator.basis.slip.mean(1)
    found = model.transport().slip_length
    assert found.value == pytest.approx(float(each.mean()))
    assert found.over_realizations == pytest.approx(float(each.std()))
    assert found.unit == "length"
