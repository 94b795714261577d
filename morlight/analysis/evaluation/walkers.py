"""How good a learned operator is: errors of roll-outs and of the symbol against data and exact solutions."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Inexact, Int
from torch import Tensor

from morlight.analysis import linear_model as linear
from morlight.analysis.evaluation import channels as ensemble
from morlight.analysis.model import Model
from morlight.data import trajectory_file as trajectories
from morlight.operators import NoiseWeighted, generator, relative_error, slopes

KAPPA = 16.0  # the band of wavenumbers over which symbols are compared


def square_wave(
    points: tuple[int, ...], decay: Callable[[Tensor], Tensor], time: float, velocity: Sequence[float] = ()
) -> Float[Tensor, "*X"]:
    """Truncated Fourier series of a square wave after a time (Eq. 23, 25), û = ∏_d c(κ_d) exp(−(decay(|κ|) + iV·κ) t).

    c(κ) = −2iN/(πκ) for odd κ and 0 for even, on [0, 2π)^D with N points along each axis.

    Args:
        points: N along each axis.
        decay: rate at which the mode with |κ| decays, in 1/time.
        time: t.
        velocity: V of a drift along each axis; none where left out.
    """
    axes = [torch.fft.fftfreq(n, 1 / n, dtype=torch.float64) for n in points]
    kappa = torch.stack(torch.meshgrid(*axes, indexing="ij"))
    coefficients = torch.ones(points, dtype=torch.complex128)
    for n, k in zip(points, kappa, strict=True):
        odd = (k % 2 == 1) & (k.abs() < n / 2)
        coefficients = coefficients * torch.where(odd, -2j * n / (math.pi * torch.where(odd, k, 1)), 0)
    rate = decay(kappa.square().sum(0).sqrt()) + 1j * _turning(kappa, velocity)
    return torch.fft.ifftn(coefficients * torch.exp(-rate * time)).real


def _turning(kappa: Float[Tensor, "D *K"], velocity: Sequence[float]) -> Float[Tensor, "*K"]:
    """V·κ, 0 without a drift."""
    return sum((v * k for v, k in zip(velocity, kappa, strict=bool(velocity))), start=torch.zeros_like(kappa[0]))


def gauge(model: Model) -> Float[Tensor, " R"]:
    """Slope of h over the values of the training data; dividing h by it, and multiplying g, leaves L alone."""
    return slopes(model.spectral, torch.tensor(model.data["values"][0], dtype=torch.float64))


def gauged_symbol(model: Model) -> Inexact[Tensor, "R *K"]:
    """g(κ) in the gauge in which h has slope 1 over the values of the training data."""
    g = model.spectral.symbol()[:, 0, 0]
    return g * gauge(model).view(-1, *[1] * (g.ndim - 1))


def symbol_errors(
    model: Model, decay: Callable[[Tensor], Tensor], velocity: Sequence[float] = ()
) -> dict[str, list[float]]:
    """Largest relative error over 0 < |κ| ≤ 16 of the increment exp(−rate Δt) − 1 and of the generator −rate.

    The rate is decay(|κ|) + iV·κ. A mode at the Nyquist wavenumber stands for κ and −κ and cannot drift.
    """
    basis = model.spectral.basis
    kappa = basis.wavenumbers.double()
    modulus = kappa.square().sum(0).sqrt()
    band = (modulus > 0) & (modulus <= KAPPA)
    for k, N, L in zip(kappa, basis.points, basis.length, strict=True):
        band &= (k.abs() * L < math.pi * (N - 0.5)) | (not any(velocity))
    rate = decay(modulus[band]) + 1j * _turning(kappa, velocity)[band]
    g = gauged_symbol(model)[:, band]
    increment = torch.expm1(-rate * model.dt)
    continuum = generator(g[:, None, None], model.dt)[:, 0, 0]
    return {
        "increment_kappa16": ((g - increment).abs() / increment.abs()).amax(1).tolist(),
        "generator_kappa16": ((continuum + rate).abs() / rate.abs()).amax(1).tolist(),
    }


def evaluate(model: Model, path: str | Path, rows: Sequence[int] | None = None) -> dict[str, Any]:
    """Errors of every realisation on a trajectory file, in the layout of `morlight evaluate --json`.

    For fields between walls the errors are those against the mean of the runs of each γ (see `ensemble.evaluate`).
    Else `rollout_end`, the relative error of the last frame when only the first is given, over all trajectories;
    for walkers also `square_wave_t1` (Eq. 23, 25), and the errors of the symbol over κ ≤ 16.

    Args:
        model: the operator.
        path: trajectory file on the grid of the training data.
        rows: which trajectories to use, all where left out.
    """
    described = trajectories.describe(path)
    check_grid(model, described)
    fields = tuple(model.data["fields"])
    if model.steady:
        return _steady(model, described, rows)
    check_time(model, described)
    if "WALL" in described.grid.boundaries:
        return _channel(model, described, rows, path)
    ends = ensemble.frames(model, described, times=slice(None, None, len(described.times) - 1))
    ends = ends if rows is None else ends[list(rows)]
    gamma = parameters(model, described, rows)
    steps = round((described.times[-1] - described.times[0]) / model.dt)
    final = model.predict(ends[:, 0], steps, every=steps, finite=False, gamma=gamma)[:, :, -1]
    truth = torch.from_numpy(ends[None, :, 1].astype(np.float64)).flatten(1)
    errors = {"rollout_end": relative_error(torch.from_numpy(final).flatten(1), truth).tolist()}
    start = ends[:, 0]
    baseline = _linear(model, start, steps, truth, "rollout_end")
    decay = walkers_decay(described)
    if decay is not None:
        points = described.grid.points
        start = square_wave(points, decay, 0.0).numpy()[None, None]
        final = model.predict(start, round(1 / model.dt), every=round(1 / model.dt), finite=False)[:, :, -1]
        velocity = walkers_drift(described)
        exact = square_wave(points, decay, 1.0, velocity).flatten()
        errors["square_wave_t1"] = relative_error(torch.from_numpy(final).flatten(1), exact).tolist()
        baseline |= _linear(model, start, round(1 / model.dt), exact[None], "square_wave_t1")
        errors |= symbol_errors(model, decay, velocity)
    return {
        "checkpoint": str(model.path),
        "data": str(path),
        "realizations": model.realizations,
        "dt": model.dt,
        "errors": {name: summary(values) for name, values in errors.items()},
        "mass_drift": {name: drift(start[:, c], final[:, :, c]) for c, name in enumerate(fields)},
        "noise_ceiling": None,
        "baselines": {"linear": baseline} if baseline else {},
    }


def _channel(
    model: Model, described: trajectories.Trajectories, rows: Sequence[int] | None, path: str | Path
) -> dict[str, Any]:
    """The layout of `evaluate` for fields between walls."""
    found = ensemble.evaluate(model, described, rows)
    start, final = found.pop("start"), found.pop("final")
    return {
        "checkpoint": str(model.path),
        "data": str(path),
        "realizations": model.realizations,
        "dt": model.dt,
        "errors": {name: summary(values) for name, values in found.pop("errors").items()},
        "mass_drift": {name: drift(start[:, c], final[:, :, c]) for c, name in enumerate(model.data["fields"])},
        **found,
    }


def _linear(model: Model, u: np.ndarray, steps: int, truth: Float[Tensor, "1 n"], name: str) -> dict[str, float]:
    """Error of the linear model of each mode by itself; nothing where the checkpoint has none."""
    factors = linear.from_plain(model.operator, model.data.get("linear", []))
    if not factors:
        return {}
    start = torch.from_numpy(u.astype(np.float64))
    later = linear.advance(factors, start, steps)
    found = later - start if model.steady else later
    return {name: float(relative_error(found.flatten()[None], truth))}


def over_linear(
    model: Model,
    frames: Float[Tensor, "2 n C *X"],
    gamma: Float[Tensor, "n P"],
    horizon: int,
    trajectory: Int[Tensor, " n"],
) -> dict[str, Any] | None:
    """Mean square errors over some windows, in units of those of the linear model; None without a linear model.

    Each mode is taken in the unit of the linear model's own error, since that is almost all noise where waves are
    short. Below 1 the networks know more than a regression of each mode.

    Args:
        model: the operator.
        frames: u_j and u_{j+m} of windows that neither of them was fitted to.
        gamma: parameters γ.
        horizon: m.
        trajectory: of each window; the errors of different ones are independent.
    """
    factors = linear.from_plain(model.operator, model.data.get("linear", []))
    if not factors or len(trajectory) == 0:
        return None
    first, last = frames.double()
    given = gamma.numpy() if gamma.shape[1] else None
    factored = gamma.double() if gamma.shape[1] else None
    if model.steady:
        found = first + torch.from_numpy(model.apply(first.numpy(), given))
    else:
        walk = model.predict(first.numpy(), horizon, every=horizon, finite=False, gamma=given)
        found = torch.from_numpy(walk[:, :, -1])
    ratios = []
    for part in factors:
        off = part.basis.forward((found - last)[:, :, part.places]).abs().square()
        known = (
            part.basis.forward(part.advance(first[:, part.places], horizon, factored) - last[:, part.places])
            .abs()
            .square()
        )
        unit = known.mean(0)
        unit = unit.clamp_min(NoiseWeighted.FLOOR * unit.flatten(1).amax(1).view(-1, *[1] * (unit.ndim - 1)))
        ratios.append(((off - known) / unit).flatten(2).mean(2))
    excess = torch.stack(ratios).mean(0)
    which = torch.unique(trajectory, return_inverse=True)[1]
    each = excess.new_zeros(len(excess), int(which.max()) + 1).index_add_(1, which, excess)
    each = each / which.bincount()
    sd = each.std(1) / each.shape[1] ** 0.5 if each.shape[1] > 1 else torch.zeros(len(each))
    told = summary((1 + excess.mean(1)).tolist())
    return {"horizon": horizon, **told, "standard_error": float(sd.nan_to_num(0).median())}


def _steady(model: Model, described: trajectories.Trajectories, rows: Sequence[int] | None) -> dict[str, Any]:
    """The layout of `evaluate` for an operator without time: `operator` is ‖Lu − f‖ / ‖f‖ over all samples."""
    missing = set(model.data["targets"]) - set(described.fields)
    if missing:
        raise ValueError(f"{described.path}: target {', '.join(sorted(missing))} is missing, {model.path} learned it")
    names = [*model.data["fields"], *model.data["targets"]]
    chosen = range(described.trajectories) if rows is None else rows
    span = slice(min(chosen), max(chosen) + 1)
    both = trajectories.read(described.path, names, span, slice(1))[:, 0]
    both = both[[row - span.start for row in chosen]]
    count = len(model.data["fields"])
    found = torch.from_numpy(model.apply(both[:, :count], parameters(model, described, rows))).flatten(1)
    truth = torch.from_numpy(both[:, count:].astype(np.float64)).flatten()
    baseline = _linear(model, both[:, :count], 1, truth[None], "operator")
    return {
        "checkpoint": str(model.path),
        "data": str(described.path),
        "realizations": model.realizations,
        "dt": None,
        "errors": {"operator": summary(relative_error(found, truth[None]).tolist())},
        "mass_drift": {},
        "noise_ceiling": None,
        "baselines": {"linear": baseline} if baseline else {},
    }


def parameters(
    model: Model, described: trajectories.Trajectories, rows: Sequence[int] | None = None
) -> Float[np.ndarray, "n P"] | None:
    """γ of the trajectories of a file, in the order that the model knows; None for a model without any.

    Raises:
        ValueError: naming the scalar that the file lacks.
    """
    names = model.data.get("parameters", [])
    for name in names:
        if name not in described.parameters:
            raise ValueError(f"{described.path}: scalar {name} is missing, {model.path} depends on it")
    if not names:
        return None
    gamma = np.stack([np.asarray(described.parameters[name], np.float64) for name in names], 1)
    return gamma if rows is None else gamma[list(rows)]


def check_grid(model: Model, described: trajectories.Trajectories) -> None:
    """Refuse data that the model cannot be applied to.

    Raises:
        ValueError: naming the file, what it has and what the checkpoint needs.
    """
    factor = model.data.get("coarsen", 1)
    points = list(described.grid.points)
    if points == [factor * N for N in model.data["points"]]:  # averaged as the training data were
        points = model.data["points"]
    for key, got, due in (
        ("grid points", points, model.data["points"]),
        ("domain length", list(described.grid.length), model.data["length"]),
        ("boundaries", list(described.grid.boundaries), model.data["boundaries"]),
    ):
        if not (got == due or (key == "domain length" and np.allclose(got, due, rtol=1e-6))):
            raise ValueError(f"{described.path}: {key} {got}, expected {due} as in the training data of {model.path}")
    missing = trajectories.missing(described, model.data["fields"])
    if missing:
        raise ValueError(
            f"{described.path}: field {', '.join(missing)} is missing, {model.path} needs it;"
            f" the file has {', '.join(described.fields)}"
        )


def check_time(model: Model, described: trajectories.Trajectories) -> None:
    """Refuse data with fewer than two frames, or with frames between the steps of the model.

    Raises:
        ValueError: naming the file and both spacings.
    """
    ratio = described.dt / model.dt
    if not (ratio > 0.5 and abs(ratio - round(ratio)) < 1e-6 * ratio):
        raise ValueError(f"{described.path}: frames are {described.dt} apart, expected a multiple of Δt = {model.dt}")


def walkers_decay(described: trajectories.Trajectories) -> Callable[[Tensor], Tensor] | None:
    """|κ| ↦ D |κ|^α where the file holds walkers on [0, 2π)^D, of which the exact solution is known; else None."""
    settings = described.attributes.get("generator_parameters", {})
    if described.attributes.get("generator") not in ("brownian", "levy"):
        return None
    alpha = float(settings["alpha"])
    return lambda modulus: modulus**alpha


def walkers_drift(described: trajectories.Trajectories) -> tuple[float, ...]:
    """Mean velocity V of the walkers that a file holds, along each axis."""
    still = [0.0] * len(described.grid.points)
    return tuple(map(float, described.attributes["generator_parameters"].get("drift", still)))


def drift(start: np.ndarray, final: np.ndarray) -> list[float]:
    """Change of the total of each realisation, |mean u(t) − mean u(0)| / rms u(0), the largest over the batch."""
    axes = tuple(range(1, start.ndim))
    change = np.abs(final.mean(axis=tuple(a + 1 for a in axes)) - start.mean(axis=axes))
    return (change / np.sqrt((start**2).mean(axis=axes))).max(axis=1).tolist()


def summary(values: list[float]) -> dict[str, Any]:
    """Values of the realisations with median and minimum; one that is not finite counts as infinite."""
    known = np.where(np.isfinite(values), values, np.inf)
    return {"per_realization": known.tolist(), "median": float(np.median(known)), "min": float(known.min())}
