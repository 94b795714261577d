"""Packaged configurations by name, and files before them."""

from pathlib import Path

import pytest
import yaml

from morlight.training.configurations import located, names

REPOSITORY = Path(__file__).parents[2] / "configs"


def test_every_configuration_of_the_repository_has_a_name():
    files = [path.relative_to(REPOSITORY).with_suffix("").as_posix() for path in REPOSITORY.rglob("*.yaml")]
    assert sorted(names()) == sorted(files)
    assert {"brownian", "sweeps/brownian"} <= set(names())


@pytest.mark.parametrize("name", names())
def test_a_name_opens_the_file_of_the_repository_from_any_directory(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert located(name).read_bytes() == (REPOSITORY / f"{name}.yaml").read_bytes()


@pytest.mark.parametrize("name", [name for name in names() if name.startswith("sweeps/")])
def test_the_base_of_a_packaged_sweep_is_beside_it(name):
    base = yaml.safe_load(located(name).read_text())["config"]
    assert (located(name).parent / base).is_file()


def test_a_file_comes_before_a_packaged_configuration(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("brownian").write_text("{}")
    assert located("brownian") == Path("brownian")
    assert located("brownian").read_text() == "{}"


@pytest.mark.parametrize("wrong", ["brownian.yaml", "Brownian", "../brownian", "sweeps/nothing", "."])
def test_anything_else_is_refused_with_the_names(wrong, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="a configuration file") as refusal:
        located(wrong)
    assert all(name in str(refusal.value) for name in names())


def test_a_directory_named_like_a_configuration_does_not_hide_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("brownian").mkdir()
    assert located("brownian").read_bytes() == (REPOSITORY / "brownian.yaml").read_bytes()
