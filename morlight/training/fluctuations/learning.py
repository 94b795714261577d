"""Noise of a fitted operator from its residuals over the training data, in closed form.

By mode, E |r̂|² = s² Σ_x a²(u(x)), so that s² is the mean square of the residuals where the mean of a² is 1. Given s,
a² is fitted to the residuals with all modes brought to one size (see `multiplicative`), and changes s no more.
"""

import torch
from jaxtyping import Float, Inexact
from torch import Tensor

from morlight.analysis.model import Model
from morlight.data.sample import TrainingSample
from morlight.operators.config import OperatorConfig, Wall
from morlight.operators.description import DataDescription
from morlight.operators.fluctuations import Fluctuations, ModeFluctuations
from morlight.operators.flux import Flux
from morlight.operators.noise_diagnostics import NoiseDiagnostics, jackknife_error
from morlight.operators.vector_isotropy import Tensors
from morlight.training.fluctuations import isotropic
from morlight.training.fluctuations.dissipation import SlowWaves
from morlight.training.fluctuations.multiplicative import Bins, fitted, whitened_squares
from morlight.training.fluctuations.residuals import LAGS, Moments, Residuals, ResidualWindows
from morlight.training.fluctuations.separation import linearized_modes, positive, separated

ABSENT = 1e-6  # of the largest variance: rounding, and modes that never change
DEPENDENT = 1e-8  # smallest eigenvalue of a correlation matrix; fields below it follow from the others
SURE = 4.0  # standard errors of the correlation of successive residuals
HALF = 0.5  # persistence of correlations below which they are those of a noise of the measurement
STATES = 8  # at each γ, at which the step is linearized
QUANTILE_STATES = 64  # at each γ, whose values show the range of a field
TAIL = 1e-3  # share of the values below and above this range
MOST = 2**23  # values of which torch finds quantiles
STILL = 1e-6  # variance of a total, relative to those of the modes, that is rounding


def check(config: OperatorConfig, data: DataDescription) -> None:
    """Refuse data and operators whose noise cannot be learned.

    Raises:
        ValueError: naming the option.
    """
    if data.steady:
        raise ValueError("model.fluctuations is true for pairs without time, expected fields that change in time")
    if len(data.parameters) > 1:
        raise ValueError(
            f"model.fluctuations is true with the parameters {', '.join(data.parameter_names)}, expected at most one"
        )
    bases = {config.wall(name) for name in data.field_names} if "WALL" in data.grid.boundaries else set()
    for basis in bases.intersection({"legendre", "robin"}):
        raise ValueError(f"model.fluctuations is true with the basis {basis}, expected cosine or sine")


def learned(model: Model, sample: TrainingSample) -> Fluctuations:
    """The noise of all fields.

    Args:
        model: the fitted operator.
        sample: of its training data.
    """
    windows = ResidualWindows(model, sample)
    moments = [Moments.empty(windows, places, wall) for wall, places in _groups(model).items()]
    for some in windows:
        for each in moments:
            each.add(some)
    lags = correlations(moments)
    measured = len(lags) > 0 and lags[0][0] < -SURE * lags[0][1] and persistence(moments) < HALF
    measured &= not model.config.vectors  # sound turns within a step, so that either sign may be due to memory
    parts = [_Learned(each, windows, measured=measured) for each in moments]
    for some in windows:
        for part in parts:
            part.add(some)
    return Fluctuations(tuple(windows.values.tolist()), tuple(part.finished() for part in parts), lags)


def _groups(model: Model) -> dict[Wall, list[int]]:
    """Places of the fields in each basis."""
    names, walls = model.data.field_names, "WALL" in model.data.grid.boundaries
    groups: dict[Wall, list[int]] = {}
    for place, name in enumerate(names):
        groups.setdefault(model.config.wall(name) if walls else "cosine", []).append(place)
    return groups


def persistence(moments: list[Moments]) -> float:
    """How far residuals two steps apart are correlated as if they were a part of the field itself.

    It is 0 for noise of the measurement. It is 1 if the operator has too little or too much decay, since residuals are
    then proportional to the field and are forgotten as it is. Data of three frames do not show it, and have 0. As in
    `correlations`, it is the median of the realizations.
    """
    product = square = torch.zeros(1).double()
    for one in moments:
        means = one.means()
        if len(means) < LAGS + 1:
            return 0.0
        inverse, used = whitening(means[0])
        first, second = ((inverse @ lag @ inverse).diagonal(dim1=-2, dim2=-1) for lag in means[1:])
        expected, weights = one.kept() * first, one.weights * used
        product = product + (weights * (second * expected.conj()).real).flatten(1).sum(1)
        square = square + (weights * expected.abs().square()).flatten(1).sum(1)
    return float((product / square).nan_to_num().quantile(0.5))


def correlations(moments: list[Moments]) -> tuple[tuple[float, float], ...]:
    """Correlation of whitened residuals one step apart, two steps apart, …, with standard errors by a jackknife.

    It is the mean over the modes whose decay the data identify, and the median of the realizations: in other modes, and
    in a realization that failed, the operator is arbitrary, and so is what it leaves to the residuals.
    """

    def each(without: int | None) -> Float[Tensor, " L"]:
        sums, weights = zip(*(_correlation(one, without) for one in moments), strict=True)
        return (torch.stack(sums).sum(0) / torch.stack(weights).sum(0).clamp_min(1)).quantile(0.5, 1)

    values = each(None)
    error = jackknife_error(torch.stack([each(block) for block in range(len(moments[0].count))]))
    return tuple(zip(values.tolist(), error.tolist(), strict=True))


def _correlation(moments: Moments, without: int | None) -> tuple[Float[Tensor, "L R"], Float[Tensor, " R"]]:
    """Sum over modes, fields and γ, and the sum of their weights."""
    means = moments.means(without)
    inverse, used = whitening(means[0])
    weights = moments.weights * used
    white = inverse @ means[1:] @ inverse
    diagonal = white.diagonal(dim1=-2, dim2=-1).real
    return (diagonal * weights).flatten(2).sum(2), weights.flatten(1).sum(1)


def whitening(variance: Inexact[Tensor, "*k c c"]) -> tuple[Inexact[Tensor, "*k c c"], Float[Tensor, "*k c"]]:
    """The inverse root of the covariance of each mode, and 1 for the fields that have any in this mode, else 0."""
    size = variance.diagonal(dim1=-2, dim2=-1).real
    used = (size > ABSENT * size.amax(-2, keepdim=True)).to(size.dtype)
    unit = size.clamp_min(1e-300).rsqrt() * used
    scaled = unit[..., :, None] * variance * unit[..., None, :]
    values, vectors = torch.linalg.eigh(scaled)
    root = torch.where(values > DEPENDENT, values.clamp_min(1e-300).rsqrt(), 0.0)
    inverse = (vectors * root.unsqueeze(-2)) @ vectors.mH @ torch.diag_embed(unit).to(scaled.dtype)
    return inverse, used


class _Learned:
    """Noise of the fields in one basis, while it is learned.

    Args:
        moments: of all windows.
        windows: of the residuals.
        measured: whether some of the noise is that of the measurement.
    """

    def __init__(self, moments: Moments, windows: ResidualWindows, *, measured: bool) -> None:
        self.moments, self.model = moments, windows.model
        self.steps = _steps(moments, windows) if measured else None
        self.conserved = torch.tensor([_conserved(windows.model, moments, c) for c in range(len(moments.places))])
        zero = (moments.space.wavenumbers == 0).all(0).flatten()
        still = zero[:, None] & self.conserved
        self.changing = ~(still[:, :, None] | still[:, None, :])
        total, self.process, self.measurement = self._spectra()
        self.inverse, self.used = whitening(total)
        self.flux = Flux(moments.space) if bool(self.conserved.any()) else None
        self.bins = Bins.between(*_range(windows, moments.places), windows.model.realizations, windows.blocks)

    def _spectra(self, without: int | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Covariance of the residuals, Σ and Σ_η of each mode, from all data or without a block."""
        names = self.model.data.field_names
        means = self.moments.means(without) * self.changing
        same = all(self.model.config.has("isotropy", names[place]) for place in self.moments.places)
        if same and self.model.config.vectors:
            tensors = Tensors.of(names, self.model.config.vectors)
            means = isotropic.in_the_frame_of_each_mode(self.moments.space, tensors, means)
        elif same:
            means = isotropic.by_modulus(self.moments.space, means)
        total = positive(means[0])
        if self.steps is None:
            return total, total, torch.zeros_like(total)
        lagged = means[1] * self.moments.separable[:, None, None]
        return total, *separated(total, lagged, self.steps)

    def _gained_and_lost(self, without: int | None = None) -> Float[Tensor, "2 R G K c"]:
        """Variance that noise gives to each mode in a step, and variance that the mean step takes from it."""
        total, process, measurement = self._spectra(without)
        steps, count = self.moments.steps, self.moments.count
        if without is not None:
            steps, count = steps.without(without), torch.cat([count[:without], count[without + 1 :]])
        lost = _diagonal(total) + 2 * steps.covariance(count)
        if self.steps is not None:  # of the fields without their noise of the measurement
            lost = lost - _diagonal(measurement - self.steps @ measurement @ self.steps.mH)
        return torch.stack([_diagonal(process), lost])

    def add(self, some: Residuals) -> None:
        """Add the points of some windows."""
        squares = whitened_squares(self.moments, self.inverse, self.flux, self.conserved, some)
        self.bins.add(some, some.u[:, list(self.moments.places)].flatten(2), squares)

    def finished(self) -> ModeFluctuations:
        """The noise, with a(u)."""
        amplitude, squares_without = fitted(self.bins, self._process_share())
        whole = self._gained_and_lost()
        without = torch.stack([self._gained_and_lost(block) for block in range(len(self.moments.count))])
        kept = self.moments.steps.variance(self.moments.count)
        slow = SlowWaves.among(self.moments.variance(), kept, self.moments.space, self.moments.weights > 0)
        balance = torch.stack([slow.balance(*each) for each in (whole, *without)], 2)
        return ModeFluctuations(
            self.moments.places,
            self.moments.wall,
            tuple(self.conserved.tolist()),
            self._stored(self.process),
            self._stored(self.measurement),
            amplitude.knots,
            amplitude.squares,
            jackknife_error(without[:, 0]),
            NoiseDiagnostics(whole[1], balance, squares_without),
        )

    def _process_share(self) -> Float[Tensor, "R G c"]:
        """Share of the noise of the steps in the whitened residuals of each field."""
        white = _diagonal(self.inverse @ self.process @ self.inverse)
        freedom = self.moments.space.freedom.flatten()[:, None] * self.used
        return (white * freedom).sum(2) / freedom.sum(2).clamp_min(1)

    def _stored(self, spectrum: Tensor) -> Tensor:
        return spectrum.real if len(self.moments.places) == 1 else spectrum


def _diagonal(matrices: Inexact[Tensor, "*k c c"]) -> Float[Tensor, "*k c"]:
    return matrices.diagonal(dim1=-2, dim2=-1).real


def _steps(moments: Moments, windows: ResidualWindows) -> Inexact[Tensor, "R G K c c"]:
    """G of each mode at each γ, in the mean over some states."""
    states, gamma, which = _states(windows, STATES)
    found = linearized_modes(windows.model, moments.space, list(moments.places), states, gamma)
    return torch.stack([found[:, which == g].mean(1) for g in range(len(windows.values))], 1)


def _states(windows: ResidualWindows, each: int) -> tuple[Tensor, Tensor, Tensor]:
    """Some states at each γ, their parameters, and which γ it is."""
    part = windows.sample.windows
    own = part.gamma[part.rows].double()
    which = torch.searchsorted(windows.values, own[:, 0].contiguous()) if own.shape[1] else torch.zeros(len(own)).long()
    rows = [part.rows[which == g] for g in range(len(windows.values))]
    picked = torch.cat([one[torch.linspace(0, len(one) - 1, each).long()] for one in rows])
    frames = part.used.start + torch.linspace(0, part.length - 1, each).long().repeat(len(rows))
    states = part.frames.at(picked, frames, (0,))[0].double()
    return states, part.gamma[picked].double(), torch.arange(len(rows)).repeat_interleave(each)


def _range(windows: ResidualWindows, places: tuple[int, ...]) -> tuple[Float[Tensor, "G c"], Float[Tensor, "G c"]]:
    """Values of the fields at each γ below and above which there are few."""
    states, _, which = _states(windows, QUANTILE_STATES)
    values = states[:, list(places)].flatten(2)
    tails = torch.tensor([TAIL, 1 - TAIL]).double()
    ends = []
    for g in range(len(windows.values)):
        line = values[which == g].transpose(0, 1).flatten(1)
        ends.append(torch.quantile(line[:, :: 1 + line.shape[1] // MOST], tails, 1))
    low, high = torch.stack(ends, 1)
    return low, high


def _conserved(model: Model, moments: Moments, c: int) -> bool:
    """Whether the total of a field never changes: by its bias, or to rounding in the data."""
    zero = (moments.space.wavenumbers == 0).all(0).flatten()
    if not zero.any():
        return False
    name = model.data.field_names[moments.places[c]]
    variance = moments.means()[0][..., c, c].real
    still = variance[..., zero].amax() < STILL * variance.mean()
    return bool(still) or (model.config.has("conservation", name) and name not in model.config.walls)
