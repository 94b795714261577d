"""The three systems whose training steps are measured.

A: heat in the plane, 64 × 64 points, isotropic, width 8, depth 8. B: on a line, 256 points. C: density and momentum
of a Lennard-Jones fluid between walls, 20 points, two terms, one parameter with eight values. Batches of 100 fields.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from morlight.operators import Operator, build
from morlight.operators.config import OperatorConfig
from morlight.operators.description import DataDescription, FieldStatistics, Grid, ParameterStatistics

BATCH = 100


@dataclass(frozen=True)
class Case:
    """An operator and the description of its data.

    Attributes:
        options: of the operator.
        data: description.
        bounds: of the fields, for a table of h where h is a function of one variable.
        values: number of values of the parameter γ, evenly over the batch; 0 without a parameter.
    """

    options: dict[str, Any]
    data: DataDescription
    bounds: tuple[float, float] | None
    values: int = 0

    def operator(self, realizations: int, dtype: torch.dtype) -> Operator:
        """Freshly initialized."""
        config = OperatorConfig(**self.options, symbol="plain", realizations=realizations)
        return build.operator(config, self.data).to(dtype)

    @property
    def isotropic(self) -> bool:
        """Whether g depends on |κ| alone."""
        return OperatorConfig(**self.options).has("isotropy")

    def batch(self, dtype: torch.dtype, fields: int = BATCH) -> tuple[Tensor, Tensor, Tensor]:
        """Fields, what they should become, and γ (fields, P)."""
        shape = (1, fields, len(self.data.fields), *self.data.grid.points)
        generator = torch.Generator().manual_seed(0)
        u, target = torch.rand(2, *shape, generator=generator, dtype=torch.float64).to(dtype).unbind()
        if not self.values:
            return u, target, torch.empty(fields, 0, dtype=dtype)
        values = torch.linspace(0.1, 1, self.values, dtype=dtype)
        return u, target, values[torch.arange(fields) % self.values, None]


def description(
    fields: tuple[str, ...], grid: Grid, parameters: tuple[ParameterStatistics, ...] = ()
) -> DataDescription:
    """Fields between −2 and 2 in units of their own."""
    statistics = tuple(FieldStatistics(name, -2.0, 2.0, 1.0, quantiles=(-2.0, 0.0, 2.0)) for name in fields)
    return DataDescription("benchmark", "", grid, 1.0, statistics, parameters)


def periodic(points: list[int], **options: Any) -> Case:
    """One periodic field, h tabulated."""
    count = len(points)
    grid = Grid(tuple(points), (math.tau,) * count, ("PERIODIC",) * count)
    return Case(options, description(("u",), grid), (-2.0, 2.0))


CASES = {
    "A": periodic([64, 64], biases=["conservation", "reflection", "isotropy"], width=8, depth=8),
    "B": periodic([256], biases=["conservation", "reflection"], width=4, depth=4),
    "C": Case(
        {"biases": {"density": ["conservation"]}, "width": 4, "depth": 4, "terms": 2, "bases": {"momentum": "sine"}},
        description(("density", "momentum"), Grid((20,), (1.0,), ("WALL",)), (ParameterStatistics("rho", 0.5),)),
        None,
        values=8,
    ),
}
