"""Settings and configurations of others: nothing is imported, leaves its folder, or grows without bound."""

import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

import morlight
from morlight.sweep.plan import Plan
from morlight.training.settings import from_arguments, from_mapping

EVIL = "open('executed', 'w').close()\nclass X: pass\n"
CLASSES = [
    {"trainer": {"plugins": {"class_path": "evil_module.X"}}},
    {"trainer": {"plugins": ["evil_module.X"]}},
    {"trainer": {"profiler": {"class_path": "evil_module.X"}}},
    {"trainer": {"strategy": {"class_path": "evil_module.X"}}},
    {"trainer": {"accelerator": {"class_path": "evil_module.X"}}},
    {"trainer": {"strategy": "evil_module.X"}},
    {"trainer": {"profiler": "evil_module.X"}},
    {"model": {"activation": {"class_path": "evil_module.X"}}},
    {"data": {"class_path": "evil_module.X"}},
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    Path("evil_module.py").write_text(EVIL)
    return tmp_path


def test_the_module_would_be_executed(folder):
    import evil_module  # noqa: F401

    assert Path("executed").exists()
    del sys.modules["evil_module"]


@pytest.mark.parametrize("settings", CLASSES, ids=str)
def test_no_class_is_imported_for_a_configuration(folder, settings):
    with suppress(ValueError):  # one that is a word is taken for the name of a profiler, which Lightning does not know
        from_mapping(settings, None, "u.h5")
    assert not Path("executed").exists()
    assert "evil_module" not in sys.modules


@pytest.mark.parametrize("name", ["..", "../up", "/tmp/up", ".hidden", "a/b", "a\x00b", "a" * 300])
def test_a_name_stays_in_the_folder_of_fits(name):
    with pytest.raises(ValueError, match="expected at most 200 characters, not / and no dot at the start"):
        from_mapping({"name": name}, None, "u.h5")


def bomb():
    """Nine lines that stand for 9⁹ values."""
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)]
    return "\n".join(lines)


HOSTILE = {
    "aliases": (bomb(), r"has the alias \*a, expected values written out"),
    "depth": ("deep: " + "[" * 5000, "is not valid YAML"),
    "size": ("# " + "x" * 2**20, "expected a configuration of at most 1048576"),
    "digits": (f"seed: {'9' * 6000}", "is not valid YAML"),
}


@pytest.mark.parametrize(("text", "sentence"), HOSTILE.values(), ids=HOSTILE)
def test_a_configuration_without_end_is_refused_at_once(folder, text, sentence):
    Path("hostile.yaml").write_text(text)
    with pytest.raises(ValueError, match=rf"hostile\.yaml: .*{sentence}"):
        from_arguments(["--config", "hostile.yaml"])
    with pytest.raises(ValueError, match=rf"hostile\.yaml: .*{sentence}"):
        Plan.read("hostile.yaml")


@pytest.mark.parametrize("settings", [[1], 3, np.int64(3), ("model.terms", 1)])
def test_settings_of_another_type_are_refused_in_one_sentence(settings):
    with pytest.raises(ValueError, match=r"settings are of the type .*, expected a dictionary such as"):
        morlight.fit("u.h5", settings)


def test_keys_that_are_no_text_and_keys_given_twice_are_refused():
    with pytest.raises(ValueError, match=r"settings have the key 1, expected text such as 'model\.terms'"):
        morlight.fit("u.h5", {1: 1})
    with pytest.raises(ValueError, match=r"model\.terms is given twice"):
        morlight.fit("u.h5", {"model": {"terms": 1}, "model.terms": 2})


def test_numbers_and_arrays_of_numpy_are_those_of_python():
    settings = {"model.terms": np.int64(2), "model.horizons": np.array([1, 2]), "model.lr": np.float32(0.5)}
    typed = from_mapping(settings, None, "u.h5").model
    assert (typed.terms, typed.horizons, typed.lr) == (2, [1, 2], 0.5)
    assert type(typed.terms) is int
