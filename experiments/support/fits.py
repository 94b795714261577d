"""What a study asks of `morlight.fit`, and what it keeps of the answer."""

import dataclasses
import json
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import pytorch_lightning as lightning

import morlight
from morlight.analysis.model import Model, load
from morlight.training.fit import built, schedule
from morlight.training.quiet import quiet
from morlight.training.settings import FitSettings, from_mapping

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Measured = TypeVar("Measured", bound="DataclassInstance")


@dataclass(frozen=True)
class Fit:
    """A fit as `morlight.fit` takes it.

    Attributes:
        config: packaged configuration.
        data: trajectory file, or name of a set that comes with the package.
        settings: changes of the configuration, by dotted keys.
    """

    config: str
    data: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        changes = ", ".join(f"{key} = {value}" for key, value in self.settings.items())
        return f"{self.config} on {self.data}" + (f" with {changes}" if changes else "")

    def configuration(self) -> dict[str, Any]:
        """Settings that are not the defaults, with those of the packaged configuration, as JSON gives them back."""
        changed = from_mapping(self.settings, self.config, self.data).changed()
        changed.pop("data.path", None)
        return cast(dict[str, Any], json.loads(json.dumps(changed)))


@dataclass(frozen=True)
class Kept(Generic[Measured]):
    """A fit that was made.

    Attributes:
        fit: what was asked for.
        seconds: that it took.
        measured: what the study measured of the model.
        checkpoint: path of the model; None among the results that are kept in the repository.
        configuration: all settings that were not the defaults; None in older files.
    """

    fit: Fit
    seconds: float
    measured: Measured
    checkpoint: str | None = None
    configuration: Mapping[str, Any] | None = None

    @property
    def model(self) -> Model:
        """The model in the checkpoint."""
        assert self.checkpoint is not None
        return morlight.load(self.checkpoint)

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, plain: Mapping[str, Any], kind: type[Measured]) -> "Kept[Measured]":
        """What `to_json` gave, with measurements of some kind."""
        measured = kind(**plain["measured"])
        return cls(Fit(**plain["fit"]), plain["seconds"], measured, plain["checkpoint"], plain.get("configuration"))


def untracked(settings: FitSettings, checkpoint: Path) -> Model:
    """The model of a fit without the tracking of `morlight fit`, for studies of hundreds of small fits."""
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        served, module = built(settings)
        trainer = lightning.Trainer(**settings.trainer, logger=False, enable_checkpointing=False)
        served.schedule = schedule(module, served, settings.trainer["max_epochs"])
        trainer.fit(module, served)
        trainer.save_checkpoint(checkpoint)
    return load(checkpoint)


def fitted(fit: Fit, experiment: str, name: str, *, progress: bool = True) -> tuple[str, float]:
    """Make a fit; its checkpoint, and the seconds that it took."""
    begun = time.perf_counter()
    run = {"experiment": experiment, "name": name, "trainer.enable_progress_bar": progress}
    result = morlight.fit(fit.data, {**fit.settings, **run}, config=fit.config)
    return str(result.checkpoint), round(time.perf_counter() - begun, 1)


def untracked_file(path: Path, settings: Mapping[str, Any], config: str | None = None) -> Model:
    """The model of all of a trajectory file, without tracking.

    Args:
        path: trajectory file; the checkpoint is written beside it.
        settings: changes of the configuration, by dotted keys.
        config: packaged configuration.
    """
    whole = {"data.validation": 0, "data.test": 0, "trainer.max_epochs": 1, "trainer.accelerator": "cpu"}
    typed = from_mapping({**whole, "trainer.enable_progress_bar": False, **settings}, config, str(path))
    return untracked(typed, path.with_suffix(".ckpt"))
