"""How precisely the training data determine the rate of change at each |κ|, with the fitted operator in place.

Let p be the change of û over m steps that the operator predicts, and f the change in the data: f = (1 + e) p + noise.
The gain 1 + e is estimated for each |κ| separately, with the change that is predicted one frame earlier as
instrument z,

    e = Σ Re z* (f − p) / Σ Re z* p,

and its standard error, relative to 1 + e, comes from the scatter of z* (f − p) over windows and trajectories. h is that
of the fit, so that modes that drive each other are treated like modes that decay independently. Measurement noise is
independent from frame to frame. It enters both p and f, so that an operator fitted to it has e = 0 with p as
instrument (errors in variables). z does not contain this noise, and the difference of the two estimates is the error
that the noise causes (Hausman 1978).
"""

import copy
import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from morlight.data.sample import TrainingSample
from morlight.operators import build, shells
from morlight.operators.bases import Basis
from morlight.operators.description import DataDescription
from morlight.operators.exponential_scheme import Exponential
from morlight.operators.spectral import Operator
from morlight.operators.time_stepping import stepper

STEPS = 40_000  # predicted steps in total, summed over the windows
LEAST = 200  # windows, however long they are
VALUES = 2**20  # values predicted at once
SURE = 3.0  # standard deviations from zero
CLUSTERS = 8  # trajectories that are enough to test whether their windows are independent


class Fitted(NamedTuple):
    """One realization of an operator, and how it steps.

    Attributes:
        operator: the operator, with any number of realizations.
        place: index of this realization.
        scheme: scheme of the steps in time.
        data: description of the training data.
    """

    operator: Operator
    place: int
    scheme: str | Exponential
    data: DataDescription

    def exact(self) -> "Fitted":
        """A copy in double precision, on the CPU."""
        return self._replace(operator=copy.deepcopy(self.operator).cpu().double().requires_grad_(False))

    def changes(self, u: Float[Tensor, "n C *X"], steps: int, gamma: Float[Tensor, "n P"]) -> Float[Tensor, "n C *X"]:
        """Predicted change S^m(u) − u, where S is a step of the operator."""
        advance = stepper(self.operator, self.scheme, gamma=gamma)
        state = u[None]
        for _ in range(steps):
            state = advance(state)
        return state[self.place] - u


def rate_errors(fitted: Fitted, sample: TrainingSample, horizons: list[int]) -> tuple[tuple[float, ...], ...]:
    """Relative standard error of the rate of change at each |κ| in the order of `shells`, for each field.

    Args:
        fitted: the operator.
        sample: a sample of the training data.
        horizons: numbers m of steps; the smaller of the errors for the smallest and the largest m is returned.
    """
    exact, space = fitted.exact(), build.basis(fitted.data.grid).double()
    with torch.no_grad():
        each = [_of_horizon(exact, sample, space, m) for m in sorted({min(horizons), max(horizons)})]
    return tuple(tuple(row) for row in torch.stack(each).amin(0).tolist())


@dataclass
class Gain:
    """Sums of x = Re z* (f − p) and a = Re z* p over windows, for each field and |κ|.

    Args:
        shape: numbers of trajectories, fields and |κ|.
    """

    shape: tuple[int, int, int]

    def __post_init__(self) -> None:
        self.x, self.a = torch.zeros(self.shape).double(), torch.zeros(self.shape).double()
        self.xx, self.xa, self.aa = (torch.zeros(self.shape[1:]).double() for _ in range(3))
        self.windows = 0

    def add(self, x: Float[Tensor, "n C S"], a: Float[Tensor, "n C S"], trajectory: Int[Tensor, " n"]) -> None:
        """Add some windows to the sums."""
        self.x.index_add_(0, trajectory, x)
        self.a.index_add_(0, trajectory, a)
        self.xx, self.xa, self.aa = self.xx + (x * x).sum(0), self.xa + (x * a).sum(0), self.aa + (a * a).sum(0)
        self.windows += len(x)

    def error(self) -> Float[Tensor, "C S"]:
        """Estimate of e."""
        return self.x.sum(0) / self.a.sum(0)

    def variance(self, all_windows: int, overlap: int, *, sample: bool = False) -> Float[Tensor, "C S"]:
        """Squared standard error of e.

        Windows that overlap count as one, and all others as independent, unless the scatter of the sums over single
        trajectories shows that they are not.

        Args:
            all_windows: number of windows in the data.
            overlap: number of windows that overlap.
            sample: whether to return the error for the added windows only, rather than for all windows in the data.
        """
        e, size = self.error(), self.a.sum(0).square()
        independent = (self.xx - 2 * e * self.xa + e * e * self.aa).clamp_min(0)
        dependent = max(1.0, self.windows * overlap / all_windows)
        clusters = (self.x - e * self.a).square().sum(0)
        count = self.shape[0]
        more = clusters > independent * dependent * (1 + SURE * math.sqrt(2 / count))
        excess = (clusters - dependent * independent) * more * (count >= CLUSTERS)
        share = dependent if sample else self.windows * overlap / all_windows
        return (independent * share + excess) / size

    @property
    def known(self) -> Tensor:
        """Whether the correlation of z and p is significant."""
        return self.a.sum(0) > SURE * self.aa.sqrt()


def _of_horizon(fitted: Fitted, sample: TrainingSample, space: Basis, m: int) -> Float[Tensor, "C S"]:
    windows = sample.windows
    lag = 1 if windows.count(m + 1) else 0  # the shortest trajectories have no earlier frame
    index = windows.evenly(m + lag, max(LEAST, STEPS // m))
    moduli, shell = shells(space.wavenumbers)
    shell, freedom = shell.flatten(), space.freedom.flatten()
    C, S, K = len(fitted.data.fields), moduli.shape[1], len(shell)
    places = {int(row): place for place, row in enumerate(windows.rows)}
    direct, lagged = Gain((len(places), C, S)), Gain((len(places), C, S))
    across, energy = torch.zeros(C, K).to(torch.complex128), torch.zeros(C, K).double()

    def folded(values: Tensor) -> Tensor:
        return values.new_zeros(*values.shape[:2], S).index_add_(2, shell, values * freedom)

    for part in index.split(max(1, VALUES // math.prod(windows.frames.shape))):
        before, u, last = windows.at(part, (0, lag, m + lag)).double()
        gamma = windows.parameters(part, m + lag).double()
        p, z = fitted.changes(u, m, gamma), fitted.changes(before, m, gamma)
        c, p, z, f = (space.forward(each).flatten(2) for each in (u, p, z, last - u))
        trajectory = torch.tensor([places[int(row)] for row in windows.trajectory(part, m + lag)])
        direct.add(folded((p.conj() * (f - p)).real), folded(p.abs().square()), trajectory)
        lagged.add(folded((z.conj() * (f - p)).real), folded((z.conj() * p).real), trajectory)
        across, energy = across + (c.conj() * p).sum(0), energy + c.abs().square().sum(0)
    total = windows.count(m)
    variance = lagged.variance(total, m) + _of_noise(direct, lagged, moduli[0], total, m)
    error = variance.sqrt() / (1 + lagged.error()).abs() * _of_logarithm(across / energy, shell, S)
    return error.where(lagged.known, torch.inf).nan_to_num(torch.inf, posinf=torch.inf)


def _of_noise(direct: Gain, lagged: Gain, moduli: Float[Tensor, " S"], total: int, m: int) -> Float[Tensor, "C S"]:
    """Square of the difference that measurement noise causes, if it is significant, and otherwise zero.

    Neighboring |κ| are binned; a bin is as wide as the smallest |κ|.
    """
    smallest = float(moduli[moduli > 0].min())
    place = (moduli / smallest).round().long()

    def binned(gain: Gain) -> Gain:
        found = Gain((gain.shape[0], gain.shape[1], int(place.max()) + 1))
        found.windows = gain.windows
        for name in ("x", "a", "xx", "xa", "aa"):  # modes of different |κ| are independent
            sums = getattr(found, name)
            sums.index_add_(sums.ndim - 1, place, getattr(gain, name))
        return found

    one, other = binned(direct), binned(lagged)
    difference = (other.error() - one.error()).square()
    variance = other.variance(total, m, sample=True) - one.variance(total, m, sample=True)
    return torch.where(difference > SURE**2 * variance, difference, 0.0)[:, place]


def _of_logarithm(G: Tensor, shell: Int[Tensor, " K"], S: int) -> Float[Tensor, "C S"]:
    """Relative error of log(1 + G) over that of G, the symbol of the increment, averaged over each |κ|."""
    one = 1 + G
    factor = (G.abs() / (one.abs() * torch.log(one).abs())).nan_to_num(torch.inf, posinf=torch.inf)
    total = factor.new_zeros(len(G), S).index_add_(1, shell, factor)
    return total / torch.bincount(shell, minlength=S)
