"""The wheel and the sdist: what they contain, and the way from walkers to a prediction where nothing else is."""

import os
import shutil
import site
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import h5py
import pytest

REPOSITORY = Path(__file__).parents[1]
SOURCES = (
    "morlight",
    "configs",
    "pyproject.toml",
    "MANIFEST.in",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "constraints.txt",
)
pytestmark = pytest.mark.slow


def run(*words: str | Path, folder: Path) -> str:
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "MLFLOW_TRACKING_URI")}
    done = subprocess.run([*map(str, words)], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(source: Path, kind: str, target: Path) -> Path:
    """A wheel or an sdist, by the backend that pyproject.toml names."""
    code = f"from setuptools import build_meta; build_meta.build_{kind}({str(target)!r})"
    run(sys.executable, "-c", code, folder=source)
    (made,) = target.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return made


@pytest.fixture(scope="module")
def sdist(tmp_path_factory) -> Path:
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("sdist")
    for name in SOURCES:
        if (REPOSITORY / name).is_dir():
            skipped = shutil.ignore_patterns("__pycache__")
            shutil.copytree(REPOSITORY / name, source / name, symlinks=True, ignore=skipped)
        else:
            shutil.copy(REPOSITORY / name, source)
    return build(source, "sdist", target)


@pytest.fixture(scope="module")
def wheel(sdist, tmp_path_factory) -> Path:
    """Of the sdist alone, as it is built where no wheel is offered."""
    source, target = tmp_path_factory.mktemp("unpacked"), tmp_path_factory.mktemp("wheel")
    with tarfile.open(sdist) as archive:
        archive.extractall(source, filter="data")
    (folder,) = source.iterdir()
    return build(folder, "wheel", target)


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory) -> Path:
    """A fresh environment with the wheel; what it needs comes from the one that runs the tests."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    interpreter = folder / "bin" / "python"
    words = ("--disable-pip-version-check", "install", "--no-deps", "--no-index", "--quiet")
    run(sys.executable, "-m", "pip", "--python", interpreter, *words, wheel, folder=folder)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()))
    return interpreter


def test_the_wheel_has_every_file_of_the_package_and_nothing_else(wheel):
    tracked = [path for path in (REPOSITORY / "morlight").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    expected = {path.relative_to(REPOSITORY).as_posix() for path in tracked}
    expected |= {f"morlight/{path.relative_to(REPOSITORY).as_posix()}" for path in REPOSITORY.glob("configs/**/*.yaml")}
    with zipfile.ZipFile(wheel) as archive:
        assert {name for name in archive.namelist() if ".dist-info/" not in name} == expected
    needed = ("configs/brownian.yaml", "configs/sweeps/lj.yaml", "data/sets/lj.h5", "simulate/decks/lj.in", "py.typed")
    assert {f"morlight/{name}" for name in needed} <= expected


def test_from_walkers_to_a_prediction_in_an_empty_directory(python, tmp_path):
    morlight = python.with_name("morlight")
    where = run(python, "-c", "import morlight; print(morlight.__file__)", folder=tmp_path).strip()
    assert Path(where).is_relative_to(python.parents[1])
    small = "--sets 4 --walkers 2000 --steps 40 --bins 32 --dt 0.01"
    run(morlight, *f"simulate brownian {small} -o brownian.h5".split(), folder=tmp_path)
    run(morlight, "fit", "--config", "brownian", "--model.realizations", "2", "--name", "first", folder=tmp_path)
    (checkpoint,) = tmp_path.glob("mlruns/fits/first/*/last.ckpt")
    words = ("--initial", "brownian.h5", "--steps", "10", "-o", "later.h5")
    run(morlight, "predict", checkpoint, *words, folder=tmp_path)
    with h5py.File(tmp_path / "later.h5") as file:
        assert file["t0_fields/density"].shape == (2, 11, 32)
    assert "density" in run(morlight, "data", "lj", folder=tmp_path)
