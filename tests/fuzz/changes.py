"""How an input is spoiled: bytes of any file, and values in the structure of those that have one."""

import gzip
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
import yaml

Rng = np.random.Generator
ODD: list[Any] = [
    None, True, False, -1, 0, 10**6, 10**9, 10**30, 1e300, -1e300, 0.5, float("nan"), float("inf"), "", "x", "nan",
    "../../up", "a" * 300, "é\x00", [], [1], [[]], {}, {"a": 1}, [None], ["x"] * 1000, [1.5, "x"], -0.0, 2**63, "1e-5",
]  # fmt: skip
WORDS = [
    "",
    "nan",
    "inf",
    "1e999",
    "abc",
    "-5",
    "0",
    "999999999999999999999",
    "0x10",
    "é",
    "1,5",
    "ITEM:",
    "\x00",
    "a" * 300,
]


def spoil(kind: str, path: Path, rng: Rng, others: list[Path]) -> str:
    """Change a file in one of the ways that it allows; what was done."""
    ways = [lambda: _bytes(path, rng, others), STRUCTURED.get(kind, _text)]
    way = ways[rng.integers(2)]
    try:
        return way() if way is ways[0] else way(path, rng)  # type: ignore[call-arg]
    except (OSError, RuntimeError, ValueError, TypeError, KeyError):  # what HDF5, torch or YAML cannot write
        return _bytes(path, rng, others)


def _bytes(path: Path, rng: Rng, others: list[Path]) -> str:
    data = bytearray(path.read_bytes())
    n = len(data)
    place = int(rng.integers(n))
    size = int(min(n - place, rng.integers(1, 200)))
    noise = rng.bytes(size)
    name, changed = [
        ("cut", data[:place]),
        ("empty", b""),
        ("noise of a whole file", rng.bytes(min(n, 4000))),
        ("a block of noise", data[:place] + noise + data[place + size :]),
        ("a block missing", data[:place] + data[place + size :]),
        ("a block more", data[:place] + noise + data[place:]),
        ("a bit", data[:place] + bytes([data[place] ^ 1 << int(rng.integers(8))]) + data[place + 1 :]),
        ("zeros", data[:place] + bytes(size) + data[place + size :]),
        ("compressed, then cut", gzip.compress(bytes(data))[: max(20, place // 2)]),
        ("another kind of file", others[rng.integers(len(others))].read_bytes()),
    ][rng.integers(10)]
    path.write_bytes(bytes(changed))
    return f"bytes: {name} at {place}, {size}"


def _text(path: Path, rng: Rng) -> str:
    text = path.read_text()
    words = list(re.finditer(r"\S+", text))
    word = words[rng.integers(len(words))]
    new = WORDS[rng.integers(len(WORDS))]
    path.write_text(text[: word.start()] + new + text[word.end() :])
    return f"word {word[0]!r} → {new[:20]!r}"


def _hdf5(path: Path, rng: Rng) -> str:
    with h5py.File(path, "r+") as file:
        nodes: list[Any] = [file]
        file.visititems(lambda _, node: nodes.append(node))
        node = nodes[rng.integers(len(nodes))]
        keys = list(node.attrs)
        if keys and rng.integers(2):
            key, value = keys[rng.integers(len(keys))], ODD[rng.integers(len(ODD))]
            node.attrs[key] = str(value) if value is None else value
            return f"{node.name}@{key} → {str(value)[:30]}"
        name = nodes[rng.integers(1, len(nodes))].name
        shape, dtype = getattr(file[name], "shape", (2,)), getattr(file[name], "dtype", "f4")
        del file[name]
        return f"{name}: {_replaced(file, name, shape, dtype, rng)}"


def _replaced(file: h5py.File, name: str, shape: tuple[int, ...], dtype: Any, rng: Rng) -> str:
    """Something in the place of a member that was removed."""
    random = rng.normal(size=shape)
    way: dict[str, Callable[[], Any]] = {
        "missing": lambda: None,
        "never written": lambda: file.create_dataset(name, shape, dtype, chunks=tuple(max(1, n) for n in shape)),
        "endless": lambda: file.create_dataset(name, (10**6, *shape), dtype, chunks=(1, *(max(1, n) for n in shape))),
        "transposed": lambda: file.create_dataset(name, data=random.T),
        "an axis more": lambda: file.create_dataset(name, data=random[None]),
        "undefined": lambda: file.create_dataset(name, data=np.full(shape, np.nan)),
        "complex": lambda: file.create_dataset(name, data=random + 1j),
        "words": lambda: file.create_dataset(name, data=np.full(shape, "x", h5py.string_dtype())),
        "compound": lambda: file.create_dataset(name, shape, [("a", "f4"), ("b", "i4")]),
        "a group": lambda: file.create_group(name),
        "a link to itself": lambda: file.__setitem__(name, h5py.SoftLink(name)),
        "a link to a file": lambda: file.__setitem__(name, h5py.ExternalLink("/etc/passwd", "/")),
        "a type": lambda: file.__setitem__(name, np.dtype("f8")),
        "another file": lambda: file.create_dataset(name, shape, dtype, external=[("/etc/passwd", 0, 10**6)]),
        "empty": lambda: file.create_dataset(name, data=h5py.Empty("f4")),
        "one number": lambda: file.create_dataset(name, data=1.0),
    }
    chosen = list(way)[rng.integers(len(way))]
    way[chosen]()
    return chosen


def _leaf(plain: Any, rng: Rng) -> tuple[Any, Any, str]:
    """A container, a key of it, and the way there."""
    key = None
    where = ""
    while isinstance(plain, dict | list) and plain:
        keys = list(plain) if isinstance(plain, dict) else list(range(len(plain)))
        key = keys[rng.integers(len(keys))]
        where += f".{key}"
        inner = plain[key]
        if not isinstance(inner, dict | list) or not inner or rng.random() < 0.15:
            return plain, key, where
        plain = inner
    return plain, key, where


def _value_in(plain: Any, rng: Rng) -> str:
    container, key, where = _leaf(plain, rng)
    if rng.random() < 0.2:
        del container[key]
        return f"{where} removed"
    value = ODD[rng.integers(len(ODD))]
    container[key] = value
    return f"{where} → {str(value)[:30]}"


def _yaml(path: Path, rng: Rng) -> str:
    plain = yaml.safe_load(path.read_text())
    if rng.random() < 0.2:
        text, told = _hostile(rng)
        path.write_text(path.read_text() + text)
        return told
    told = _value_in(plain, rng)
    path.write_text(yaml.safe_dump(plain, sort_keys=False))
    return told


def _hostile(rng: Rng) -> tuple[str, str]:
    bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    ways = {
        "bomb": bomb,
        "depth": "deep: " + "[" * 5000,
        "python": "x: !!python/object/apply:os.system ['touch executed']\n",
        "class": "\ntrainer.plugins: {class_path: evil.X}\n",
        "unknown": "nonsense: 1\n",
        "tab": "\tx: 1\n",
        "long number": f"seed: {'9' * 6000}\n",
        "binary": "\x01\x02\n",
    }
    name = list(ways)[rng.integers(len(ways))]
    return ways[name], name


def _checkpoint(path: Path, rng: Rng) -> str:
    saved = torch.load(path, weights_only=True)
    if rng.random() < 0.4:
        told = _tensor_in(saved["state_dict"], rng)
    elif rng.random() < 0.1:
        told = _value_in(saved, rng)
    else:
        told = _value_in(saved["morlight"], rng)
    torch.save(saved, path)
    return told


def _tensor_in(state: Any, rng: Rng) -> str:
    keys = list(state)
    key = keys[rng.integers(len(keys))]
    old = state[key]
    ways: dict[str, Any] = {
        "nan": torch.full_like(old, float("nan")) if old.is_floating_point() else old[None],
        "inf": torch.full_like(old, float("inf")) if old.is_floating_point() else old[None],
        "huge": old * 10**9,
        "axis": old[None],
        "flat": old.reshape(-1)[:1],
        "complex": old + 1j,
        "whole": old.long(),
        "value": ODD[rng.integers(len(ODD))],
    }
    name = list(ways)[rng.integers(len(ways))]
    if rng.random() < 0.1:
        del state[key]
        return f"{key} removed"
    state[key] = ways[name]
    return f"{key}: {name}"


def _array(path: Path, rng: Rng) -> str:
    u = np.random.default_rng(0).normal(size=(2, 5, 16))
    odd = u.copy()
    odd[0, 1, 2] = [np.nan, np.inf, 1e308][rng.integers(3)]
    ways: dict[str, np.ndarray] = {
        "complex": u + 1j,
        "undefined": odd,
        "words": u.astype("U8"),
        "whole": u.astype(int),
        "dates": u.astype(int).astype("M8[s]"),
        "compound": np.zeros((2, 5, 16), [("a", "f4"), ("b", "f4")]),
        "flat": u.ravel(),
        "one": np.array(1.0),
        "none": u[:0],
        "no points": u[..., :0],
        "one point": u[..., :1],
        "one frame": u[:, :1],
        "axes": u[None, None, None, None],
        "booleans": u > 0,
        "half": u.astype("f2"),
        "bytes of the other end": u.astype(">f4"),
    }
    name = list(ways)[rng.integers(len(ways))]
    whole = io.BytesIO()
    if path.suffix == ".npz":
        np.savez(whole, u=ways[name], **({"v": u} if rng.integers(2) else {}))
    else:
        np.save(whole, ways[name])
    path.write_bytes(whole.getvalue())
    return name


STRUCTURED: dict[str, Callable[[Path, Rng], str]] = {
    "trajectory": _hdf5,
    "h5md": _hdf5,
    "netcdf": _hdf5,
    "checkpoint": _checkpoint,
    "configuration": _yaml,
    "sweep": _yaml,
    "npy": _array,
    "states": _array,
    "npz": _array,
}
