"""Memory that is freed stays with the process: every step asks for the same again.

glibc gives arrays of some megabytes back to the system as soon as they are free, and the system fills them with zeros,
page by page, when they are asked for again. That took a third of the time of a step of fields of 3 MB.
"""

import ctypes
import sys

TRIM, MAPPED = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h
LARGEST = 2**25  # what mallopt takes at most
HELD = 2**28  # free at the end of the heap, 256 MiB: a step's worth, and no burden


def keep_freed_memory() -> bool:
    """Have glibc hold on to arrays of up to 32 MiB; False where there is no glibc, and nothing is done."""
    if not sys.platform.startswith("linux"):
        return False
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    return set_option is not None and bool(set_option(MAPPED, LARGEST) and set_option(TRIM, HELD))
