"""The signal of a run, and what fewer or more cells change of it.

A cell is the mean of a field over its width, and the noise of the waves does not depend on the cells, so that the
variance of a cell is proportional to their number (particles that are counted, or any other noise that is white in
space). Fewer cells do not show the shorter waves. More cells show waves that are shorter than the cells of the model,
as far as the file of the runs has them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from morlight.analysis.next_run.candidates import Candidate
from morlight.analysis.next_run.disagreement import axes_but, relative, signal
from morlight.analysis.next_run.runs import Runs, diverging
from morlight.data.ensembles import coarse

ALIKE = 0.01  # of the present error, within which the cells do not matter


@dataclass(frozen=True)
class Signals:
    """Signals of candidates.

    Attributes:
        runs: the runs so far.
        gammas: γ of the roll-outs.
        walks: roll-outs.
        noise: share of the mean square of each field.
        kept: places of the realizations among those of the runs.
    """

    runs: Runs
    gammas: Sequence[Mapping[str, float]]
    walks: Float[np.ndarray, "R G T C *X"]
    noise: Float[np.ndarray, "G C"]
    kept: Sequence[int]
    _finer: dict[int, Float[np.ndarray, "R G T C *Y"]] = field(default_factory=dict, repr=False)

    def of(self, candidate: Candidate) -> float:
        """S of the runs of a candidate: what their cells show of the disagreement in those of the model.

        Raises:
            ValueError: if roll-outs with these cells diverge.
        """
        place = list(self.gammas).index(dict(candidate.gamma))
        walks, noise = self.walks[:, place, : candidate.frames], self.noise[place]
        deviation, size = relative(walks[:, 1:], axes_but(walks, but=(0, 2)))
        values = deviation[0, :, 0].size  # the size is that of so many values of a field
        per_field = np.sqrt(values / noise).reshape(-1, *(1,) * (walks.ndim - 3))
        points, cells = self.runs.model.grid.points, candidate.cells or walks.shape[3]
        seen = deviation * per_field
        if cells > points[0]:
            fine = self._on(cells)[:, place, 1 : candidate.frames]
            seen = (fine - fine.mean(0)) / np.maximum(size, np.finfo(np.float64).tiny) * per_field
        factor = points[0] / cells  # of the widths of the cells
        shown = coarse(seen, round(factor), len(points)) if factor > 1 else seen
        shown = shown * factor ** (len(points) / 2)
        return candidate.seeds * signal(_rows(shown), np.ones(1), _rows(deviation * per_field))

    def _on(self, cells: int) -> Float[np.ndarray, "R G T C *Y"]:
        """Roll-outs with more cells than those of the model."""
        if cells not in self._finer:
            runs = self.runs.on(cells)
            walks = runs.typical(self.gammas, self.walks.shape[2])[0][list(self.kept)]
            lost = int(diverging(runs.model, walks).any(1).sum())
            if lost:
                raise ValueError(
                    f"{runs.model.path}: roll-outs of {lost} of {len(walks)} realizations diverge with {cells} cells,"
                    f" whose waves are shorter than those of the training data; expected cells of at most"
                    f" {self.runs.model.grid.points[0]}"
                )
            self._finer[cells] = walks
        return self._finer[cells]


def remark_on_cells(rows: Sequence[Candidate], errors: Sequence[float], now: float) -> str | None:
    """That the cells do not matter, if the errors after candidates that differ only in their cells are alike."""
    equal: dict[tuple[object, ...], list[float]] = {}
    for row, error in zip(rows, errors, strict=True):
        equal.setdefault((*row.gamma.values(), row.seeds, row.frames), []).append(error)
    several = [each for each in equal.values() if len(each) > 1]
    if not several or max(max(each) - min(each) for each in several) > ALIKE * now:
        return None
    cells = sorted({row.cells for row in rows if row.cells is not None})
    return (
        f"the number of cells does not matter: with {', '.join(map(str, cells))}, the expected errors differ by less"
        f" than {100 * ALIKE:.0f} % of the present one"
    )


def _rows(deviation: Float[np.ndarray, "R *n"]) -> Float[np.ndarray, "R n"]:
    return deviation.reshape(len(deviation), -1)
