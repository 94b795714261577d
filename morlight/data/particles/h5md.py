"""H5MD 1.0 and 1.1: particles/GROUP with position, velocity, species, mass, and a box.

An element is a dataset that holds for all frames, or a group of `value`, `step` and, optionally, `time`; step and time
are lists or one increment with an offset. The box has edges and says what is periodic, but not where it begins.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from morlight.data.hdf5 import NUMBERS, damage_as_sentence, member
from morlight.data.particles.frames import AXES, Box, Clock, Frame, right_angled

WORDS = f"{NUMBERS}SO"  # kinds of datasets: species may have names
Periodic = tuple[bool | None, bool | None, bool | None]
ELEMENTS = {"velocity": ("vx", "vy", "vz"), "species": ("type",), "mass": ("mass",)}


@dataclass(frozen=True, eq=False)
class _Element:
    """A quantity of the particles or of the box: one value for all frames, or a list with steps and times."""

    values: Any
    fixed: bool
    steps: np.ndarray | None = None
    times: np.ndarray | None = None

    def at(self, frame: int) -> np.ndarray:
        return np.asarray(self.values[()] if self.fixed else self.values[frame])


def read(path: Path, wanted: Sequence[str], group: str | None = None) -> Iterator[Frame]:
    """Frames of one group of particles.

    Raises:
        ValueError: where the file has several groups and none is named, or where something is missing or damaged.
    """
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise ValueError(f"{path}: the HDF5 file is damaged or cut short") from error
    with file, damage_as_sentence(path):
        if "particles" not in file:
            raise ValueError(f"{path}: is an HDF5 file without the group 'particles', expected H5MD")
        particles = member(path, file, "particles")
        name = _group(path, list(particles), group)
        yield from _frames(path, f"particles/{name}", member(path, particles, name), wanted)


def _group(path: Path, groups: Sequence[str], wanted: str | None) -> str:
    if wanted is None and len(groups) == 1:
        return groups[0]
    if wanted in groups:
        return str(wanted)
    held = ", ".join(groups) or "none"
    asked = "expected --group with one of them" if wanted is None else f"expected one of them, not '{wanted}'"
    raise ValueError(f"{path}: the groups of particles are {held}; {asked}")


def _frames(path: Path, where: str, node: h5py.Group, wanted: Sequence[str]) -> Iterator[Frame]:
    if "position" not in node:
        raise ValueError(f"{path}: '{where}/position' is missing, expected the positions of the particles")
    position = _element(path, f"{where}/position", member(path, node, "position"), 2)
    elements = {
        key: _element(path, f"{where}/{key}", member(path, node, key, WORDS), 2 if key == "velocity" else 1)
        for key, columns in ELEMENTS.items()
        if key in node and set(columns) & set(wanted)
    }
    if position.fixed:
        raise ValueError(f"{path}: '{where}/position' holds for all frames, expected a trajectory")
    count = len(position.values)
    edges, periodic = _box(path, where, node, position)
    for key, element in elements.items():
        _check_steps(path, f"{where}/{key}", element, position)
    for number in range(count):
        here = f"{path}: {where}, frame {number}"
        columns = dict(zip(AXES, position.at(number).T.astype(np.float64), strict=False))
        for key, element in elements.items():
            columns |= dict(zip(ELEMENTS[key], np.atleast_2d(_numbers(element.at(number).T)), strict=False))
        step = None if position.steps is None else int(position.steps[number])
        time = None if position.times is None else float(position.times[number])
        box = right_angled(here, None, *_sides(here, edges.at(number)))
        yield Frame(here, Clock(step, time), Box(box.sides, None, periodic), columns, list(columns))


def _element(path: Path, where: str, node: Any, dimensions: int) -> _Element:
    """A dataset of so many dimensions for all frames, or a group with one more for the frames."""
    if isinstance(node, h5py.Dataset):
        return _Element(node, fixed=True)
    if "value" not in node:
        raise ValueError(f"{path}: '{where}/value' is missing, expected values")
    values = member(path, node, "value", WORDS)
    if values.ndim != dimensions + 1:
        raise ValueError(f"{path}: '{where}/value' has the shape {values.shape}, expected frames, particles, …")
    steps = _instants(path, f"{where}/step", node, "step", len(values))
    times = _instants(path, f"{where}/time", node, "time", len(values))
    return _Element(values, False, steps, times)


def _instants(path: Path, where: str, node: h5py.Group, key: str, count: int) -> np.ndarray | None:
    """Steps or times of the frames: a list, or an increment from an offset."""
    if key not in node:
        return None
    values = np.asarray(member(path, node, key))
    if not np.isfinite(values).all():
        raise ValueError(f"{path}: '{where}' is not finite, expected numbers")
    if values.ndim == 0:
        offset = node[key].attrs.get("offset", 0)
        return offset + values * np.arange(count)
    if len(values) < count:
        raise ValueError(f"{path}: '{where}' has {len(values)} entries, expected one for each of {count} frames")
    return values[:count]


def _check_steps(path: Path, where: str, element: _Element, position: _Element) -> None:
    """An element must have its frames at the steps of the positions, or hold for all of them."""
    if element.fixed:
        return
    for mine, theirs in ((element.steps, position.steps), (element.times, position.times)):
        if mine is not None and theirs is not None:
            if len(mine) < len(theirs) or (mine[: len(theirs)] != theirs).any():
                raise ValueError(f"{path}: '{where}' has other frames than the positions, expected the same steps")
            return
    if len(element.values) != len(position.values):
        raise ValueError(f"{path}: '{where}' has other frames than the positions, expected as many")


def _box(path: Path, where: str, node: h5py.Group, position: _Element) -> tuple[_Element, Periodic]:
    """Edges of the box, and what is periodic."""
    box = member(path, node, "box") if "box" in node else None
    if box is None or "edges" not in box:
        raise ValueError(f"{path}: '{where}/box/edges' is missing, expected the edges of the box")
    source = member(path, box, "edges")
    fixed = isinstance(source, h5py.Dataset)
    edges = _element(path, f"{where}/box/edges", source, 1 if fixed or member(path, source, "value").ndim == 2 else 2)
    _check_steps(path, f"{where}/box/edges", edges, position)
    words = box.attrs.get("boundary")
    if words is None:
        return edges, (None, None, None)
    named = [word.decode() if isinstance(word, bytes) else str(word) for word in np.ravel(words)]
    named = named * 3 if len(named) == 1 else named
    if len(named) != 3:
        raise ValueError(f"{path}: '{where}/box' has the boundary {', '.join(named)}, expected one for each axis")
    known = {"periodic": True, "none": False}
    return edges, (known.get(named[0]), known.get(named[1]), known.get(named[2]))


def _sides(where: str, edges: np.ndarray) -> tuple[list[float], list[float]]:
    """Lengths of the sides, and what is not along an axis."""
    if edges.shape == (3,):
        return edges.tolist(), []
    if edges.shape == (3, 3):
        return np.diag(edges).tolist(), edges[~np.eye(3, dtype=bool)].tolist()
    raise ValueError(f"{where}: the edges of the box have the shape {edges.shape}, expected three dimensions")


def _numbers(values: np.ndarray) -> np.ndarray:
    """Numbers as such, words as strings."""
    return values.astype(str) if values.dtype.kind in "SO" else values.astype(np.float64)
