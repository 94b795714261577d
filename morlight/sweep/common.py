"""What the fits of all trials of a sweep have in common, without which their objectives could not be compared."""

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

from morlight.sweep.plan import Plan
from morlight.training import fit
from morlight.training.settings import FitSettings, from_mapping

FREE = {  # keys of a fit that change no result: where trials run, what they are called, and what they show
    "name", "data.path", "data.deposit", "data.memory", "trainer.accelerator", "trainer.devices", "trainer.num_nodes",
    "trainer.strategy", "trainer.enable_progress_bar", "trainer.enable_model_summary", "trainer.log_every_n_steps",
    "trainer.profiler", "trainer.benchmark", "trainer.detect_anomaly",
}  # fmt: skip


@dataclass(frozen=True)
class Common:
    """The base configuration of a sweep, and its data.

    Attributes:
        settings: whole base configuration, keys joined by dots.
        digest: of the training data.
        test_data: trajectories and frames that are held back for the test, in a few words.
    """

    settings: Mapping[str, Any]
    digest: str
    test_data: str = ""

    @classmethod
    def of(
        cls, plan: Plan, changes: Mapping[str, Any] | None = None, place: str = "the base configuration"
    ) -> "Common":
        """That of a plan as its files are now.

        Args:
            plan: of the sweep.
            changes: of the base configuration, by dotted keys.
            place: what messages call it.

        Raises:
            ValueError: for a configuration that no fit takes, or data that are not there or do not fit.
        """
        settings = typed(plan, changes or {}, place)
        with placed(plan, place):
            served, module = fit.built(settings)
            fit.check_lengths(module, served, settings)
        return cls(settings.to_flat(), served.description.digest, served.split.identity("test"))

    def signature(self, plan: Plan) -> dict[str, Any]:
        """What must be equal for the values of two trials to be comparable, as JSON gives it back."""
        searched = {dimension.key for dimension in plan.space if not dimension.when}  # else the base has its say
        fixed = {key: value for key, value in self.settings.items() if key not in FREE | searched}
        fixed |= {} if plan.pruner == "none" else {"watch": plan.watch}  # of which pruners compare the values
        signature = plan.signature() | {"settings": fixed, "digest": self.digest}
        return cast(dict[str, Any], json.loads(json.dumps(signature)))

    def changed(self, settings: Mapping[str, Any], searched: Collection[str]) -> str | None:
        """The first key, apart from those searched, whose value is not that of the beginning."""
        keys = sorted((settings.keys() & self.settings.keys()) - FREE - set(searched))
        return next((key for key in keys if json.dumps(settings[key]) != json.dumps(self.settings[key])), None)

    def change(self, plan: Plan) -> str | None:
        """In a sentence, what has happened to the base configuration or its data since; None if they are the same."""
        try:
            now = Common.of(plan)
        except ValueError as error:
            return f"{error}; when the sweep began, there was no such error"
        if (key := self.changed(now.settings, ())) is not None:
            return other_settings(plan, key)
        return f"{plan.config}: the data have changed since the sweep began" if now.digest != self.digest else None


def other_settings(plan: Plan, key: str) -> str:
    """The sentence for a base configuration that was edited while the sweep ran."""
    return f"{plan.config}: {key} has changed since the sweep began; change it back, or give the sweep another name"


def typed(plan: Plan, changes: Mapping[str, Any], place: str) -> FitSettings:
    """Settings of a fit of the sweep.

    Raises:
        ValueError: for settings that no fit takes, with the place.
    """
    with placed(plan, place):
        return from_mapping(plan.changes(changes, plan.name), plan.config)


@contextmanager
def placed(plan: Plan, place: str) -> Iterator[None]:
    """Name the configuration and the place in what is refused."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{plan.config}, {place}: {' '.join(str(error).split())}") from error
