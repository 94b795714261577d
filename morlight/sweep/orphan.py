"""Workers that end with the command that started them, however that one ended."""

import os
import signal
import sys
import threading
import time
from contextlib import suppress

PARENT = "MORLIGHT_SWEEP_PARENT"  # process that started this worker
INTERVAL = 1.0  # s between two looks at the parent
PATIENCE = 60.0  # s to finish an interrupted trial


def end_with_parent() -> None:
    """Interrupt this process as soon as the process that started it has ended; nothing outside a worker.

    A command that is killed cannot tell its workers. Each looks for itself: a process whose parent has ended is given
    another one. It is asked to end, so that its trial is queued again, and killed if that takes too long.
    """
    parent = os.environ.get(PARENT)
    if parent is not None:
        threading.Thread(target=_watch, args=(int(parent),), daemon=True, name="parent of the sweep").start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(INTERVAL)
    with suppress(OSError):  # the terminal may have gone as well
        print("morlight: the sweep that started this worker has ended; so does the worker", file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(PATIENCE)
    os.kill(os.getpid(), signal.SIGKILL)
