"""Files as streams of bytes, decompressed while they are read: gzip, bzip2, xz and zstd, recognized by first bytes."""

import bz2
import gzip
import lzma
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol, runtime_checkable

import zstandard

from morlight.data.particles.frames import CutShort

GZIP, BZIP2, XZ, ZSTD = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"
READ = 2**17  # bytes of compressed data at a time


@runtime_checkable
class Stream(Protocol):
    """Bytes, one piece after the other."""

    def read(self, size: int, /) -> bytes:
        """So many bytes, or fewer at the end."""


class _Zstd:
    """Any number of zstd frames; unlike zstandard's own stream, it notices a frame that is cut short."""

    def __init__(self, raw: IO[bytes]) -> None:
        self.raw, self.input, self.output = raw, b"", b""
        self.frame: zstandard.ZstdDecompressionObj | None = None

    def read(self, size: int, /) -> bytes:
        while len(self.output) < size and (data := self.input or self.raw.read(READ)):
            self.frame = self.frame or zstandard.ZstdDecompressor().decompressobj()
            self.output += self.frame.decompress(data)
            self.input = b""
            if self.frame.eof:
                self.input, self.frame = self.frame.unused_data, None
        if not self.output and self.frame is not None:
            raise EOFError
        data, self.output = self.output[:size], self.output[size:]
        return data


@contextmanager
def opened(path: Path) -> Iterator[Stream]:
    """The file, decompressed as it is read.

    Raises:
        CutShort: where compressed data end too early.
        ValueError: where they are damaged.
    """
    with open(path, "rb") as raw:
        first = raw.read(6)
        raw.seek(0)
        stream: Stream = raw
        if first.startswith(GZIP):
            stream = gzip.GzipFile(fileobj=raw)
        elif first.startswith(BZIP2):
            stream = bz2.BZ2File(raw)
        elif first.startswith(XZ):
            stream = lzma.LZMAFile(raw)  # noqa: SIM115 - closed with raw
        elif first.startswith(ZSTD):
            stream = _Zstd(raw)
        try:
            yield stream
        except EOFError as error:
            raise CutShort(f"{path}: the compressed data are cut short") from error
        except (zstandard.ZstdError, gzip.BadGzipFile, lzma.LZMAError, OSError) as error:
            raise ValueError(f"{path}: the compressed data are damaged") from error


def first_bytes(path: Path, size: int = 4096) -> bytes:
    """The beginning of a file, decompressed."""
    try:
        with opened(path) as stream:
            return stream.read(size)
    except CutShort:
        return b""


def is_compressed(path: Path) -> bool:
    """Whether the first bytes are those of a compressed file."""
    with open(path, "rb") as raw:
        return raw.read(6).startswith((GZIP, BZIP2, XZ, ZSTD))
