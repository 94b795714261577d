"""Each property is rounding where a bias makes it so, whatever the weights, and large where none does."""

import math

import pytest
import torch

from morlight.analysis import violations as properties
from morlight.operators import Conservative, Cosine, Fourier, Isotropic, Odd, Sine, SpectralOperator, System

ROUNDING = 1e-11  # of L u, some thousand roundings of 1e-16
PLANE = [(-2, -1)]


class Law(torch.nn.Module):
    """A symbol written down: κ (D, *K) ↦ g (R = 2, 1, 1, *K), the second realization twice the first."""

    def __init__(self, law):
        super().__init__()
        self.law = law

    def forward(self, kappa, gamma=None):
        return torch.stack([self.law(kappa), 2 * self.law(kappa)])[:, None, None]


class Pointwise(torch.nn.Module):
    """A nonlinearity written down."""

    def __init__(self, law):
        super().__init__()
        self.law = law

    def forward(self, u, gamma=None):
        return self.law(u)


def made(g, h=lambda u: u + 0.3 * u**2, points=(16, 16), kind=Fourier):
    wrapped = [part if isinstance(part, torch.nn.Module) else outer(part) for outer, part in ((Law, g), (Pointwise, h))]
    return SpectralOperator(kind(points, 2 * math.pi), *wrapped).double()


def squares(kappa):
    return -kappa.square().sum(0)


def drawn(points=(16, 16), fields=1):
    return properties.states([-1.0] * fields, [1.5] * fields, points)


def test_states_lie_between_the_bounds_of_each_field():
    u = properties.states([0.0, -3.0], [1.0, -2.0], (50,), count=5)
    assert u.shape == (1, 5, 2, 50)
    for field, low in ((0, 0.0), (1, -3.0)):
        assert low <= u[:, :, field].min() < low + 0.1 < low + 0.9 < u[:, :, field].max() <= low + 1
    assert not torch.equal(u[:, 0], u[:, 1])


@pytest.mark.parametrize("points", [(32,), (31,), (12, 15)])
def test_translation_holds_for_every_symbol(make_operator, points):
    axes = range(-len(points), 0)
    operator = make_operator(points, biases=[])
    assert properties.translation(operator, drawn(points), axes).max() < ROUNDING


def test_translation_fails_between_walls():
    operator = made(squares, points=(16,), kind=Cosine)
    assert properties.translation(operator, drawn((16,)), [-1]).min() > 0.1


def test_reflection_is_the_odd_part_of_h(make_operator):
    odd, free = (make_operator(biases=biases) for biases in (["reflection"], []))
    assert properties.reflection(odd, drawn((32,)), [True]).max() == 0
    assert properties.reflection(free, drawn((32,)), [True]).min() > 0.1


def test_reflection_turns_over_the_named_fields_alone():
    def coupled(u):  # density gains by momentum², momentum by density times momentum
        return torch.stack([u[:, :, 1] ** 2, u[:, :, 0] * u[:, :, 1]], 2)

    operator = SpectralOperator(Fourier(16, 1.0), Law(squares), Pointwise(coupled), [1.0, 1.0]).double()
    u = drawn((16,), fields=2)
    assert properties.reflection(operator, u, [False, True]).max() < ROUNDING
    assert properties.reflection(operator, u, [True, True]).min() > 0.1


@pytest.mark.parametrize("points", [(16,), (15,), (12, 15)])
@pytest.mark.parametrize("kind", [Fourier, Cosine, Sine])
def test_parity_holds_for_real_even_symbols_in_each_basis(kind, points):
    operator = made(squares, points=points, kind=kind)
    assert properties.parity(operator, drawn(points)).max() < ROUNDING


def test_parity_fails_for_drift():
    operator = made(lambda kappa: 1j * kappa[0], points=(16,))
    assert properties.parity(operator, drawn((16,))).min() > 0.1


@pytest.mark.parametrize("points", [(16, 16), (15, 15), (6, 6, 6)])
def test_isotropy_holds_with_redrawn_weights(make_operator, points):
    operator = make_operator(points, biases=["isotropy"])
    planes = [(a, b) for a in range(-len(points), 0) for b in range(a + 1, 0)]
    assert properties.quarter_turns(operator, drawn(points), planes).max() < ROUNDING
    assert properties.radial(operator).max() < ROUNDING


@pytest.mark.parametrize(
    ("law", "turns"),
    [
        (lambda kappa: -kappa[0].square() - 2 * kappa[1].square() + 0j, False),
        (lambda kappa: -(kappa**4).sum(0) + 0j, True),  # as the square grid itself
        (lambda kappa: 1j * kappa.square().sum(0).sqrt(), False),  # g(−κ) = g(κ)* makes it a sign of κ
    ],
    ids=["stretched", "square", "imaginary"],
)
def test_isotropy_fails_for_symbols_that_are_not_of_the_modulus(law, turns):
    operator = made(law)
    assert bool(properties.quarter_turns(operator, drawn(), PLANE).max() < ROUNDING) == turns
    assert properties.radial(operator).min() > 0.05


def test_radial_sees_rotations_between_the_grid_directions_where_the_sides_differ(make_operator):
    assert properties.radial(make_operator((16, 12), biases=["isotropy"])).max() < ROUNDING
    assert properties.radial(make_operator((16, 12), biases=[])).min() > 1e-3


def test_radial_finds_what_fields_about_a_center_show_on_shells_of_a_full_fourier_transform():
    """The half spectrum and its weights, against all modes of fftn; the square grid's own symmetry leaves 3, 4, 5."""
    operator = made(lambda kappa: -(kappa**4).sum(0) + 0j)
    k = torch.fft.fftfreq(16, 1 / 16, dtype=torch.float64)
    kappa = torch.stack(torch.meshgrid(k, k, indexing="ij"))
    half = operator.basis.wavenumbers.square().sum(0)
    shape = torch.exp(-kappa.square().sum(0) / half.mean())
    full = torch.fft.fftn(
        operator.basis.inverse(operator.symbol() * operator.basis.forward(torch.fft.ifftn(shape).real))
    )
    c = full[0, 0, 0].real
    modulus = kappa.square().sum(0).round()
    worst = max((c[modulus == m] - c[modulus == m].mean()).abs().max() for m in modulus.unique())
    assert properties.radial(operator)[0] == pytest.approx(float(worst / c.abs().max()), rel=1e-10)


@pytest.mark.parametrize("kind", [Fourier, Cosine])
def test_conservation_is_g_of_zero(kind):
    def law(kappa):
        return squares(kappa) - 0.7

    free = made(law, kind=kind)
    kept = made(Conservative(Law(law)), kind=kind)
    u = drawn()
    assert properties.conservation(kept, u, 0, kept.basis).max() < ROUNDING
    found = properties.conservation(free, u, 0, free.basis)
    change = free(u)[:, :, 0].flatten(2)
    share = (change.mean(2).abs() / change.square().mean(2).sqrt()).amax(1)  # by the mean itself, without Π
    assert torch.allclose(found, share, rtol=1e-10, atol=0)
    assert found.min() > 1e-3


def test_conservation_of_sines_is_that_of_the_integral_by_midpoints():
    operator = made(squares, points=(16,), kind=Sine)
    assert properties.conservation(operator, drawn((16,)), 0, operator.basis).min() > 0.01


@pytest.mark.parametrize("points", [(16,), (15,), (8, 9)])
@pytest.mark.parametrize(("kind", "slope"), [(Cosine, True), (Sine, False)])
def test_boundary_holds_in_the_basis_that_has_it_and_in_no_other(kind, slope, points):
    operator = made(squares, points=points, kind=kind)
    other = Sine if kind is Cosine else Cosine
    axes = list(zip(range(-len(points), 0), points, strict=True))
    kept = [properties.Wall(axis, kind(N, 2 * math.pi), slope) for axis, N in axes]
    assert properties.boundary(operator, drawn(points), 0, kept).max() < ROUNDING
    wrong = made(squares, points=points, kind=other)
    claimed = [properties.Wall(axis, other(N, 2 * math.pi), slope) for axis, N in axes]
    assert properties.boundary(wrong, drawn(points), 0, claimed).min() > 0.1


@pytest.mark.parametrize(("kind", "k"), [(Cosine, 0), (Cosine, 3), (Sine, 3), (Sine, 16)])
def test_values_and_slopes_at_the_walls_are_those_of_the_series(kind, k):
    N, L = 16, 3.0
    kappa = math.pi * k / L
    x = (torch.arange(N, dtype=torch.float64) + 0.5) * (L / N)
    wave = torch.cos if kind is Cosine else torch.sin
    operator = SpectralOperator(
        kind(N, L), Law(lambda kappa: torch.ones_like(kappa[0])), Pointwise(lambda u: u)
    ).double()
    for slope in (False, True):
        zero = (kind is Cosine) == slope or (slope and k == 0)
        largest = 0.0 if zero else (kappa / (math.pi / L * (N if kind is Sine else N - 1)) if slope else 1.0)
        u = wave(kappa * x).view(1, 1, 1, N)
        rms = float(u.square().mean().sqrt())
        found = properties.boundary(operator, u, 0, [properties.Wall(-1, kind(N, L), slope)])
        assert found[0] == pytest.approx(largest / rms, abs=1e-12)


def test_a_realization_that_vanishes_violates_nothing():
    operator = made(lambda kappa: 0 * squares(kappa))
    assert torch.equal(properties.parity(operator, drawn()), torch.zeros(2, dtype=torch.float64))


def test_systems_are_taken_as_operators():
    def one(place):
        return SpectralOperator(
            Fourier(16, 1.0),
            Conservative(Isotropic(Law(squares))),
            Odd(Pointwise(lambda u, place=place: u[:, :, place : place + 1] + u.prod(2, keepdim=True))),
            [1.0, 1.0],
            [1.0],
        )

    system = System([one(0), one(1)], [[0], [1]], 2).double()
    u = drawn((16,), fields=2)
    assert properties.translation(system, u, [-1]).max() < ROUNDING
    assert properties.parity(system, u).max() < ROUNDING
    assert properties.conservation(system, u, 1, system.operators[1].basis).max() < ROUNDING
