"""The step in real arithmetic conserves the channels that the operator conserves."""

import pytest
import torch

from morlight.analysis.export.real_arithmetic import RealStep
from morlight.operators import (
    Anchored,
    Bounded,
    Conservative,
    Fourier,
    Nonlinearity,
    Perceptrons,
    SpectralOperator,
    Symbol,
    Units,
)


def networks(inputs, outputs, copies):
    return Perceptrons(inputs, outputs, seeds=(0, 1), depth=3, copies=copies, activation="tanh")


def operator(channels, anchored):
    """Two fields in one basis with γ, of which some channels conserve."""
    g = Symbol(networks(2, 2, 2), scale=20.0)
    h = Nonlinearity(networks(3, 1, 2))
    if anchored:
        g, h = Anchored(Symbol(networks(2, 1, 2), scale=20.0), g), Bounded(h, [1.0, 2.0], [0, 1])
        channels = [flag for flag in channels for _ in (0, 1)]
    whole = SpectralOperator(Fourier(8, 1.0), Conservative(g, channels), h, [1.0, 2.0], None, Units([0.5]))
    generator = torch.Generator().manual_seed(0)
    whole = whole.double().requires_grad_(False)
    for parameter in whole.parameters():
        parameter.uniform_(-1, 1, generator=generator)
    return whole


@pytest.mark.parametrize("anchored", [False, True])
@pytest.mark.parametrize("channels", [[True, False], [False, True]])
def test_the_channels_that_conserve_are_the_same_in_real_arithmetic(channels, anchored):
    whole = operator(channels, anchored)
    generator = torch.Generator().manual_seed(1)
    u = torch.randn(2, 3, 2, 8, generator=generator, dtype=torch.float64)
    gamma = torch.tensor([[0.3], [0.7], [1.1]], dtype=torch.float64)
    change = whole(u, gamma)
    step = RealStep(whole, steady=False, activation="tanh", gamma=True)
    found = step(u, gamma) - u
    assert torch.allclose(found, change, rtol=0, atol=1e-13)
    drift = found.mean(-1).abs()
    kept = channels.index(True)
    assert drift[:, :, kept].max() < 1e-14
    assert drift[:, :, 1 - kept].amax() > 1e-3
