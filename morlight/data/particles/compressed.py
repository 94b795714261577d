"""Files as streams of bytes, decompressed while they are read: gzip, bzip2, xz and zstd, recognized by first bytes."""

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol, runtime_checkable

import zstandard

from morlight.data.particles.frames import CutShort

READ = 2**17  # bytes of compressed data at a time
GZIP_HEADER = 31  # for zlib: a gzip header and the largest window
DECOMPRESSORS: dict[bytes, Callable[[], Any]] = {
    b"\x1f\x8b": lambda: zlib.decompressobj(GZIP_HEADER),
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ\x00": lzma.LZMADecompressor,
    b"\x28\xb5\x2f\xfd": lambda: zstandard.ZstdDecompressor().decompressobj(),
}


@runtime_checkable
class Stream(Protocol):
    """Bytes, one piece after the other."""

    def read(self, size: int, /) -> bytes:
        """The requested number of bytes, or fewer at the end."""


class _Decompressed:
    """Any number of compressed pieces, one after the other; all that can be decompressed comes before an error."""

    def __init__(self, raw: IO[bytes], start: Callable[[], Any]) -> None:
        self.raw, self.start, self.input, self.output = raw, start, b"", b""
        self.piece: Any = None

    def read(self, size: int, /) -> bytes:
        parts, held = [self.output], len(self.output)
        while held < size and (data := self.input or self.raw.read(READ)):
            self.input = b""
            if self.piece is None and not data.strip(b"\0"):  # padding after the last piece
                continue
            self.piece = self.piece or self.start()
            parts.append(self.piece.decompress(data))
            held += len(parts[-1])
            if self.piece.eof:
                self.input, self.piece = self.piece.unused_data, None
        whole = b"".join(parts)
        if not whole and self.piece is not None:
            raise EOFError
        self.output = whole[size:]
        return whole[:size]


@contextmanager
def opened(path: Path) -> Iterator[Stream]:
    """The file, decompressed as it is read.

    Raises:
        CutShort: where compressed data end too early.
        ValueError: where they are damaged.
    """
    with open(path, "rb") as raw:
        start = _decompressor(raw)
        try:
            yield _Decompressed(raw, start) if start else raw
        except EOFError as error:
            raise CutShort(f"{path}: the compressed data are cut short") from error
        except (zlib.error, lzma.LZMAError, zstandard.ZstdError, OSError) as error:
            raise ValueError(f"{path}: the data are damaged and cannot be read") from error


def _decompressor(raw: IO[bytes]) -> Callable[[], Any] | None:
    first = raw.read(6)
    raw.seek(0)
    return next((start for mark, start in DECOMPRESSORS.items() if first.startswith(mark)), None)


def first_bytes(path: Path, size: int = 4096) -> bytes:
    """The first bytes of a file, decompressed; none if they cannot be read."""
    try:
        with opened(path) as stream:
            return stream.read(size)
    except CutShort:
        return b""


def is_compressed(path: Path) -> bool:
    """Whether the first bytes are those of a compressed file."""
    with open(path, "rb") as raw:
        return _decompressor(raw) is not None
