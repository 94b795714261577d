"""Operators with vectors: components turn with the axes, whatever the weights."""

import hydrodynamics
import pytest
import small
import torch

from morlight.analysis import violations
from morlight.operators import build
from morlight.operators.config import OperatorConfig

FIELDS = hydrodynamics.FIELDS
VECTORS = ([1, 2],)


def states(N):
    return violations.states([-1.0] * 3, [1.0] * 3, (N, N))


def operator(N, **options):
    data = small.description(FIELDS, where=small.grid((N, N)))
    return small.operator(data, **{**hydrodynamics.VECTORS, "terms": 2, **options})


@pytest.mark.parametrize("N", [8, 9])  # with and without waves that stand for κ and −κ
def test_rotations_and_mirrors_of_the_fields_are_those_of_their_increment(N):
    found = violations.quarter_turns(operator(N), states(N), [(-2, -1)], vectors=VECTORS)
    assert found.max() < 1e-12
    assert violations.parity(operator(N), states(N), vectors=VECTORS).max() < 1e-12


def test_components_that_turn_with_the_axes_are_no_scalars():
    assert violations.quarter_turns(operator(8), states(8), [(-2, -1)]).min() > 0.1


def test_a_wave_along_any_direction_is_changed_as_one_along_an_axis():
    made = operator(25)
    x = torch.arange(25).double()

    def amplitudes(p, q):  # of the increment of the components along and across κ, by a flow along κ and one across
        angle = 2 * torch.pi / 25 * (p * x[:, None] + q * x)
        n = torch.tensor([p, q]).double() / (p**2 + q**2) ** 0.5
        found = []
        for direction in (n, torch.stack([-n[1], n[0]])):
            u = torch.cat([torch.zeros(1, 25, 25), direction[:, None, None] * angle.cos()]).double() * 1e-4
            change = made(u[None, None]) - made(torch.zeros_like(u)[None, None])
            flow = (change[:, 0, 1:] * angle.cos()).mean((2, 3)) * 2e4
            found.append(torch.stack([flow @ n, flow @ torch.stack([-n[1], n[0]])]))
        return torch.stack(found).detach().numpy()

    assert amplitudes(5, 0) == pytest.approx(amplitudes(3, 4), abs=1e-6)
    assert abs(amplitudes(5, 0)[0, 1]).max() < 1e-9  # along and across do not mix
    assert abs(amplitudes(5, 0)[0, 0]).min() > 1e-4


def test_conserved_vectors_and_scalars_keep_their_means():
    change = operator(8)(states(8))
    assert change.mean((3, 4)).abs().max() < 1e-15
    assert change.abs().max() > 0.01


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"vectors": [["momentum_x"]]}, "expected 2 components among density, momentum_x, momentum_y"),
        ({"vectors": [["momentum_x", "speed"]]}, "expected 2 components among"),
        ({"vectors": [["momentum_x", "momentum_x"]]}, "names a field twice"),
        ({"biases": ["conservation"]}, "goes with isotropy of all fields"),
        ({"biases": {"density": ["isotropy"], "momentum_x": ["isotropy", "conservation"], "momentum_y": ["isotropy"]}},
         "conservation of some of momentum_x, momentum_y"),
        ({"symbol": "dissipative"}, "does not go with symbol dissipative"),
        ({"biases": ["isotropy", "reflection"]}, "reflection \\(isotropy contains it\\)"),
        ({"scheme": "exponential"}, "does not go with scheme exponential"),
        ({"vectors": []}, "isotropy treats momentum_x and momentum_y as scalars, expected model.vectors"),
    ],
)  # fmt: skip
def test_what_does_not_go_with_vectors_is_refused_by_a_sentence(options, sentence):
    data = small.description(FIELDS, where=small.grid((8, 8)))
    with pytest.raises(ValueError, match=sentence):
        build.operator(OperatorConfig(**{**hydrodynamics.VECTORS, **options}), data)


def test_vectors_between_walls_are_refused():
    data = small.description(FIELDS, where=small.grid((8, 8), boundaries=("PERIODIC", "WALL")))
    with pytest.raises(ValueError, match="expected periodic fields in two or three dimensions"):
        build.operator(OperatorConfig(**hydrodynamics.VECTORS), data)
