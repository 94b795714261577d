"""Vectors among the fields (`model.vectors`): which configurations and data they go with."""

from collections.abc import Sequence

from morlight.operators.config import OperatorConfig
from morlight.operators.description import DataDescription
from morlight.operators.vector_isotropy import Tensors

AXES = "xyz"


def given_vectors(config: OperatorConfig, data: DataDescription) -> Tensors | None:
    """Scalars and vectors of the data; None if the configuration names no vectors.

    Raises:
        ValueError: if vectors do not go with the data or with other options, or if a bias would treat the components
            of a vector as scalars.
    """
    names = data.field_names
    if not config.vectors:
        _refuse_components(config, names)
        return None
    D = data.grid.dimensions
    if D < 2 or set(data.grid.boundaries) != {"PERIODIC"}:
        raise ValueError("model.vectors: expected periodic fields in two or three dimensions")
    components = [name for vector in config.vectors for name in vector]
    for vector in config.vectors:
        if len(vector) != D or not set(vector) <= set(names):
            raise ValueError(f"model.vectors has {vector}, expected {D} components among {', '.join(names)}")
    if len(set(components)) != len(components):
        raise ValueError(f"model.vectors names a field twice: {', '.join(components)}")
    if not all(config.has("isotropy", name) for name in names):
        raise ValueError("model.vectors goes with isotropy of all fields, expected model.biases [isotropy]")
    for vector in config.vectors:
        if len({config.has("conservation", name) for name in vector}) > 1:
            raise ValueError(f"model.biases: conservation of some of {', '.join(vector)}, expected all or none of them")
    _refuse_options(config, data)
    return Tensors.of(names, config.vectors)


def mean_of_components(values: Sequence[float], tensors: Tensors) -> list[float]:
    """Sizes of fields, with that of the components of a vector replaced by their root mean square."""
    shared = list(values)
    for places in tensors.places:
        for place in places:
            shared[place] = (sum(values[each] ** 2 for each in places) / len(places)) ** 0.5
    return shared


def _refuse_components(config: OperatorConfig, names: Sequence[str]) -> None:
    """Refuse isotropy of components that would not turn with the axes."""
    if not config.has("isotropy"):
        return
    for name in names:
        stem, _, axis = name.rpartition("_")
        vector = [f"{stem}_{each}" for each in AXES if f"{stem}_{each}" in names]
        if stem and axis in AXES and len(vector) > 1 and config.has("isotropy", name):
            raise ValueError(
                f"model.biases: isotropy treats {' and '.join(vector)} as scalars, expected model.vectors"
                f" [[{', '.join(vector)}]], so that they turn with the axes, or no isotropy"
            )


def _refuse_options(config: OperatorConfig, data: DataDescription) -> None:
    unsuited = {
        "symbol dissipative": config.symbol != "plain",
        "order 2": config.order == 2,
        f"scheme {config.scheme}": config.scheme != "explicit",
        "an equation": config.equation is not None,
        "complex_isotropy": config.complex_isotropy,
        "the bias reflection (isotropy contains it)": config.has("reflection"),
        "the bias stability": config.has("stability"),
        "the bias gradient_flow": config.has("gradient_flow"),
        "targets without time": data.steady,
        "data.scaling power": any(field.powers for field in data.fields),
    }
    if found := [name for name, given in unsuited.items() if given]:
        raise ValueError(
            f"model.vectors does not go with {' and '.join(found)}; expected explicit steps with model.symbol plain"
        )
