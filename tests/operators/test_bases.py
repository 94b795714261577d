import math

import pytest
import scipy.fft
import torch

from morlight.operators import Cosine, Fourier, Sine, TensorProduct
from morlight.operators.real_transforms import MATRIX_POINTS, dct, dst, idct, idst

LENGTHS = (1.7, 0.6, 2.3)
POINTS = [(2,), (9,), (20,), (MATRIX_POINTS + 1,), (128,), (9, 20), (100, 8), (5, 6, 7)]
SCIPY = {
    Fourier: lambda u, axes: scipy.fft.rfftn(u, axes=axes),
    Cosine: lambda u, axes: scipy.fft.dctn(u, type=2, axes=axes),
    Sine: lambda u, axes: scipy.fft.dstn(u, type=2, axes=axes),
}
PRODUCTS = {  # each with scipy's answer: real transforms, then rfftn over the axes of Fourier
    "fourier_cosine": (lambda: Fourier(8, 1.7) * Cosine(5, 0.6), "FC"),
    "sine_fourier": (lambda: Sine(7, 1.7) * Fourier(6, 0.6), "SF"),
    "cosine_sine": (lambda: Cosine(6, 1.7) * Sine(5, 0.6), "CS"),
    "fourier_cosine_fourier": (lambda: Fourier(8, 1.7) * Cosine(5, 0.6) * Fourier(7, 2.3), "FCF"),
    "sine_of_fourier_cosine": (lambda: Sine(5, 1.7) * (Fourier(9, 0.6) * Cosine(100, 2.3)), "SFC"),
    "fourier_fourier_sine": (lambda: Fourier((8, 7), (1.7, 0.6)) * Sine(6, 2.3), "FFS"),
    "cosine_cosine_fourier": (lambda: Cosine((6, 5), (1.7, 0.6)) * Fourier(8, 2.3), "CCF"),
    "fourier_alone": (lambda: Fourier(8, 1.7) * Fourier(5, 0.6), "FF"),
}

bases = pytest.mark.parametrize("basis", [Fourier, Cosine, Sine])
walls = pytest.mark.parametrize("basis", [Cosine, Sine])
shapes = pytest.mark.parametrize("points", POINTS)
products = pytest.mark.parametrize("product", PRODUCTS)


def random(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def scipy_of_product(u, letters):
    for place, letter in enumerate(letters, start=-len(letters)):
        if letter != "F":
            u = (scipy.fft.dct if letter == "C" else scipy.fft.dst)(u, type=2, axis=place)
    periodic = [place for place, letter in enumerate(letters, start=-len(letters)) if letter == "F"]
    return scipy.fft.rfftn(u, axes=periodic) if periodic else u


def close(a, b, tolerance=1e-12):  # rounding of sums over a thousand points at most, relative to the largest
    a, b = torch.as_tensor(a), torch.as_tensor(b, dtype=None if hasattr(b, "dtype") else torch.float64)
    return a.shape == b.shape and (a - b).abs().max() <= tolerance * (1 + b.abs().max())


@bases
@shapes
@pytest.mark.parametrize("double", [True, False])  # a module in float32 takes a field in float64 no less exactly
def test_coefficients_are_those_of_scipy(basis, points, double):
    space = basis(points, LENGTHS[: len(points)])
    u = random(3, 2, *points)
    c = (space.double() if double else space).forward(u)
    assert close(c, SCIPY[basis](u.numpy(), space.last))


@products
def test_coefficients_of_a_product_are_those_of_scipy_axis_by_axis(product):
    make, letters = PRODUCTS[product]
    space = make().double()
    u = random(2, *space.points)
    assert isinstance(space, TensorProduct)
    assert close(space.forward(u), scipy_of_product(u.numpy(), letters))


@bases
@shapes
def test_inverse_undoes_forward(basis, points):
    space = basis(points, LENGTHS[: len(points)]).double()
    u = random(3, 1, 2, *points)
    assert close(space.inverse(space.forward(u)), u)


@products
def test_inverse_of_a_product_undoes_forward(product):
    space = PRODUCTS[product][0]().double()
    u = random(2, 3, *space.points)
    assert close(space.inverse(space.forward(u)), u)


@pytest.mark.parametrize("product", ["cosine_cosine_fourier", "fourier_fourier_sine"])
def test_a_product_of_one_axis_factors_is_the_product_of_their_planes(product):
    planes = PRODUCTS[product][0]().double()
    kinds = {"C": Cosine, "F": Fourier, "S": Sine}
    first, second, third = (
        kinds[k](N, L) for k, N, L in zip(PRODUCTS[product][1], planes.points, LENGTHS, strict=True)
    )
    axes = (first * (second * third)).double()
    u = random(*planes.points)
    assert torch.equal(axes.wavenumbers, planes.wavenumbers)
    assert torch.equal(axes.coordinates, planes.coordinates)
    assert close(axes.forward(u), planes.forward(u))


@pytest.mark.parametrize("transform", [dct, idct, dst, idst])
@pytest.mark.parametrize("N", [2, 3, 20, 95, MATRIX_POINTS])
def test_the_matrix_and_the_fft_agree(transform, N):
    basis = Cosine if transform in (dct, idct) else Sine
    along = basis(N, 1.0).double()
    u = random(4, N)
    by_matrix = along.forward(u) if transform in (dct, dst) else along.inverse(u)
    assert not torch.equal(by_matrix, transform(u)) or N == 2  # two ways, which round differently
    assert close(by_matrix, transform(u), 1e-13)


@bases
@pytest.mark.parametrize("points", [(20,), (128,), (9, 20), (100, 8), (5, 6, 7)])
def test_float32_in_gives_single_precision_out(basis, points):
    space = basis(points, LENGTHS[: len(points)])
    u = random(2, *points)
    c = space.forward(u.float())
    back = space.inverse(c)
    assert c.dtype == (torch.complex64 if basis is Fourier else torch.float32)
    assert back.dtype == torch.float32
    assert close(c.to(space.double().forward(u).dtype), space.forward(u), 1e-6)  # a few units of 2⁻²⁴
    assert close(back.double(), u, 2e-6)


@bases
def test_any_leading_axes_and_strides(basis):
    space = basis((6, 7), (1.0, 2.0)).double()
    u = random(3, 7, 2, 6)
    strided = u.permute(0, 2, 3, 1)
    c = space.forward(strided)
    assert close(c, space.forward(strided.contiguous()), 1e-15)
    assert close(space.inverse(c.transpose(0, 1).contiguous().transpose(0, 1)), strided)
    assert close(space.forward(strided[1, 0]), c[1, 0], 1e-15)


@bases
@pytest.mark.parametrize("points", [(4,), (5,), (MATRIX_POINTS + 2,), (3, 4), (3, 2, 3)])
def test_gradients_are_exact(basis, points):
    space = basis(points, LENGTHS[: len(points)]).double()
    u = random(*points).requires_grad_()
    assert torch.autograd.gradcheck(space.forward, u)
    assert torch.autograd.gradcheck(lambda u: space.inverse(space.forward(u).sin()), u)
    assert torch.autograd.gradgradcheck(lambda u: space.inverse(space.forward(u)), u)


def test_gradients_pass_a_product():
    space = (Fourier(4, 1.0) * Cosine(3, 1.0) * Sine(2, 1.0)).double()
    assert torch.autograd.gradcheck(lambda u: space.inverse(space.forward(u).sin()), random(4, 3, 2).requires_grad_())


ORDERS = [((n,), alpha) for n in (16, 17) for alpha in [(1,), (2,), (3,)]]
ORDERS += [((16, 17), alpha) for alpha in [(1, 0), (0, 1), (1, 1), (2, 1)]]
ORDERS += [
    ((17, 16), (1, 2)),
    ((12, 13, 14), (1, 0, 0)),
    ((12, 13, 14), (0, 1, 2)),
    ((13, 12, 13), (1, 1, 1)),
]


@pytest.mark.parametrize(("points", "alpha"), ORDERS)
def test_powers_of_i_kappa_are_the_derivatives_of_band_limited_periodic_fields(points, alpha):
    length = LENGTHS[: len(points)]
    space = Fourier(points, length).double()
    x, kappa = space.coordinates, space.wavenumbers
    u, exact = torch.zeros(points, dtype=torch.float64), torch.zeros(points, dtype=torch.float64)
    for seed in range(4):
        generator = torch.Generator().manual_seed(seed)
        k = torch.randint(-5, 6, (len(points),), generator=generator, dtype=torch.float64) * math.tau
        k = k / torch.tensor(length, dtype=torch.float64)
        wave = torch.exp(1j * (torch.tensordot(k, x, 1) + seed))
        u = u + wave.real
        exact = exact + (math.prod((1j * q) ** a for q, a in zip(k, alpha, strict=True)) * wave).real
    symbol = math.prod((1j * q) ** a for q, a in zip(kappa, alpha, strict=True))
    derivative = space.inverse(symbol * space.forward(u))
    largest = math.prod(kappa[d].abs().max().item() ** a for d, a in enumerate(alpha))
    assert (derivative - exact).abs().max() < 1e-12 * largest / 10  # rounding of u, amplified by (iκ)^α at most


@walls
@pytest.mark.parametrize("points", [(20,), (21,), (128,), (8, 9), (5, 6, 7)])
def test_minus_kappa_squared_is_the_laplacian_between_walls(basis, points):
    space = basis(points, LENGTHS[: len(points)]).double()
    x, wave = space.coordinates, torch.cos if basis is Cosine else torch.sin
    modes = [3, 2, 1]
    kappa = [math.pi * m / L for m, L in zip(modes, space.length, strict=False)]
    u = math.prod(wave(q * x[d]) for d, q in enumerate(kappa))
    squares = space.wavenumbers.square().sum(0)
    laplacian = space.inverse(-squares * space.forward(u))
    assert (laplacian + sum(q**2 for q in kappa) * u).abs().max() < 1e-14 * squares.max()  # rounding of u, amplified


@pytest.mark.parametrize("N", [20, 21, 128, 129])
def test_the_derivative_of_a_cosine_field_lands_in_sine_coefficients_and_back(N):
    L = 1.7
    cosine, sine = Cosine(N, L).double(), Sine(N, L).double()
    kappa = sine.wavenumbers[0, :-1]  # shared by the two: k = 1 … N − 1
    x, k = cosine.coordinates[0], torch.tensor([1, 4, 7], dtype=torch.float64)[:, None] * math.pi / L
    u, slope = torch.cos(k * x).sum(0), -(k * torch.sin(k * x)).sum(0)
    c = cosine.forward(u)
    s = torch.nn.functional.pad(-kappa * c[1:], (0, 1))
    assert (sine.inverse(s) - slope).abs().max() < 1e-12  # rounding of u times κ ≤ 240
    back = torch.nn.functional.pad(kappa * sine.forward(slope)[:-1], (1, 0))
    curvature = -(k**2 * torch.cos(k * x)).sum(0)
    assert (cosine.inverse(back) - curvature).abs().max() < 1e-11  # the same, of slopes up to 20


def series(space, c, x):
    """The series of the module docstring at any x, with its derivative."""
    kappa, N = space.wavenumbers[0], space.points[0]
    c = c.clone()
    c[0 if isinstance(space, Cosine) else -1] /= 2
    phase = kappa * x[:, None]
    cosines, sines = torch.cos(phase), torch.sin(phase)
    if isinstance(space, Cosine):
        return cosines @ c / N, -sines @ (kappa * c) / N
    return sines @ c / N, cosines @ (kappa * c) / N


@walls
@pytest.mark.parametrize("N", [7, 20, 128])
def test_every_state_meets_the_walls_half_a_cell_outside_its_points(basis, N):
    L = 0.6
    space = basis(N, L).double()
    c = random(N)
    u, _ = series(space, c, space.coordinates[0])
    assert close(space.inverse(c), u)  # so this is the field's series
    value, slope = series(space, c, torch.tensor([0, L], dtype=torch.float64))
    walls = slope / space.wavenumbers.max() if basis is Cosine else value
    assert walls.abs().max() < 1e-12  # rounding of sin(πk), k ≤ 128
    inside = series(space, c, torch.tensor([0.3 * L], dtype=torch.float64))
    assert min(abs(inside[0]), abs(inside[1])) > 1e-3  # which is no property of all x


@pytest.mark.parametrize("points", [(16,), (17,), (8, 9), (6, 5, 4)])
def test_a_shift_by_whole_cells_is_a_phase_per_mode(points):
    space = Fourier(points, LENGTHS[: len(points)]).double()
    u, cells = random(2, *points), [3, -2, 1][: len(points)]
    distance = torch.tensor(
        [n * L / N for n, L, N in zip(cells, space.length, points, strict=True)], dtype=torch.float64
    )
    phase = torch.exp(-1j * torch.tensordot(distance, space.wavenumbers, 1))
    assert close(space.forward(u.roll(cells, space.last)), phase * space.forward(u))


@pytest.mark.parametrize("N", [16, 17])
def test_a_shift_by_a_part_of_a_cell_is_a_phase_per_mode_of_band_limited_fields(N):
    space = Fourier(N, 1.7).double()
    x, kappa = space.coordinates[0], space.wavenumbers[0]

    def field(x):
        return 0.3 + torch.cos(2 * kappa[1] * x) - torch.sin(5 * kappa[1] * x + 1)

    shifted = space.inverse(torch.exp(-1j * kappa * 0.123) * space.forward(field(x)))
    assert close(shifted, field(x - 0.123))


@bases
@pytest.mark.parametrize("N", [20, 21])
def test_wavenumbers_and_coordinates_are_those_of_the_formulas(basis, N):
    L = 1.7
    space = basis((N, 6), (L, 0.6)).double()
    numbers = {
        Fourier: [math.tau * k / L for k in [*range((N + 1) // 2), *range(-(N // 2), 0)]],
        Cosine: [math.pi * k / L for k in range(N)],
        Sine: [math.pi * k / L for k in range(1, N + 1)],
    }[basis]
    x, kappa = space.coordinates, space.wavenumbers
    assert close(kappa[0, :, 0], numbers, 1e-15)
    assert kappa.shape == (2, *space.forward(random(N, 6)).shape)
    assert close(x[0, :, 0], [(j + 0.5) * L / N for j in range(N)], 1e-15)
    assert close(x[1, 0], [(j + 0.5) * 0.1 for j in range(6)], 1e-15)
    assert (kappa == 0).all(0).sum() == (basis is not Sine)  # the mode of the mean, which a sine series lacks


def test_the_last_fourier_axis_of_a_product_is_the_half_one():
    space = Fourier(8, math.tau) * Fourier(6, math.tau) * Cosine(5, math.pi)
    assert space.points == (8, 6, 5)
    assert space.wavenumbers[0, :, 0, 0].tolist() == [0, 1, 2, 3, -4, -3, -2, -1]
    assert space.wavenumbers[1, 0, :, 0].tolist() == [0, 1, 2, 3]
    assert space.wavenumbers[2, 0, 0].tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("make", [lambda: Fourier((20, 9), (1.7, 0.3)), lambda: Sine(20, 1.7) * Fourier(9, 0.3)])
def test_double_restores_what_single_precision_rounded(make):
    there_and_back = make().float().double()
    torch.set_default_dtype(torch.float64)
    try:
        always = make()
    finally:
        torch.set_default_dtype(torch.float32)
    assert make().wavenumbers.dtype == torch.float32
    assert torch.equal(there_and_back.wavenumbers, always.wavenumbers)
    assert torch.equal(there_and_back.coordinates, always.coordinates)
    u = random(20, 9)
    assert torch.equal(there_and_back.forward(u), always.forward(u))


@bases
def test_a_basis_has_nothing_to_learn_or_to_save_and_follows_its_device(basis):
    space = basis(20, 1.7)
    product = (space * Cosine(8, 1.0)).to("meta")
    assert not [*space.parameters()]
    assert not space.state_dict()
    assert product.wavenumbers.is_meta
    assert product.forward(torch.empty(20, 8, device="meta")).is_meta
    assert product.to_empty(device="cpu").double().forward(random(20, 8)).isfinite().all()


@pytest.mark.parametrize(
    ("points", "length", "sentence"),
    [
        (1, 1.0, "points 1: at least 2"),
        ((8, 0), 1.0, r"points \(8, 0\): at least 2"),
        (8, 0, "length 0: a positive"),
        (8, -1.0, "length -1.0: a positive"),
        ((8, 8), (1.0, math.inf), "finite"),
        (8, math.nan, "finite"),
        ((8, 8), (1.0,), "number of axes"),
        ((), (), "number of axes"),
    ],
)
@bases
def test_nonsense_is_refused_in_a_sentence(basis, points, length, sentence):
    with pytest.raises(ValueError, match=sentence):
        basis(points, length)


@bases
def test_lists_and_one_length_for_all_axes_mean_the_same(basis):
    assert repr(basis([8, 6], [2, 2])) == repr(basis((8, 6), 2.0))
