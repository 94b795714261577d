"""Memory of earlier frames, and noise that lasts from frame to frame.

A field without memory has λ(2Δt) = λ(Δt)² in every mode. Independent noise of a measurement lowers λ(Δt) and λ(2Δt) by
one factor, so that both are estimated with the frame before as instrument, whose noise is independent of theirs:

    λ(nΔt) = Σ c*(t − Δt) c(t + nΔt) / Σ c*(t − Δt) c(t)
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Complex, Float, Int
from scipy import stats

from morlight.analysis.doctor.fields import AXES, Field, FieldSample
from morlight.analysis.doctor.findings import Finding, NotApplicable
from morlight.analysis.doctor.statistics import jackknife
from morlight.data.ensembles import SEED

FRAMES = 10
PARTS = 6  # independent trajectories, or stretches of time, for a standard error
MODES = 4  # lowest modes along each axis that are tested
MEMORY = 0.25  # relative difference of ln λ(2Δt) from 2 ln λ(Δt)
NONLINEAR = 0.3  # of the residual that squares and cubes of the field explain
CORRELATION = 0.1  # of noise between neighboring frames
OVERLAP = 0.1  # λ(Δt)² − λ(2Δt) of the highest modes
SLOW = 10  # over the number of frames: a random walk of as many has 1 − λ = 5.3 / T without its mean
FLAT = 0.5  # exponent of −ln λ ~ k^α
SAMPLES = 200  # values of a mode, over trajectories and frames, so that λ is known to 0.07
NOISE = 1e-5  # of the field, root mean square; below lies rounding
HIGH = 32  # cells along an axis, so that there are 12 modes in two octaves


class Band(NamedTuple):
    """Number, energy, λ(Δt) and λ(2Δt) of each of some modes, how many of them are independent, error of one λ."""

    k: Int[np.ndarray, " K"]
    energy: Float[np.ndarray, " K"]
    once: Float[np.ndarray, " K"]
    twice: Float[np.ndarray, " K"]
    independent: int
    error: float


def memory(sample: FieldSample, size: float) -> list[Finding]:
    """λ(2Δt) against λ(Δt)² in the lowest modes of fields with linear dynamics."""
    sample.require_frames(FRAMES)
    findings, tested = [], 0
    for name, u in sample.fields.items():
        for axis in range(len(sample.grid.points)):
            modes = _modes(sample, u, axis)
            if modes is None or _is_nonlinear(sample.along(u, axis), sample.grid.boundaries[axis]):
                continue
            tested += 1
            worst = _memory(modes[..., 1 : MODES + 1], size / (len(sample.fields) * len(sample.grid.points)))
            if worst is not None:
                mode, once, twice = worst
                message = (
                    f"{name} has memory: in mode {mode} along {AXES[axis]} λ(2Δt) is {twice:.3g} and λ(Δt)² is"
                    f" {once**2:.3g}; the next frame depends on more than this one"
                )
                findings.append(Finding("memory", "odd", message, twice, f"λ(Δt)² = {once**2:.3g}"))
    if not tested:
        raise NotApplicable("no field has linear dynamics and enough trajectories (between walls: of equal parameters)")
    return findings


def _modes(sample: FieldSample, u: Field, axis: int) -> Complex[np.ndarray, "parts T K"] | None:
    """Coefficients along an axis, without what lasts: between walls the difference of two runs of the same γ."""
    line = sample.along(u, axis)
    if sample.grid.boundaries[axis] == "PERIODIC":
        return np.fft.rfft(line)
    pairs = _replicas(sample)
    if not pairs:
        return None
    odd_extension = np.stack([line[i] - line[j] for i, j in pairs])
    return np.fft.rfft(np.concatenate([odd_extension, odd_extension[..., ::-1]], -1))


def _replicas(sample: FieldSample) -> list[tuple[int, int]]:
    """Pairs of trajectories of the same γ, none twice."""
    keys = [key for key in sample.parameters if key != SEED]
    if SEED not in sample.parameters:
        return []
    groups: dict[tuple[float, ...], list[int]] = {}
    for i in range(len(sample.rows)):
        groups.setdefault(tuple(float(sample.parameters[key][i]) for key in keys), []).append(i)
    return [pair for rows in groups.values() for pair in zip(rows[::2], rows[1::2], strict=False)]


def _is_nonlinear(line: Float[np.ndarray, "S T N"], boundary: str) -> bool:
    """Whether squares and cubes of the field improve the prediction of its lowest modes."""
    scale = np.abs(line).max() or 1.0
    centered = (line - line.mean()) / scale
    powers = [np.fft.rfft(centered**p)[:, :-1, 1 : MODES + 1] for p in (1, 2, 3)]
    following = np.fft.rfft(centered)[:, 1:, 1 : MODES + 1]
    for k in range(following.shape[-1]):
        y = following[..., k].reshape(-1)
        columns = [power[..., k].reshape(-1) for power in powers]
        residuals = [_residual(columns[:p], y) for p in (1, 3)]
        total = float((np.abs(y) ** 2).sum())
        if residuals[0] > 1e-10 * total and residuals[1] < (1 - NONLINEAR) * residuals[0]:
            return True
    return False


def _residual(columns: Sequence[Complex[np.ndarray, " n"]], y: Complex[np.ndarray, " n"]) -> float:
    design = np.stack(columns, -1)
    solution = np.linalg.lstsq(design, y, rcond=None)[0]
    return float((np.abs(y - design @ solution) ** 2).sum())


def _memory(c: Complex[np.ndarray, "S T K"], size: float) -> tuple[int, float, float] | None:
    """The mode with the largest difference, |λ(Δt)| and |λ(2Δt)|, where it is large and significant."""
    z = c[:, :-3].conj()
    sums = np.stack([(z * c[:, n : c.shape[1] - 3 + n]) for n in (1, 2, 3)])
    parts = sums.sum(2) if len(c) >= PARTS else _stretches(sums)
    if parts.shape[1] < PARTS:
        return None
    total = parts.sum(1)
    differences = np.stack([_difference(total - parts[:, i]) for i in range(parts.shape[1])])
    error = jackknife(differences)
    difference, once, twice = _difference(total), np.abs(total[1] / total[0]), np.abs(total[2] / total[0])
    t = np.abs(difference) / np.maximum(error, 1e-12)
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.abs(np.log(twice) / (2 * np.log(once)) - 1)
    well_known = np.abs(total[0]) > 5 * jackknife(np.stack([total[0] - part for part in parts.swapaxes(0, 1)[:, 0]]))
    threshold = stats.t.isf(size / (4 * c.shape[-1]), parts.shape[1] - 1)
    odd = (t > threshold) & (relative > MEMORY) & well_known & (np.abs(difference) > 10 * NOISE)
    if not odd.any():
        return None
    k = int(np.argmax(np.where(odd, relative, 0)))
    return k + 1, float(once[k]), float(twice[k])


def _difference(sums: Complex[np.ndarray, "3 K"]) -> Complex[np.ndarray, " K"]:
    start = np.where(sums[0] == 0, 1, sums[0])
    return sums[2] / start - (sums[1] / start) ** 2


def _stretches(products: Complex[np.ndarray, "3 S t K"]) -> Complex[np.ndarray, "3 P K"]:
    """Sums over parts of the time, where there are few trajectories."""
    number = max(1, min(8, products.shape[2] // 20))
    parts = [part.sum(2) for part in np.array_split(products, number, axis=2)]
    return np.concatenate(parts, 1)


def noise(sample: FieldSample, size: float) -> list[Finding]:
    """Correlation between frames of the highest modes, where there is nothing but noise."""
    sample.require_frames(2 * FRAMES)
    findings, tested = [], False
    for name, u in sample.fields.items():
        for axis, N in enumerate(sample.grid.points):
            band = _highest(sample.along(u, axis), sample.grid.boundaries[axis]) if N >= HIGH else None
            if band is None:
                continue
            tested = True
            share = size / (2 * len(sample.fields) * len(sample.grid.points))
            for value, how in (_overlap(band, share), _plateau(band, share)):
                if value is not None:
                    message = f"the noise of {name} is correlated between frames along {AXES[axis]}, {value:.3g}: {how}"
                    findings.append(Finding("noise", "odd", message, value, f"below {CORRELATION:g}"))
                    break
    if not tested:
        raise NotApplicable("no field has noise in its highest modes, in enough frames")
    return findings


def _highest(line: Float[np.ndarray, "S T N"], boundary: str) -> Band | None:
    """Modes of the two highest octaves without the shortest wave; None where they hold no noise, or it is too slow."""
    late = line[:, line.shape[1] // 4 :]
    window = np.ones(line.shape[-1]) if boundary == "PERIODIC" else np.hanning(line.shape[-1])
    top = line.shape[-1] // 2
    k = np.arange(max(1, top // 4), top)
    c = np.fft.rfft((late - late.mean(1, keepdims=True)) * window)[..., k]
    rms = np.sqrt((np.abs(c[..., len(k) // 2 :]) ** 2).mean() / line.shape[-1])
    if rms < NOISE * (np.sqrt((line**2).mean()) or 1.0) or c.shape[0] * c.shape[1] < SAMPLES:
        return None
    energy = (np.abs(c) ** 2).mean((0, 1))
    once, twice = ((c[:, n:] * c[:, :-n].conj()).mean((0, 1)) / energy for n in (1, 2))
    turn = once / np.where(np.abs(once) > 0, np.abs(once), 1)  # the phase of a uniform flow
    error = 1 / np.sqrt(c.shape[0] * c.shape[1])
    modulus = np.sqrt(np.maximum(0, np.abs(once) ** 2 - error**2))
    bias = (1 + 3 * modulus) / c.shape[1]  # of the mean over time that was subtracted (Kendall 1954)
    if modulus.mean() > 1 - SLOW / c.shape[1]:
        return None
    coupled = 1 if boundary == "PERIODIC" else 2  # modes that the window makes one
    return Band(k, energy, modulus + bias, np.real(twice * turn.conj() ** 2) + bias, len(k) // coupled, error)


def _overlap(band: Band, size: float) -> tuple[float | None, str]:
    """Averages over overlapping times: neighbors are alike, the ones after them are not."""
    high = slice(len(band.k) // 2, None)
    once = band.once[high]
    excess = once**2 - band.twice[high]
    error = excess.std() / np.sqrt(band.independent / 2)
    real = excess.mean() > max(OVERLAP, stats.t.isf(size, band.independent / 2) * error) and once.mean() > CORRELATION
    return (float(once.mean()), "neighboring frames share what they average") if real else (None, "")


def _plateau(band: Band, size: float) -> tuple[float | None, str]:
    """Noise without a scale: −ln λ ~ k^α with α far below that of diffusion, 2, and the same energy in all modes."""
    half = len(band.k) // 2
    if not 0.5 < band.energy[half:].mean() / band.energy[:half].mean() < 2:
        return None, ""
    if band.once.mean() < CORRELATION + band.error:  # a modulus is never below zero
        return None, ""
    line = stats.linregress(np.log(band.k), np.log(-np.log(np.clip(band.once, 0.01, 0.999))))
    error = line.stderr * np.sqrt(len(band.k) / band.independent)
    if line.slope + stats.t.isf(size, band.independent - 2) * error > FLAT:
        return None, ""
    return float(band.once.mean()), "at all short waves alike"
