"""PySINDy on fields: strong form, weak form, and the weak form with the library of WSINDy, ∂^p of products of fields.

All with monomials and derivatives to some degree and order, and a constant. In one dimension the first two libraries
hold all products φ(u) ∂ᵖu, as PySINDy's do; in the plane φ(u) and ∂ᵖu alone. A term is kept where its size over that of
the rate of change passes a threshold (sequentially thresholded least squares on normalized columns).
"""

import re
import string
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from scipy.signal import savgol_filter

from benchmarks.peer_splits import Split
from benchmarks.peer_terms import Product, Terms, term
from morlight.operators.library import Candidate, Exponents, monomials

THRESHOLDS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)  # of the size of a term over that of the rate of change
MANY = 100  # frames
PARTS = {True: (20, 10), False: (10, 5)}  # half a window of the weak form is this part of each axis, for many frames
WINDOWS = 1000  # of the weak form in all
SMOOTHED = (11, 21)  # points of the filters of the strong form
ROWS = 40_000  # points of the strong form, drawn at random where there are more
PLANE = [[1, 0], [0, 1], [2, 0], [0, 2], [4, 0], [2, 2], [0, 4]]
Found = tuple[list[Terms], float]  # the terms of each field, and processor seconds
Search = Callable[[Split, int, int], Iterator[Found]]  # with the degree and the order of the library


def strong(split: Split, degree: int, order: int) -> Iterator[Found]:
    """Derivatives at the grid points: spectral or by finite differences, of the fields or of smoothed ones."""
    import pysindy

    differences = pysindy.FiniteDifference, {"periodic": True, "is_uniform": True}
    schemes: list[tuple[int, tuple[Any, dict[str, bool]]]] = [
        (0, (pysindy.SpectralDerivative, {})),
        (0, differences),
        *((window, differences) for window in SMOOTHED),
    ]
    axes = _axes(split)
    for window, (method, settings) in schemes:
        begin = time.process_time()
        library = pysindy.PDELibrary(
            function_library=pysindy.PolynomialLibrary(degree=degree, include_bias=False),
            derivative_order=order,
            multiindices=[orders for orders in PLANE if sum(orders) <= order] if len(axes) == 2 else None,
            spatial_grid=axes[0] if len(axes) == 1 else np.stack(np.meshgrid(*axes, indexing="ij"), -1),
            include_bias=True,
            include_interaction=len(axes) == 1,
            differentiation_method=method,
            diff_kwargs=settings,
        )
        in_time = pysindy.FiniteDifference(axis=len(axes), order=4)
        fields = [_smoothed(u, window) for u in _fields(split)]
        features = np.concatenate([_rows(library.fit_transform(_named(u))) for u in fields])
        rates = np.concatenate([_rows(in_time._differentiate(u, split.times.numpy())) for u in fields])
        rows = np.random.default_rng(0).permutation(len(rates))[:ROWS]
        yield from _sparse(_terms(library, _letters(split), len(axes)), features[rows], rates[rows], begin)


def _smoothed(u: np.ndarray, window: int) -> np.ndarray:
    """Fields (*X, T, C) after Savitzky–Golay filters of fourth order along all axes; a window of 0 leaves them."""
    time_axis = u.ndim - 2
    for axis in range(time_axis + 1 if window else 0):
        u = savgol_filter(u, window, 4, axis=axis, mode="interp" if axis == time_axis else "wrap")
    return u


def weak(split: Split, degree: int, order: int) -> Iterator[Found]:
    """Integrals over windows in space and time."""
    yield from _weak(split, _letters(split), degree, order, products=split.train.ndim == 4)


def conservative(split: Split, degree: int, order: int) -> Iterator[Found]:
    """The weak form of ∂^p of every monomial of the fields, the library of WSINDy."""
    yield from _weak(split, monomials(split.train.shape[2], degree), 1, order, products=False)


def _weak(split: Split, variables: Sequence[Exponents], degree: int, order: int, *, products: bool) -> Iterator[Found]:
    import pysindy

    axes = [*_axes(split), split.times.numpy()]
    fields, C = [_with(u, variables) for u in _fields(split)], split.train.shape[2]
    for part in PARTS[len(split.times) >= MANY]:
        np.random.seed(0)  # the library draws its windows from here
        begin = time.process_time()
        library = pysindy.WeakPDELibrary(
            function_library=pysindy.PolynomialLibrary(degree=degree, include_bias=False),
            derivative_order=order,
            spatiotemporal_grid=np.stack(np.meshgrid(*axes, indexing="ij"), -1),
            include_bias=True,
            include_interaction=products,
            K=WINDOWS // len(fields),
            H_xt=[(axis[-1] - axis[0]) / part for axis in axes],
            p=6,
        )
        features = np.concatenate([_rows(library.fit_transform(_named(u))) for u in fields])
        rates = np.concatenate([np.asarray(library.convert_u_dot_integral(u))[:, :C] for u in fields])
        yield from _sparse(_terms(library, variables, len(axes) - 1), features, rates, begin)


def _terms(library: Any, variables: Sequence[Exponents], axes: int) -> list[tuple[Candidate | Product, float]]:
    letters = string.ascii_lowercase[: len(variables)]
    named = dict(zip(letters, variables, strict=True))
    return [_read(name, named, axes) for name in library.get_feature_names(list(letters))]


def _sparse(
    terms: Sequence[tuple[Candidate | Product, float]], features: np.ndarray, rates: np.ndarray, begin: float
) -> Iterator[Found]:
    """The sparse equations of all thresholds."""
    import pysindy

    spent = time.process_time() - begin
    for threshold in THRESHOLDS:
        begin = time.process_time()
        found: list[Terms] = []
        for rate in rates.T:
            optimizer = pysindy.STLSQ(
                threshold=threshold * np.linalg.norm(rate), alpha=1e-10, max_iter=50, normalize_columns=True
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # no term is left, or the least squares are badly conditioned
                values = np.ravel(optimizer.fit(features, rate[:, None]).coef_)
            found.append({key: by * value for (key, by), value in zip(terms, values, strict=True) if value})
        yield found, spent + time.process_time() - begin


def _read(name: str, variables: dict[str, Exponents], axes: int) -> tuple[Candidate | Product, float]:
    """A term from its name in PySINDy, where `a^2a_11` is a² ∂ₓₓa."""
    none = (0,) * len(next(iter(variables.values())))
    match = re.fullmatch(r"(.*?)([a-z])_(\d+)", name)
    before, last, digits = match.groups() if match else (name, "", "")
    factor = none
    for letter, power in re.findall(r"([a-z])(?:\^(\d))?", before):
        factor = tuple(n + int(power or 1) * m for n, m in zip(factor, variables[letter], strict=True))
    orders = tuple(digits.count(str(axis + 1)) for axis in range(axes))
    return term(factor, orders, variables.get(last, none))


def _axes(split: Split) -> list[np.ndarray]:
    basis = split.basis
    return [np.arange(N) * L / N for N, L in zip(basis.points, basis.length, strict=True)]


def _letters(split: Split) -> list[Exponents]:
    """The fields themselves."""
    return monomials(split.train.shape[2], 1)


def _fields(split: Split) -> list[np.ndarray]:
    """Of each trajectory the fields (*X, T, C)."""
    return [np.moveaxis(u.numpy(), (0, 1), (-2, -1)) for u in split.train]


def _with(u: np.ndarray, variables: Sequence[Exponents]) -> np.ndarray:
    """Monomials of the fields as variables."""
    return np.stack([np.prod(u ** np.array(exponents), -1) for exponents in variables], -1)


def _named(u: np.ndarray) -> Any:
    import pysindy

    return pysindy.AxesArray(u, {"ax_spatial": list(range(u.ndim - 2)), "ax_time": u.ndim - 2, "ax_coord": u.ndim - 1})


def _rows(features: Any) -> np.ndarray:
    values = np.asarray(features)
    return values.reshape(-1, values.shape[-1])
