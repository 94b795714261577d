"""The contents of a checkpoint under 'morlight', and the conversion of older layouts.

Layout 3 has plain values alone: `operator` (OperatorConfig), `training` (LossConfig and the algorithm), `data`
(DataDescription), `modes` (ModeStatistics), `run`, `growth` (Certificate) and `losses` (RealizationLosses). Layouts 1
and 2 had them as hyperparameters of Lightning.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from morlight.analysis.jackknife import Jackknife
from morlight.analysis.typed import check_types
from morlight.operators.config import OperatorConfig
from morlight.operators.description import DataDescription
from morlight.operators.fluctuations import Fluctuations

LAYOUT = 3


@dataclass(frozen=True)
class Certificate:
    """Largest growth of a small disturbance in one explicit or exponential step.

    Attributes:
        method: symbol, |1 + g h′| over all modes and low ≤ u ≤ high, steps, that of exponential steps over the same, or
            radius, the spectral radius of the linearized step at some states.
        per_realization: growth of each realization.
        low: smallest value of the field, for the symbol.
        high: largest value.
        states: number of states, for the radius.
    """

    method: Literal["symbol", "steps", "radius"]
    per_realization: tuple[float, ...]
    low: float | None = None
    high: float | None = None
    states: int | None = None

    def to_json(self) -> dict[str, Any]:
        """As `morlight inspect --json` shows it."""
        values = {key: value for key, value in asdict(self).items() if value is not None}
        return values | {"per_realization": list(self.per_realization)}


@dataclass(frozen=True)
class RealizationLosses:
    """Loss or error of every realization at the time of the checkpoint.

    Attributes:
        name: val_rollout (see `morlight.training.callbacks.ranking`), val_loss, or train_loss if nothing is held back.
        per_realization: values.
    """

    name: str
    per_realization: tuple[float, ...]


@dataclass(frozen=True)
class LinearPart:
    """λ of the fields that share a basis, as plain values (see `linear_model`).

    Attributes:
        fields: their places.
        affine: whether the numbers are coefficients of λ and of an offset, linear in γ.
        real: real parts, flat.
        imag: imaginary parts, flat.
    """

    fields: tuple[int, ...]
    affine: bool
    real: tuple[float, ...]
    imag: tuple[float, ...]


@dataclass(frozen=True)
class ModeStatistics:
    """Linear model and rate errors of single modes, estimated from the training data.

    Attributes:
        linear: the linear model.
        rate_errors: relative standard error of the rate of each |κ|, by field; None where there is none.
    """

    linear: tuple[LinearPart, ...] = ()
    rate_errors: tuple[tuple[float, ...], ...] | None = None


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as typed values.

    Attributes:
        path: the file.
        config: of the operator.
        training: options of loss and algorithm, plain values.
        data: description of the training data.
        modes: what they say of each mode.
        run: identity of the tracked run that wrote it.
        growth: certificate of stability, where known.
        losses: of every realization, where known.
        weights: of the operator.
        components: whether the operator has networks or biases of the user's own, which no file can hold.
        jackknife: changes of the weights without each block of the data, where known.
        fluctuations: noise of the steps, where it was learned.
    """

    path: Path
    config: OperatorConfig
    training: Mapping[str, Any]
    data: DataDescription
    modes: ModeStatistics
    run: str | None
    growth: Certificate | None
    losses: RealizationLosses | None
    weights: Mapping[str, Tensor]
    components: bool = False
    jackknife: Jackknife | None = None
    fluctuations: Fluctuations | None = None

    def only(self, chosen: Sequence[int]) -> "Checkpoint":
        """The checkpoint restricted to some realizations; the weights still contain all."""
        losses, growth, jackknife = self.losses, self.growth, self.jackknife
        if losses is not None:
            losses = replace(losses, per_realization=tuple(losses.per_realization[r] for r in chosen))
        if growth is not None:
            growth = replace(growth, per_realization=tuple(growth.per_realization[r] for r in chosen))
        if jackknife is not None:
            jackknife = jackknife.only(self.config.realizations, chosen)
        fluctuations = None if self.fluctuations is None else self.fluctuations.only(chosen)
        config = replace(self.config, realizations=len(chosen))
        return replace(
            self, config=config, losses=losses, growth=growth, jackknife=jackknife, fluctuations=fluctuations
        )

    def to_plain(self) -> dict[str, Any]:
        """Plain values stored under 'morlight' in the file; Lightning stores the weights."""
        return {
            "layout": LAYOUT,
            "operator": self.config.to_plain(),
            "training": dict(self.training),
            "data": self.data.to_plain(),
            "modes": asdict(self.modes),
            "run": self.run,
            "growth": None if self.growth is None else asdict(self.growth),
            "losses": None if self.losses is None else asdict(self.losses),
            "components": self.components,
            "jackknife": None if self.jackknife is None else self.jackknife.to_plain(),
            "fluctuations": None if self.fluctuations is None else self.fluctuations.to_plain(),
        }


def read(path: str | Path) -> Checkpoint:
    """A checkpoint of any layout, opened without executing any code in it.

    Raises:
        ValueError: where the file is missing, damaged, or not a checkpoint of morlight.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path}: no such checkpoint file")
    try:
        with warnings.catch_warnings():  # torch muses on how a foreign file was pickled
            warnings.simplefilter("ignore")
            saved = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged archive or pickle has errors of every kind
        raise ValueError(
            f"{path}: not a readable checkpoint of morlight, expected one that `morlight fit` wrote"
        ) from error
    plain = saved.get("morlight") if isinstance(saved, Mapping) else None
    if not isinstance(plain, Mapping):
        raise ValueError(f"{path}: key 'morlight' is missing, expected a checkpoint that `morlight fit` wrote")
    layout = plain.get("layout")
    if layout not in [*MIGRATIONS, LAYOUT]:
        known = ", ".join(str(number) for number in [*MIGRATIONS, LAYOUT])
        raise ValueError(f"{path}: layout {layout} is unknown to this version, expected one of {known}")
    try:
        while plain["layout"] != LAYOUT:
            plain = MIGRATIONS[plain["layout"]](plain, saved.get("hyper_parameters", {}))
        return _typed(path, plain, saved["state_dict"])
    except KeyError as error:
        raise ValueError(f"{path}: key {error} is missing, expected a checkpoint that `morlight fit` wrote") from error
    except (TypeError, AttributeError, IndexError, OverflowError) as error:
        raise ValueError(f"{path}: holds values of other types than `morlight fit` writes ({error})") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _typed(path: Path, plain: Mapping[str, Any], state: Mapping[str, Tensor]) -> Checkpoint:
    modes, growth, losses = plain["modes"], plain["growth"], plain["losses"]
    linear = tuple(
        LinearPart(tuple(part["fields"]), part["affine"], tuple(part["real"]), tuple(part["imag"]))
        for part in modes["linear"]
    )
    errors = modes["rate_errors"]
    options = {**ADDED_OPTIONS, **plain["operator"]}
    for each in fields(OperatorConfig):
        if each.name not in options:  # a default in its place would be another operator
            raise KeyError(each.name)
    weights = {key.removeprefix("operator."): value for key, value in state.items()}
    jackknife, fluctuations = plain.get("jackknife"), plain.get("fluctuations")
    config, data = OperatorConfig(**options), DataDescription.from_plain(plain["data"])
    found = Checkpoint(
        path,
        config,
        plain["training"],
        data,
        ModeStatistics(linear, None if errors is None else tuple(tuple(each) for each in errors)),
        plain["run"],
        None if growth is None else Certificate(**{**growth, "per_realization": tuple(growth["per_realization"])}),
        None if losses is None else RealizationLosses(losses["name"], tuple(losses["per_realization"])),
        weights,
        bool(plain.get("components", False)),
        None if jackknife is None else Jackknife.from_plain(jackknife, weights),
        None if fluctuations is None else Fluctuations.from_plain(fluctuations, config.realizations, len(data.fields)),
    )
    _check(found)
    return found


def _check(found: Checkpoint) -> None:
    """Refuse values of other types, numbers that no operator has, and claims beyond the weights.

    Raises:
        ValueError: naming the value.
    """
    config, data = found.config, found.data
    check_types("operator", config)
    check_types("data", data, finite=True)
    for name, part in (("modes", found.modes), ("growth", found.growth), ("losses", found.losses)):
        if part is not None:
            check_types(name, part)
    if not isinstance(found.run, str | None):
        raise ValueError(f"run is {found.run!r}, expected text")
    if data.dt <= 0 or not data.fields:
        raise ValueError(f"data has Δt = {data.dt} and the fields {data.field_names}, expected Δt > 0 and a field")
    for key, value in found.weights.items():
        if not isinstance(value, Tensor) or not torch.isfinite(value).all():
            raise ValueError(f"weight {key} is not finite, as after a fit that diverged")
    each = (config.depth - 1) * config.width if config.equation is None else 1  # offsets or coefficients, at least
    hidden = config.realizations * config.terms * each
    if not found.components and hidden > sum(value.numel() for value in found.weights.values()):
        raise ValueError("the weights do not fit the configuration beside them")


# which layout 3 had not from the start, as operators work without them
ADDED_OPTIONS: dict[str, Any] = {"substeps": 1, "equation": None, "walls": {}, "vectors": [], "slip_lengths": {}}
FIRST_OPTIONS = (
    "biases",
    "symbol",
    "width",
    "depth",
    "activation",
    "realizations",
    "seed",
)  # of layout 1 from the start
LATER_OPTIONS = {"terms": 1, "bases": {}, "flux": False, "order": 1, "scheme": "explicit"}  # which came one by one
Migration = Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, Any]]


def _second(marks: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Layout 2 added the losses of the realizations and the range of γ, both unknown in older files."""
    return {"losses": None, **marks, "layout": 2}


def _third(marks: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Layout 3 has typed parts; `literal` became separate options."""
    data = settings["data"]
    literal = settings["literal"]
    split = {
        "field_scaling": not literal,
        "wavenumber_scaling": not literal,
        "parameter_scaling": not literal,
        "complex_isotropy": literal,
        "odd_jump": literal,
        "initial_slope": "random" if literal else "positive",
    }
    known = {each.name for each in fields(OperatorConfig)}
    options = {key: settings[key] for key in FIRST_OPTIONS}  # a missing one has no default
    options |= {key: value for key, value in settings.items() if key in known}
    rest = {key: value for key, value in settings.items() if key not in (*known, "data", "literal")}
    return {
        "layout": 3,
        "operator": {**LATER_OPTIONS, **options, **split},
        "training": rest | ({"field_weights": "none"} if literal else {}),
        "data": _description(data),
        "modes": {
            "linear": [{"affine": False, **part} for part in data.get("linear", [])],
            "rate_errors": data.get("rate_errors"),
        },
        "run": marks.get("run"),
        "growth": marks.get("growth"),
        "losses": marks.get("losses"),
    }


def _description(data: Mapping[str, Any]) -> dict[str, Any]:
    """The description of the data, which was one flat dictionary."""
    count = len(data["fields"])
    names = {"low": "low", "high": "high", "scale": "scale", "spread": "spread", "reach": "reach"}
    columns = {new: data[old] for new, old in names.items() if data.get(old) is not None}
    columns |= {"quantiles": data["values"]} if "values" in data else {}
    columns |= {"target": data["unit"]} if data.get("unit") else {}
    columns |= {"powers": data["powers"]} if data.get("powers") else {}
    fields_ = [{"name": data["fields"][c], **{key: values[c] for key, values in columns.items()}} for c in range(count)]
    ranges = {"scale": "gamma_scale", "spread": "gamma_spread", "low": "gamma_low", "high": "gamma_high"}
    known = {new: data[old] for new, old in ranges.items() if data.get(old)}
    parameters = [
        {"name": name, **{key: values[p] for key, values in known.items()}}
        for p, name in enumerate(data.get("parameters", []))
    ]
    return {
        "name": data.get("name", ""),
        "digest": data.get("digest", ""),
        "grid": {key: data[key] for key in ("points", "length", "boundaries")},
        "dt": data["dt"],
        "fields": fields_,
        "parameters": parameters,
        "targets": data.get("targets", []),
        "band": data.get("band"),
        "coarsen": data.get("coarsen", 1),
    }


MIGRATIONS: dict[int, Migration] = {1: _second, 2: _third}
