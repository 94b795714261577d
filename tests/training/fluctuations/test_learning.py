"""Noise learned from residuals: prescribed spectra, walkers and flights, noise of the measurement, coupled fields."""

import dataclasses
import math

import exact
import numpy as np
import pytest
import small
import torch

from morlight.analysis.checkpoint import ModeStatistics
from morlight.analysis.noise import inspect_noise
from morlight.analysis.noise_text import lines, with_error
from morlight.operators import Rollouts, build
from morlight.operators.fluctuating_rollouts import FluctuatingRollouts
from morlight.operators.fluctuations import Fluctuations, ModeFluctuations
from morlight.simulate.walkers import Walkers, _Set
from morlight.training.fluctuations import multiplicative
from morlight.training.fluctuations.learning import check, learned

LINE = small.grid((16,))
TRAJECTORIES, STEPS = 40, 150


def symbol(kappa):
    """Decay of a mode over one step, less 1."""
    return torch.exp(-0.05 * (1 + kappa.square().sum(0))) - 1


def ornstein_uhlenbeck(grid, wall, process, measurement=0.0, seed=0):
    """Trajectories with these spectral densities (K, c, c), begun at rest."""
    K, c = process.shape[:2]
    kind = process.dtype
    part = ModeFluctuations(
        tuple(range(c)), wall, (False,) * c, process.view(1, 1, K, c, c),
        measurement * torch.eye(c, dtype=kind).expand(1, 1, K, c, c), *exact.additive(fields=c),
        torch.zeros(1, 1, K, c).double(),
    )  # fmt: skip
    operator = exact.operator(grid, *[symbol] * c, wall=wall)
    rollouts = FluctuatingRollouts(Rollouts(operator), Fluctuations((0.0,), (part,)), grid)
    start = torch.zeros(1, TRAJECTORIES, c, *grid.points).double()
    frames = rollouts.frames(start, range(STEPS + 1), generator=torch.Generator().manual_seed(seed))
    return frames[0, :, 20:]  # what was measured of the start is forgotten


def prescribed(grid, wall):
    """Σ = 2/(1 + κ²)² of each mode."""
    return 2 / (1 + build.basis(grid, wall).double().wavenumbers.square().sum(0).flatten()).square()


def shown(model, noise):
    """What is shown of the noise of a model."""
    checkpoint = dataclasses.replace(model.checkpoint, fluctuations=noise)
    return inspect_noise(dataclasses.replace(model, checkpoint=checkpoint))


def found(grid, wall, u, **options):
    return learned(exact.model(grid, *[symbol] * u.shape[2], wall=wall, **options), exact.sample(u))


@pytest.mark.parametrize(("boundaries", "wall"), [("PERIODIC", "cosine"), ("WALL", "cosine"), ("WALL", "sine")])
def test_a_prescribed_spectrum_is_recovered_within_its_error_bars(boundaries, wall):
    grid = small.grid((16,), boundaries=boundaries)
    expected = prescribed(grid, wall)
    noise = found(grid, wall, ornstein_uhlenbeck(grid, wall, expected[:, None, None]))
    (part,) = noise.parts
    z = ((part.process[0, 0, :, 0, 0] - expected) / part.errors[0, 0, :, 0]).numpy()
    assert abs(z).max() < 4.5
    assert 0.5 < np.sqrt((z**2).mean()) < 1.6  # the bars are neither too short nor too long
    assert part.amplitude.constant
    assert not noise.measured
    ratio = shown(exact.model(grid, symbol, wall=wall), noise).fields["u0"].balance
    assert abs(ratio.value - 1) < 4 * ratio.error < 0.2


@pytest.mark.parametrize("kept", [0.8, 0.95])
def test_damping_that_the_fluctuations_do_not_have_is_a_ratio_other_than_1(kept):
    """Of modes with û_{j+1} = g û_j + ŵ and an operator G, the residual has the variance S (1 − 2Gg + G²)."""
    g, rng = 0.9, torch.Generator().manual_seed(2)
    u = torch.randn(TRAJECTORIES, STEPS, 1, 16, generator=rng).double() * math.sqrt(1 - g**2)
    u[:, 0] /= math.sqrt(1 - g**2)  # S = 1 from the start
    for frame in range(1, STEPS):
        u[:, frame] += g * u[:, frame - 1]
    model = exact.model(LINE, lambda kappa: torch.full_like(kappa[0], kept - 1))
    ratio = shown(model, learned(model, exact.sample(u))).fields["u0"].balance
    assert abs(ratio.value - (1 - 2 * kept * g + kept**2) / (1 - kept**2)) < 4 * ratio.error < 0.15


def test_standard_errors_of_the_exponent_of_the_amplitude_and_of_the_ratio_cover():
    """Noise of the amplitude √u about u = 1, of a field whose waves decay."""

    def waves(kappa):
        return torch.exp(-0.05 * kappa.square().sum(0)) - 1

    model, process = exact.model(LINE, waves), torch.full((1, 1, 9, 1, 1), 0.002).double()
    line = torch.tensor([[[[0.0, 2.0]]]]).double()
    part = ModeFluctuations((0,), "cosine", (False,), process, 0 * process, line, line, 0 * process[..., 0])
    rollouts = FluctuatingRollouts(Rollouts(model.operator), Fluctuations((0.0,), (part,)), LINE)
    deviations = []
    for seed in range(10):
        start = torch.ones(1, 30, 1, 16).double()
        (u,) = rollouts.frames(start, range(61), generator=torch.Generator().manual_seed(seed))
        noise = shown(model, learned(model, exact.sample(u))).fields["u0"]
        law, ratio = noise.amplitude, noise.balance
        deviations.append([(law.exponent - 0.5) / law.exponent_sd, (ratio.value - 1) / ratio.error])
    assert (np.abs(np.sqrt(np.mean(np.square(deviations), 0)) - 1) < 0.5).all()  # 2.2 standard deviations of 10


def test_noise_of_the_measurement_is_told_from_that_of_the_steps():
    expected = prescribed(LINE, "cosine")
    noise = found(LINE, "cosine", ornstein_uhlenbeck(LINE, "cosine", expected[:, None, None], measurement=0.5))
    (part,) = noise.parts
    kept = slice(0, 3)  # the noise of shorter waves is nearly all that of the measurement
    assert noise.lags[0][0] < -0.1
    assert part.measurement[0, 0, kept, 0, 0].numpy() == pytest.approx(0.5, abs=0.1)
    z = (part.process[0, 0, kept, 0, 0] - expected[kept]) / part.errors[0, 0, kept, 0]
    assert z.abs().max() < 4
    ratio = shown(exact.model(LINE, symbol), noise).fields["u0"].balance
    assert abs(ratio.value - 1) < 4 * ratio.error < 0.3


def test_a_decay_that_the_operator_lacks_is_not_called_noise_of_the_measurement():
    u = ornstein_uhlenbeck(LINE, "cosine", prescribed(LINE, "cosine")[:, None, None])
    noise = learned(exact.model(LINE, lambda kappa: 0.3 * symbol(kappa)), exact.sample(u))
    (correlation, error), _ = noise.lags
    assert correlation < -10 * error
    assert not noise.measured


@pytest.mark.parametrize("realizations", [1, 2, 3])
def test_waves_that_the_data_do_not_identify_and_the_number_of_realizations_do_not_change_the_verdict(realizations):
    """Beyond |κ| = 3, the decay of each realization is arbitrary: the residuals there contain the field."""
    u = ornstein_uhlenbeck(LINE, "cosine", prescribed(LINE, "cosine")[:, None, None])
    exactly = exact.model(LINE, symbol)
    errors = torch.where(build.basis(LINE).wavenumbers[0] > 3, 1.0, 0.01)
    modes = ModeStatistics(rate_errors=(tuple(errors.tolist()),))

    class Arbitrary(torch.nn.Module):
        def forward(self, kappa, gamma=None):
            beyond = torch.tensor([0.3, 1.5, -1.0])[:realizations, None] * symbol(kappa)
            return torch.where(kappa[0] > 3, beyond, symbol(kappa))[:, None, None]

    config = small.config(realizations=realizations, bases={"u0": "cosine"})
    checkpoint = dataclasses.replace(exactly.checkpoint, config=config, modes=modes)
    operator = exact.operator(LINE, symbol)
    operator.g = Arbitrary()
    noise = learned(dataclasses.replace(exactly, operator=operator, checkpoint=checkpoint), exact.sample(u))
    known = dataclasses.replace(exactly, checkpoint=dataclasses.replace(exactly.checkpoint, modes=modes))
    assert np.array(noise.lags) == pytest.approx(np.array(learned(known, exact.sample(u)).lags), rel=1e-6)
    assert not noise.measured


def test_noise_of_waves_that_the_data_do_not_identify_counts_as_that_of_the_steps():
    u = ornstein_uhlenbeck(LINE, "cosine", prescribed(LINE, "cosine")[:, None, None], measurement=0.5)
    whole = exact.model(LINE, symbol)
    kappa = build.basis(LINE).wavenumbers[0]
    modes = ModeStatistics(rate_errors=(tuple(torch.where(kappa > 3, 1.0, 0.01).tolist()),))
    model = dataclasses.replace(whole, checkpoint=dataclasses.replace(whole.checkpoint, modes=modes))
    known, found = (learned(each, exact.sample(u)).parts[0] for each in (whole, model))
    assert torch.equal(found.measurement[:, :, :4], known.measurement[:, :, :4])
    assert not found.measurement[:, :, 4:].any()
    assert (found.process[:, :, 4:] >= known.process[:, :, 4:] + known.measurement[:, :, 4:]).all()


def test_the_noise_of_coupled_fields_is_correlated_as_prescribed():
    """A complex covariance in each mode: one field follows the other with a shift along the axis."""
    expected = prescribed(LINE, "cosine")
    phase = torch.exp(0.7j * build.basis(LINE).double().wavenumbers[0])
    phase = torch.where(torch.arange(len(phase)) == len(phase) - 1, phase.real + 0j, phase)  # of the Nyquist mode
    mixed = torch.stack([torch.ones_like(phase), 0.6 * phase, 0.6 * phase.conj(), torch.ones_like(phase)], -1)
    process = expected[:, None, None] * mixed.unflatten(-1, (2, 2))
    (part,) = found(LINE, "cosine", ornstein_uhlenbeck(LINE, "cosine", process)).parts
    correlation = part.process[0, 0] / expected[:, None, None]
    assert (correlation - mixed.unflatten(-1, (2, 2))).abs().max() < 5 / math.sqrt(TRAJECTORIES * STEPS)


def walkers(alpha, sets=5, steps=60):
    """Densities of walkers that spread from their initial mixtures, and their settings."""
    setting = Walkers(sets=sets, walkers=20_000, steps=steps, bins=128, dt=1e-3, deposit="fourier", alpha=alpha)
    streams = np.random.SeedSequence(1).spawn(sets)
    u = np.stack([np.stack(list(_Set(stream, setting, "cpu").frames())) for stream in streams])
    return torch.from_numpy(u).double()[:, :, None], setting


@pytest.mark.parametrize("alpha", [2.0, 1.5])
def test_walkers_have_counting_noise_in_every_mode_and_an_amplitude_of_the_root_of_the_density(alpha):
    u, setting = walkers(alpha)
    grid = small.grid((128,))

    def decay(kappa):
        return torch.exp(-(kappa[0].abs() ** alpha) * setting.dt) - 1

    noise = learned(exact.model(grid, decay, dt=setting.dt), exact.sample(u))
    (part,) = noise.parts
    kappa = build.basis(grid).double().wavenumbers[0]
    shot = 2 * math.pi / setting.walkers  # N/P in cells of the volume 2π/N
    equilibrium = part.process[0, 0, 1:-1, 0, 0] / (1 - (1 + decay(kappa[None])[1:-1]).square())
    assert equilibrium.numpy() / shot == pytest.approx(1, abs=5 * math.sqrt(1 / (5 * 58)))
    assert part.conserved == (True,)
    assert part.process[0, 0, 0, 0, 0] == 0
    assert not noise.measured
    inspected = shown(exact.model(grid, decay, dt=setting.dt), noise)
    ratio, law = inspected.fields["u0"].balance, inspected.fields["u0"].amplitude
    assert abs(ratio.value - 1) < 4 * ratio.error < 0.3
    printed = "\n".join(lines(inspected))
    assert f"a ∝ u^n, n = {with_error(law.exponent, law.exponent_sd)}, with an rms deviation" in printed
    assert f"fluctuation–dissipation ratio {with_error(ratio.value, ratio.error)}: noise and damping are in" in printed
    u = np.linspace(0.3, 2.0, 50)
    squares = part.amplitude(torch.from_numpy(u).view(1, 1, 1, -1))[0, 0, 0].numpy()
    slope = np.polyfit(np.log(u), np.log(squares), 1)[0] / 2
    assert slope == pytest.approx(0.5, abs=0.05)


def test_noise_follows_a_parameter_and_is_linear_between_its_values():
    expected = prescribed(LINE, "cosine")[:, None, None]
    u = torch.cat([ornstein_uhlenbeck(LINE, "cosine", size * expected, seed=size) for size in (1, 3)])
    gamma = torch.tensor([2.0] * TRAJECTORIES + [4.0] * TRAJECTORIES)[:, None]
    model = exact.model(LINE, symbol, parameters=("strength",))
    noise = learned(model, exact.sample(u, gamma))
    assert noise.gamma == (2.0, 4.0)
    weights = noise.weights(torch.tensor([[2.0], [3.0], [4.0]]))
    found = torch.einsum("bg,gk->bk", weights, noise.parts[0].process[0, :, :, 0, 0]) / expected[:, 0, 0]
    assert found.mean(1).numpy() == pytest.approx([1, 2, 3], rel=0.02)


def test_fields_that_do_not_fluctuate_have_no_noise():
    """One field is forgotten exactly, in halves; the other one is random."""
    u = torch.randn(12, 30, 2, 16, generator=torch.Generator().manual_seed(0)).double()
    u[:, :, 0] = u[:, :1, 0].round() * 0.5 ** torch.arange(30).view(1, 30, 1)
    model = exact.model(
        LINE, lambda kappa: torch.full_like(kappa[0], -0.5), lambda kappa: torch.full_like(kappa[0], -1.0)
    )
    (part,) = learned(model, exact.sample(u)).parts
    assert part.process[0, 0, :, 0].abs().max() < 1e-16  # rounding
    assert part.process[0, 0, :, 1, 1].real.mean() == pytest.approx(2 * math.pi / 16, rel=0.05)
    assert part.squares.isfinite().all()


def test_isotropic_noise_is_that_of_the_modulus():
    grid = small.grid((6, 6))
    expected = prescribed(grid, "cosine")
    u = ornstein_uhlenbeck(grid, "cosine", expected[:, None, None])
    (part,) = found(grid, "cosine", u, biases=["isotropy"]).parts
    modulus = build.basis(grid).double().wavenumbers.square().sum(0).flatten()
    for value in modulus.unique():
        assert part.process[0, 0, modulus == value, 0, 0].unique().numel() == 1
    assert part.process[0, 0, :, 0, 0].numpy() == pytest.approx(expected.numpy(), rel=0.1)


def test_noise_of_a_vector_is_that_along_and_across_each_wave():
    """A scalar with the variance 3, a vector with 2 along κ and 1 across, and their covariance −1."""
    grid = small.grid((5, 5))
    space = build.basis(grid).double()
    x, y = space.wavenumbers.flatten(1) / space.wavenumbers.flatten(1).square().sum(0).sqrt().clamp_min(1)
    zero, along = torch.zeros_like(x), torch.stack([x, y])
    process = torch.zeros(len(x), 3, 3, dtype=torch.complex128)
    process[:, 0, 0] = 3
    process[:, 1:, 1:] = (torch.eye(2)[:, :, None] + along * along[:, None]).movedim(2, 0).to(process.dtype)
    process[:, 0, 1:] = torch.complex(zero[:, None], -along.T)
    process[:, 1:, 0] = process[:, 0, 1:].conj()
    u = ornstein_uhlenbeck(grid, "cosine", process)
    options = {"biases": ["isotropy"], "vectors": [["u1", "u2"]]}
    (part,) = learned(exact.model(grid, *[symbol] * 3, **options), exact.sample(u)).parts
    found, moving = part.process[0, 0], (x**2 + y**2) > 0
    assert (found - process)[moving].abs().max() < 4.5 * 3 * math.sqrt(2 / (TRAJECTORIES * (STEPS - 20) * 4))
    for modulus in space.wavenumbers.square().sum(0).flatten()[moving].unique():
        same = space.wavenumbers.square().sum(0).flatten() == modulus
        across = torch.stack([-y, x], 1)[same].to(found.dtype)
        values = torch.einsum("ki,kij,kj->k", across, found[same][:, 1:, 1:], across)
        assert torch.allclose(values, values[0].expand(len(values)), atol=1e-12)


def test_all_noise_of_systems_with_vectors_counts_as_that_of_the_steps():
    grid = small.grid((3, 3))
    process = torch.eye(3, dtype=torch.complex128).expand(build.basis(grid).energy.numel(), 3, 3)
    u = ornstein_uhlenbeck(grid, "cosine", process, measurement=0.5)
    without, with_vectors = (exact.model(grid, *[symbol] * 3, vectors=each) for each in ([], [["u1", "u2"]]))
    assert learned(without, exact.sample(u)).measured
    noise = learned(with_vectors, exact.sample(u))
    assert not noise.measured
    field = shown(with_vectors, noise).fields["u0"]
    assert field.equilibrium is None  # which takes modes that decay independently
    assert field.balance.error < 0.1


def test_noise_that_cannot_be_learned_is_refused():
    parameters = small.description(parameters=("one", "two"))
    with pytest.raises(ValueError, match="with the parameters one, two, expected at most one"):
        check(small.config(), parameters)
    polynomials = small.config(bases={"density": "legendre"})
    with pytest.raises(ValueError, match="the basis legendre, expected cosine or sine"):
        check(polynomials, small.description(where=small.grid((16,), boundaries="WALL")))
    with pytest.raises(ValueError, match="pairs without time, expected fields that change in time"):
        check(small.config(), small.description(targets=("f",)))


def test_an_amplitude_whose_data_are_in_one_block_is_that_of_all_data():
    bins = multiplicative.Bins.between(torch.zeros(1, 1).double(), torch.ones(1, 1).double(), 1, 3)
    u = (torch.arange(multiplicative.BINS).double() + 0.5) / multiplicative.BINS
    bins.count[0], bins.u[0], bins.squares[:, 0] = 1000.0, 1000 * u, 1000 * u
    amplitude, without = multiplicative.fitted(bins, torch.ones(1, 1, 1).double())
    assert amplitude.squares[0, 0, 0].diff().min() > 0  # a² ∝ u
    assert torch.equal(without[0, 0, :, 0], amplitude.squares[0, 0].expand(3, -1))
