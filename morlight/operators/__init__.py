"""The mathematics: spectral operators, their biases, roll-outs and losses, in plain torch.

The modules are imported when one of their names is used, so that the options of an operator can be read without torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from morlight.operators.bases import Basis, Cosine, Fourier, Sine, TensorProduct
    from morlight.operators.biases import Banded, Conservative, Isotropic, Monotone, Odd, shells
    from morlight.operators.derivative import Derivative
    from morlight.operators.exponential_scheme import Exponential, exponential_step
    from morlight.operators.gauge import fix, generator, nearest_power, slopes
    from morlight.operators.gradient_flow import Descent, WithState
    from morlight.operators.grids import finer, on_grid
    from morlight.operators.growth import radius, symbol_growth
    from morlight.operators.implicit import implicit_step
    from morlight.operators.legendre import Legendre
    from morlight.operators.losses import NoiseWeighted, bending, mean_square, relative_error
    from morlight.operators.networks import Nonlinearity, Perceptrons, selected
    from morlight.operators.robin import Robin
    from morlight.operators.rollouts import Rollouts, check_steps, rollout
    from morlight.operators.spectral import Operator, SecondOrder, SpectralOperator, Summand, System
    from morlight.operators.stability import Anchored, Bounded
    from morlight.operators.symbols import DissipativeSymbol, Symbol
    from morlight.operators.time_stepping import advance, states, stepper
    from morlight.operators.units import Units
    from morlight.operators.walls import Lift, Walls

_MODULES = {
    "bases": "Basis Cosine Fourier Sine TensorProduct",
    "biases": "Banded Conservative Isotropic Monotone Odd shells",
    "derivative": "Derivative",
    "exponential_scheme": "Exponential exponential_step",
    "gauge": "fix generator nearest_power slopes",
    "gradient_flow": "Descent WithState",
    "grids": "finer on_grid",
    "growth": "radius symbol_growth",
    "implicit": "implicit_step",
    "legendre": "Legendre",
    "losses": "NoiseWeighted bending mean_square relative_error",
    "networks": "Nonlinearity Perceptrons selected",
    "robin": "Robin",
    "rollouts": "Rollouts check_steps rollout",
    "spectral": "Operator SecondOrder SpectralOperator Summand System",
    "stability": "Anchored Bounded",
    "symbols": "DissipativeSymbol Symbol",
    "time_stepping": "advance states stepper",
    "units": "Units",
    "walls": "Lift Walls",
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names.split()}

__all__ = [
    "Anchored",
    "Banded",
    "Basis",
    "Bounded",
    "Conservative",
    "Cosine",
    "Derivative",
    "Descent",
    "DissipativeSymbol",
    "Exponential",
    "Fourier",
    "Isotropic",
    "Legendre",
    "Lift",
    "Monotone",
    "NoiseWeighted",
    "Nonlinearity",
    "Odd",
    "Operator",
    "Perceptrons",
    "Robin",
    "Rollouts",
    "SecondOrder",
    "Sine",
    "SpectralOperator",
    "Summand",
    "Symbol",
    "System",
    "TensorProduct",
    "Units",
    "Walls",
    "WithState",
    "advance",
    "bending",
    "check_steps",
    "exponential_step",
    "finer",
    "fix",
    "generator",
    "implicit_step",
    "mean_square",
    "nearest_power",
    "on_grid",
    "radius",
    "relative_error",
    "rollout",
    "selected",
    "shells",
    "slopes",
    "states",
    "stepper",
    "symbol_growth",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
