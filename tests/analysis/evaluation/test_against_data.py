"""Errors against data with other frames, cells and γ than those of the training, computed again in NumPy."""

import itertools

import numpy as np
import pytest
import small_fits
from matplotlib.axes import Axes

FRAMES, DT = 9, 0.1


def sines_and_cosines(gamma, bins=12):
    """Two smooth fields between walls with noise, for each (a, b, seed)."""
    rng, x, t = np.random.default_rng(5), (np.arange(bins) + 0.5) / bins, np.arange(FRAMES)[:, None] * DT
    fields = {"density": [], "momentum": []}
    for a, b, _ in gamma:
        noise = 0.05 * rng.normal(size=(2, FRAMES, bins))
        fields["density"].append(a + b * np.exp(-t) * np.cos(np.pi * x) + noise[0])
        fields["momentum"].append((1 + a) * b * np.exp(-b * t) * np.sin(np.pi * x) + noise[1])
    return {name: np.array(values) for name, values in fields.items()}


def halved(u):
    return (u[..., ::2] + u[..., 1::2]) / 2


GAMMA = list(itertools.product((0.5, 1.0), (1.0, 2.0), (1.0, 2.0, 3.0)))
SCALARS = dict(zip(("a", "b", "seed"), np.array(GAMMA).T, strict=True))


@pytest.fixture(scope="module")
def channel(tmp_path_factory):
    """A fit to cells averaged in pairs and to the means over runs, the fine fields, and the coarse ones."""
    patch = pytest.MonkeyPatch()
    patch.chdir(tmp_path_factory.mktemp("channel"))
    patch.delenv("MLFLOW_TRACKING_URI", raising=False)
    fine = sines_and_cosines(GAMMA)
    path = small_fits.write("fine.h5", fine, dt=DT, walls=True, parameters=SCALARS)
    words = {"data.coarsen": 2, "data.parameters": ["a", "b"], "data.ensemble": "mean", "model.horizons": [1]}
    found = small_fits.fit(path, words | {"model.bases": {"momentum": "sine"}})
    coarse = {name: halved(u) for name, u in fine.items()}
    yield found, path.absolute(), coarse
    patch.undo()


def means(fields):
    """Mean over the three runs of each γ (γ, time, field, x)."""
    return np.stack([u.reshape(4, 3, *u.shape[1:]).mean(1) for u in fields.values()], 2)


def relative(found, truth):
    """Root of the mean, over the fields, of ‖a − b‖²/‖b‖² over x."""
    return np.sqrt((np.square(found - truth).sum(-1) / np.square(truth).sum(-1)).mean(-1))


def test_runs_belong_together_where_all_of_their_parameters_agree(channel):
    found, path, coarse = channel
    u = means(coarse)
    told = small_fits.told("evaluate", found.checkpoint, "--data", path)
    assert len(told["by_parameters"]) == 4
    for (a, b), mean in zip(itertools.product((0.5, 1.0), (1.0, 2.0)), u, strict=True):
        (own,) = [each for each in told["by_parameters"] if each["parameters"] == {"a": a, "b": b}]
        assert own["baselines"]["persistence"]["t=0.8"] == pytest.approx(relative(mean[0], mean[-1]))
    # the training too has seen the means of all four
    walk = found.model.predict(u[:, :-1].reshape(-1, 2, 6), 1, gamma=np.repeat(np.array(GAMMA)[::3, :2], FRAMES - 1, 0))
    off = np.square(walk[:, :, 1] - u[:, 1:].reshape(-1, 2, 6)).mean((1, 2, 3))
    assert found.per_realization("train_loss") == pytest.approx(off, rel=1e-6)


def test_finer_data_are_averaged_over_the_cells_of_the_model(channel, tmp_path):
    found, path, coarse = channel
    same = small_fits.write(tmp_path / "same.h5", coarse, dt=DT, walls=True, parameters=SCALARS)
    fine, averaged = (small_fits.told("evaluate", found.checkpoint, "--data", data) for data in (path, same))
    for key in ("errors", "baselines", "noise_ceiling"):
        assert_close(fine[key], averaged[key])


def assert_close(one, other):
    """All numbers of two nested answers agree."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_close(one[key], other[key])
    else:
        assert one == pytest.approx(other, rel=1e-9)


def test_frames_two_steps_apart_are_compared_with_every_second_step(channel, tmp_path):
    found, path, coarse = channel
    thin = {name: u[:, ::2] for name, u in coarse.items()}
    every_second = small_fits.write(tmp_path / "thin.h5", thin, dt=2 * DT, walls=True, parameters=SCALARS)
    whole, thinned = (small_fits.told("evaluate", found.checkpoint, "--data", data) for data in (path, every_second))
    for name in ("t=0.8", "t=0.8 density", "t=0.8 momentum"):
        assert_close(whole["errors"][name], thinned["errors"][name])
        for model in ("linear", "persistence"):
            assert whole["baselines"][model][name] == pytest.approx(thinned["baselines"][model][name])
    u = means(coarse)
    walk = found.model.predict(u[:, 0], 2, gamma=np.array(GAMMA)[::3, :2])[:, :, 2]
    expected = np.sqrt(np.square(relative(walk, u[:, 2])).mean(1))
    assert thinned["errors"]["t=0.2"]["per_realization"] == pytest.approx(expected)
    assert "t=0.1" not in thinned["errors"]


def test_frames_two_steps_apart_end_where_all_frames_end(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    u = np.random.default_rng(0).normal(size=(4, FRAMES, 16)).cumsum(1)
    path = small_fits.write("u.h5", {"u": u}, dt=DT)
    found = small_fits.fit(path, {"data.coarsen": 2})
    thin = small_fits.write("thin.h5", {"u": u[:, ::2]}, dt=2 * DT)
    averaged = small_fits.write("coarse.h5", {"u": halved(u)}, dt=DT)
    told = [small_fits.told("evaluate", found.checkpoint, "--data", data) for data in (path, thin, averaged)]
    walk = found.model.predict(halved(u[:, 0, None]), FRAMES - 1)[:, :, -1, 0]
    truth = halved(u[:, -1])
    expected = np.linalg.norm((walk - truth).reshape(3, -1), axis=1) / np.linalg.norm(truth)
    for each in told:
        assert each["errors"]["rollout_end"]["per_realization"] == pytest.approx(expected)
        assert each["baselines"]["linear"]["rollout_end"] == pytest.approx(
            told[0]["baselines"]["linear"]["rollout_end"]
        )


def test_the_error_over_the_linear_model_has_a_standard_error_of_independent_trajectories(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    rng, decay = np.random.default_rng(1), np.exp(-0.03 * np.arange(9) ** 2)
    modes = np.fft.rfft(rng.normal(size=(12, FRAMES, 16)))
    for j in range(1, FRAMES):
        modes[:, j] = decay * modes[:, j - 1] + 0.3 * modes[:, j]
    u = np.fft.irfft(modes, n=16)
    path = small_fits.write("u.h5", {"u": u}, parameters={"kind": np.arange(12) // 6})
    found = small_fits.fit(path, {"data.held_out": {"kind": 1}, "model.horizons": [1]})
    a, b = (np.fft.rfft(part) for part in (u[:, :-1], u[:, 1:]))
    factor = (b[:6] * a[:6].conj()).sum((0, 1)) / np.square(np.abs(a[:6])).sum((0, 1))
    linear = np.square(np.abs(factor * a[6:] - b[6:]))
    unit = linear.mean((0, 1))
    unit = np.maximum(unit, 1e-4 * unit.max())
    walk = found.model.predict(u[6:, :-1].reshape(-1, 1, 16), 1)[:, :, 1, 0].reshape(3, 6, FRAMES - 1, 16)
    excess = ((np.square(np.abs(np.fft.rfft(walk) - b[6:])) - linear) / unit).mean((2, 3))
    assert found.metrics["over_linear/median"] == pytest.approx(np.median(1 + excess.mean(1)), rel=1e-6)
    expected = np.median(excess.std(1, ddof=1) / np.sqrt(6))
    assert found.metrics["over_linear/standard_error"] == pytest.approx(expected, rel=1e-6)


def test_the_linear_model_between_walls_lets_no_mode_grow(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    x, growth = (np.arange(12) + 0.5) / 12, 1.2 ** np.arange(FRAMES)[:, None]
    sizes = np.random.default_rng(0).normal(size=(8, 4, 1, 1))
    u = growth * sum(sizes[:, k] * np.cos(np.pi * k * x) for k in range(4))
    path = small_fits.write("u.h5", {"u": u}, walls=True, parameters={"rate": np.linspace(1, 2, 8)})
    found = small_fits.fit(path, {"data.parameters": ["rate"]})
    told = small_fits.told("evaluate", found.checkpoint, "--data", path)
    # it knows that each mode grows by a fifth a step, and stays where it is
    assert set(told["errors"]) == {"rollout_end"}  # as that of all arrays of one's own
    assert told["baselines"]["linear"]["rollout_end"] == pytest.approx(1 - 1.2**-8, rel=1e-3)


def test_the_mode_at_the_nyquist_wavenumber_cannot_drift_and_is_not_judged(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    alpha, V = 0.1, 0.05
    u = 1 + 0.1 * np.random.default_rng(0).normal(size=(3, FRAMES, 16))
    made = {"generator": "levy", "generator_parameters": {"alpha": alpha, "drift": [V]}}
    path = small_fits.write("u.h5", {"density": u}, dt=DT, length=(2 * np.pi,), provenance=made)
    found = small_fits.fit(path, {"model.terms": 1, "model.realizations": 12})
    learned = small_fits.told("inspect", found.checkpoint)["fields"]["density"]["generator"]
    kappa, real, imaginary = (np.array(learned[key], float)[..., 1:] for key in ("kappa", "real", "imag"))
    kappa = kappa.reshape(-1)
    rate = kappa**alpha + 1j * V * kappa
    off = np.abs(real + 1j * imaginary + rate) / np.abs(rate)
    inner, all_modes = off[:, kappa < 8].max(1), off.max(1)
    assert (inner < 0.99 * all_modes).any()
    told = small_fits.told("evaluate", found.checkpoint, "--data", path)["errors"]
    assert told["generator_kappa16"]["per_realization"] == pytest.approx(inner, rel=1e-6)


def test_the_figure_of_a_long_roll_out_compares_frames_of_the_same_time(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    drawn = []
    plot = Axes.plot

    def look(self, *given, **named):
        drawn.append(given)
        return plot(self, *given, **named)

    monkeypatch.setattr(Axes, "plot", look)
    u = np.random.default_rng(0).normal(size=(2, 121, 8))  # of which every third frame is drawn
    found = small_fits.fit(small_fits.write("u.h5", {"u": u}, dt=DT))
    walk = found.model.predict(u[0, 0], 120, finite=False)
    with np.errstate(over="ignore", invalid="ignore"):
        errors = np.linalg.norm(walk - u[0], axis=-1) / np.linalg.norm(u[0], axis=-1)
    curves = [given for given in drawn if len(given) == 2 and len(given[0]) == 40]
    assert len(curves) == 3
    for (times, values), expected in zip(curves, errors, strict=True):
        assert times == pytest.approx(np.arange(3, 121, 3) * DT)
        assert values == pytest.approx(expected[3::3], rel=1e-6, nan_ok=True)


def test_the_linear_baseline_of_periodic_data_knows_the_parameters(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    x, t, rng = np.arange(24) / 24 * 2 * np.pi, np.arange(9)[:, None] * 0.05, np.random.default_rng(0)
    rates = np.repeat([0.5, 1.0, 2.0], 4)
    phases, sizes = rng.uniform(0, 6, (12, 3)), rng.uniform(0.1, 0.3, (12, 3))
    u = np.stack([
        sum(sizes[i, k] * np.exp(-rate * (k + 1) ** 2 * t) * np.cos((k + 1) * x + phases[i, k]) for k in range(3))
        for i, rate in enumerate(rates)
    ])  # fmt: skip
    path = small_fits.write("u.h5", {"u": u}, dt=0.05, length=(2 * np.pi,), parameters={"rate": rates})
    found = small_fits.fit(path, {"data.parameters": ["rate"]})
    answer = small_fits.told("evaluate", found.checkpoint, "--data", path)
    # λ(κ; z) = a + b z for each mode by least squares over one step, |λ| ≤ 1, with its offset
    z = rates / np.sqrt(np.square(rates).mean())
    c = np.fft.rfft(u)
    later = np.zeros_like(c[:, -1])
    for k in range(c.shape[2]):
        before, after = c[:, :-1, k].ravel(), c[:, 1:, k].ravel()
        each = np.repeat(z, 8)
        columns = np.stack([before, before * each, np.ones_like(before), each + 0j], 1)
        a = np.linalg.lstsq(columns, after, rcond=None)[0]
        factor, offset = a[0] + a[1] * z, a[2] + a[3] * z
        factor = factor / np.maximum(1, np.abs(factor))
        state = c[:, 0, k]
        for _ in range(8):
            state = factor * state + offset
        later[:, k] = state
    expected = np.linalg.norm(np.fft.irfft(later, n=24) - u[:, -1]) / np.linalg.norm(u[:, -1])
    assert answer["baselines"]["linear"]["rollout_end"] == pytest.approx(expected, rel=1e-3)
