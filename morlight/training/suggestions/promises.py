"""Biases that the data contradict: a state at rest that starts to move, and waves that travel."""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from morlight.data.sample import TrainingSample
from morlight.operators import build
from morlight.operators.config import OperatorConfig
from morlight.operators.description import DataDescription

REST = 0.1  # of the rms of the field, root mean square of a state that counts as at rest
MOVES = 5.0  # times the state, its change in one step
STRONG = 1e-3  # share of the energy from which a wave counts
SURE = 5.0  # standard errors
TURNS = 0.3  # of the change of a wave in one step, the part that turns its phase


def broken(config: OperatorConfig, data: DataDescription, sample: TrainingSample) -> list[str]:
    """A sentence on each bias that some field of the data contradicts, with the number and what to try.

    Args:
        config: with the biases.
        data: the training data.
        sample: of them.
    """
    if data.steady or config.order == 2:
        return []
    frames = sample.frames(1)[:2].double()
    return [*_reflection(config, data, frames), *_isotropy(config, data, frames)]


def _reflection(config: OperatorConfig, data: DataDescription, frames: Float[Tensor, "2 n C *X"]) -> Iterator[str]:
    flips = [c for c, name in enumerate(data.field_names) if config.has("reflection", name)]
    if not flips or any(data.field_names[c] in config.walls for c in flips):  # a wall that moves takes the fluid along
        return
    scale = torch.tensor([data.fields[c].scale for c in flips], dtype=torch.float64)
    u, later = (part[:, flips] / scale.view(-1, *[1] * data.grid.dimensions) for part in frames)
    state, change = (part.flatten(1).square().mean(1).sqrt() for part in (u, later - u))
    moving = (state < REST) & (change > MOVES * state)
    if moving.any():
        place = int(change.where(moving, 0.0).argmax())
        names = ", ".join(data.field_names[c] for c in flips)
        yield (
            f"the bias reflection keeps {names} at rest, but a state of {100 * state[place]:.2g} % of the rms changes"
            f" by {100 * change[place]:.2g} % in one step, as under a force; try model.biases without reflection"
        )


def _isotropy(config: OperatorConfig, data: DataDescription, frames: Float[Tensor, "2 n C *X"]) -> Iterator[str]:
    if "PERIODIC" not in data.grid.boundaries or config.complex_isotropy or config.vectors:  # sound waves may travel
        return
    basis = build.basis(data.grid).double()
    for c, name in enumerate(data.field_names):
        if not config.has("isotropy", name):
            continue
        first, later = (basis.forward(part[:, c]) for part in frames)
        energy = first.abs().square().sum(0).clamp_min(1e-300)
        factor = (first.conj() * later).sum(0) / energy
        error = ((later - factor * first).abs().square().sum(0) / energy / len(first)).sqrt()
        strong = (basis.wavenumbers.square().sum(0) > 0) & (energy > STRONG * energy.sum())
        turning = strong & (factor.imag.abs() > SURE * error) & (factor.imag.abs() > TURNS * (factor - 1).abs())
        if turning.any():
            place = int(energy.where(turning, 0.0).argmax())
            angle, size = float(factor.flatten()[place].angle()), float(factor.flatten()[place].abs())
            yield (
                f"the bias isotropy lets no wave of {name} travel, but one turns by {abs(angle):.2g} rad in each step"
                f" and is multiplied by {size:.3g}; try model.biases without isotropy"
            )
