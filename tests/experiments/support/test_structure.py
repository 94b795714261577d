"""Structure of waves that are known, of free atoms, and beside dynasor."""

import gzip
import math
import sys

import numpy as np
import pytest

from experiments.studies import structure as study
from experiments.support import structure
from experiments.support.structure import ATOMS, LENGTH, POINTS, SIDE, Structure
from morlight.data.trajectory_file import TrajectoryFile

K = math.tau / LENGTH


def free_atoms(path, frames=6, atoms=50, seed=0):
    """A dump of atoms that fly freely, and their places and velocities."""
    rng = np.random.default_rng(seed)
    start, v = rng.uniform(0, 1, (atoms, 3)) * [LENGTH, LENGTH, SIDE], rng.normal(size=(atoms, 3))
    times = 2.0 * np.arange(frames)
    x = start + v * times[:, None, None]
    with gzip.open(path, "wt") as file:
        for step, places in enumerate(x):
            file.write(f"ITEM: TIMESTEP\n{400 * step}\nITEM: NUMBER OF ATOMS\n{atoms}\nITEM: BOX BOUNDS pp pp pp\n")
            file.write(f"0 {LENGTH}\n0 {LENGTH}\n0 {SIDE}\nITEM: ATOMS id type x y z vx vy vz v_energy\n")
            rows = np.column_stack([places, v, (v**2).sum(1) / 2])
            file.writelines(f"{i} 1 {' '.join(f'{number:.9g}' for number in row)}\n" for i, row in enumerate(rows, 1))
    return x, v


def expected(x, v, vectors):
    """F, C_L and C_T in the plane, from the sums over atoms, of every wave vector."""
    phase = np.exp(-1j * K * np.einsum("tna,ak->tnk", x[:, :, :2], vectors))
    k = vectors / np.hypot(*vectors)
    flow = np.einsum("na,tnk->tak", v[:, :2], phase)
    along, across = (k * flow).sum(1), k[0] * flow[:, 1] - k[1] * flow[:, 0]
    return [np.stack([(c[lag:] * c[: len(c) - lag].conj()).real.mean(0) for lag in range(4)], 1) for c in
            (phase.sum(1), along, across)]  # fmt: skip


def test_fields_of_a_dump_have_the_structure_of_its_atoms(tmp_path):
    x, v = free_atoms(tmp_path / "atoms.dump.gz")
    path = structure.deposited([tmp_path / "atoms.dump.gz"], tmp_path / "fields.h5", 1)
    u = TrajectoryFile.open(path).read(["density", "momentum_x", "momentum_y"])
    found = structure.of_fields(u, 2.0, 1.0, 3)
    exact = np.stack(expected(x, v, structure.wave_vectors(1.0))).mean(1) / ATOMS
    assert found.kappa == pytest.approx([K])
    assert found.functions[:, 0] == pytest.approx(exact, rel=0.02, abs=0.01 * exact.max())  # cells of the deposit


def test_fields_are_made_again_of_other_dumps_or_other_frames(tmp_path):
    dump, path = tmp_path / "atoms.dump.gz", tmp_path / "fields.h5"
    free_atoms(dump)
    first = TrajectoryFile.open(structure.deposited([dump], path, 1)).read()
    again = path.stat().st_mtime_ns
    structure.deposited([dump], path, 1)
    assert path.stat().st_mtime_ns == again
    assert TrajectoryFile.open(structure.deposited([dump], path, 2)).read().shape[1] == 3
    free_atoms(dump, seed=1)
    other = TrajectoryFile.open(structure.deposited([dump], path, 1)).read()
    assert other.shape == first.shape
    assert not np.allclose(other, first)


def test_a_wave_in_the_plane_has_its_frequency_and_direction():
    t, x = 2.0 * np.arange(50), (np.arange(POINTS) + 0.5) * LENGTH / POINTS
    phase = K * (x[:, None] + x) - 0.1 * t[:, None, None]
    wave = np.cos(phase)
    u = np.stack([0.01 * wave, 0.02 * wave + 0.03 * np.sin(phase), 0.02 * wave - 0.03 * np.sin(phase)], 1)[None]
    found = structure.of_fields(u, 2.0, 1.5, 10)
    size = (LENGTH**2 * SIDE) ** 2 / 4 / ATOMS / 2  # one of the two directions of this length has the wave
    assert found.kappa == pytest.approx([K, K * math.sqrt(2)])
    turning = np.cos(0.1 * found.times)
    for line, amplitude in zip(found.functions[:, 1], (0.01, 0.02 * math.sqrt(2), 0.03 * math.sqrt(2)), strict=True):
        assert line == pytest.approx(amplitude**2 * size * turning, abs=1e-9 * size)
    assert np.abs(found.functions[:, 0]).max() < 1e-20 * size


def test_damping_and_sound_of_a_long_wave_are_found():
    t, k = 4.0 * np.arange(20), 0.12
    sound = 1.9 * np.exp(-3.1 * k**2 * t) * np.cos(1.8 * k * t)
    functions = np.stack([sound, sound, 2.1 * np.exp(-2.4 * k**2 * t)])[:, None]
    found = structure.long_wave(Structure(np.array([k]), t, functions), 0)
    assert (found.viscosity, found.speed, found.attenuation) == pytest.approx((2.4, 1.8, 3.1), rel=1e-4)


def test_the_study_does_not_begin_without_dynasor(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "dynasor", None)
    with pytest.raises(SystemExit):
        study.main([str(tmp_path)])
    assert "dynasor is not installed, which computes structure factors: pip install" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_dynasor_finds_the_structure_of_the_sums_over_atoms(tmp_path, monkeypatch):
    pytest.importorskip("dynasor")
    monkeypatch.setattr(structure, "FRAMES", 12)
    x, v = free_atoms(tmp_path / "atoms.dump.gz", frames=13)
    first, second = structure.of_atoms(tmp_path / "atoms.dump.gz", 1.0, 3)
    for found, part in ((first, slice(0, 6)), (second, slice(6, 12))):
        exact = [each.mean(0) / len(v) for each in expected(x[part], v, structure.wave_vectors(1.0))[:2]]
        assert found.functions[:2, 0] == pytest.approx(np.stack(exact), rel=1e-6, abs=1e-6)
