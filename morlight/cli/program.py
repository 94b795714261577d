"""The program `morlight`: its exit status is right whenever a signal comes, also before its modules are imported."""

import os
import signal


def program() -> None:
    """Run `morlight.cli.main.main` as a program of its own."""
    handled = {
        number: handler
        for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL))
        if signal.getsignal(number) == handler  # not where a shell has set it to be ignored
    }
    for number in handled:
        signal.signal(number, _end)
    from morlight.cli.endings import FAILED, INTERRUPTED, TERMINATED, exit_now
    from morlight.cli.imports import import_uncollected
    from morlight.cli.main import main

    import_uncollected()
    for number, handler in handled.items():
        signal.signal(number, handler)
    try:
        main()
    except SystemExit as end:
        if end.code in (FAILED, INTERRUPTED, TERMINATED):
            exit_now(end.code)
        raise


def _end(number: int, _: object) -> None:
    os.write(2, b"morlight: interrupted; the same command starts again\n")
    os._exit(128 + number)
