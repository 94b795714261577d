"""OperatorConfig and DataDescription to the walls of an operator, and to what they add to its terms."""

from collections.abc import Sequence

from morlight.operators.bases import Basis
from morlight.operators.config import OperatorConfig
from morlight.operators.description import DataDescription
from morlight.operators.wall_words import read
from morlight.operators.walls import Lift, Walls


def given_walls(config: OperatorConfig, data: DataDescription) -> Walls | None:
    """Values and slopes of all fields at the walls, 0 where none are given; None where none of any field are.

    Raises:
        ValueError: where they are for other data or another basis.
    """
    if not config.walls:
        return None
    grid, names = data.grid, data.field_names
    if grid.boundaries.count("WALL") != 1 or data.steady:
        raise ValueError("model.walls needs fields that change in time, with walls across one axis")
    kinds = [config.wall(name) for name in names]
    if "legendre" in kinds:
        raise ValueError("model.walls goes with the bases cosine, sine and robin, and not with legendre")
    for name, kind in zip(names, kinds, strict=True):
        if name in config.walls and kind == "cosine" and config.has("conservation", name):
            raise ValueError(
                f"model.walls has slopes of {name}, which flows in through the walls; expected no conservation of"
                f" it, or values in model.bases {{{name}: sine}}"
            )
    ends = [[read(end) for end in config.walls.get(name, [0, 0])] for name in names]
    for parameter in [name for pair in ends for product in pair for name in product.parameters]:
        if parameter not in data.parameter_names:
            raise ValueError(
                f"model.walls names {parameter}, expected a parameter of data.parameters:"
                f" {', '.join(data.parameter_names) or 'it has none'}"
            )
    D, axis = grid.dimensions, grid.boundaries.index("WALL")
    low, high = (tuple(pair[side] for pair in ends) for side in (0, 1))
    slopes = tuple(kind == "cosine" for kind in kinds)
    return Walls(
        D, axis - D, grid.points[axis], grid.length[axis], slopes, low, high, tuple(data.parameter_names)
    )  # fmt: skip


def lift(
    walls: Walls | None, config: OperatorConfig, space: Basis, names: Sequence[str], *, anchored: bool
) -> Lift | None:
    """What walls add to the terms of some fields that share a basis; the last of several terms acts on h as it is.

    Args:
        walls: of all fields.
        config: of the operator.
        space: basis of the fields.
        names: of the fields.
        anchored: whether a decaying term stands before the others.
    """
    if walls is None or names[0] not in config.walls:
        return None
    lifted = [*[True] * (config.terms - 1), config.terms == 1]
    return Lift(walls, space, slope=config.wall(names[0]) == "cosine", lifted=[True] * anchored + lifted)
