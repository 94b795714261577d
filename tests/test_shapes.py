"""The checks of shapes that run beside all other tests."""

import jaxtyping
import pytest
import torch

from morlight.operators import Cosine, rollout
from morlight.operators.losses import mean_square


def test_arguments_of_a_wrong_shape_are_found_after_right_ones():
    u = torch.zeros(2, 1, 1, 8)
    for _ in range(3):
        mean_square(u, u)
    with pytest.raises(jaxtyping.TypeCheckError):
        mean_square(u, u[0, 0, 0])


def test_numbers_of_a_wrong_type_are_found_after_right_ones():
    basis = Cosine(8, 1.0)
    basis.forward(torch.zeros(8))
    with pytest.raises(jaxtyping.TypeCheckError):
        basis.forward(torch.zeros(8, dtype=torch.long))


def test_a_call_that_fails_its_check_fails_again():
    for _ in range(2):
        with pytest.raises(jaxtyping.TypeCheckError):
            rollout("operator", torch.zeros(1, 1, 1, 8), 1)
