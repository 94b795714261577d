"""Coarse and stiff data: the Kuramoto–Sivashinsky equation with Δt = 0.4, where the shortest waves decay by e^(−100).

First the exact equation itself, as an operator with explicit and with exponential steps: the error of one step, as a
share of the increment. Then networks of the same size with both schemes, trained for as many epochs, on a trajectory
that was held back: the error of one step with the Δt of training and, where the generator is learned, with half and
twice as much; and the standard deviation of u after 2000 steps, which is 1.3 on the attractor.
"""

import os
import tempfile
from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float, Inexact
from torch import Tensor, nn

import morlight
from benchmarks.equation_sets import kuramoto_sivashinsky
from morlight.operators import Fourier, SpectralOperator, stepper
from morlight.operators.description import FieldStatistics
from morlight.operators.exponential_scheme import Exponential

DT = 0.4
POINTS = 128
SETTINGS: dict[str, Any] = {
    "data.batch": 16,
    "data.validation": 0,
    "data.test": 0,
    "model.biases": ["conservation", "band"],
    "model.horizons": [1],
    "model.loss": "points",
    "model.realizations": 3,
    "model.smoothness": 0,
    "model.symbol": "plain",
    "model.terms": 2,
    "model.width": 8,
    "trainer.accelerator": "cpu",
    "trainer.enable_progress_bar": False,
    "trainer.max_epochs": 200,
}


class ExactSymbols(nn.Module):
    """(κ² − κ⁴) Δt and −½ iκ Δt, of u and of u²."""

    def forward(self, kappa: Float[Tensor, "1 K"], gamma: Tensor) -> Inexact[Tensor, "1 1 2 K"]:
        """The symbols."""
        k = kappa[0]
        return torch.stack([(k**2 - k**4) * DT + 0j, -0.5j * k * DT])[None, None]


class ExactPowers(nn.Module):
    """u and u²."""

    def forward(self, u: Float[Tensor, "1 B 1 X"], gamma: Tensor) -> Float[Tensor, "1 B 2 X"]:
        """The powers."""
        return torch.cat([u, u * u], 2)


def exact_steps(u: Float[Tensor, "T X"], length: float) -> Iterator[dict[str, Any]]:
    """Errors of one step of the exact equation on frames Δt apart."""
    basis = Fourier(u.shape[1], length)
    operator = SpectralOperator(basis, ExactSymbols(), ExactPowers(), [1.0], [1.0]).double()
    low, high = float(u.min()), float(u.max())
    field = FieldStatistics("u", low, high, float(u.square().mean().sqrt()), quantiles=(0.0,))
    schemes: list[str | Exponential] = ["explicit", *[Exponential((field,), n) for n in (1, 2, 4, 16)]]
    for scheme in schemes:
        later = stepper(operator, scheme)(u[None, :-1, None])[0, :, 0]
        substeps = scheme.substeps if isinstance(scheme, Exponential) else None
        yield {
            "case": "exact equation",
            "scheme": "explicit" if substeps is None else "exponential",
            "substeps": substeps,
            "value": float((later - u[1:]).norm() / u.diff(dim=0).norm()),
            "unit": "error of one step, of the increment",
        }


def fitted(scheme: str, u: Float[Tensor, "S T X"], length: float) -> dict[str, Any]:
    """Networks trained on frames Δt apart, on all trajectories but the last, whose frames lie Δt/2 apart as all do."""
    file = f"{scheme}.h5"
    morlight.write(file, {"u": u[:-1, ::2].numpy()}, dt=DT, length=length, boundaries="periodic")
    model = morlight.fit(file, {**SETTINGS, "model.scheme": scheme, "name": scheme}).model
    assert model is not None
    errors = {}
    for share in (2, 1, 4) if scheme == "exponential" else (2,):
        frames = u[-1, ::share].numpy()
        stepping = model.stepping(share * DT / 2) if scheme == "exponential" else model
        later = stepping.predict(frames[:-1, None], 1, finite=False)[:, :, 1, 0]
        off = torch.from_numpy(later - frames[1:]).flatten(1).norm(dim=1)
        errors[share / 2] = float(off.median() / u[-1, ::share].diff(dim=0).norm())
    far = model.predict(u[-1, :1].numpy(), 2000, every=2000, finite=False)[:, -1, 0]
    return {
        "case": "networks", "scheme": scheme, "value": errors[1.0], "unit": "error of one step, of the increment",
        "with_half_dt": errors.get(0.5), "with_twice_dt": errors.get(2.0),
        "deviation_after_2000_steps": [float(value) for value in far.std(1)],
    }  # fmt: skip


def measure() -> Iterator[dict[str, Any]]:
    """The exact equation, then the networks."""
    case = kuramoto_sivashinsky(torch.Generator().manual_seed(10), dt=DT / 2)
    length = case.basis.length[0]
    yield from exact_steps(case.u[0, ::2, 0], length)
    here = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            for scheme in ("explicit", "exponential"):
                yield fitted(scheme, case.u[:, :, 0, :: case.u.shape[-1] // POINTS], length)
        finally:
            os.chdir(here)
