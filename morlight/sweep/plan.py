"""What a sweep is to do, read from YAML; knows neither Optuna nor torch.

name: brownian                  # of the study; the stem of the file by default
config: ../brownian.yaml        # base, a configuration of `morlight fit`; beside this file or the working directory
set: {data.path: small.h5}      # changes of the base for all trials
space:                          # keys of `morlight fit`
  model.width: {low: 1, high: 8}                                # whole numbers where both ends are
  model.lr: {low: 1.0e-5, high: 1.0e-1, log: true}              # numbers; step: S for multiples
  model.activation: [elu, gelu]                                 # categories; lists and mappings too
  model.horizons: {low: 1, high: 8, as: up_to}                  # m stands for [1, …, m]; as: single for [m]
  trainer.max_epochs: {low: 10, high: 1000, log: true, per: model.horizons}    # so many for each entry of that list
  model.smoothness: {low: 1.0e-4, high: 1.0, log: true, when: {model.optimizer: adam}}     # else as in the base
objective: eq35                 # a metric of the run; of NAME/median just NAME; two of them for a Pareto front
direction: minimize             # or maximize; a list for two
sampler: gp                     # gp (Gaussian process), tpe, random, grid; grid takes `points: N` of each range
longest: 600                    # s, largest predicted duration of a trial of sampler gp; any by default
pruner: none                    # median, hyperband or halving, by `watch`
watch: val_loss/median          # metric of each epoch for the pruner
trials: 100
workers: 1                      # processes on this machine
storage: sqlite:///sweeps.db    # a journal file in mlruns/sweeps by default; postgresql://…, journal:///…
seed: 0
heartbeat: 20                   # s; a trial without a sign of life for three of them is taken up by another worker
register: NAME                  # of a registered model: the best trial becomes its version with the alias `best`
"""

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from morlight.training.configurations import located, names, read_yaml

SAMPLERS = ("gp", "tpe", "random", "grid")
PRUNERS = ("none", "median", "hyperband", "halving")
DIRECTIONS = ("minimize", "maximize")
FORMS = ("number", "single", "up_to")


@dataclass(frozen=True)
class Dimension:
    """One axis of a search space: a range from `low` to `high`, or `choices`.

    Args:
        key: of `morlight fit`.
        low: smallest value.
        high: largest value; whole numbers where both are.
        log: whether the logarithm is searched evenly.
        step: between two values.
        points: of a grid.
        choices: in place of a range.
        when: the dimension exists only where other keys have these values (or one of a list).
        form: number; single, the list of this one number; or up_to, the list from 1 to it.
        per: a key that holds a list; the value is multiplied by its length.
    """

    key: str
    low: float | int | None = None  # whole numbers stay whole
    high: float | int | None = None
    log: bool = False
    step: float | int | None = None
    points: int | None = None
    choices: tuple[Any, ...] = ()
    when: Mapping[str, Any] = field(default_factory=dict)
    form: str = "number"
    per: str | None = None

    @classmethod
    def read(cls, key: str, given: Any) -> "Dimension":
        """From what stands behind the key in YAML.

        Raises:
            ValueError: naming the key and what was expected.
        """
        if isinstance(given, list):
            given = {"choices": given}
        if not isinstance(given, dict):
            raise ValueError(f"space.{key} is {given!r}, expected a list of choices, or low and high")
        words = {"form" if name == "as" else name: value for name, value in given.items()}
        unknown = sorted(set(words) - {f.name for f in fields(cls)} | set(words) & {"key"})
        if unknown:
            raise ValueError(
                f"space.{key} has {', '.join(unknown)}, expected some of low, high, log, step, points, choices, when,"
                " as, per"
            )
        words |= {name: _number(words[name]) for name in ("low", "high", "step") if name in words}
        words["choices"] = tuple(words.get("choices") or ())
        found = cls(key, **words)
        found._check()
        return found

    def _check(self) -> None:
        place = f"space.{self.key}"
        if self.choices:
            if self.low is not None or self.high is not None or self.log or self.step or self.points:
                raise ValueError(f"{place} has choices and a range, expected one of them")
        elif not (_is_number(self.low) and _is_number(self.high)):
            raise ValueError(f"{place} has low {self.low!r} and high {self.high!r}, expected two finite numbers")
        elif self.low > self.high or (self.log and self.low <= 0):  # type: ignore[operator]
            expected = "0 < low ≤ high" if self.log else "low ≤ high"
            raise ValueError(f"{place} reaches from {self.low} to {self.high}, expected {expected}")
        if self.step is not None and (not _is_number(self.step) or self.step <= 0 or self.log):
            raise ValueError(f"{place}.step is {self.step!r}, expected a number above 0, and no log beside it")
        if self.points is not None and (not isinstance(self.points, int) or self.points < 1):
            raise ValueError(f"{place}.points is {self.points!r}, expected a whole number above 0")
        if self.form not in FORMS:
            raise ValueError(f"{place}.as is {self.form!r}, expected one of {', '.join(FORMS)}")
        if self.form != "number" and not self.whole:
            raise ValueError(f"{place}.as is {self.form}, expected whole numbers as low and high")
        if not isinstance(self.when, Mapping):
            raise ValueError(f"{place}.when is {self.when!r}, expected KEY: VALUE")

    @property
    def whole(self) -> bool:
        """Whether the values are whole numbers."""
        return not self.choices and all(isinstance(end, int) for end in (self.low, self.high, self.step or 1))

    def active(self, values: Mapping[str, Any]) -> bool:
        """Whether the dimension exists beside these values of others."""
        return all(
            key in values and values[key] in (wanted if isinstance(wanted, list) else [wanted])
            for key, wanted in self.when.items()
        )

    def grid(self) -> list[Any]:
        """All values, or `points` of them.

        Raises:
            ValueError: where a range of numbers does not tell how many.
        """
        if self.choices:
            return list(self.choices)
        low, high = self.low, self.high
        assert low is not None
        assert high is not None
        if self.step is not None or (self.whole and self.points is None):
            step = self.step or 1
            return [low + i * step for i in range(int((high - low) / step + 1e-9) + 1)]
        if self.points is None:
            raise ValueError(f"space.{self.key}.points is missing, a grid expects the number of values of each range")
        ends = (math.log(low), math.log(high)) if self.log else (low, high)
        shares = [i / max(1, self.points - 1) for i in range(self.points)]
        found = [ends[0] + share * (ends[1] - ends[0]) for share in shares]
        values = [math.exp(v) for v in found] if self.log else found
        inside = [min(max(v, low), high) for v in values]  # rounding of the logarithm
        return sorted({round(v) for v in inside}) if self.whole else inside

    def setting(self, value: Any) -> Any:
        """The value as the configuration takes it, before `per`."""
        return {"number": value, "single": [value], "up_to": list(range(1, int(value) + 1)) if self.whole else None}[
            self.form
        ]

    def given(self) -> dict[str, Any]:
        """As in YAML."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "key"}
        words = {("as" if name == "form" else name): v for name, v in values.items() if v or name in ("low", "high")}
        return json.loads(json.dumps({name: value for name, value in words.items() if value is not None}))


@dataclass(frozen=True)
class Plan:
    """A sweep: base configuration, search space, objective, and how to go about it (see the module)."""

    name: str
    config: Path
    space: tuple[Dimension, ...]
    objective: tuple[str, ...]
    direction: tuple[str, ...] = ("minimize",)
    set: Mapping[str, Any] = field(default_factory=dict)
    sampler: str = "gp"
    longest: float | None = None
    pruner: str = "none"
    watch: str = "val_loss/median"
    limit: float = 1e6
    trials: int | None = None
    workers: int = 1
    storage: str | None = None
    seed: int = 0
    heartbeat: int = 20
    register: str | None = None

    @classmethod
    def read(cls, path: str | Path, **changes: Any) -> "Plan":
        """The plan in a YAML file.

        Args:
            path: the file.
            changes: values that replace those of the file, where they are not None.

        Raises:
            ValueError: naming the file, the key, and what was expected.
        """
        path = Path(path)
        given = read_yaml(path)
        if not isinstance(given, dict):
            raise ValueError(f"{path}: expected KEY: VALUE, with config, space and objective")
        try:
            return cls._from(given | {k: v for k, v in changes.items() if v is not None}, path)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error

    @classmethod
    def _from(cls, given: dict[str, Any], path: Path) -> "Plan":
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(given) - known):
            raise ValueError(f"{', '.join(map(str, unknown))}: unknown, expected some of {', '.join(sorted(known))}")
        if missing := sorted({"config", "space", "objective"} - set(given)):
            raise ValueError(f"{', '.join(missing)}: missing")
        space = given["space"]
        if not isinstance(space, dict) or not space:
            raise ValueError("space is empty, expected a key of `morlight fit` and its range, or more of them")
        words = dict(given)
        words["name"] = str(given.get("name") or path.stem)
        words["config"] = _beside(path, str(given["config"]))
        words["space"] = _ordered([Dimension.read(str(key), value) for key, value in space.items()])
        words["objective"] = _tuple(given["objective"])
        words["direction"] = _tuple(given.get("direction", "minimize"))
        if len(words["direction"]) == 1:
            words["direction"] *= len(words["objective"])
        words["set"] = given.get("set") or {}
        if not isinstance(words["set"], dict):
            raise ValueError(f"set is {words['set']!r}, expected KEY: VALUE, keys of `morlight fit`")
        for key, due in (("limit", "a number above 0"), ("longest", "a number of seconds above 0")):
            value = _number(given.get(key, getattr(cls, key)))
            if value is None and key == "longest":
                continue
            if not _is_number(value) or value <= 0:
                raise ValueError(f"{key} is {value!r}, expected {due}")
            words[key] = float(value)
        plan = cls(**words)
        plan._check()
        return plan

    def _check(self) -> None:
        for key, value, known in (("sampler", self.sampler, SAMPLERS), ("pruner", self.pruner, PRUNERS)):
            if value not in known:
                raise ValueError(f"{key} is {value!r}, expected one of {', '.join(known)}")
        for key, least in (("workers", 1), ("heartbeat", 1), ("seed", 0)):
            value = getattr(self, key)
            if not isinstance(value, int) or value < least:
                raise ValueError(f"{key} is {value!r}, expected a whole number from {least}")
        if not self.name.strip() or "/" in self.name:
            raise ValueError(f"name is {self.name!r}, expected a word without a slash")
        self._check_objective()
        self._check_trials()

    def _check_objective(self) -> None:
        for value in self.direction:
            if value not in DIRECTIONS:
                raise ValueError(f"direction is {value!r}, expected one of {', '.join(DIRECTIONS)}")
        if not 1 <= len(self.objective) <= 2 or len(self.direction) != len(self.objective):
            raise ValueError(f"objective is {list(self.objective)}, expected one or two, each with its direction")
        if self.pruner != "none" and len(self.objective) > 1:
            raise ValueError(f"pruner is {self.pruner}, expected none with two objectives")

    def _check_trials(self) -> None:
        points = len(self.grid()) if self.sampler == "grid" else None
        wanted = points if self.trials is None else self.trials
        if not isinstance(wanted, int) or wanted < 1:
            raise ValueError(f"trials is {wanted!r}, expected a whole number from 1")
        if points is not None and wanted > points:
            raise ValueError(f"trials is {wanted}, expected at most {points}, the points of the grid")
        object.__setattr__(self, "trials", wanted)

    @property
    def total(self) -> int:
        """Number of trials that finish."""
        assert self.trials is not None
        return self.trials

    def grid(self) -> list[dict[str, Any]]:
        """Every point of the grid, conditions heeded."""
        axes = [dimension.grid() for dimension in self.space]
        found: list[dict[str, Any]] = []
        for point in itertools.product(*axes):
            values: dict[str, Any] = {}
            for dimension, value in zip(self.space, point, strict=True):
                if dimension.active(values):
                    values[dimension.key] = value
            if values not in found:
                found.append(values)
        return found

    def settings(self, values: Mapping[str, Any], base: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Keys of `morlight fit` for the values of a trial.

        Args:
            values: of the active dimensions.
            base: the base configuration, keys joined by dots; needed where a dimension is `per` a key of it.
        """
        of = {dimension.key: dimension for dimension in self.space}
        chosen = {key: of[key].setting(value) for key, value in values.items()}
        everything = dict(base or {}) | dict(self.set) | chosen
        for key in values:
            if (per := of[key].per) is not None:
                if not isinstance(everything.get(per), list):
                    raise ValueError(f"space.{key}.per is {per}, expected a key that holds a list")
                chosen[key] = chosen[key] * len(everything[per])
        return chosen

    def changes(self, settings: Mapping[str, Any], name: str) -> dict[str, Any]:
        """What a trial changes in the base configuration, for `morlight.fit`."""
        return {"trainer.enable_progress_bar": False, **self.set, **settings, "name": name}

    def text(self) -> str:
        """YAML that reads as this plan, wherever it lies."""
        plain = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None}
        plain |= {"config": str(self.config.absolute()), "set": dict(self.set)}
        plain |= {"objective": list(self.objective), "direction": list(self.direction)}
        plain["space"] = {dimension.key: dimension.given() for dimension in self.space}
        return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)

    def signature(self) -> dict[str, Any]:
        """What two processes must agree on to work on one study."""
        return {
            "space": {dimension.key: dimension.given() for dimension in self.space},
            "objective": list(self.objective),
            "direction": list(self.direction),
        }


def _ordered(space: Sequence[Dimension]) -> tuple[Dimension, ...]:
    """Dimensions after those that their conditions name."""
    left = list(space)
    found: list[Dimension] = []
    keys = {dimension.key for dimension in space}
    for dimension in space:
        if unknown := set(dimension.when) - keys:
            raise ValueError(f"space.{dimension.key}.when names {', '.join(unknown)}, expected keys of the space")
    while left:
        done = {dimension.key for dimension in found}
        ready = next((dimension for dimension in left if set(dimension.when) <= done), None)
        if ready is None:
            raise ValueError(f"space.{left[0].key}.when goes round in a circle")
        found.append(ready)
        left.remove(ready)
    return tuple(found)


def _beside(path: Path, name: str) -> Path:
    beside = path.parent / name
    if not beside.is_file() and not Path(name).is_file():
        if name in names():
            return located(name)
        raise ValueError(
            f"config is {name}, expected a file, beside {path.name} or in the working directory, or a packaged"
            f" configuration: {', '.join(names())}"
        )
    return beside if beside.is_file() else Path(name)


def _tuple(value: Any) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list | tuple) else (str(value),)


def _number(value: Any) -> Any:
    """YAML takes 1e-5, without a point, for a word."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
