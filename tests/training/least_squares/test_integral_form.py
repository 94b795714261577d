"""Windows in time: the order of their quadrature, and the exactness of integration by parts."""

import math

import pytest
import torch

from morlight.training.least_squares.integral_form import bumps, increments, interval_weights


def uneven(frames: int) -> torch.Tensor:
    s = torch.linspace(0, 1, frames, dtype=torch.float64)
    return s + 0.1 * torch.sin(math.tau * s) / math.tau


@pytest.mark.parametrize("order", [4, 6])
@pytest.mark.parametrize("regular", [True, False])
def test_error_of_increments_falls_with_the_order(order, regular):
    errors = []
    for frames in (33, 65, 129):
        times = torch.linspace(0, 1, frames, dtype=torch.float64) if regular else uneven(frames)
        windows = increments(times, frames // 4, order=order)
        u = torch.sin(9 * times)
        errors.append(float((windows.left @ u - windows.right @ (9 * torch.cos(9 * times))).abs().max()))
    assert math.log2(errors[1] / errors[2]) == pytest.approx(order, abs=0.6)


@pytest.mark.parametrize("times", [torch.linspace(0, 3, 40, dtype=torch.float64), uneven(40)])
def test_both_sides_of_a_window_agree_for_polynomials(times):
    windows = bumps(times, 10)
    for p in range(6):
        left, right = windows.left @ times**p, windows.right @ (p * times ** max(p - 1, 0))
        assert torch.allclose(left, right, rtol=0, atol=1e-11)


def test_weights_integrate_polynomials_below_their_order():
    times = uneven(20)
    weights = interval_weights(times, 6)
    exact = (times[1:] ** 6 - times[:-1] ** 6) / 6
    assert torch.allclose(weights @ times**5, exact, rtol=0, atol=1e-14)


def test_times_that_do_not_increase_are_refused():
    with pytest.raises(ValueError, match="later than the one before"):
        interval_weights(torch.tensor([0.0, 1.0, 1.0]))
