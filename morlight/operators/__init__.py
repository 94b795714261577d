"""The mathematics: spectral operators, their biases, roll-outs and losses, in plain torch."""

from morlight.operators.bases import Basis, Cosine, Derivative, Fourier, Sine, TensorProduct
from morlight.operators.biases import Banded, Conservative, Isotropic, Monotone, Odd, shells
from morlight.operators.exponential_scheme import Exponential, exponential_step
from morlight.operators.gauge import fix, generator, nearest_power, slopes
from morlight.operators.grids import finer, on_grid
from morlight.operators.growth import radius, symbol_growth
from morlight.operators.implicit import implicit_step
from morlight.operators.legendre import Legendre
from morlight.operators.losses import NoiseWeighted, bending, mean_square, relative_error
from morlight.operators.networks import Nonlinearity, Perceptrons, selected
from morlight.operators.rollout import advance, check_steps, rollout, states, stepper
from morlight.operators.spectral import Operator, SecondOrder, SpectralOperator, Summand, System
from morlight.operators.stability import Anchored, Bounded
from morlight.operators.symbols import DissipativeSymbol, Symbol
from morlight.operators.units import Units

__all__ = [
    "Anchored",
    "Banded",
    "Basis",
    "Bounded",
    "Conservative",
    "Cosine",
    "Derivative",
    "DissipativeSymbol",
    "Exponential",
    "Fourier",
    "Isotropic",
    "Legendre",
    "Monotone",
    "NoiseWeighted",
    "Nonlinearity",
    "Odd",
    "Operator",
    "Perceptrons",
    "SecondOrder",
    "Sine",
    "SpectralOperator",
    "Summand",
    "Symbol",
    "System",
    "TensorProduct",
    "Units",
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
