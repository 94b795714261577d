"""Equations are found from fields, whole and without false terms, with honest errors."""

import math

import pytest
import torch

from morlight.operators.bases import Basis, Cosine, Fourier
from morlight.operators.library import Candidate, Fractional, Laplacian, Partial
from morlight.operators.sum_of_terms import SumOfTerms
from morlight.training.least_squares.discover import Trajectories, discover

Truth = list[dict[Candidate, float]]


def line(p: int, *exponents: int) -> Candidate:
    return Candidate(Partial((p,)), exponents)


def smooth(basis: Basis, trajectories: int, seed: int, fields: int = 1) -> torch.Tensor:
    noise = torch.randn(
        trajectories, fields, *basis.points, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    modulus = basis.wavenumbers.square().sum(0).sqrt() / (math.tau / basis.length[0])
    u = basis.inverse(basis.forward(noise) * torch.exp(-((modulus / 3) ** 2)))
    return u / u.std()


def solved(truth: Truth, basis: Basis, u: torch.Tensor, times: torch.Tensor, substeps: int = 20) -> torch.Tensor:
    system = SumOfTerms(basis, [list(own) for own in truth])
    theta = torch.tensor([[value for own in truth for value in own.values()]], dtype=torch.float64)
    c = system.flow(theta, basis.forward(u)[None], intervals=times.diff().tolist(), substeps=substeps)[0]
    return torch.cat([u[:, None], basis.inverse(c)], 1)


def noisy(u: torch.Tensor, share: float, seed: int) -> torch.Tensor:
    rms = u.square().mean().sqrt()
    return u + share * rms * torch.randn(u.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def same_terms(equation, truth: Truth) -> bool:
    return [{term.candidate for term in own} for own in equation.terms] == [set(own) for own in truth]


def worst(equation, truth: Truth) -> float:
    return max(
        abs(term.coefficient / own[term.candidate] - 1)
        for terms, own in zip(equation.terms, truth, strict=True) for term in terms
    )  # fmt: skip


def members() -> list[dict[Candidate, float]]:
    """Random members of the class that are well posed: diffusion or hyperdiffusion with up to two more terms."""
    random = torch.Generator().manual_seed(5)
    others = [line(1, 1), line(3, 1), line(1, 2), line(1, 3), line(2, 3), line(0, 1)]
    found = []
    for terms in (1, 2, 3, 3):
        picked = torch.randperm(len(others), generator=random)[: terms - 1].tolist()
        sizes = (0.05 + 0.05 * torch.rand(terms, generator=random, dtype=torch.float64)).tolist()
        found.append(dict(zip([line(2, 1), *(others[i] for i in picked)], sizes, strict=True)))
    return found


@pytest.mark.parametrize("truth", members())
def test_random_members_of_the_class_are_recovered(truth):
    basis = Fourier(64, math.tau).double()
    times = torch.linspace(0, 2, 33, dtype=torch.float64)
    u = solved([truth], basis, 0.7 * smooth(basis, 4, 0), times, 40)
    equation = discover(Trajectories(u, times, basis))
    assert same_terms(equation, [truth])
    assert worst(equation, [truth]) < 1e-5


def test_uneven_frames_and_walls_are_no_obstacle():
    basis = Cosine(64, math.pi).double()
    s = torch.linspace(0, 1, 41, dtype=torch.float64)
    times = 2 * (s + 0.1 * torch.sin(math.tau * s) / math.tau)
    truth = [{line(2, 1): 0.05, line(0, 1): 1.0, line(0, 3): -1.0}]
    u = solved(truth, basis, 0.5 * smooth(basis, 3, 1), times)
    equation = discover(Trajectories(u, times, basis))
    assert same_terms(equation, truth)
    assert worst(equation, truth) < 1e-4


def test_two_fields_in_a_plane_with_products_of_both():
    basis = Fourier((24, 24), math.tau).double()
    times = torch.linspace(0, 2, 25, dtype=torch.float64)

    def plane(n: int, *exponents: int) -> Candidate:
        return Candidate(Laplacian(n) if n else Partial((0, 0)), exponents)

    truth = [
        {plane(1, 1, 0): 0.1, plane(0, 1, 2): -1.0, plane(0, 0, 0): 0.2},
        {plane(1, 0, 1): 0.05, plane(0, 1, 2): 1.0, plane(0, 0, 1): -0.3},
    ]
    u = solved(truth, basis, 0.5 + 0.2 * smooth(basis, 4, 2, fields=2), times)
    equation = discover(Trajectories(u, times, basis, ("a", "b")))
    assert same_terms(equation, truth)
    assert worst(equation, truth) < 1e-4
    assert equation.text.startswith("∂ₜa = ")


def viscous(noise: float) -> Trajectories:
    """∂ₜu = ν ∂²ₓu − ½ ∂ₓu² + 0.1 u of four viscosities."""
    basis, times = Fourier(64, math.tau).double(), torch.linspace(0, 2, 41, dtype=torch.float64)
    gamma = torch.tensor([[0.05], [0.1], [0.15], [0.2]], dtype=torch.float64)
    system = SumOfTerms(basis, [list(VISCOUS[0])]).at(gamma)
    u = smooth(basis, 4, 3)
    theta = torch.tensor([list(VISCOUS[0].values())], dtype=torch.float64)
    c = system.flow(theta, basis.forward(u)[None], intervals=times.diff().tolist(), substeps=20)[0]
    return Trajectories(
        noisy(torch.cat([u[:, None], basis.inverse(c)], 1), noise, 0), times, basis, ("u",), ("nu",), gamma
    )


VISCOUS = [
    {
        Candidate(Partial((0,)), (1,), (0,)): 0.1,
        Candidate(Partial((1,)), (2,), (0,)): -0.5,
        Candidate(Partial((2,)), (1,), (1,)): 1.0,
    }
]


def test_coefficients_that_follow_a_parameter_are_terms_with_it():
    equation = discover(viscous(0.0))
    assert same_terms(equation, VISCOUS)
    assert worst(equation, VISCOUS) < 1e-6
    assert equation.text.startswith("∂ₜu = 0.1")
    assert equation.text.endswith(" nu ∂²ₓu")


def test_with_noise_their_errors_are_those_of_the_standard_errors():
    equation = discover(viscous(0.01))
    assert same_terms(equation, VISCOUS)
    for term in equation.terms[0]:
        assert abs(term.coefficient - VISCOUS[0][term.candidate]) < 4 * term.standard_error


def flights(alpha: float) -> Truth:
    """Fisher–KPP with fractional diffusion."""
    return [{Candidate(Fractional(alpha), (1,)): 0.1, line(0, 1): 1.0, line(0, 2): -1.0}]


def test_fractional_powers_are_estimated_to_rounding_from_clean_fields():
    basis, times = Fourier(64, math.tau).double(), torch.linspace(0, 2, 41, dtype=torch.float64)
    u = solved(flights(1.3), basis, 0.5 + 0.2 * smooth(basis, 3, 3), times)
    equation = discover(Trajectories(u, times, basis), fractional=True)
    assert [term.exponents for term in equation.terms[0]] == [(1,), (2,), (1,)]
    power = equation.terms[0][2].derivative
    assert abs(power.alpha - 1.3) < 1e-6
    assert [term.coefficient for term in equation.terms[0]] == pytest.approx([1.0, -1.0, 0.1], rel=1e-6)


@pytest.mark.parametrize("alpha", [0.7, 3.2])
def test_fractional_powers_have_honest_errors(alpha):
    basis, times = Fourier(64, math.tau).double(), torch.linspace(0, 1, 41, dtype=torch.float64)
    u = solved([{Candidate(Fractional(alpha), (1,)): 0.3}], basis, smooth(basis, 3, 3), times)
    equation = discover(Trajectories(noisy(u, 0.01, 1), times, basis), fractional=True)
    (term,) = equation.terms[0]
    assert abs(term.derivative.alpha - alpha) < 4 * term.derivative.standard_error < 0.1 * alpha
    assert abs(term.coefficient - 0.3) < 4 * term.standard_error


def test_whole_powers_are_not_made_fractional():
    basis, times, u = burgers()
    for noise in (0.0, 0.02):
        assert same_terms(discover(Trajectories(noisy(u, noise, 2), times, basis), fractional=True), BURGERS)


def test_chaotic_fields_with_a_fifth_of_noise_have_their_equation():
    """The misfit of a model without terms is the whole chaos, in whose covariance every term is lost."""
    basis, truth = Fourier(512, 32 * math.pi).double(), [{line(2, 1): -1.0, line(4, 1): -1.0, line(1, 2): -0.5}]
    times, x = 0.4 * torch.arange(201, dtype=torch.float64), basis.coordinates[0]
    u = solved(truth, basis, (torch.cos(x / 16) * (1 + torch.sin(x / 16)))[None, None], times, 4)
    equation = discover(Trajectories(noisy(u, 0.2, 1), times, basis), refined=False)
    assert same_terms(equation, truth)
    for term in equation.terms[0]:
        assert abs(term.coefficient - truth[0][term.candidate]) < 4 * term.standard_error < 0.05


DRAWS = 8
BURGERS = [{line(2, 1): 0.1, line(1, 2): -0.5}]


def burgers() -> tuple[Basis, torch.Tensor, torch.Tensor]:
    basis, times = Fourier(64, math.tau).double(), torch.linspace(0, 1.5, 41, dtype=torch.float64)
    return basis, times, solved(BURGERS, basis, 0.5 * smooth(basis, 2, 3), times)


@pytest.mark.parametrize("refined", [False, True])
def test_noise_neither_attenuates_nor_fools_the_standard_errors(refined):
    basis, times, u = burgers()
    draws = [discover(Trajectories(noisy(u, 0.05, seed), times, basis), refined=refined) for seed in range(DRAWS)]
    assert all(same_terms(equation, BURGERS) for equation in draws)
    for candidate, exact in BURGERS[0].items():
        terms = [next(term for term in e.terms[0] if term.candidate == candidate) for e in draws]
        mean = sum(term.coefficient for term in terms) / len(terms)
        error = sum(term.standard_error for term in terms) / len(terms)
        assert abs(mean - exact) < error  # of one draw, where the mean of eight has 0.35 of it
        scores = [(term.coefficient - exact) / term.standard_error for term in terms]
        assert 0.2 < math.sqrt(sum(z**2 for z in scores) / len(scores)) < 1.8  # χ² of 8 at 1e-4, and some for Ω


def test_terms_that_are_absent_are_rarely_found():
    basis, times, u = burgers()
    draws = [Trajectories(noisy(u, 0.02, 100 + s), times, basis) for s in range(12)]
    false = sum(not same_terms(discover(draw, refined=False), BURGERS) for draw in draws)
    assert false <= 1  # the size is 0.001 for all candidates together


def test_power_grows_with_the_term():
    basis, times, _ = burgers()
    found = []
    for size in (0.0, 0.05):
        truth = [BURGERS[0] | ({line(3, 1): size} if size else {})]
        u = solved(truth, basis, 0.5 * smooth(basis, 2, 3), times)
        found.append(same_terms(discover(Trajectories(noisy(u, 0.01, 0), times, basis), refined=False), truth))
    assert found == [True, True]


def test_refinement_is_nearer_than_the_weak_form_with_coarse_frames():
    basis, times = Fourier(64, math.tau).double(), torch.linspace(0, 4, 13, dtype=torch.float64)
    truth = [{line(2, 1): 0.2, line(1, 2): -0.5}]
    u = solved(truth, basis, 0.5 * smooth(basis, 4, 3), times, 100)
    weak, flow = (discover(Trajectories(u, times, basis), refined=refined) for refined in (False, True))
    assert same_terms(flow, truth)
    assert worst(flow, truth) < 1e-6 < worst(weak, truth)


def test_prediction_with_the_found_equation_follows_other_initial_states_and_intervals():
    basis, times, u = burgers()
    equation = discover(Trajectories(u, times, basis))
    other, frames = 0.5 * smooth(basis, 1, 9), torch.tensor([0.0, 0.3, 1.7], dtype=torch.float64)
    exact = solved(BURGERS, basis, other, frames, 200)
    assert torch.allclose(equation.predict(other, frames, basis), exact, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda u, t: (u[:, :5], t[:5]), "at least 9"),
        (lambda u, t: (u * float("nan"), t), "not finite"),
        (lambda u, t: (u[:, :1].expand_as(u), t), "does not change"),
        (lambda u, t: (u[:, :-1], t), "is expected"),
    ],
)
def test_unusable_fields_are_refused(change, message):
    basis, times, u = burgers()
    with pytest.raises(ValueError, match=message):
        discover(Trajectories(*change(u, times), basis))
