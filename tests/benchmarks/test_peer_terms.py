"""Terms of other libraries in the form of this one, and the roll-outs of equations made of them."""

import math

import torch

from benchmarks.peer_terms import Product, Score, rollout, score, term
from morlight.operators.bases import Fourier
from morlight.operators.library import Candidate, Laplacian, Partial


def test_the_advection_terms_of_a_field_are_derivatives_of_its_powers():
    for n in (1, 2, 3):  # uⁿ ∂ₓu = ∂ₓuⁿ⁺¹/(n+1)
        assert term((n,), (1,), (1,)) == (Candidate(Partial((1,)), (n + 1,)), 1 / (n + 1))


def test_a_term_that_is_no_derivative_of_a_product_stays_one_of_its_own():
    assert term((1,), (2,), (1,)) == (Product((1,), (2,), 0), 1.0)
    assert term((0, 1), (1, 0), (1, 0)) == (Product((0, 1), (1, 0), 0), 1.0)


def test_a_squared_laplacian_written_along_the_axes_is_the_same_term():
    truth = [{Candidate(Laplacian(2), (1,)): -0.02}]
    along = {(4, 0): -0.02, (2, 2): -0.04, (0, 4): -0.02}
    found = [{Candidate(Partial(orders), (1,)): value for orders, value in along.items()}]
    assert score(found, truth) == Score(0.0, 0, 0)


def test_false_and_missing_terms_are_counted_and_the_largest_error_is_of_those_found():
    truth = [{Candidate(Partial((2,)), (1,)): 0.1, Candidate(Partial((1,)), (2,)): -0.5}]
    found = [{Candidate(Partial((2,)), (1,)): 0.11, Product((1,), (2,), 0): 0.3}]
    scored = score(found, truth)
    assert (scored.false, scored.missing) == (1, 1)
    assert math.isclose(scored.coefficient, 0.1, rel_tol=1e-12)


def test_a_diffusivity_that_is_a_product_gives_the_roll_out_of_its_expanded_derivative():
    # u ∂²ₓu = ½ ∂²ₓu² − (∂ₓu)², and the mean obeys d<u>/dt = −<(∂ₓu)²>, for u = 1 + ε cos x: −ε²/2 e^(−2t)
    basis, epsilon, end = Fourier(32, math.tau).double(), 1e-3, 0.5
    x = torch.arange(32, dtype=torch.float64) * math.tau / 32
    u = (1 + epsilon * torch.cos(x))[None, None]
    later = rollout([{Product((1,), (2,), 0): 1.0}], u, torch.tensor([0.0, end]).double(), basis)[0, -1, 0]
    wave = 2 * (later * torch.cos(x)).mean()
    assert abs(wave - epsilon * math.exp(-end)) < 10 * epsilon**2  # the next order of ε
    mean = -(epsilon**2) / 4 * (1 - math.exp(-2 * end))
    assert abs(later.mean() - 1 - mean) < 10 * epsilon**3
