"""How a command ends early: exit statuses and sentences for bad input, signals, and a closed pipe."""

import atexit
import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from morlight.cli.parsing import BadInput

FAILED, BAD_INPUT, CLOSED_PIPE, INTERRUPTED, TERMINATED = 1, 2, 141, 130, 143  # 128 + SIGPIPE, SIGINT, SIGTERM
RAISED_AGAIN_AFTER = 0.01  # seconds
OUT_OF_MEMORY = ("can't allocate memory", "CUDA out of memory")  # RuntimeError of torch
START_AGAIN = "the same command starts again"


class Terminated(KeyboardInterrupt):
    """SIGTERM, handled as Ctrl-C is, apart from the exit status."""


@contextmanager
def exit_status(command: str, how_to_go_on: str = START_AGAIN) -> Iterator[None]:
    """End the program with one sentence and the right status for whatever stops the command.

    Args:
        command: name of the command, for the sentence after an interruption.
        how_to_go_on: what that sentence advises, where the command itself says nothing.
    """
    with _signals_as_exceptions() as received:
        try:
            yield
            sys.stdout.flush()
        except (KeyboardInterrupt, Exception) as error:
            if received or isinstance(error, KeyboardInterrupt):  # imports of compiled modules raise other exceptions
                advice = str(error) if isinstance(error, KeyboardInterrupt) else ""
                status = TERMINATED if signal.SIGTERM in received else INTERRUPTED
                _end(advice or f"{command} interrupted; {how_to_go_on}", status)
            if isinstance(error, BrokenPipeError) and _stdout_is_closed():
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the exit complains once more
                sys.exit(CLOSED_PIPE)
            if isinstance(error, BadInput | ValueError):
                _end(str(error), BAD_INPUT)
            if isinstance(error, FloatingPointError):
                _end(str(error), FAILED)
            if isinstance(error, OSError):  # of a disk, such as a full one
                place = f"{error.filename}: " if error.filename else ""
                _end(f"{place}{error.strerror}" if error.strerror else str(error), FAILED)
            if isinstance(error, MemoryError) or any(words in str(error) for words in OUT_OF_MEMORY):
                reason = str(error).partition("DefaultCPUAllocator: ")[2] or str(error)
                _end(f"{command} needs more memory than there is ({reason})", FAILED)
            raise


def exit_now(status: int) -> None:
    """Exit with this status even if the signal came while a compiled module was being imported.

    Python remembers a KeyboardInterrupt that passed through code run by a C extension, and would end by SIGINT.
    """
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _end(sentence: str, status: int) -> None:
    print(f"morlight: {sentence}", file=sys.stderr)
    sys.exit(status)


@contextmanager
def _signals_as_exceptions() -> Iterator[list[int]]:
    """Raise Terminated at SIGTERM as Python raises KeyboardInterrupt at SIGINT; the list contains what was received.

    Lightning calls a handler that it finds, after its own, so that a fit ends as it does after Ctrl-C. A handler of
    SIGINT that is not Python's own, such as that of a notebook, stays. Where Python cannot raise the exception, as in a
    destructor or the callback of a weak reference, it is raised again by a timer a moment later.
    """
    received: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        received.append(number)
        raise Terminated if number == signal.SIGTERM else KeyboardInterrupt

    def raise_again(number: int, frame: FrameType | None) -> None:
        raise Terminated if signal.SIGTERM in received else KeyboardInterrupt

    def notice_lost(unraisable: "sys.UnraisableHookArgs") -> None:
        if received and issubclass(unraisable.exc_type, KeyboardInterrupt):
            signal.setitimer(signal.ITIMER_REAL, RAISED_AGAIN_AFTER)
        else:
            report_unraisable(unraisable)

    if threading.current_thread() is not threading.main_thread():  # only the main thread receives signals
        yield received
        return
    numbers = [signal.SIGTERM]
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        numbers.append(signal.SIGINT)
    before = {number: signal.signal(number, handle) for number in numbers}
    before[signal.SIGALRM] = signal.signal(signal.SIGALRM, raise_again)
    report_unraisable, sys.unraisablehook = sys.unraisablehook, notice_lost
    try:
        yield received
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.unraisablehook = report_unraisable
        for number, handler in before.items():
            signal.signal(number, handler)


def _stdout_is_closed() -> bool:
    """Whether nobody reads standard output any more."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))
