"""Sizes of the fields and of γ over the training data, from one pass over the trajectories."""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from morlight.operators import build
from morlight.operators.description import FieldStatistics, Grid, ParameterStatistics
from morlight.operators.lstsq import lstsq

THINNED = 1_000_000  # values of each field, evenly over all trajectories, that quantiles are taken of
QUANTILES = 101  # of the values of a field: the gauge of h is fixed where the data are
SPECTRA = 200  # targets whose spectrum tells the band of wavenumbers
FAINT = 1e-8  # float32 leaves rounding of 1e-14 of the strongest mode
DECADE = 10.0  # between smallest and largest γ, from which on it enters by its logarithm


@dataclass(frozen=True)
class Sizes:
    """Sizes of the fields of each trajectory, and of all of them.

    Attributes:
        low: smallest value of each field.
        high: largest value of each field.
        quantiles: of the values of each field, in the middles of equal shares.
        squares: mean square of each trajectory and field.
        spreads: mean square deviation from the mean of each trajectory.
        largest: largest absolute value of each trajectory and field.
    """

    low: Float[Tensor, " C"]
    high: Float[Tensor, " C"]
    quantiles: Float[Tensor, "C Q"]
    squares: Float[Tensor, "S C"]
    spreads: Float[Tensor, "S C"]
    largest: Float[Tensor, "S C"]


class _Sizes:
    """What is gathered of the frames of some trajectories, in the order in which they come.

    Args:
        first: frames of the first trajectory.
        frames: of all trajectories.
    """

    def __init__(self, first: Float[Tensor, "t C *X"], frames: int) -> None:
        by_field = first.transpose(0, 1).flatten(1)
        total = frames * (by_field.shape[1] // len(first))
        self.stride, self.seen, self.filled = 1 + total // THINNED, 0, 0
        # all of it at once: small pieces between the large ones would keep these from being used again
        self.values = first.new_empty(len(by_field), total // self.stride + 1)
        self.low, self.high = by_field.amin(1), by_field.amax(1)
        self.squares, self.spreads, self.largest = (list[Tensor]() for _ in range(3))

    def add(self, trajectory: Iterable[Float[Tensor, "t C *X"]]) -> None:
        """The frames of one trajectory, some at a time."""
        parts = [(u.shape[0], *self._part(u.transpose(0, 1).flatten(1))) for u in trajectory]
        shares = torch.tensor([count for count, *_ in parts], dtype=torch.float64)
        shares = (shares / shares.sum())[:, None]
        squares, means, spreads, largest = (torch.stack(values) for values in zip(*(p[1:] for p in parts), strict=True))
        mean = (shares * means).sum(0)
        self.squares.append((shares * squares).sum(0))
        self.spreads.append((shares * (spreads + (means - mean).square())).sum(0))
        self.largest.append(largest.amax(0))

    def _part(self, by_field: Float[Tensor, "C n"]) -> tuple[Tensor, ...]:
        """Mean square, mean, variance and largest absolute value of some frames."""
        thinned = by_field[:, -self.seen % self.stride :: self.stride]
        self.values[:, self.filled : self.filled + thinned.shape[1]] = thinned
        self.filled += thinned.shape[1]
        self.seen += by_field.shape[1]
        low, high = by_field.amin(1), by_field.amax(1)
        self.low, self.high = torch.minimum(self.low, low), torch.maximum(self.high, high)
        precise = by_field.double()
        spread, mean = precise.var(1, correction=0), precise.mean(1)
        return precise.square_().mean(1), mean, spread, torch.maximum(low.abs(), high.abs())

    def result(self) -> Sizes:
        """The sizes of all."""
        shares = (torch.arange(QUANTILES, dtype=torch.float64) + 0.5) / QUANTILES
        quantiles = torch.quantile(self.values[:, : self.filled].double(), shares, dim=1).T
        stacked = (torch.stack(parts) for parts in (self.squares, self.spreads, self.largest))
        return Sizes(self.low, self.high, quantiles, *stacked)


def sizes(trajectories: Iterable[Iterable[Float[Tensor, "t C *X"]]], frames: int) -> Sizes:
    """Sizes of the fields of some trajectories, one after the other.

    Args:
        trajectories: their frames, some at a time.
        frames: number of frames of all trajectories.
    """
    gathered: _Sizes | None = None
    for trajectory in trajectories:
        parts = iter(trajectory)
        first = next(parts)
        gathered = gathered or _Sizes(first, frames)
        gathered.add(itertools.chain([first], parts))
    assert gathered is not None
    return gathered.result()


def field_statistics(
    names: Sequence[str],
    seen: Sizes,
    ratio: Float[Tensor, "S P"] | None = None,
    targets: Float[Tensor, " C"] | None = None,
) -> tuple[FieldStatistics, ...]:
    """Statistics of each field.

    Args:
        names: of the fields.
        seen: their sizes.
        ratio: γ/γ̄ of each trajectory where the sizes of the fields follow powers of γ; None where they do not.
        targets: root mean square of the targets, without time.
    """
    powers, unit = None, torch.ones_like(seen.squares)
    if ratio is not None:
        powers = field_powers(ratio, seen.squares)
        unit = (ratio.log() @ powers.T).exp()
    scale = (seen.squares / unit.square()).mean(0).sqrt()
    spread = (seen.spreads / unit.square()).mean(0).sqrt()
    reach = (seen.largest.double() / unit).amax(0) / scale.clamp_min(torch.finfo(torch.float64).tiny)
    return tuple(
        FieldStatistics(
            name=name,
            low=float(seen.low[c]),
            high=float(seen.high[c]),
            scale=float(scale[c]),
            spread=float(spread[c]),
            reach=float(reach[c]),
            quantiles=tuple(seen.quantiles[c].tolist()),
            target=None if targets is None else float(targets[c]),
            powers=() if powers is None else tuple(powers[c].tolist()),
        )
        for c, name in enumerate(names)
    )


def parameter_statistics(names: Sequence[str], gamma: Float[Tensor, "S P"]) -> tuple[ParameterStatistics, ...]:
    """Typical values and ranges of the parameters, and the spread of the logarithm where it spans a decade."""
    if not names:
        return ()
    tiny = torch.finfo(torch.float32).tiny
    wide = (gamma > 0).all(0) & (gamma.amax(0) >= DECADE * gamma.amin(0).clamp_min(tiny))
    logs = gamma.clamp_min(tiny).log()
    scale = torch.where(wide, logs.mean(0).exp(), gamma.square().mean(0).sqrt().clamp_min(tiny))
    spread = torch.where(wide, logs.std(0, correction=0), 0.0)
    columns = (scale.tolist(), spread.tolist(), gamma.amin(0).tolist(), gamma.amax(0).tolist())
    return tuple(ParameterStatistics(*values) for values in zip(names, *columns, strict=True))


def field_powers(ratio: Float[Tensor, "S P"], squares: Float[Tensor, "S C"]) -> Float[Tensor, "C P"]:
    """a of rms(u) ≈ s ∏_p (γ_p/γ̄_p)^a_p by least squares over the trajectories."""
    logs = ratio.log()
    design = torch.cat([torch.ones_like(logs[:, :1]), logs], 1)
    rms = squares.clamp_min(torch.finfo(torch.float64).tiny).log() / 2
    return lstsq(design, rms)[1:].T


def mean_square(u: Float[Tensor, "T C *X"]) -> Float[Tensor, " C"]:
    """Of each field of a trajectory."""
    return u.transpose(0, 1).flatten(1).double().square().mean(1)


def band(f: Float[Tensor, "n C *X"], grid: Grid) -> tuple[float, float]:
    """Smallest and largest |κ| > 0 of the modes with more than `FAINT` of the energy of the strongest."""
    space = build.basis(grid).double()
    energy = space.forward(f.double()).abs().square().mean((0, 1)) * space.energy
    kappa = space.wavenumbers.square().sum(0).sqrt()
    strong = kappa[(kappa > 0) & (energy > FAINT * energy.max())]
    return (float(strong.min()), float(strong.max())) if len(strong) else (0.0, float(kappa.max()))


def every_so_many(count: int) -> int:
    """Of how many targets one spectrum is looked at."""
    return 1 + count // SPECTRA


def bytes_of(shape: Sequence[int]) -> int:
    """Memory that fields of this shape take."""
    return math.prod(shape) * torch.finfo(torch.get_default_dtype()).bits // 8
