"""How often `morlight doctor` complains of files in which nothing is odd: the sets of the package, and simulated files.

    python -m experiments.false_alarms

simulates walkers, random fields, solutions of the heat equation with independent noise and ideal gases, with
parameters drawn at random, examines each and prints the share of files with a finding, by kind.
"""

import argparse
import math
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from scipy import fft

from morlight.analysis.doctor.examination import examine
from morlight.data import shipped
from morlight.data.trajectory_writer import write
from morlight.operators.description import Grid
from morlight.simulate.random_fields import Fields, burgers, laplacian
from morlight.simulate.walkers import Walkers, brownian, levy

Make = Callable[[Path, np.random.Generator], Path]


def brownian_file(folder: Path, rng: np.random.Generator) -> Path:
    """Brownian walkers on a line."""
    path = folder / "brownian.h5"
    bins = int(rng.choice([16, 32, 64, 100]))
    setting = Walkers(
        sets=int(rng.integers(1, 12)),
        walkers=int(bins * rng.integers(10, 200)),
        steps=int(rng.integers(15, 120)),
        bins=bins,
        dt=float(10 ** rng.uniform(-3.5, -1.5)),
        deposit=str(rng.choice(["histogram", "linear", "fourier"] if bins != 100 else ["histogram", "linear"])),
    )
    brownian(path, setting, seed=int(rng.integers(2**31)))
    return path


def levy_file(folder: Path, rng: np.random.Generator) -> Path:
    """α-stable flights on a line or in the plane."""
    path = folder / "levy.h5"
    plane = bool(rng.integers(2))
    setting = Walkers(
        sets=int(rng.integers(1, 8)),
        walkers=int(10 ** rng.uniform(4, 4.7)),
        steps=int(rng.integers(15, 60)),
        bins=16 if plane else 64,
        dt=float(10 ** rng.uniform(-3, -2)),
        alpha=float(rng.uniform(0.8, 2)),
        drift=(0.0, 0.0) if plane else (float(rng.uniform(-1, 1)),),
        anisotropy=float(rng.uniform(0, 1)),
    )
    levy(path, setting, seed=int(rng.integers(2**31)))
    return path


def random_field_file(folder: Path, rng: np.random.Generator) -> Path:
    """Random fields and an operator on them, one frame each."""
    path = folder / "random.h5"
    band = int(rng.integers(2, 10))
    setting = Fields(samples=int(rng.integers(1, 50)), points=int(rng.integers(4 * band + 2, 65)), band=band)
    (burgers if rng.integers(2) else laplacian)(path, setting, seed=int(rng.integers(2**31)))
    return path


def heat_file(folder: Path, rng: np.random.Generator) -> Path:
    """∂ₜu = ∇²u mode by mode, periodic or between walls with ∂ₓu = 0, and independent noise on every value."""
    N, T, S = int(rng.choice([16, 32, 64, 128])), int(rng.integers(12, 100)), int(rng.integers(1, 16))
    periodic = bool(rng.integers(2))
    k = np.arange(N)
    kappa = k.astype(float) if periodic else k / 2  # on [0, 2π)
    times = np.arange(T) * 10 ** rng.uniform(-3, -1)
    c = rng.normal(size=(S, N)) * (k <= 5) * (k > 0) * N / 8
    if periodic:
        half = N // 2 + 1
        start = c[:, :half] * np.exp(1j * rng.uniform(0, 2 * math.pi, (S, half)))
        decay = np.exp(-(kappa[:half] ** 2) * times[:, None])
        u = 1 + fft.irfft(start[:, None] * decay, N)
    else:
        u = 1 + fft.idct(c[:, None] * np.exp(-(kappa**2) * times[:, None]), 2)
    u += rng.choice([0, 1e-3, 1e-2, 5e-2]) * rng.normal(size=u.shape)
    path = folder / "heat.h5"
    name = str(rng.choice(["u", "density"]))
    grid = Grid((N,), (2 * math.pi,), ("PERIODIC" if periodic else "WALL",))
    write(path, name="heat", fields={name: u.astype(np.float32)}, grid=grid, times=times, provenance={})
    return path


def gas_file(folder: Path, rng: np.random.Generator) -> Path:
    """An ideal gas in a periodic box, as a dump of LAMMPS."""
    P, L, dt = int(rng.integers(300, 3000)), 10.0, float(rng.uniform(0.01, 0.2))
    x, v = rng.uniform(0, L, (P, 3)), rng.normal(size=(P, 3)) * math.sqrt(rng.uniform(0.5, 3))
    path = folder / "gas.dump"
    with path.open("w") as file:
        for frame in range(int(rng.integers(2, 20))):
            file.write(f"ITEM: TIMESTEP\n{frame}\nITEM: NUMBER OF ATOMS\n{P}\nITEM: BOX BOUNDS pp pp pp\n")
            file.write(f"0 {L}\n0 {L}\n0 {L}\nITEM: ATOMS id type x y z vx vy vz\n")
            rows = np.concatenate([(x + frame * dt * v) % L, v], 1)
            file.writelines(f"{i + 1} 1 {' '.join(f'{value:.6g}' for value in row)}\n" for i, row in enumerate(rows))
    return path


KINDS: dict[str, tuple[Make, int]] = {
    "Brownian walkers": (brownian_file, 30),
    "Lévy flights": (levy_file, 20),
    "random fields": (random_field_file, 10),
    "heat equation with noise": (heat_file, 40),
    "ideal gas (dump)": (gas_file, 20),
}


def findings(path: str | Path) -> list[str]:
    """What is said about a file."""
    return [f"{finding.check}: {finding.message}" for finding in examine(path, (16,)).findings]


def main(words: Sequence[str] | None = None) -> None:
    """Count the files with a finding."""
    parser = argparse.ArgumentParser(prog="python -m experiments.false_alarms", description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--share", type=float, default=1.0, help="of the simulated files (default 1)")
    options = parser.parse_args(words)
    rng = np.random.default_rng(options.seed)
    rows = [("shipped sets", [findings(name) for name in shipped.names()])]
    for kind, (make, number) in KINDS.items():
        said = []
        for _ in range(max(1, round(options.share * number))):
            with tempfile.TemporaryDirectory() as folder:
                said.append(findings(make(Path(folder), rng)))
        rows.append((kind, said))
    print("| files | number | with a finding | findings |\n|---|---|---|---|")
    for kind, said in rows:
        sentences = "; ".join(sentence for sentences in said for sentence in sentences) or "none"
        print(f"| {kind} | {len(said)} | {sum(map(bool, said))} | {sentences} |")


if __name__ == "__main__":
    main()
