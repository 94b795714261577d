"""Residuals r_j = u_{j+1} − S(u_j) of successive steps over the training data, and their moments by mode."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Inexact, Int
from torch import Tensor
from tqdm import tqdm

from morlight.analysis.model import Model
from morlight.data.sample import TrainingSample
from morlight.operators import build, stepper
from morlight.operators.bases import Basis
from morlight.operators.config import Wall
from morlight.operators.fluctuations import white_modes
from morlight.training.fluctuations.dissipation import MeanSteps

LAGS = 2  # steps over which correlations of the residuals are measured
VALUES = 2**19  # of all realizations computed at once
BLOCKS = 20  # of trajectories or of time, for the jackknife
LEAST = 4  # blocks
SUMS = 2**25  # numbers in the sums of all blocks
WINDOWS = 20_000  # in which the moments are measured
SAMPLED_VALUES = 2**24
ROUNDING = 1e-6  # of |κ| at the ends of the band


class Residuals(NamedTuple):
    """Residuals of some windows.

    Attributes:
        u: states at the first frames.
        later: states one frame later.
        r: residuals of that step and of the following ones.
        gamma: place of γ among those of the training, of each window.
        block: of each window.
    """

    u: Float[Tensor, "B C *X"]
    later: Float[Tensor, "B C *X"]
    r: Float[Tensor, "L R B C *X"]
    gamma: Int[Tensor, " B"]
    block: Int[Tensor, " B"]


@dataclass(frozen=True)
class ResidualWindows:
    """Windows of the training data and the residuals of a model in them.

    Attributes:
        model: in double precision.
        sample: of its training data.
        values: γ of the training, ascending; one value of no meaning without parameters.
    """

    model: Model
    sample: TrainingSample
    values: Float[Tensor, " G"] = field(init=False)

    def __post_init__(self) -> None:
        gamma = self.sample.windows.gamma[self.sample.windows.rows].double()
        object.__setattr__(self, "values", gamma[:, 0].unique() if gamma.shape[1] else torch.zeros(1).double())

    @property
    def steps(self) -> int:
        """Number of successive residuals in a window."""
        return min(LAGS + 1, self.sample.windows.length - 1)

    @property
    def blocks(self) -> int:
        """Number of blocks: groups of trajectories, or parts in time of a few."""
        return min(self._wanted, len(self.sample.windows.rows) * self._parts)

    @property
    def _wanted(self) -> int:
        """Number of blocks whose sums fit into memory."""
        size = math.prod(self.sample.windows.frames.shape) * self.sample.windows.frames.shape[0]
        each = (LAGS + 4) * self.model.realizations * len(self.values) * size
        return max(LEAST, min(BLOCKS, SUMS // each))

    @property
    def _parts(self) -> int:
        return math.ceil(self._wanted / len(self.sample.windows.rows))

    def __iter__(self) -> Iterator[Residuals]:
        """All residuals, some windows at a time."""
        windows, m = self.sample.windows, self.steps
        size = math.prod(windows.frames.shape)
        index = windows.evenly(m, max(200, min(WINDOWS, SAMPLED_VALUES // size)))
        places = {int(row): place for place, row in enumerate(windows.rows)}
        parts = index.split(max(1, VALUES // (size * self.model.realizations)))
        for part in tqdm(parts, "residuals", delay=2, leave=False, unit="batch"):
            frames = windows.at(part, range(m + 1)).double()
            gamma = windows.parameters(part, m).double()
            which = torch.searchsorted(self.values, gamma[:, 0].contiguous()) if gamma.shape[1] else part * 0
            rows = torch.tensor([places[int(row)] for row in windows.trajectory(part, m)])
            time = (part % (windows.length - m)) * self._parts // (windows.length - m)
            with torch.no_grad():
                step = stepper(self.model.operator, self.model.scheme, gamma=gamma)
                r = torch.stack([frames[i + 1] - step(frames[i][None]) for i in range(m)])
            yield Residuals(frames[0], frames[1], r, which, (rows * self._parts + time) % self.blocks)


@dataclass
class Moments:
    """Covariances of the residuals of the fields in one basis, Σ over windows in each block and at each γ.

    They are spectral densities: those of white noise of variance 1/ΔV are 1.

    Attributes:
        space: Π in double precision.
        places: of the fields.
        wall: of the basis.
        lagged: E r̂_{j+l} r̂_jᴴ for l = 0, 1, …
        count: windows.
        field: Σ û_j, Σ û_{j+1}, Σ |û_j|² and Σ û_{j+1} û_j* of the fields themselves.
        steps: sums of the mean steps.
        weights: of the modes in means over them: their freedom, and 0 where the data do not identify their decay.
        separable: whether a mode is not shorter than those whose decay the data identify, in all of the fields.
    """

    space: Basis
    places: tuple[int, ...]
    wall: Wall
    lagged: Inexact[Tensor, "L R J G K c c"]
    count: Float[Tensor, "J G"]
    field: Inexact[Tensor, "4 G K c"]
    steps: MeanSteps
    weights: Float[Tensor, "K c"]
    separable: Bool[Tensor, " K"]

    @classmethod
    def empty(cls, windows: ResidualWindows, places: Sequence[int], wall: Wall) -> "Moments":
        """No windows yet."""
        space = build.basis(windows.model.data.grid, wall).double()
        K, c = space.energy.numel(), len(places)
        J, G = windows.blocks, len(windows.values)
        kind = torch.float64 if space.real else torch.complex128
        lagged = torch.zeros(windows.steps, windows.model.realizations, J * G, K, c, c, dtype=kind)
        count, of_field = torch.zeros(J, G).double(), torch.zeros(4, G, K, c, dtype=kind)
        bands = [windows.model.band(place) or (0.0, math.inf) for place in places]
        identified, separable = _identified(space, bands)
        weights = space.freedom.flatten()[:, None] * identified
        lagged = lagged.unflatten(2, (J, G))
        steps = MeanSteps.empty(lagged[0, ..., 0])
        return cls(space, tuple(places), wall, lagged, count, of_field, steps, weights, separable)

    def coefficients(self, r: Float[Tensor, "*r"]) -> Inexact[Tensor, "*c"]:
        """Coefficients (…, c, K) of residuals (…, C, *X) in units of those of white noise."""
        axes = len(self.space.points)
        chosen = r.index_select(r.ndim - axes - 1, torch.tensor(self.places))
        return (self.space.forward(chosen) / white_modes(self.space).sqrt()).flatten(-axes)

    def add(self, some: Residuals) -> None:
        """Add some windows."""
        G = self.count.shape[1]
        where = some.block * G + some.gamma
        c = self.coefficients(some.r).movedim(-1, -2)  # (L, R, B, K, c)
        flat = self.lagged.flatten(2, 3)
        for lag in range(len(c)):
            products = c[lag].unsqueeze(-1) * c[0].conj().unsqueeze(-2)
            flat[lag].index_add_(1, where, products)
        self.count.view(-1).index_add_(0, where, torch.ones(len(where)).double())
        now, later = (self.coefficients(u).movedim(-1, -2) for u in (some.u, some.later))
        self.steps.add(later - c[0], c[0], some.block, some.gamma)
        for sums, values in zip(self.field, (now, later, now * now.conj(), later * now.conj()), strict=True):
            sums.index_add_(0, some.gamma, values)

    def kept(self) -> Inexact[Tensor, "G K c"]:
        """Part of each mode of the fields that is left after one step, in the mean over the data."""
        first, second, _, product = self.field / self.count.sum(0).clamp_min(1).view(-1, 1, 1)
        variance = self.variance().clamp_min(torch.finfo(torch.float64).tiny)
        return (product - second * first.conj()) / variance

    def variance(self) -> Float[Tensor, "G K c"]:
        """Variance of the modes of the fields over the data."""
        first, _, square, _ = self.field / self.count.sum(0).clamp_min(1).view(-1, 1, 1)
        return (square - first * first.conj()).real

    def means(self, without: int | None = None) -> Inexact[Tensor, "L R G K c c"]:
        """Mean over all windows, or over those outside one block."""
        total, count = self.lagged.sum(2), self.count.sum(0)
        if without is not None:
            total, count = total - self.lagged[:, :, without], count - self.count[without]
        return total / count.clamp_min(1).view(-1, 1, 1, 1)


def _identified(space: Basis, bands: Sequence[tuple[float, float]]) -> tuple[Bool[Tensor, "K c"], Bool[Tensor, " K"]]:
    """Modes of each field whose decay the data identify, and modes that are not shorter than those of any field."""
    modulus = space.wavenumbers.double().square().sum(0).sqrt().flatten()[:, None]
    low, high = torch.tensor(bands, dtype=torch.float64).T
    longer = modulus < high * (1 + ROUNDING)
    return longer & (modulus > low * (1 - ROUNDING)), longer.all(1)
