"""Files that appear under their names only when they are complete, and only where nothing else is lost."""

import errno
import os
import re
import secrets
import shutil
import socket
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

DRAFT = re.compile(r"(?P<host>[0-9a-f]{8})-(?P<process>\d+)-[0-9a-f]{8}")
IN_NAME = re.compile(rf"\..+\.{DRAFT.pattern}\.part(\.[^.]*)?")

SPARE = 2**20  # bytes of a file besides its values
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


class NotWritten(OSError):
    """What the operating system or HDF5 says of a file that cannot be written, often a full disk, as one sentence."""

    def __init__(self, path: Path, error: Exception) -> None:
        number = getattr(error, "errno", None) or next(map(int, re.findall(r"errno = (\d+)", str(error))), None)
        super().__init__(f"{path}: cannot be written: {os.strerror(number) if number else error}")


def check_output(path: str | Path, overwrite: bool, inputs: Iterable[str | Path] = ()) -> None:
    """Refuse to write where something is that would be lost; called before anything is computed.

    Raises:
        ValueError: if the path is one of the inputs, a link, or not a regular file, if there is a file that may not be
            overwritten, or if the folder does not exist.
    """
    path = Path(path)
    try:
        if not path.parent.is_dir():
            raise ValueError(f"{path}: the folder {path.parent} does not exist, expected the name of a file to write")
        if path.is_dir():
            raise ValueError(f"{path}: is a directory, expected the name of a file to write")
        if path.exists() and any(os.path.exists(each) and path.samefile(each) for each in inputs):
            raise ValueError(f"{path}: is one of the files to read, expected another name to write")
        if path.is_symlink():
            raise ValueError(f"{path}: is a link to {os.readlink(path)}, expected the name of a file to write")
        if path.exists() and not path.is_file():
            raise ValueError(f"{path}: is not a regular file, expected the name of a file to write")
        if path.exists() and not overwrite:
            raise ValueError(f"{path}: exists already, expected another name, or --overwrite to replace it")
    except OSError as error:  # a name that is too long, a folder that may not be entered
        raise ValueError(f"{path}: cannot be written: {error.strerror}") from error


def check_room(path: Path, size: int) -> None:
    """Refuse to write where the disk is full, before HDF5 does: it cannot close a file that it cannot write.

    Raises:
        NotWritten: if so many bytes and some more are not free.
    """
    disk = shutil.disk_usage(path.parent)
    if disk.total and disk.free < size + SPARE:  # some file systems do not count their blocks
        raise NotWritten(path, OSError(errno.ENOSPC, ""))


@contextmanager
def whole_file(path: str | Path, *, overwrite: bool = True) -> Iterator[Path]:
    """A name to write to, beside `path`; what is there at the end gets the name `path`, after an error nothing.

    What killed processes have left of the same file is removed first. A new folder may be written in the same way.

    Raises:
        ValueError: as `check_output`.
        OSError: in one sentence, if the disk is full or the folder may not be written.
    """
    path = Path(path)
    check_output(path, overwrite)
    remove_leftovers(path)
    draft = path.with_name(f".{path.stem}.{_host()}-{os.getpid()}-{secrets.token_hex(4)}.part{path.suffix}")
    try:
        yield draft
        if draft.exists():
            check_output(path, overwrite)
            publish(draft, path)
    except OSError as error:
        if error.errno in FULL or error.filename == str(draft):
            raise NotWritten(path, error) from error
        raise
    finally:
        _remove(draft)


def publish(draft: Path, path: Path) -> None:
    """Put a complete file in the place of another, on the disk before its name changes."""
    if draft.is_file():
        with open(draft, "rb+") as file:
            os.fsync(file.fileno())
    os.replace(draft, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def remove_leftovers(path: Path) -> None:
    """Remove the drafts of a file whose processes, on this host, have ended."""
    before, behind = f".{path.stem}.", f".part{path.suffix}"
    for draft in path.parent.iterdir():
        if not (draft.name.startswith(before) and draft.name.endswith(behind)):
            continue
        if DRAFT.fullmatch(draft.name[len(before) : -len(behind)]) and has_ended(draft):
            _remove(draft)


def has_ended(draft: Path) -> bool | None:
    """Whether the process that wrote a draft has ended; None for those of other hosts, and for what is no draft."""
    match = IN_NAME.fullmatch(draft.name)
    if match is None or match["host"] != _host():
        return None
    return not _runs(int(match["process"]))


def _remove(draft: Path) -> None:
    if draft.is_dir() and not draft.is_symlink():
        shutil.rmtree(draft)
    else:
        draft.unlink(missing_ok=True)


def _host() -> str:
    """This host, in the name of a draft: on a shared disk, processes of others cannot be looked up."""
    return f"{zlib.crc32(socket.gethostname().encode()):08x}"


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # of another user
        return True
    return True
