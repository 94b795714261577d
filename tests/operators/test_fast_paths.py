"""Every fast path against the formula as one would write it down."""

import pytest
import small
import torch

from morlight.operators import Cosine, Fourier, Odd, mean_square
from morlight.operators.bases import Basis
from morlight.operators.kernels.table import Interpolate, tabulate
from morlight.operators.spectral import distinct_rows


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("points", [(12,), (9,), (6, 8), (5, 7)])
@pytest.mark.parametrize("symbol", ["real", "complex"])
@pytest.mark.parametrize("shape", ["one for all", "one each", "terms", "shared", "one channel"])
def test_filter_and_its_derivatives_are_those_of_transform_product_and_inverse(points, symbol, shape):
    basis = Fourier(points, 2.0).double()
    rows, batch, channels, fields = {"terms": (2, 1, 4, 2), "one each": (2, 3, 2, 2)}.get(shape, (2, 1, 2, 2))
    v = drawn(1 if shape == "shared" else 2, 3, channels, *points).requires_grad_()
    g = drawn(rows, batch, 1 if shape == "one channel" else channels, *basis.energy.shape, seed=1)
    g = (torch.complex(g, g.flip(-1)) if symbol == "complex" else g).requires_grad_()
    fast, plainly = (function(v, g, fields) for function in (basis.filtered, lambda *a: Basis.filtered(basis, *a)))
    assert torch.allclose(fast, plainly, rtol=0, atol=1e-13)
    of_y = drawn(*fast.shape, seed=2)
    for one, other in zip(*(torch.autograd.grad(y, [v, g], of_y) for y in (fast, plainly)), strict=True):
        assert one.shape == other.shape
        assert torch.allclose(one, other, rtol=0, atol=1e-12)


def test_filter_is_differentiated_forwards_and_in_many_directions_as_transforms_are():
    basis = Fourier(8, 2.0).double()
    v, g, directions = drawn(1, 2, 1, 8), drawn(1, 1, 1, 5, seed=1), drawn(3, 1, 2, 1, 8, seed=2)
    fast, plainly = (
        torch.func.vmap(lambda d, f=function: torch.func.jvp(lambda w: f(w, g, 1), (v,), (d,))[1])(directions)
        for function in (basis.filtered, lambda *a: Basis.filtered(basis, *a))
    )
    assert torch.allclose(fast, plainly, rtol=0, atol=1e-13)


def interpolated(points, table, low, spacing):
    """As one would write it down."""
    position = (points - low) / spacing
    node = position.detach().floor().clamp(0, table.shape[1] - 2).long().expand(len(table), -1)
    left, right = table.gather(1, node), table.gather(1, node + 1)
    return left + (position - node) * (right - left)


@pytest.mark.parametrize("shared", [True, False])
def test_interpolation_and_its_derivatives_are_those_of_the_formula(shared):
    points = (3 * drawn(1 if shared else 4, 500)).requires_grad_()  # some beyond both ends
    table = drawn(4, 33, seed=1).requires_grad_()
    fast, plainly = Interpolate.apply(points, table, -2.0, 4 / 32), interpolated(points, table, -2.0, 4 / 32)
    assert torch.allclose(fast, plainly, rtol=1e-12, atol=1e-12)
    of_y = drawn(*fast.shape, seed=2)
    for one, other in zip(*(torch.autograd.grad(y, [points, table], of_y) for y in (fast, plainly)), strict=True):
        assert torch.allclose(one, other, rtol=1e-12, atol=1e-11)


def test_points_that_need_no_gradient_get_none():
    table = drawn(2, 9).requires_grad_()
    Interpolate.apply(drawn(1, 20, seed=1), table, -2.0, 0.5).sum().backward()
    assert table.grad.sum() == pytest.approx(40, abs=1e-12)  # the two weights of each of 2 × 20 values sum to 1


@pytest.mark.parametrize("nodes", [64, 65])
def test_half_a_table_of_an_odd_nonlinearity_is_the_whole(nodes):
    data = small.description([small.field(scale=1.3)], where=small.grid((16,)))
    operator = small.operator(data, biases=["reflection"])
    assert isinstance(operator.h, Odd)
    u = drawn(1, 4, 1, 16)
    half, whole = (
        tabulate(operator.nonlinearity, -2.0, 2.0, like=operator.scale, nodes=nodes, odd=odd)(u)
        for odd in (True, False)
    )
    assert torch.allclose(half, whole, rtol=0, atol=1e-13)
    both = [torch.autograd.grad(y.square().sum(), list(operator.h.parameters())) for y in (half, whole)]
    for one, other in zip(*both, strict=True):
        assert torch.allclose(one, other, rtol=0, atol=1e-11)


def test_distinct_rows_are_those_of_unique():
    gamma = drawn(50, 2).round()
    rows, which = distinct_rows(gamma)
    assert torch.equal(rows[which], gamma)
    assert len(rows) == len(torch.unique(gamma, dim=0))


def test_mean_square_is_its_formula_and_so_is_its_gradient():
    a, b = drawn(3, 2, 1, 8).requires_grad_(), drawn(1, 2, 1, 8, seed=1)
    value = mean_square(a, b)
    assert torch.allclose(value, (a - b).square().flatten(1).mean(1), rtol=1e-14)
    (gradient,) = torch.autograd.grad(value.sum(), a)
    assert torch.allclose(gradient, 2 * (a - b) / 16, rtol=1e-14)


def test_bases_between_walls_filter_by_their_transforms():
    basis = Cosine(8, 2.0).double()
    v, g = drawn(1, 2, 4, 8), drawn(1, 1, 4, 8, seed=1)
    due = basis.inverse((g * basis.forward(v)).view(1, 2, 2, 2, 8).sum(3))
    assert torch.allclose(basis.filtered(v, g, 2), due, rtol=0, atol=1e-13)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("boundary", ["WALL", "PERIODIC"])
def test_linearized_operator_is_the_derivative_of_the_increment_in_every_direction(order, boundary):
    data = small.description(
        [small.field("a", scale=1.3), small.field("b", scale=0.7)],
        ["rho"],
        where=small.grid((6,), 2.0, boundary),
    )
    bases = {"b": "sine"} if boundary == "WALL" else {}
    operator = small.operator(data, order=order, terms=2, bases=bases)
    u, gamma = drawn(2, 1, 2, 6), torch.tensor([[0.3]], dtype=torch.float64)
    v = torch.eye(12, dtype=torch.float64).view(1, 12, 2, 6)
    derivative = operator.linearized(u, gamma)(v)
    increment = operator.prepared(gamma=gamma)
    for d in range(12):
        due = torch.func.jvp(increment, (u,), (v[:, d : d + 1].expand_as(u),))[1]
        assert torch.allclose(derivative[:, d : d + 1], due, rtol=0, atol=1e-13)
