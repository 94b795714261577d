"""Runs of LAMMPS that several tests read."""

import pytest

from tests.data.particles.simulation import LJ, REAL, simulate


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """Folders of a run in lj and of one in real units."""
    folder = tmp_path_factory.mktemp("lammps")
    return {"lj": simulate(folder / "lj", LJ), "real": simulate(folder / "real", REAL)}
