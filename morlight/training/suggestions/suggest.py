"""`morlight.suggest`: a configuration for a trajectory file, with a reason beside each choice."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from morlight.data.config import DataConfig
from morlight.operators.config import Wall
from morlight.training.suggestions.choices import Choice, choices
from morlight.training.suggestions.traits import Traits, traits

WIDTH = 44  # of a line before its reason


@dataclass(frozen=True)
class Suggestion:
    """Settings for a fit to one file.

    Attributes:
        path: of the data.
        description: of the data, as text.
        choices: settings with their reasons.
    """

    path: str
    description: str
    choices: tuple[Choice, ...]

    @property
    def settings(self) -> dict[str, Any]:
        """The settings by their dotted keys."""
        return {choice.key: choice.value for choice in self.choices}

    def to_yaml(self) -> str:
        """A configuration with a reason beside each choice."""
        lines = [f"# {self.description}", "data:", f"  path: {_plain(self.path)}"]
        for group in ("data", "model", "trainer"):
            lines += [f"{group}:"] if group != "data" else []
            for choice in self.choices:
                owner, _, key = choice.key.partition(".")
                if owner == group:
                    lines.append(f"{f'  {key}: {_plain(choice.value)}':<{WIDTH}} # {choice.reason}")
        return "\n".join(lines) + "\n"

    def text(self) -> str:
        """The choices for the terminal, one per line."""
        lines = [self.description]
        lines += [f"{f'  {choice.key}: {_plain(choice.value)}':<{WIDTH}} # {choice.reason}" for choice in self.choices]
        return "\n".join(lines)


def suggest(
    data: str | Path | DataConfig, *, fields: list[str] | None = None, bases: Mapping[str, Wall] | None = None
) -> Suggestion:
    """Settings that suit the data in a trajectory file, from its training part.

    Args:
        data: trajectory file, name of a data set of the package, or the configuration of the data.
        fields: the fields to learn; by default all except standard errors.
        bases: of fields between walls, if the values do not determine them.

    Raises:
        ValueError: one sentence, if the file cannot be fitted or does not determine the settings.
    """
    config = data if isinstance(data, DataConfig) else DataConfig(path=str(data), fields=fields)
    known = traits(config, bases)
    return Suggestion(config.path, _description(known), tuple(choices(known, config.batch)))


def settings_for(data: DataConfig) -> dict[str, Any]:
    """The settings that `suggest` finds, for a fit without a configuration; they are printed."""
    suggestion = suggest(data)
    from lightning_fabric.utilities.rank_zero import rank_zero_only

    chosen = f"morlight: no configuration was named; settings chosen for {suggestion.text()}"
    rank_zero_only(lambda: print(chosen, file=sys.stderr))()
    return suggestion.settings


def _description(known: Traits) -> str:
    file = known.file
    kinds = " and ".join(sorted({boundary.lower() for boundary in file.grid.boundaries}))
    points = " × ".join(map(str, file.grid.points))
    count = "1 trajectory" if file.trajectories == 1 else f"{file.trajectories} trajectories"
    noise = ", ".join(f"{name} {100 * share:.2g} %" for name, share in known.noise.items())
    kind = "counts or averages of particles" if known.averaged else f"noise {noise} of the rms"
    return f"{file.path.name}: {count} of {len(file.times)} frames, {points} cells, {kinds}; {kind}"


def _plain(value: object) -> str:
    """As YAML writes it on one line."""
    return yaml.safe_dump(value, default_flow_style=True, width=1000, sort_keys=False).removesuffix("\n...\n").strip()
