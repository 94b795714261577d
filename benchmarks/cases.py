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

BATCH = 100
PLAIN: dict[str, Any] = {"symbol": "plain", "activation": "elu", "seed": 0, "literal": False}
PERIODIC: dict[str, Any] = {"fields": ["u"], "scale": [1.0]}


@dataclass(frozen=True)
class Case:
    """Words of a model and the description of its data.

    Attributes:
        bounds: of the fields, for a table of h where h is a function of one variable.
        values: of the parameter γ, evenly over the batch.
    """

    model: dict[str, Any]
    data: dict[str, Any]
    bounds: tuple[float, float] | None
    values: int = 0

    def operator(self, realizations: int, dtype: torch.dtype) -> Operator:
        """Freshly initialised."""
        return build.operator(self.model | PLAIN | {"realizations": realizations}, self.data).to(dtype)

    def batch(self, dtype: torch.dtype, fields: int = BATCH) -> tuple[Tensor, Tensor, Tensor | None]:
        """Fields, what they should become, and γ."""
        shape = (1, fields, len(self.data["fields"]), *self.data["points"])
        generator = torch.Generator().manual_seed(0)
        u, target = torch.rand(2, *shape, generator=generator, dtype=torch.float64).to(dtype).unbind()
        gamma = torch.linspace(0.1, 1, self.values or 1, dtype=dtype)[torch.arange(fields) % (self.values or 1), None]
        return u, target, gamma if self.values else None


def periodic(points: list[int], **model: Any) -> Case:
    """One periodic field, h tabulated."""
    data = PERIODIC | {"points": points, "length": [math.tau] * len(points), "boundaries": ["PERIODIC"] * len(points)}
    return Case(model, data, (-2.0, 2.0))


CHANNEL: dict[str, Any] = {
    "fields": ["density", "momentum"],
    "points": [20],
    "length": [1.0],
    "boundaries": ["WALL"],
    "scale": [1.0, 1.0],
    "parameters": ["rho"],
    "gamma_scale": [0.5],
}
CASES = {
    "A": periodic([64, 64], biases=["conservation", "reflection", "isotropy"], width=8, depth=8),
    "B": periodic([256], biases=["conservation", "reflection"], width=4, depth=4),
    "C": Case(
        {"biases": {"density": ["conservation"]}, "width": 4, "depth": 4, "terms": 2, "bases": {"momentum": "sine"}},
        CHANNEL,
        None,
        values=8,
    ),
}
