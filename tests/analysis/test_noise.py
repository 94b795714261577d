"""What `morlight inspect` shows of noise with a known law."""

import dataclasses
import json

import exact
import numpy as np
import pytest
import small
import torch

from morlight.analysis import symmetry
from morlight.analysis.noise import PowerLaw, inspect_noise
from morlight.analysis.noise_text import lines
from morlight.cli import main as cli
from morlight.operators.fluctuations import Fluctuations, ModeFluctuations

DT, DIFFUSIVITY, STRENGTH = 0.02, 1.3, 0.04


def diffusing(size, squares=(0.0, 3.0), points=(32,), **options):
    """Modes that decay at the rate Dκ², with the noise Q = 2κ² STRENGTH and a² linear in 0 ≤ u ≤ 3."""
    grid = small.grid(points)

    def rate(kappa):
        return DIFFUSIVITY * kappa.square().sum(0)

    model = exact.model(grid, lambda kappa: torch.exp(-rate(kappa) * DT) - 1, dt=DT, **options)
    left = torch.exp(-2 * rate(model.spectral.basis.wavenumbers.double()) * DT).flatten()
    process = (STRENGTH / DIFFUSIVITY * (1 - left)).view(1, 1, -1, 1, 1)
    part = ModeFluctuations(
        (0,), "cosine", (True,), process, torch.zeros_like(process), torch.tensor([0.0, 3.0]).double().view(1, 1, 1, 2),
        torch.tensor(squares).double().view(1, 1, 1, 2), size * process[..., 0],
    )  # fmt: skip
    noise = Fluctuations((0.0,), (part,), ((-0.001, 0.002), (0.003, 0.002)))
    return dataclasses.replace(model, checkpoint=dataclasses.replace(model.checkpoint, fluctuations=noise))


@pytest.mark.parametrize("points", [(32,), (10, 8)])
def test_fluctuation_and_dissipation_give_the_spectrum_at_equilibrium_and_the_intensity(points):
    inspected = inspect_noise(diffusing(0.01, points=points))
    field = inspected.fields["u0"]
    assert np.array(field.equilibrium)[0, 1:] == pytest.approx(STRENGTH / DIFFUSIVITY)
    assert field.intensity.coefficient == pytest.approx(2 * STRENGTH)
    assert field.intensity.exponent == pytest.approx(2)
    assert field.amplitude.exponent == pytest.approx(0.5)
    assert any("a ∝ u^n, n = 0.5, of unknown standard error, with an rms" in line for line in lines(inspected))


def test_an_amplitude_that_is_constant_is_said_to_be():
    shown = lines(inspect_noise(diffusing(0.01, squares=(1.0, 1.0))))
    assert "    its amplitude does not depend on the field" in shown
    assert any("one step apart, two steps apart: -0.0010 ± 0.0020, 0.0030 ± 0.0020" in line for line in shown)


@pytest.mark.parametrize(("share", "meaning"), [(1.0, "noise and damping are in balance"), (0.7, "restores less")])
def test_the_noise_of_slow_waves_over_that_of_equipartition_is_shown(share, meaning):
    model = diffusing(0.01, points=(128,))
    (part,) = model.checkpoint.fluctuations.parts
    slow = (model.spectral.basis.wavenumbers[0] < 6).view(1, 1, -1, 1, 1)  # |G|² > 1/2 up to κ = 3
    process = torch.where(slow, share * part.process, part.process)
    noise = Fluctuations((0.0,), (dataclasses.replace(part, process=process),))
    inspected = inspect_noise(
        dataclasses.replace(model, checkpoint=dataclasses.replace(model.checkpoint, fluctuations=noise))
    )
    found = inspected.fields["u0"].equipartition
    assert found.value == pytest.approx(share)
    assert 0 < found.error < 0.02
    assert any(
        "fluctuation–dissipation ratio from equipartition" in line and meaning in line for line in lines(inspected)
    )
    assert inspected.to_json()["fields"]["u0"]["equipartition"]["value"] == pytest.approx(share)


def test_a_spectrum_that_is_not_flat_shows_no_equipartition():
    model = diffusing(0.01, points=(128,))
    (part,) = model.checkpoint.fluctuations.parts
    growing = part.process * (1 + 0.02 * torch.arange(65)).view(1, 1, -1, 1, 1)
    noise = Fluctuations((0.0,), (dataclasses.replace(part, process=growing),))
    changed = dataclasses.replace(model, checkpoint=dataclasses.replace(model.checkpoint, fluctuations=noise))
    assert inspect_noise(changed).fields["u0"].equipartition is None


def test_the_parameter_and_the_units_of_the_noise_are_printed():
    model = diffusing(0.01, parameters=("shear",))
    heading = lines(inspect_noise(model, {"shear": 0.25}))[0]
    assert heading.startswith(
        "noise of the steps at shear = 0.25 (others with --gamma): spectral density Σ per step, in"
    )
    assert "field² × length" in heading
    assert "at shear = 1 (others" in lines(inspect_noise(model))[0]


def test_a_power_law_is_recovered_within_its_standard_errors():
    rng = np.random.default_rng(0)
    x, z = torch.linspace(1, 20, 30).double(), []
    for _ in range(300):
        y = 3 * x**1.5
        law = PowerLaw.fitted(x, y * (1 + 0.02 * torch.from_numpy(rng.normal(size=30))), 0.02 * y)
        z.append([(law.coefficient - 3) / law.coefficient_sd, (law.exponent - 1.5) / law.exponent_sd])
    assert np.std(z, 0) == pytest.approx(1, abs=0.15)
    assert np.abs(np.mean(z, 0)).max() < 0.25


def test_the_command_prints_the_noise_of_a_checkpoint(tmp_path, capsys):
    data = small.description(where=small.grid((16,)), dt=DT)
    path = small.save(tmp_path / "model.ckpt", small.operator(data, size=0.3), data)
    noise = diffusing(0.01, points=(16,)).checkpoint.fluctuations
    small.mark(path, fluctuations=noise.only([0, 0]).to_plain())
    cli.main(["inspect", str(path)])
    assert "noise of the steps" in capsys.readouterr().out
    cli.main(["inspect", str(path), "--json"])
    shown = json.loads(capsys.readouterr().out)["fluctuations"]
    assert np.array(shown["fields"]["density"]["density"]).shape == (2, 9)
    assert shown["residual_correlations"][0] == [-0.001, 0.002]


def test_check_measures_whether_the_noise_keeps_the_total():
    found = symmetry.check(diffusing(0.01)).properties["noise conserves u0"]
    assert found.promised
    assert found.holds
    model = diffusing(0.01)
    (part,) = model.checkpoint.fluctuations.parts
    leaking = dataclasses.replace(part, conserved=(False,), process=part.process + 1e-3)
    noise = dataclasses.replace(model.checkpoint.fluctuations, parts=(leaking,))
    leaky = dataclasses.replace(model, checkpoint=dataclasses.replace(model.checkpoint, fluctuations=noise))
    found = symmetry.check(leaky).properties["noise conserves u0"]
    assert not found.promised
    assert not found.holds
