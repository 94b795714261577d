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
    with _sigterm_as_exception() as received:
        try:
            yield
            sys.stdout.flush()
        except (BadInput, ValueError) as error:
            _end(str(error), BAD_INPUT)
        except FloatingPointError as error:
            _end(str(error), FAILED)
        except KeyboardInterrupt as error:
            _end(str(error) or f"{command} interrupted; {how_to_go_on}", TERMINATED if received else INTERRUPTED)
        except BrokenPipeError:
            if not _stdout_is_closed():  # then the pipe belongs to something else
                raise
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the exit complains once more
            sys.exit(CLOSED_PIPE)


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
def _sigterm_as_exception() -> Iterator[list[int]]:
    """Raise Terminated at SIGTERM; the list contains the signals received.

    Lightning calls a handler that it finds, after its own, so that a fit ends as it does after Ctrl-C.
    """
    received: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        received.append(number)
        raise Terminated

    if threading.current_thread() is not threading.main_thread():  # only the main thread receives signals
        yield received
        return
    before = signal.signal(signal.SIGTERM, handle)
    try:
        yield received
    finally:
        signal.signal(signal.SIGTERM, before)


def _stdout_is_closed() -> bool:
    """Whether nobody reads standard output any more."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))
