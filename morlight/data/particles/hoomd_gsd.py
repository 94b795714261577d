"""GSD files of HOOMD-blue, read by gsd (the extra md).

The schema defines what the other formats leave open: the box is centered at 0 and periodic, masses are 1 by default,
types have names. It counts time steps and states no times.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from morlight.data.particles.frames import AXES, Clock, Frame, right_angled


def read(path: Path, wanted: Sequence[str]) -> Iterator[Frame]:
    """Frames of a GSD file.

    Raises:
        ValueError: where gsd is not installed, or the file is damaged.
    """
    try:
        import gsd.hoomd
    except ImportError as error:
        raise ValueError(
            f"{path}: is GSD, which gsd reads and which is not installed, expected pip install 'morlight[md]'"
        ) from error
    number = 0
    try:
        with gsd.hoomd.open(str(path), "r") as file:
            for number, frame in enumerate(file):
                yield _frame(f"{path}: frame {number}", frame)
    except (OSError, RuntimeError, KeyError) as error:
        raise ValueError(f"{path}: the GSD file is damaged or cut short at frame {number}") from error


def _frame(where: str, frame: object) -> Frame:
    configuration, particles = frame.configuration, frame.particles  # type: ignore[attr-defined]
    sides = np.asarray(configuration.box[:3], np.float64)
    box = right_angled(where, (-sides / 2).tolist(), sides.tolist(), configuration.box[3:].tolist())
    columns = {
        **dict(zip(AXES, particles.position.T.astype(np.float64), strict=True)),
        **dict(zip(("vx", "vy", "vz"), particles.velocity.T.astype(np.float64), strict=True)),
        "mass": particles.mass.astype(np.float64),
        "type": np.array(particles.types, dtype=str)[particles.typeid],
    }
    return Frame(
        where, Clock(int(configuration.step)), replace(box, periodic=(True, True, True)), columns, list(columns)
    )
