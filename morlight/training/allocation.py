"""Memory that is freed stays with the process: every step asks for the same again.

glibc gives arrays of some megabytes back to the system as soon as they are free, and the system fills them with zeros,
page by page, when they are asked for again. That took a third of the time of a step of fields of 3 MB, and two thirds
of one of fields of 65 MB (case A of `python -m benchmarks step`, R = 20: 31 ms against 8 ms).
"""

import ctypes
import sys

TRIM, MAPPINGS = -1, -4  # M_TRIM_THRESHOLD and M_MMAP_MAX of malloc.h
HELD = 2**31 - 1  # free at the end of the heap, as much as mallopt takes


def keep_freed_memory() -> bool:
    """Have glibc take all arrays from its heap and hold on to it; False where there is no glibc: nothing is done."""
    if not sys.platform.startswith("linux"):
        return False
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    return set_option is not None and bool(set_option(MAPPINGS, 0) and set_option(TRIM, HELD))
