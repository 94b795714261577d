"""Gradient flows descend their energy, whatever was learned."""

import math

import pytest
import small
import torch

from morlight.analysis.symmetry import check
from morlight.operators import build
from morlight.operators.exponential_scheme import exponential_step

FLOW = {"terms": 2, "scheme": "exponential", "substeps": 16}
FIELD = small.field(low=-1.0, high=1.0, scale=1.0)


def flow(biases, points=(32,), seed=0):
    data = small.description((FIELD,), where=small.grid(points, tuple(math.tau for _ in points)))
    options = {**FLOW, "biases": ["gradient_flow", *biases]}
    return small.operator(data, seed, 1.0, **options), small.config(**options), data


def energy(operator, u):
    """F = ∫ f(u) + ½ u A u of one state (R, 1, 1, *X), f by quadrature of f′ and A from the ratio of the symbols."""
    share = torch.linspace(0, 1, 101, dtype=torch.float64).view(-1, *[1] * (u.ndim - 2))
    slopes = operator.nonlinearity(share * u)[:, :, 1:]  # of as many states as there are nodes
    f = u * torch.trapezoid(slopes, dx=0.01, dim=1)[:, None]
    g = operator.symbol()
    A = torch.where(g[:, :, 1] != 0, g[:, :, 0] / g[:, :, 1], 0)[:, :, None]
    quadratic = 0.5 * u * operator.basis.inverse(A * operator.basis.forward(u))
    return (f + quadratic).flatten(1).mean(1)


@pytest.mark.parametrize(
    ("biases", "points"),
    [
        ([], (32,)),
        (["conservation"], (32,)),
        (["conservation", "isotropy", "reflection"], (8, 8)),
        (["isotropy"], (8, 8)),
    ],
)
def test_the_energy_never_rises(biases, points):
    operator, config, data = flow(biases, points)
    u = torch.rand(1, 1, 1, *points, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 2 - 1
    step = exponential_step(operator, build.scheme(config, data))
    with torch.no_grad():
        energies = [energy(operator, u)]
        for _ in range(6):
            u = step(u)
            energies.append(energy(operator, u))
    falls = -torch.stack(energies).diff(dim=0)
    assert float(falls.min()) > -1e-6 * float(falls.max())
    assert float(falls.sum(0).min()) > 1e-3


@pytest.mark.parametrize("biases", [[], ["conservation", "isotropy", "reflection"]])
def test_the_check_has_a_line_for_it_and_the_other_biases_hold_beside_it(tmp_path, biases):
    data = small.description((FIELD,), where=small.grid((12, 12), (math.tau, math.tau)))
    model = small.model(tmp_path / "m.ckpt", data, size=1.0, **FLOW, biases=["gradient_flow", *biases])
    properties = check(model).properties
    assert properties["gradient flow"].promised
    assert all(each.holds for each in properties.values() if each.promised)


@pytest.mark.parametrize("change", [{"terms": 1}, {"scheme": "explicit", "substeps": 1}, {"flux": True}])
def test_what_a_gradient_flow_cannot_be_is_refused(change):
    with pytest.raises(ValueError, match=r"gradient_flow goes with model.terms 2 and model.scheme exponential"):
        small.config(**{**FLOW, **change, "biases": ["gradient_flow"]})


def test_several_fields_are_refused():
    with pytest.raises(ValueError, match=r"expected one for model.biases: gradient_flow"):
        build.operator(small.config(**FLOW, biases=["gradient_flow"]), small.description(("u", "v")))
