"""Forecasts without an equation: dynamic mode decomposition, and a Fourier neural operator, one step at a time."""

import math
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from benchmarks.peer_splits import Split

SECONDS = 20.0  # of training of the neural operator
RANKS = (10, 20, 40, 0)  # 0: PyDMD's own choice, by the optimal threshold of singular values
BATCH, RATE = 16, 2e-3
MODES = {1: 32, 2: 12}  # waves along each axis that the neural operator keeps, by dimension
Step = Callable[[Tensor], Tensor]  # fields (B, C, *X) one Δt later
Learned = tuple[Step, float]  # and processor seconds


def dynamic_modes(split: Split) -> Iterator[Learned]:
    """DMD of several ranks, and of one field on a line the one that commutes with translations (piDMD)."""
    from pydmd import DMD, PiDMD

    before, after = (_columns(u.flatten(0, 1)) for u in (split.train[:, :-1], split.train[:, 1:]))
    made = [DMD(svd_rank=rank, exact=True) for rank in RANKS]
    if split.train.ndim == 4 and split.train.shape[2] == 1:
        made.append(PiDMD("circulant"))
    for model in made:
        begin = time.process_time()
        model.fit(before, after)
        yield _linear(model.modes, model.eigs), time.process_time() - begin


def _linear(modes: np.ndarray, eigenvalues: np.ndarray) -> Step:
    inverse = np.linalg.pinv(modes)

    def step(u: Tensor) -> Tensor:
        later = modes @ (eigenvalues[:, None] * (inverse @ _columns(u)))
        return torch.from_numpy(np.ascontiguousarray(later.real.T)).reshape(u.shape)

    return step


def _columns(u: Tensor) -> np.ndarray:
    return u.flatten(1).numpy().T


def neural_operator(split: Split) -> Iterator[Learned]:
    """FNO for the increment of one step, by Adam with a cosine schedule for a fixed time."""
    from neuralop.models import FNO

    torch.manual_seed(0)
    begin = time.process_time()
    D, C = len(split.basis.points), split.train.shape[2]
    network = FNO(
        n_modes=(MODES[D],) * D, in_channels=C, out_channels=C, hidden_channels=32, n_layers=4,
        positional_embedding=None,
    )  # fmt: skip
    before, after = split.train[:, :-1].flatten(0, 1).float(), split.train[:, 1:].flatten(0, 1).float()
    scale, change = before.square().mean().sqrt(), (after - before).square().mean().sqrt()
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=1e-4)
    while (passed := (time.process_time() - begin) / SECONDS) < 1:
        for group in optimizer.param_groups:
            group["lr"] = RATE * (1 + math.cos(math.pi * passed)) / 2
        rows = torch.randint(len(before), (BATCH,))
        loss = (network(before[rows] / scale) - (after[rows] - before[rows]) / change).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def step(u: Tensor) -> Tensor:
        with torch.no_grad():
            return u + change * network(u.float() / scale).double()

    yield step, time.process_time() - begin
