"""HDF5 files of others: numbers are read from their place in this file alone, and only as many as it holds."""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

NUMBERS = "fiub"  # kinds of numbers, as NumPy names them
FOREIGN = (OSError, RuntimeError, LookupError, TypeError, AttributeError, OverflowError, UnicodeError)


@contextmanager
def damage_as_sentence(path: str | Path) -> Iterator[None]:
    """Raise one sentence with the file in place of the errors of HDF5, which has one for each way to be damaged.

    Raises:
        ValueError: naming the file.
    """
    try:
        yield
    except (*FOREIGN, ValueError) as error:
        if isinstance(error, ValueError) and str(error).startswith(f"{path}: "):
            raise
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{path}: damaged, or an HDF5 file of another layout ({reason})") from error


def member(path: str | Path, group: h5py.Group, key: str, kinds: str = NUMBERS) -> Any:
    """A group, or a dataset of numbers that are all there.

    Args:
        path: of the file, for the sentence.
        group: that has the member.
        key: its name.
        kinds: of the values, as NumPy names them.

    Raises:
        ValueError: for a link, and for a dataset that lies in other files, holds no numbers, or claims more numbers
            than were written.
    """
    place = f"{path}: '{group.name.rstrip('/')}/{key}'"
    link = group.get(key, getlink=True)
    if not isinstance(link, h5py.HardLink):
        raise ValueError(f"{place} is a link to {link.path}, expected everything in its place in the file itself")
    node = group[key]
    if isinstance(node, h5py.Dataset):
        _check(place, node, kinds)
    elif not isinstance(node, h5py.Group):
        raise ValueError(f"{place} is a data type, expected a group or numbers")
    return node


def check_members(path: str | Path, unwritten: str) -> None:
    """Check all that stands at the root of a file which another library is going to read.

    Args:
        path: of the file.
        unwritten: start of the attribute NAME of datasets that have a size and no numbers.

    Raises:
        ValueError: as for `member`, and where the file is damaged.
    """
    with damage_as_sentence(path), h5py.File(path, "r") as file:
        for key in file:
            name = file[key].attrs.get("NAME", b"") if file.get(key, getclass=True) is h5py.Dataset else b""
            if not (isinstance(name, bytes) and name.decode(errors="replace").startswith(unwritten)):
                member(path, file, key, f"{NUMBERS}SO")


def _check(place: str, dataset: h5py.Dataset, kinds: str) -> None:
    if dataset.external or dataset.is_virtual:
        raise ValueError(f"{place} lies in other files, expected everything in the file itself")
    if dataset.shape is None or dataset.dtype.kind not in kinds:
        raise ValueError(f"{place} is of the type {dataset.dtype}, expected real numbers")
    if not _all_there(dataset):
        raise ValueError(f"{place} has the shape {dataset.shape}, of which not all was ever written")


def _all_there(dataset: h5py.Dataset) -> bool:
    """Whether every chunk of a dataset is there, or all of it where it has none, within the file."""
    stored, limit = dataset.id.get_storage_size(), os.path.getsize(dataset.file.filename)
    if dataset.chunks is None:
        return bool(dataset.nbytes <= stored <= limit)
    chunks = math.prod(-(-N // n) for N, n in zip(dataset.shape, dataset.chunks, strict=True))
    return bool(stored <= limit and dataset.id.get_num_chunks() >= chunks)
