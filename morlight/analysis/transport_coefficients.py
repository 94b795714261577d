"""Transport coefficients as values with standard errors, and sentences for those that a model does not have."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

OF_FLOW = ("kinematic_viscosity", "dynamic_viscosity", "bending", "slip_length", "body_force")
SILENT = "sound needs the density and the momentum as a vector (model.vectors)"


@dataclass(frozen=True)
class Coefficient:
    """A number with its standard error.

    Attributes:
        value: from the mean generator of the realizations; for an equation, from the estimate of its coefficients.
        over_realizations: standard deviation over the realizations.
        over_data: standard error due to the noise of the data; None if it is not known.
        unit: the unit, in words.
    """

    value: float
    over_realizations: float
    over_data: float | None
    unit: str

    @property
    def error(self) -> float:
        """Standard error √(over_realizations² + over_data²)."""
        return math.hypot(self.over_realizations, self.over_data or 0.0)

    def __str__(self) -> str:
        return f"{self.value:.4g} ± {self.error:.2g} {self.unit}"

    def to_json(self) -> dict[str, Any]:
        """The attributes and the error, as `morlight inspect --json` prints them."""
        return {**asdict(self), "error": self.error}


Answer = Coefficient | str


@dataclass(frozen=True)
class Transport:
    """Transport coefficients; for one that the model does not have, a sentence that says why.

    Attributes:
        gamma: parameters, by name.
        kinematic_viscosity: ν.
        dynamic_viscosity: η = ρν.
        bending: ℓ² of ν(κ) = ν/(1 + ℓ²κ²), without walls.
        slip_length: distance b beyond the walls at which the extrapolated flow vanishes.
        body_force: change of the momentum field per time that a constant force causes.
        diffusivity: D of each field.
        sound_speed: c, of a momentum that is a vector.
        sound_attenuation: Γ, where the amplitude of sound decays at the rate Γκ².
    """

    gamma: Mapping[str, float]
    kinematic_viscosity: Answer
    dynamic_viscosity: Answer
    bending: Answer
    slip_length: Answer
    body_force: Answer
    diffusivity: Mapping[str, Answer]
    sound_speed: Answer = SILENT
    sound_attenuation: Answer = SILENT

    def answers(self) -> dict[str, Answer]:
        """All coefficients, by name."""
        named = {
            "kinematic viscosity": self.kinematic_viscosity,
            "dynamic viscosity": self.dynamic_viscosity,
            "bending": self.bending,
            "slip length": self.slip_length,
            "body force": self.body_force,
            "sound speed": self.sound_speed,
            "sound attenuation": self.sound_attenuation,
        }
        return named | {f"diffusivity of {name}": answer for name, answer in self.diffusivity.items()}

    def to_json(self) -> dict[str, Any]:
        """All coefficients in the layout of `morlight inspect --json`."""
        plain = {
            name.replace(" ", "_"): {"refused": answer} if isinstance(answer, str) else answer.to_json()
            for name, answer in self.answers().items()
        }
        return {"gamma": dict(self.gamma), **plain}
