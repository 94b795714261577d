"""Commands that end early, as processes: signals at any time, and a reader that goes away."""

import os
import shlex
import signal
import subprocess
import sys
import time

import h5py
import pytest
import torch

from morlight.cli.endings import BadInput, exit_status

MORLIGHT = [sys.executable, "-m", "morlight"]
SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]


def interrupted(words, number, ready, cwd):
    """Exit status and standard error of a command that gets a signal once `ready` is true."""
    with subprocess.Popen([*MORLIGHT, *words], cwd=cwd, stderr=subprocess.PIPE, text=True) as process:
        try:
            deadline = time.monotonic() + 300
            while not ready(process) and time.monotonic() < deadline:
                time.sleep(0.02)
            process.send_signal(number)
            return process.communicate(timeout=300)[1], process.returncode
        finally:
            process.kill()


def loaded(name):
    """Whether a process has mapped a library whose path contains the name."""

    def ready(process):
        with open(f"/proc/{process.pid}/maps") as maps:
            return name in maps.read()

    return ready


INTERRUPTED_IMPORT = """
import os, sys
class Interrupt:
    def find_spec(self, name, *_):
        if name == "{module}":
            os.kill(os.getpid(), {number})
sys.meta_path.insert(0, Interrupt())
from morlight.cli.program import program
program()
"""


@pytest.mark.parametrize("module", ["morlight.cli.endings", "morlight.cli.main", "argparse"])
@pytest.mark.parametrize(("number", "expected"), SIGNALS)
def test_a_signal_before_the_command_is_known_ends_in_one_sentence(number, expected, module):
    code = INTERRUPTED_IMPORT.format(module=module, number=int(number))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == "morlight: interrupted; the same command starts again\n"
    assert done.returncode == expected


SIMULATE = shlex.split("simulate brownian --sets 1000 --walkers 100000 -o walkers.h5")  # minutes, if left alone
SENTENCE = "morlight: simulate interrupted; the same command continues with the trajectories that are missing\n"


@pytest.mark.skipif(not os.path.exists("/proc/self/maps"), reason="looks into /proc for what a process has loaded")
@pytest.mark.parametrize(
    ("library", "number", "expected"),
    [("_multiarray_umath", *SIGNALS[0]), ("libtorch_cpu", *SIGNALS[1]), ("libtorch_python", *SIGNALS[0])],
)
def test_a_signal_while_libraries_are_loaded_ends_in_one_sentence(tmp_path, library, number, expected):
    printed, status = interrupted(SIMULATE, number, loaded(library), tmp_path)
    assert printed == SENTENCE
    assert status == expected


@pytest.mark.parametrize(("number", "expected"), SIGNALS)
def test_a_signal_while_numbers_are_computed_leaves_whole_trajectories_only(tmp_path, number, expected):
    printed, status = interrupted(SIMULATE, number, lambda _: any(tmp_path.glob(".*/*.h5")), tmp_path)
    assert SENTENCE in printed
    assert status == expected
    (folder,) = tmp_path.iterdir()
    for part in folder.iterdir():
        with h5py.File(part) as file:
            assert file["t0_fields/density"].shape == (1, 1001, 256)


@pytest.mark.parametrize(("number", "expected"), SIGNALS)
def test_what_a_command_says_about_going_on_is_printed(number, expected, capsys):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended, exit_status("sweep", "the same command continues the sweep"):
        signal.raise_signal(number)
    assert ended.value.code == expected
    assert capsys.readouterr().err == "morlight: sweep interrupted; the same command continues the sweep\n"
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(("number", "expected"), SIGNALS)
def test_a_signal_in_a_destructor_where_python_cannot_raise_still_ends_the_command(number, expected, capsys):
    class Interrupted:
        def __del__(self):
            signal.raise_signal(number)

    def go_on():
        Interrupted()
        time.sleep(120)

    before = sys.unraisablehook, signal.getsignal(signal.SIGALRM)
    with pytest.raises(SystemExit) as ended, exit_status("fit", "it goes on"):
        go_on()
    assert ended.value.code == expected
    assert capsys.readouterr().err == "morlight: fit interrupted; it goes on\n"
    assert (sys.unraisablehook, signal.getsignal(signal.SIGALRM)) == before


@pytest.mark.parametrize(("number", "expected"), SIGNALS)
def test_a_signal_that_a_library_turned_into_an_error_of_its_own_is_still_a_signal(number, expected, capsys):
    def import_library():
        try:
            signal.raise_signal(number)
        except KeyboardInterrupt as error:
            raise ImportError("compiled module cannot be imported") from error

    with pytest.raises(SystemExit) as ended, exit_status("predict"):
        import_library()
    assert ended.value.code == expected
    assert capsys.readouterr().err == "morlight: predict interrupted; the same command starts again\n"


@pytest.mark.parametrize(
    ("error", "expected"), [(BadInput("bad"), 2), (ValueError("bad"), 2), (FloatingPointError("bad"), 1)]
)
def test_errors_become_one_sentence_and_a_status(error, expected, capsys):
    with pytest.raises(SystemExit) as ended, exit_status("fit"):
        raise error
    assert ended.value.code == expected
    assert capsys.readouterr().err == "morlight: bad\n"


def test_memory_that_torch_does_not_get_is_one_sentence(capsys):
    with pytest.raises(SystemExit) as ended, exit_status("predict"):
        torch.empty(2**60, dtype=torch.int8)
    assert ended.value.code == 1
    assert "morlight: predict needs more memory than there is (can't allocate memory: you" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["data"], ["data", "--json"], ["data", "lj"]])
def test_a_reader_that_goes_away_causes_no_traceback(words):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([*MORLIGHT, *words], stdout=writer, stderr=subprocess.PIPE, text=True, timeout=300)
    os.close(writer)
    assert done.stderr == ""
    assert done.returncode == 141  # as of any program that SIGPIPE ends
