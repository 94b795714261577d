"""Runs of several γ and seeds with the same settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from morlight.data.conditions import deck_values
from morlight.simulate.lammps.systems import System, deck_text


@dataclass(frozen=True)
class Ensemble:
    """Runs of every γ with every seed, with the same settings otherwise.

    Attributes:
        system: one of SYSTEMS.
        gammas: values of its parameters.
        seeds: of the initial velocities and places.
        settings: variables of the deck that differ from what stands there.
        frames: recorded after frame 0.
        bins: along each axis of the cells; in a channel, across it.
        jobs: runs at once.
        threads: OpenMP threads of each.
        ranks: MPI processes of each.
    """

    system: System
    gammas: Sequence[tuple[float, ...]]
    seeds: Sequence[int] = (1,)
    settings: Mapping[str, float | int] = field(default_factory=dict)
    frames: int = 40
    bins: int = 80
    jobs: int = 1
    threads: int = 1
    ranks: int = 1

    def __post_init__(self) -> None:
        for name, value in (("frames", self.frames), ("jobs", self.jobs), ("threads", self.threads)):
            if value < 1:
                raise ValueError(f"{name} is {value}, expected at least 1")
        if self.bins < 2 or self.ranks < 1:
            raise ValueError(f"bins is {self.bins} and ranks {self.ranks}, expected at least 2 and 1")
        if not self.gammas or not self.seeds or min(self.seeds) < 1:
            raise ValueError("expected at least one system and seeds from 1 on")
        self._check_variables()

    def _check_variables(self) -> None:
        given = [
            (name, value) for gamma in self.gammas for name, value in zip(self.system.parameters, gamma, strict=True)
        ]
        for key, value in (*given, *self.settings.items()):
            if not value > 0:
                raise ValueError(f"{key} is {value}, expected more than 0")
        values = self.values
        for key, least in self.system.least.items():
            if values[key] < least:
                raise ValueError(f"{key} is {values[key]:g}, expected at least {least:g}")
        if values["average"] > values["every"]:
            raise ValueError(f"average is {values['average']:g}, expected at most every, {values['every']:g}")
        if values.get("waves", 0) > self.bins / 4:  # four cells a wavelength
            raise ValueError(f"waves is {values['waves']:g}, expected at most a quarter of the {self.bins} bins")

    @property
    def values(self) -> dict[str, float]:
        """Numbers among the variables of the deck, with these settings."""
        deck = {key: word for key, word in deck_values(deck_text(self.system)).items() if word[0].isdigit()}
        return {key: float(word) for key, word in deck.items()} | dict(self.settings)

    def variables(self, gamma: Sequence[float], seed: int) -> dict[str, Any]:
        """Variables that are passed to the deck."""
        told = dict(zip(self.system.parameters, gamma, strict=True))
        return {**told, "seed": seed, **self.settings, "frames": self.frames, "bins": self.bins}
