"""Files appear whole or not at all; nothing else is lost, and what killed processes have left goes away."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from morlight.data.whole_file import NotWritten, check_output, whole_file

KILLED = """
import os, signal
from morlight.data.whole_file import whole_file
with whole_file("{name}") as draft:
    {write}
    os.kill(os.getpid(), signal.SIGKILL)
"""
WAYS = {"film.gif": "draft.write_bytes(b'half')", "served": "draft.mkdir(); (draft / 'part').touch()"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("name", "write"), WAYS.items())
def test_what_a_killed_process_leaves_is_removed_by_the_next_that_writes_the_same_file(folder, name, write):
    subprocess.run([sys.executable, "-c", KILLED.format(name=name, write=write)], check=False)
    (left,) = folder.iterdir()
    assert left.name != name
    with whole_file("other.gif") as draft:
        draft.touch()
    assert left.exists()
    with whole_file(name) as draft:
        draft.write_text("whole")
    assert sorted(path.name for path in folder.iterdir()) == sorted([name, "other.gif"])


def test_the_draft_of_a_process_that_is_alive_stays(folder):
    with whole_file("a.txt") as first:
        first.write_text("first")
        with whole_file("a.txt") as second:
            second.write_text("second")
    assert Path("a.txt").read_text() == "first"


@pytest.mark.parametrize("target", ["there.txt", "nowhere.txt"])
@pytest.mark.parametrize("overwrite", [True, False])
def test_links_are_neither_followed_nor_replaced(folder, target, overwrite):
    Path("there.txt").write_text("precious")
    Path("link.txt").symlink_to(target)
    with (
        pytest.raises(ValueError, match=f"link.txt: is a link to {target}"),
        whole_file("link.txt", overwrite=overwrite),
    ):
        pass
    assert Path("link.txt").readlink() == Path(target)
    assert Path("there.txt").read_text() == "precious"


def test_what_is_no_regular_file_is_refused(folder):
    os.mkfifo("pipe")
    with pytest.raises(ValueError, match=r"pipe: is not a regular file"):
        check_output("pipe", overwrite=True)
    with pytest.raises(ValueError, match="File name too long"):
        check_output("a" * 300, overwrite=False)


def test_an_input_is_never_written_whatever_it_is_called(folder):
    Path("in.txt").write_text("precious")
    os.link("in.txt", "same.txt")
    with pytest.raises(ValueError, match=r"same\.txt: is one of the files to read"):
        check_output("same.txt", overwrite=True, inputs=["in.txt"])


def test_a_file_made_meanwhile_is_not_replaced(folder):
    refused = pytest.raises(ValueError, match=r"a\.txt: exists already")
    with refused, whole_file("a.txt", overwrite=False) as draft:
        draft.write_text("ours")
        Path("a.txt").write_text("theirs")
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"a.txt": "theirs"}


LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
import morlight, numpy as np
morlight.write("a.h5", {"u": np.random.default_rng(0).normal(size=(4, 30, 1000))}, dt=1, length=1, boundaries="wall")
"""


def test_a_disk_that_takes_no_more_is_one_sentence_and_leaves_nothing(folder):
    # the limit of the size of a file is an error of write(2), like a full disk
    done = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, check=False)
    assert done.stderr.rstrip().endswith("NotWritten: a.h5: cannot be written: File too large")
    assert list(folder.iterdir()) == []


def test_the_errors_of_hdf5_tell_the_reason_alone():
    text = "Can't write (time = now, errno = 28, error message = 'No space left on device', buf = 0x1)"
    assert str(NotWritten(Path("a.h5"), OSError(text))) == "a.h5: cannot be written: No space left on device"
