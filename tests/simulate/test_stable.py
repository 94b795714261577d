"""Steps of flights: their characteristic function, their isotropy, and where jumps of many turns end."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from morlight.simulate.stable import TURN, Steps

WAVES = np.array([(1, 0), (0, 2), (3, 4), (10, 10), (20, -5)])


def walked(alpha: float, time: float, drift: tuple[float, ...] = (0.0, 0.0), count: int = 2_000_000) -> torch.Tensor:
    """Where flights from the origin are after one step, in radians."""
    steps = Steps(alpha, time, drift, torch.Generator().manual_seed(0))
    x = torch.zeros(len(drift), count, dtype=torch.int32)
    for block in x.split(32_768, 1):
        steps(block)
    return x.double() * (2 * math.pi / TURN)


@pytest.mark.parametrize("alpha", [0.3, 0.7, 1.0, 1.2, 1.5, 1.8, 1.99, 2.0])
def test_the_characteristic_function_is_that_of_an_isotropic_stable_law(alpha):
    time = 0.5 if alpha < 1 else 0.01
    x = walked(alpha, time)
    for k in WAVES:
        waves = torch.exp(1j * (torch.from_numpy(k).double()[:, None] * x).sum(0))
        due = math.exp(-time * math.hypot(*k) ** alpha)
        assert abs(waves.mean().real - due) < 5 * float(waves.real.std()) / math.sqrt(x.shape[1])
        assert abs(waves.mean().imag) < 5 * float(waves.imag.std()) / math.sqrt(x.shape[1])


def test_steps_on_a_line_follow_the_stable_law_of_scipy():
    alpha, time = 1.5, 1e-3
    x = walked(alpha, time, (0.0,), 20_000)[0].numpy()
    near = stats.levy_stable(alpha, 0, scale=time ** (1 / alpha))
    low, high = near.cdf(-1), near.cdf(1)  # within one radian, where nothing has gone round the box
    inside = x[abs(x) < 1]
    assert stats.kstest(inside, lambda y: (near.cdf(y) - low) / (high - low)).pvalue > 1e-5


def test_normal_steps_have_variance_2t():
    x = walked(2.0, 1e-3, (0.0,), 100_000)[0].numpy()
    assert stats.kstest(x, "norm", (0, math.sqrt(2e-3))).pvalue > 1e-5


@pytest.mark.parametrize("alpha", [1.5, 2.0])
def test_drift_moves_everything(alpha):
    still, moved = walked(alpha, 1e-3, count=1000), walked(alpha, 1e-3, (0.5, -2.0), count=1000)
    turn = 2 * math.pi
    shift = torch.remainder(moved - still, turn)
    torch.testing.assert_close(shift[0], torch.full_like(shift[0], 0.5e-3), rtol=0, atol=1e-8)
    torch.testing.assert_close(shift[1], torch.full_like(shift[1], turn - 2e-3), rtol=0, atol=1e-8)


def test_jumps_of_many_turns_end_anywhere():
    x = walked(0.1, 1e3, count=20_000)  # a typical jump is 1e30 turns long
    for line in x.numpy():
        assert stats.kstest(line, "uniform", (-math.pi, 2 * math.pi)).pvalue > 1e-5
    # not on the coarse lattice of single precision either
    assert len(x.unique()) > 0.999 * x.numel()
