"""The mathematics: spectral operators, their biases, roll-outs and losses, in plain torch."""

from morlight.operators.bases import Cosine, Fourier, Sine, TensorProduct
from morlight.operators.biases import Conservative, Isotropic, Odd
from morlight.operators.gauge import generator, slopes
from morlight.operators.losses import NoiseWeighted, bending, mean_square, relative_error
from morlight.operators.networks import DissipativeSymbol, Nonlinearity, Perceptrons, Symbol
from morlight.operators.spectral import SpectralOperator
from morlight.operators.stepping import advance, check_steps, rollout, states

__all__ = [
    "Conservative",
    "Cosine",
    "DissipativeSymbol",
    "Fourier",
    "Isotropic",
    "NoiseWeighted",
    "Nonlinearity",
    "Odd",
    "Perceptrons",
    "Sine",
    "SpectralOperator",
    "Symbol",
    "TensorProduct",
    "advance",
    "bending",
    "check_steps",
    "generator",
    "mean_square",
    "relative_error",
    "rollout",
    "slopes",
    "states",
]
