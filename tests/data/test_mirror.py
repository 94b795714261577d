"""The mirror x → L − x: averages of runs with their images, its statistics, and data that do not have it."""

import channel
import numpy as np
import pytest
import torch
from scipy import stats

from morlight.data import mirror
from morlight.data.config import DataConfig
from morlight.data.datamodule import TrajectoryDataModule
from morlight.data.trajectory_file import TrajectoryFile
from morlight.data.trajectory_writer import write
from morlight.operators.description import DataDescription, Grid

GRID = Grid((20,), (1.0,), ("WALL",))


@pytest.fixture(scope="module")
def fluid(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "channel.h5"
    return channel.write(path, seeds=3, noise=0.05, frames=10)


def module(path, **words) -> TrajectoryDataModule:
    words = {"fields": ["density", "momentum"], "validation": 0.0, "test": 0.0} | words
    data = TrajectoryDataModule(DataConfig(path=str(path), **words))
    data.setup()
    return data


def file_of(path, u, *, boundary="WALL", provenance=None):
    """One field `u` (S, T, N)."""
    grid = Grid((u.shape[-1],), (1.0,), (boundary,))
    times = np.arange(u.shape[1]) / 10
    write(path, name="own", fields={"u": u}, grid=grid, times=times, parameters={}, provenance=provenance or {})
    return path


@pytest.mark.parametrize(("sign", "kept"), [(1, 0), (-1, 1)])
def test_averages_keep_the_waves_of_their_parity_alone(sign, kept):
    (x,) = GRID.coordinates
    waves = np.stack([np.cos(k * np.pi * x) for k in range(6)])  # cos kπ(1 − x) = (−1)^k cos kπx
    found = mirror.symmetric(waves[:, None], [sign])[:, 0]
    assert np.allclose(found[kept::2], waves[kept::2], atol=1e-15)
    assert np.allclose(found[1 - kept :: 2], 0, atol=1e-15)


@pytest.mark.parametrize("runs", [2, 5, 20])
def test_probabilities_of_symmetric_noise_are_uniform(runs):
    (x,) = GRID.coordinates
    rng = np.random.default_rng(0)
    waves = np.stack([np.sin(2 * np.pi * x), np.sin(4 * np.pi * x)])  # the two long waves without the mirror
    noise = rng.normal(size=(400, runs, 1, 1, 2)) @ waves
    noise += np.sin(np.pi * x) * np.sqrt(20)  # the mean; of one size, so that runs are scaled alike
    probabilities = [mirror.asymmetry(u, [1])[0].probability for u in noise]
    assert stats.kstest(probabilities, "uniform").pvalue > 1e-5


@pytest.mark.parametrize("ensemble", ["all", "mean"])
def test_half_of_the_noise_is_gone_and_the_mean_is_the_same(fluid, ensemble):
    plain, mirrored = (module(fluid, ensemble=ensemble, mirror=mirrored) for mirrored in (False, True))
    before, after = (each.part("train").frames.u for each in (plain, mirrored))
    assert torch.equal(after, after.flip(-1))
    assert torch.allclose(after.mean(-1), before.mean(-1), rtol=1e-5)
    if ensemble == "all":
        variances = [u.unflatten(0, (6, 3)).var(1).sum() for u in (before, after)]
        # of 6 × 2 × 11 × 10 × 2 numbers, weighted by the squares of the densities: about 500 count
        assert float(variances[0] / variances[1]) == pytest.approx(2, abs=0.4)
    described = mirrored.description
    assert described.parities == (1, 1)
    assert DataDescription.from_plain(described.to_plain()) == described


def test_parities_of_other_files_are_those_stated(tmp_path):
    (x,) = GRID.coordinates
    rng = np.random.default_rng(1)
    u = np.sin(2 * np.pi * x) + 0.1 * rng.normal(size=(4, 3, 20))
    path = file_of(tmp_path / "odd.h5", u.astype(np.float32))
    read = module(path, fields=["u"], mirror={"u": "odd"}).part("train").frames.u
    assert torch.equal(read, -read.flip(-1))


def couette(path, **words):
    """Linear profiles with noise."""
    rng = np.random.default_rng(2)
    u = GRID.coordinates[0] + 0.2 * rng.normal(size=(4, 3, 20))
    return file_of(path, u.astype(np.float32), **words)


REFUSED = {
    "not symmetric by the data": ({"mirror": {"u": "even"}}, {}, "field 'u' differs from its mirror image"),
    "not symmetric by the file": ({"mirror": {"u": "even"}}, {"provenance": {"mirror": {}}}, "are not symmetric"),
    "not stated": ({"mirror": True}, {}, "does not state the parity of its fields"),
    "periodic": (
        {"mirror": {"u": "even"}},
        {"boundary": "PERIODIC"},
        "one axis without walls; .* to be left out",
    ),
    "other field": ({"mirror": {"u": "even", "v": "even"}}, {}, "data.mirror names v, expected fields of the file: u"),
    "streamed": ({"mirror": {"u": "even"}, "memory": 1e-9}, {}, "data.mirror is set, which needs the fields in memory"),
}


@pytest.mark.parametrize(("words", "written", "named"), REFUSED.values(), ids=REFUSED)
def test_data_without_the_symmetry_are_refused(tmp_path, words, written, named):
    path = couette(tmp_path / "couette.h5", **written)
    with pytest.raises(ValueError, match=named):
        module(path, fields=["u"], **words)


def test_a_sum_has_the_parity_of_both_or_none(tmp_path):
    path = channel.write_pairs(tmp_path / "pairs.h5")
    held = TrajectoryFile.open(path)
    names = ["momentum_large+momentum_small"]
    assert mirror.parities(held, names, {"momentum_large": "odd", "momentum_small": "odd"}) == (-1,)
    with pytest.raises(ValueError, match=r"even and odd|odd and even"):
        mirror.parities(held, names, {"momentum_large": "even", "momentum_small": "odd"})
