"""The engine of roll-outs against a plain loop over steps."""

import pytest
import small
import systems
import torch

from morlight.operators import Fourier, Rollouts, SpectralOperator, build, states, stepper
from morlight.operators.kernels.recorded import recorded
from morlight.operators.rollouts import GROUP
from morlight.operators.units import NO_GAMMA

STEPS = 1000
KINDS = [
    *((name, "explicit") for name in systems.SYSTEMS),
    *((name, "exponential") for name in ("fourier", "channel", "bounded", "fluxes", "isotropic", "pipe", "moving")),
]
LOOPS = [
    *((name, "explicit", STEPS) for name in ("fourier", "channel", "isotropic", "waves")),
    ("fourier", "exponential", STEPS), ("fourier", "implicit", 10),
]  # fmt: skip


def started(name, scheme="explicit", batch=2):
    """Operator, initial fields, γ and scheme; the change of a step is small, so that a thousand of them are finite."""
    options, data = systems.SYSTEMS[name]
    config = small.config(**systems.SMALL | options, scheme=scheme)
    operator = small.redraw(build.operator(config, data).double(), seed=1, size=0.4).requires_grad_(False)
    for part, _ in operator.summands():
        part.unit *= 1e-3
    generator = torch.Generator().manual_seed(2)
    shape = (1, batch, len(data.fields), *data.grid.points)
    u = 1 + 0.3 * torch.randn(shape, generator=generator, dtype=torch.float64)
    low, high = (torch.tensor([getattr(each, end) for each in data.parameters]) for end in ("low", "high"))
    gamma = low + (high - low) * torch.rand(batch, len(low), generator=generator, dtype=torch.float64)
    return operator, u, gamma if len(low) else NO_GAMMA, build.scheme(config, data)


@pytest.mark.parametrize(("name", "scheme", "steps"), LOOPS)
def test_a_thousand_steps_are_those_of_the_plain_loop(name, scheme, steps):
    operator, u, gamma, scheme = started(name, scheme)
    *_, expected = states(operator, u, steps, gamma, scheme)
    frames = Rollouts(operator, gamma, scheme).frames(u, steps, every=steps // 2)
    assert not torch.allclose(frames[:, :, 0], expected, rtol=1e-6)
    assert torch.equal(frames[:, :, 2], expected)


@pytest.mark.parametrize(("name", "scheme"), KINDS)
def test_steps_of_every_kind_of_operator_are_recorded(name, scheme):
    operator, u, gamma, scheme = started(name, scheme)
    step = stepper(operator, scheme, gamma=gamma)
    recording = recorded(step, u.expand(2, *u.shape[1:]))
    assert recording is not None
    assert torch.equal(recording(u - 0.1), step(u - 0.1))


def test_fields_that_are_stepped_on_in_groups_do_as_each_alone():
    operator, u, gamma, _ = started("channel", batch=2 * GROUP // (2 * 2 * 16) + 1)
    together = Rollouts(operator, gamma).frames(u, 120, every=120)
    for field in (0, GROUP // (2 * 2 * 16), u.shape[1] - 1):
        alone = Rollouts(operator, gamma[field, None]).frames(u[:, field, None], 120, every=120)
        assert torch.allclose(together[:, field], alone[:, 0], rtol=0, atol=1e-13)


class Growing(torch.nn.Module):
    """g(κ) = factor − 1."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, kappa, gamma):
        return torch.full((1, 1, 1, *kappa.shape[1:]), self.factor - 1)


class Straight(torch.nn.Module):
    """h(u) = u."""

    def forward(self, u, gamma):
        return u


@pytest.mark.parametrize(("factor", "steps"), [(1e10, 50), (4.0, 700)])  # step by step, and recorded
def test_the_first_step_that_is_not_finite_is_named(factor, steps):
    operator = SpectralOperator(Fourier(16, 1.0).double(), Growing(factor), Straight()).double()
    u = torch.ones(1, 1, 1, 16, dtype=torch.float64)
    finite = [step for step, state in enumerate(states(operator, u, steps)) if state.isfinite().all()]
    with pytest.raises(FloatingPointError, match=rf"\[0\] are not finite after {finite[-1] + 1} steps"):
        Rollouts(operator).frames(u, steps, finite=True)
    assert Rollouts(operator).frames(u, steps)[0, 0, finite[-1]].isfinite().all()


def test_what_a_function_decides_by_its_values_is_not_recorded():
    assert recorded(lambda u: u + 1 if u.sum() > 0 else u - 1, torch.ones(3)) is None
    assert recorded(lambda u: u + u[u > 0].sum(), torch.ones(3)) is None
    assert recorded(lambda u: u + torch.rand(3), torch.ones(3)) is None


def test_memory_that_a_function_fills_and_changes_is_filled_anew_each_time():
    def increasing(u):
        total = torch.zeros(3)
        total += u
        total[1:] += 2 * torch.ones(2)
        return total.cumsum(0)

    recording = recorded(increasing, torch.ones(3))
    for u in (torch.ones(3), torch.arange(3.0), torch.zeros(3)):
        assert torch.equal(recording(u), increasing(u))
