"""Whole frames of binary trajectories, counted by the lengths that they state, since their readers ignore a cut end."""

import os
import struct
from pathlib import Path
from typing import IO

XTC_MAGIC, XTC_LARGE_MAGIC, TRR_MAGIC = 1995, 2023, 1993


def whole_xtc_frames(path: Path) -> tuple[int, bool]:
    """Number of whole frames of an XTC file, and whether it ends with the last of them."""
    size, frames = os.path.getsize(path), 0
    with open(path, "rb") as file:
        while (place := file.tell()) < size:
            head = file.read(56)  # magic, atoms, step, time, box of 9, atoms again
            if len(head) < 56:
                return frames, False
            magic, atoms = struct.unpack(">ii", head[:8])
            if magic not in (XTC_MAGIC, XTC_LARGE_MAGIC):
                return frames, False
            if atoms <= 9:  # not compressed
                end = place + 56 + 12 * atoms
            else:
                wide = magic == XTC_LARGE_MAGIC
                lead = file.read(36 + (4 if wide else 0))  # precision, 6 limits, small index, bytes that follow
                if len(lead) < 36 + (4 if wide else 0):
                    return frames, False
                (length,) = struct.unpack(">q" if wide else ">i", lead[32:])
                end = file.tell() + (length + 3) // 4 * 4
            if end > size:
                return frames, False
            file.seek(end)
            frames += 1
    return frames, True


def whole_trr_frames(path: Path) -> tuple[int, bool]:
    """Number of whole frames of a TRR file, and whether it ends with the last of them."""
    size, frames = os.path.getsize(path), 0
    with open(path, "rb") as file:
        while file.tell() < size:
            head = file.read(12)  # magic, length of the version and of its string
            if len(head) < 12 or struct.unpack(">i", head[:4])[0] != TRR_MAGIC:
                return frames, False
            word = (struct.unpack(">i", head[8:])[0] + 3) // 4 * 4
            rest = file.read(word + 52)  # ten sizes, atoms, step and number of energies
            if len(rest) < word + 52:
                return frames, False
            sizes = struct.unpack(">13i", rest[word:])
            atoms, box, positions, velocities, forces = sizes[10], sizes[2], sizes[7], sizes[8], sizes[9]
            real = box // 9 or max(positions, velocities, forces) // (3 * max(atoms, 1))
            end = file.tell() + 2 * real + sum(sizes[:10])  # time and lambda, then the arrays
            if end > size:
                return frames, False
            file.seek(end)
            frames += 1
    return frames, True


def whole_dcd_frames(path: Path) -> tuple[int, bool]:
    """Number of whole frames of a DCD file, and whether it ends with the last of them.

    A DCD file consists of Fortran records, with their length before and after: three of a header, and for each frame
    the box (where there is one), x, y and z.
    """
    size, records = os.path.getsize(path), 0
    with open(path, "rb") as file:
        order = "<" if struct.unpack("<i", file.read(4))[0] == 84 else ">"
        icntrl = file.read(84)
        with_box = len(icntrl) == 84 and struct.unpack(f"{order}i", icntrl[44:48])[0] != 0
        file.seek(0)
        while _skip_record(file, order, size):
            records += 1
        whole = file.tell() == size
    frames, rest = divmod(max(0, records - 3), 4 if with_box else 3)
    return frames, whole and rest == 0 and records >= 3


def _skip_record(file: IO[bytes], order: str, size: int) -> bool:
    """Go on to the end of the next record; stay where there is none or it is cut short."""
    place = file.tell()
    lead = file.read(4)
    if len(lead) == 4:
        end = place + 8 + struct.unpack(f"{order}i", lead)[0]
        if place + 8 <= end <= size:
            file.seek(end - 4)
            if file.read(4) == lead:
                return True
    file.seek(place)
    return False
