"""The fit without each block of its data: which windows are left out together, and regressions of single modes."""

from pathlib import Path

import numpy as np
import pytest
import small
import torch

from morlight.analysis.data_errors import SHARE, scaled_deviation
from morlight.analysis.jackknife import Jackknife
from morlight.data.sample import TrainingSample
from morlight.data.windows import MemoryFrames, Windows
from morlight.operators import build
from morlight.operators.bases import Cosine
from morlight.operators.build import Components
from morlight.training.least_squares.gatherer import Gatherer
from morlight.training.least_squares.jackknife import LEAST, MOST, Objective, blocks, jackknife

MODES = 8
FACTOR = np.exp(-0.05 * np.arange(MODES) ** 2.0)  # λ of each mode in one step


def windows(trajectories, frames) -> Windows:
    u = torch.zeros(trajectories, frames, 1, MODES).double()
    return Windows(MemoryFrames(u), torch.arange(trajectories), torch.zeros(trajectories, 0))


@pytest.mark.parametrize(("trajectories", "frames"), [(200, 8), (12, 8), (3, 400), (1, 1000)])
def test_blocks_share_no_frame_and_leave_none_out(trajectories, frames):
    found = blocks(windows(trajectories, frames), 2)
    assert LEAST <= len(found) <= MOST
    seen = np.zeros((trajectories, frames), int)
    for block in found:
        seen[list(block.rows), block.first : block.last] += 1
    assert (seen == 1).all()


@pytest.mark.parametrize(("trajectories", "frames"), [(9, 30), (1, 199)])
def test_short_data_of_few_trajectories_have_no_blocks(trajectories, frames):
    assert blocks(windows(trajectories, frames), 2) == []


class Symbol(torch.nn.Module):
    """A number g for each mode of each realization, in units of `unit`; the modes are those of [0, π]."""

    def __init__(self, g, unit: float) -> None:
        super().__init__()
        self.unit = unit
        self.g = torch.nn.Parameter(torch.as_tensor(g)[None] / unit)

    def forward(self, kappa, gamma=None):
        chosen = (kappa[0, ..., None].round() == torch.arange(MODES)).to(self.g)
        return self.unit * torch.einsum("...k,rk->r...", chosen, self.g)[:, None, None]


class Scaled(torch.nn.Module):
    """h(u) = a u."""

    def __init__(self) -> None:
        super().__init__()
        self.a = torch.nn.Parameter(torch.ones(1).double())

    def forward(self, u, gamma=None):
        return u * self.a.view(1, *[1] * (u.ndim - 1))


def regressions(c, noise, unit=1.0) -> tuple[np.ndarray, np.ndarray, Jackknife]:
    """û' = λ û + noise mode by mode: λ of all trajectories and without each, from NumPy, and the jackknife of a fit."""
    (S, _, _), basis = c.shape, Cosine(MODES, np.pi).double()
    for j in range(1, c.shape[1]):
        c[:, j] = FACTOR * c[:, j - 1] + noise * c[:, j]
    product, square = (c[:, :-1] * c[:, 1:]).sum(1), (c[:, :-1] ** 2).sum(1)
    fitted = product.sum(0) / square.sum(0)
    without = (product.sum(0) - product) / (square.sum(0) - square)
    u = basis.inverse(torch.from_numpy(c))
    where = small.grid((MODES,), length=np.pi, boundaries="WALL")
    data = small.description([small.field(low=float(u.min()), high=float(u.max()))], where=where)
    parts = Components(symbol=lambda _: Symbol(fitted - 1, unit), nonlinearity=lambda _: Scaled())
    operator = build.operator(small.config(field_scaling=False, realizations=1), data, parts).double()
    part = Windows(MemoryFrames(u[:, :, None]), torch.arange(S), torch.zeros(S, 0))
    like = Gatherer(basis, float(u.min()), float(u.max()), 12)
    found = jackknife(operator, TrainingSample(Path("u.h5"), part), like, Objective([1], None, None, 0.0))
    assert found is not None
    return fitted, without, found


def stated(fitted, found, unit) -> np.ndarray:
    """The standard errors of the product of g and a."""
    (g,) = (change for name, change in found.changes.items() if change[0].numel() == MODES)
    (a,) = (change for name, change in found.changes.items() if change[0].numel() == 1)
    changes = unit * g.flatten(1) + torch.from_numpy(fitted - 1) * a.flatten(1)  # to first order
    return found.student * scaled_deviation(SHARE * changes).numpy()


@pytest.mark.parametrize(("unit", "rtol"), [(1.0, 1e-3), (0.03, 0.05)])
def test_the_error_of_a_free_symbol_is_that_of_regressions_without_each_trajectory(unit, rtol):
    """That is also the case if the weights must move by as much as their size, as those of short waves must."""
    S = 24
    fitted, without, found = regressions(np.random.default_rng(0).normal(size=(S, 40, MODES)), 0.3, unit)
    t = found.alike / (found.alike - 2)  # variance of Student's t
    expected = np.sqrt(t * (S - 1) / S * ((without - without.mean(0)) ** 2).sum(0))
    assert np.allclose(stated(fitted, found, unit), expected, rtol=rtol)  # regressions are linear


def test_blocks_count_by_their_share_of_the_information():
    """Each trajectory has 0.6 times the energy of the one before: 20 are as good as four of equal energy."""
    c = np.random.default_rng(0).normal(size=(20, 2, MODES))
    c[:, 0] = 0.6 ** (np.arange(20)[:, None] / 2)
    assert regressions(c, 0.1)[2].alike == pytest.approx(4, rel=1e-3)


def test_splines_contain_the_energy_of_each_mode():
    u = torch.rand(5, MODES, generator=torch.Generator().manual_seed(0)).double()
    basis = Cosine(MODES, np.pi).double()
    sums = Gatherer(basis, 0.0, 1.0, 12)
    sums.add(u, u[None])
    assert torch.allclose(sums.spectrum, basis.forward(u).square().sum(0))


@pytest.mark.parametrize(("decay", "known"), [(0.0, True), (0.05, False)])
def test_one_trajectory_has_an_error_if_it_fluctuates_and_none_if_it_decays(decay, known):
    rng, T = np.random.default_rng(0), 400
    c = rng.normal(size=(1, T, MODES)) * np.exp(-decay * np.arange(T))[:, None]
    basis = Cosine(MODES, np.pi).double()
    u = basis.inverse(torch.from_numpy(c))
    where = small.grid((MODES,), length=np.pi, boundaries="WALL")
    data = small.description([small.field(low=float(u.min()), high=float(u.max()))], where=where)
    operator = small.operator(data, realizations=1)
    sample = TrainingSample(Path("u.h5"), Windows(MemoryFrames(u[:, :, None]), torch.arange(1), torch.zeros(1, 0)))
    like = Gatherer(basis, float(u.min()), float(u.max()), 12)
    found = jackknife(operator, sample, like, Objective([1], None, None, 0.0))
    assert (found is not None) == known
