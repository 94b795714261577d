"""With the bias of the band, waves that the data lack stay as they are, whatever the weights."""

import math

import pytest
import small
import torch

from morlight.operators import build, rollout

HIGHEST = 5.0


def described(**more):
    return small.description(signal=(HIGHEST,), **more)


@pytest.mark.parametrize("options", [{}, {"biases": ["band", "conservation", "isotropy"]}, {"symbol": "dissipative"}])
def test_waves_beyond_the_band_do_not_change_and_those_within_do(options):
    operator = small.operator(described(), size=2.0, **{"biases": ["band"], "terms": 2, **options}).requires_grad_(
        False
    )
    u = torch.randn(1, 2, 1, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    change = torch.fft.rfft(operator(u)).abs()
    assert float(change[..., 6:].max()) < 1e-12 * float(change.max())
    assert float(change[..., 1:6].amin((1, 2)).max()) > 0
    on_a_finer_grid = build.basis(small.grid((64,))).double()
    symbol = operator.g(on_a_finer_grid.wavenumbers)
    assert bool((symbol[..., 6:] == 0).all())
    assert bool((symbol[..., 1:6] != 0).all())


def test_without_the_bias_the_same_weights_let_waves_grow_that_the_data_lack():
    u = torch.cos(12 * build.basis(small.grid()).double().coordinates[0]).view(1, 1, 1, -1) * 1e-3
    grown = {}
    for name, biases in (("band", ["band"]), ("free", [])):
        operator = small.operator(described(), 3, 1.5, biases=biases, activation="tanh", terms=2, realizations=4)
        operator.requires_grad_(False)
        end = torch.fft.rfft(rollout(operator, u, 40, every=40)[:, 0, -1, 0]).abs()[:, 12] / 16
        grown[name] = end.nan_to_num(math.inf)
    assert torch.allclose(grown["band"], torch.full((4,), 1e-3, dtype=torch.float64), rtol=1e-9)
    assert float(grown["free"].max()) > 1e-2


def test_fields_of_a_system_are_limited_one_by_one():
    data = small.description(("a", "b"), signal=(HIGHEST,))
    operator = small.operator(data, biases={"b": ["band"]}, terms=2)
    beyond = operator.symbol()[:, 0, :, 6:].abs().amax(2)
    assert (beyond[:, :2] > 0).all()
    assert (beyond[:, 2:] == 0).all()


def test_anchored_fields_still_decay_beyond_the_band():
    data = small.description(("a", "b"), signal=(HIGHEST,))
    operator = small.operator(data, biases=["band", "stability"])
    symbol = operator.symbol()[:, 0, :, 6:].unflatten(1, (2, 2))
    assert (symbol[:, :, 0].real < 0).all()
    assert (symbol[:, :, 1] == 0).all()


def test_data_without_time_have_no_band():
    with pytest.raises(ValueError, match="band needs fields that change in time"):
        small.operator(small.description(), biases=["band"])
