"""The C++ sources of this folder as a library: what is compiled, where it is kept, and what it contains.

They are compiled at the first use, in a few seconds, for the processor at hand, and kept in the user's cache: in a
folder that nobody else can enter, under a name with the hash of its content. A file that was changed or cut short is
not loaded but made anew.

`MORLIGHT_FUSED=0` in the environment disables them.
"""

import ctypes
import functools
import hashlib
import logging
import os
import shlex
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

SOURCES = tuple(map(Path(__file__).with_name, ("fused.cpp", "elementwise.cpp")))
NAMES = " and ".join(source.name for source in SOURCES)
COMPILERS = ("c++", "g++", "clang++")
FLAGS = ["-std=c++17", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-fopenmp", "-fPIC", "-shared"]


@functools.cache
def library() -> ctypes.CDLL | None:
    """The compiled sources, None if they cannot be compiled or are disabled."""
    given = os.environ.get("CXX") or next(filter(None, map(shutil.which, COMPILERS)), None)
    if given is None or os.environ.get("MORLIGHT_FUSED") == "0":
        return None
    try:
        return _typed(ctypes.CDLL(str(_compiled(shlex.split(given)))))
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:  # RuntimeError: a user without a home
        logging.getLogger(__name__).warning("%s are not compiled (%s): fits take longer", NAMES, error)
        return None


def _compiled(compiler: Sequence[str]) -> Path:
    """The library in the user's cache, made if it is not there unchanged, whole or not at all."""
    # the OpenMP that torch has loaded: two of them would keep each other's threads from the processors
    openmp = sorted(str(path) for path in Path(torch.__file__).with_name("lib").glob("libgomp*"))
    words = [*FLAGS, *map(str, SOURCES), *openmp]
    version = subprocess.run([*compiler, "--version"], capture_output=True, check=True).stdout
    known = [*(source.read_bytes() for source in SOURCES), version, " ".join(words).encode(), _processor()]
    name = f"kernels-{_digest(b'|'.join(known))}"
    folder = _private_folder()
    for path in sorted(folder.glob(f"{name}-*.so")):
        if path.name == f"{name}-{_digest(path.read_bytes())}.so":
            return path
        path.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        made = Path(scratch, "kernels.so")
        subprocess.run([*compiler, *words, "-o", str(made)], capture_output=True, check=True)
        return made.replace(folder / f"{name}-{_digest(made.read_bytes())}.so")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def _private_folder() -> Path:
    """The folder of compiled kernels in the user's cache.

    Raises:
        OSError: if it is another user's, a link, or others can enter it: a library from there could do anything.
    """
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "morlight" / "kernels"
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    about = folder.lstat()
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.getuid() or about.st_mode & 0o077:
        raise OSError(f"{folder}: expected a folder of your own that nobody else can enter; remove it, or chmod 700")
    return folder


def _processor() -> bytes:
    """What -march=native depends on: homes are shared by machines of several kinds."""
    try:
        lines = Path("/proc/cpuinfo").read_bytes().splitlines()
    except OSError:
        return b""
    return b"".join(sorted({line for line in lines if line.startswith((b"flags", b"model name", b"Features"))}))


def _typed(found: ctypes.CDLL) -> ctypes.CDLL:
    pointer = ctypes.c_void_p
    for name, number in (("double", ctypes.c_double), ("float", ctypes.c_float)):
        for function, arguments in (
            ("forward", [pointer] * 5),
            ("backward", [pointer] * 8),
            ("interpolate", [pointer] * 3 + [number] * 2 + [pointer]),
            ("interpolate_back", [pointer] * 3 + [number] * 2 + [pointer] * 3),
        ):
            bound = getattr(found, f"{function}_{name}")
            bound.argtypes, bound.restype = arguments, None
    found.execute.argtypes, found.execute.restype = [pointer, ctypes.c_int64], None
    return found
