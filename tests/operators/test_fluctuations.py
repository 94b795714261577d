"""Noise of the steps: what long roll-outs, single steps and conserved totals have of a given spectrum."""

import dataclasses
import math

import exact
import numpy as np
import pytest
import small
import torch

from morlight.operators import Rollouts, SpectralOperator, build, stepper
from morlight.operators.fluctuating_rollouts import FluctuatingRollouts
from morlight.operators.fluctuations import Fluctuations, ModeFluctuations, white_modes
from morlight.operators.flux import Flux
from morlight.operators.noise_diagnostics import NoiseDiagnostics

DECAY = 0.5
GRIDS = {
    "line": (small.grid((16,)), "cosine"),
    "odd line": (small.grid((9,), 2.0), "cosine"),
    "plane": (small.grid((6, 8)), "cosine"),
    "walls": (small.grid((8,), boundaries="WALL"), "cosine"),
    "no slip": (small.grid((8,), boundaries="WALL"), "sine"),
    "channel": (small.grid((6, 8), boundaries=("WALL", "PERIODIC")), "cosine"),
}


def damped(grid, wall) -> SpectralOperator:
    """u ↦ DECAY · u."""
    return exact.operator(grid, lambda kappa: torch.full_like(kappa[0], DECAY - 1), wall=wall)


def noise(grid, wall, *, conserved=False, squares=(1.0, 1.0), measurement=0.0) -> Fluctuations:
    """Noise of one field with Σ = 1/(1 + κ²), 0 at κ = 0 if it is conserved, and a² between u = 0 and u = 2."""
    space = build.basis(grid, wall).double()
    square = space.wavenumbers.square().sum(0).flatten()
    spectrum = 1 / (1 + square) * ((square > 0) | (not conserved))
    shape = (1, 1, -1, 1, 1)
    part = ModeFluctuations(
        (0,), wall, (conserved,), spectrum.view(shape), measurement * torch.ones_like(spectrum).view(shape),
        torch.tensor([0.0, 2.0]).double().view(1, 1, 1, 2), torch.tensor(squares).double().view(1, 1, 1, 2),
        torch.zeros(1, 1, len(square), 1).double(),
    )  # fmt: skip
    return Fluctuations((0.0,), (part,))


def spectrum(grid, wall, u):
    """Spectral density of fields (n, *X)."""
    space = build.basis(grid, wall).double()
    return (space.forward(u).abs().square().mean(0) / white_modes(space)).flatten()


@pytest.mark.parametrize("squares", [(1.0, 1.0), (1.0 + 1e-9, 1.0)], ids=["white", "flux"])
@pytest.mark.parametrize("name", GRIDS)
def test_long_rollouts_have_the_variance_of_every_mode(name, squares):
    grid, wall = GRIDS[name]
    conserved = wall == "cosine"
    known = noise(grid, wall, conserved=conserved, squares=squares)
    start = torch.zeros(1, 4000, 1, *grid.points).double()
    generator = torch.Generator().manual_seed(1)
    rollouts = FluctuatingRollouts(Rollouts(damped(grid, wall)), known, grid)
    u = rollouts.frames(start, [12], generator=generator)[0, :, 0, 0]
    space = build.basis(grid, wall).double()
    expected = known.parts[0].process[0, 0, :, 0, 0] / (1 - DECAY**2)
    error = expected * (2 / space.freedom.flatten() / 4000).sqrt()
    found = spectrum(grid, wall, u)
    assert ((found - expected).abs() <= 4.5 * error + 1e-25).all()
    if conserved:
        assert u.flatten(1).mean(1).abs().max() < 1e-15


def test_noise_of_conserved_fields_keeps_the_total_whatever_its_amplitude():
    grid, wall = GRIDS["channel"]
    known = noise(grid, wall, conserved=True, squares=(0.0, 2.0)).prepared(grid)
    u = 1 + torch.rand(1, 3, 1, *grid.points, dtype=torch.float64)
    kick = known.kick(u, torch.Generator().manual_seed(0))
    assert kick.abs().max() > 0.1
    assert kick.flatten(2).sum(2).abs().max() < 1e-13


@pytest.mark.parametrize("name", ["line", "no slip"])
def test_the_amplitude_is_that_of_the_point(name):
    grid, wall = GRIDS[name]
    known = noise(grid, wall, squares=(0.0, 2.0))
    flat = dataclasses.replace(known.parts[0], process=torch.ones_like(known.parts[0].process))
    u = torch.linspace(-0.5, 2.5, grid.points[0]).double().expand(1, 20_000, 1, -1)
    kick = Fluctuations((0.0,), (flat,)).prepared(grid).kick(u, torch.Generator().manual_seed(0))
    cell = grid.length[0] / grid.points[0]
    variance = kick[0, :, 0].square().mean(0) * cell
    assert variance.numpy() == pytest.approx(u[0, 0, 0].clamp_min(0).numpy(), rel=5 * math.sqrt(2 / 20_000))


@pytest.mark.parametrize("name", ["line", "odd line", "walls"])
def test_the_flux_of_a_divergence_is_found_again(name):
    grid, wall = GRIDS[name]
    space = build.basis(grid, wall).double()
    u = torch.rand(1, 1, 1, *grid.points, dtype=torch.float64)
    u -= u.mean()
    flux = Flux(space)
    assert torch.allclose(space.inverse(flux(flux.adjoint(space.forward(u)))), u, atol=1e-14)


def test_recorded_steps_give_the_ensemble_of_plain_ones():
    grid, wall = GRIDS["line"]
    known, start = noise(grid, wall, squares=(0.5, 1.5)), torch.ones(1, 3, 1, 16).double()
    fast = FluctuatingRollouts(Rollouts(damped(grid, wall)), known, grid)
    frames = fast.frames(start, range(121), generator=torch.Generator().manual_seed(5))
    generator, step, u = torch.Generator().manual_seed(5), stepper(damped(grid, wall)), start
    prepared = known.prepared(grid)
    for frame in range(1, 121):
        u = step(u) + prepared.kick(u, generator)
        assert torch.allclose(frames[:, :, frame], u, atol=1e-12)


def test_frames_that_are_kept_are_those_of_the_whole_roll_out():
    grid, wall = GRIDS["line"]
    rollouts = FluctuatingRollouts(Rollouts(damped(grid, wall)), noise(grid, wall), grid)
    start = torch.ones(1, 2, 1, 16).double()
    whole, some = (
        rollouts.frames(start, kept, generator=torch.Generator().manual_seed(2)) for kept in (range(8), [2, 7])
    )
    assert torch.equal(some, whole[:, :, [2, 7]])
    for kept in ([], [-1], [2, 2]):
        with pytest.raises(ValueError, match="expected ascending numbers from 0 on"):
            rollouts.frames(start, kept, generator=torch.Generator())


def test_measured_fields_scatter_about_the_true_ones_from_the_first_frame_on():
    """y_1 − S(y_0) has the variance Σ + (1 + G²) Σ_η of one residual."""
    grid, wall = GRIDS["line"]
    known = noise(grid, wall, measurement=0.7)
    start = torch.ones(1, 4000, 1, 16).double()
    rollouts = FluctuatingRollouts(Rollouts(damped(grid, wall)), known, grid)
    frames = rollouts.frames(start, [0, 1], generator=torch.Generator().manual_seed(3))
    assert torch.equal(frames[:, :, 0], start)
    found = spectrum(grid, wall, frames[0, :, 1, 0] - DECAY)
    expected = known.parts[0].process[0, 0, :, 0, 0] + 0.7 * (1 + DECAY**2)
    assert found.numpy() == pytest.approx(expected.numpy(), rel=4.5 * math.sqrt(2 / 4000))


def test_noise_between_two_parameters_is_the_mean_of_both():
    one = noise(*GRIDS["line"])
    part = one.parts[0].map(lambda each: torch.cat([each, 3 * each], 1))
    both = Fluctuations((1.0, 2.0), (part,))
    gamma = torch.tensor([[0.5], [1.0], [1.25], [9.0]])
    assert np.allclose(both.weights(gamma), [[1, 0], [1, 0], [0.75, 0.25], [0, 1]])


def test_another_grid_is_refused():
    with pytest.raises(ValueError, match="not known on 32 points, expected those of the training data"):
        noise(*GRIDS["line"]).prepared(small.grid((32,)))


def test_stored_diagnostics_are_the_same_and_damaged_ones_are_refused():
    part = noise(*GRIDS["line"]).parts[0]
    sizes = {"dissipated": (9, 1), "balance": (4, 1, 2), "squares": (3, 1, 2)}
    diagnostics = NoiseDiagnostics(**{name: torch.rand(1, 1, *size).double() for name, size in sizes.items()})
    plain = Fluctuations((0.0,), (dataclasses.replace(part, diagnostics=diagnostics),)).to_plain()
    again = Fluctuations.from_plain(plain, 1, 1).only([0]).parts[0].diagnostics
    assert all(torch.equal(getattr(again, name), getattr(diagnostics, name)) for name in sizes)
    stored = plain["parts"][0]["diagnostics"]
    for change, sentence in (
        ({"balance": stored["balance"][:, :, :3]}, r"diagnostics.balance has the shape \(1, 1, 3, 1, 2\)"),
        ({"squares": torch.full_like(stored["squares"], torch.nan)}, "diagnostics.squares is not finite"),
    ):
        damaged = {**plain, "parts": [{**plain["parts"][0], "diagnostics": {**stored, **change}}]}
        with pytest.raises(ValueError, match=sentence):
            Fluctuations.from_plain(damaged, 1, 1)


def test_stored_noise_is_the_same_and_damaged_noise_is_refused():
    known = noise(*GRIDS["line"])
    again = Fluctuations.from_plain(known.to_plain(), 1, 1)
    assert torch.equal(again.parts[0].process, known.parts[0].process)
    assert again.parts[0].conserved == known.parts[0].conserved
    with pytest.raises(ValueError, match="has the shape"):
        Fluctuations.from_plain(known.to_plain(), 2, 1)
    with pytest.raises(ValueError, match="expected one noise for each"):
        Fluctuations.from_plain(known.to_plain(), 1, 2)
    for change, sentence in (
        ({"knots": known.parts[0].knots.flip(-1)}, "knots are not ascending"),
        ({"wall": "legendre"}, "expected one of cosine, sine"),
    ):
        damaged = dataclasses.replace(known, parts=(dataclasses.replace(known.parts[0], **change),))
        with pytest.raises(ValueError, match=sentence):
            Fluctuations.from_plain(damaged.to_plain(), 1, 1)
    with pytest.raises(ValueError, match="expected ascending values"):
        Fluctuations.from_plain({**known.to_plain(), "gamma": [2.0, 1.0]}, 1, 1)
    known.parts[0].process[0] = torch.nan
    with pytest.raises(ValueError, match=r"fluctuations\.process is not finite"):
        Fluctuations.from_plain(known.to_plain(), 1, 1)
