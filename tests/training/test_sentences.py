"""What the parser says of a wrong setting: one sentence with the key, the value and what was expected."""

import re
from pathlib import Path

import pytest

from morlight.training.sentences import complaint, expectation
from morlight.training.settings import from_arguments, from_mapping

DATA = ["--data.path", "any.h5"]
BIASES = "a list of any of conservation, isotropy, reflection, stability, band, gradient_flow or {NAME: the same}"

ARGUMENTS = [
    (["--model.biases", "[calm]"], f"model.biases is ['calm'], expected {BIASES}"),
    (
        ["--model.biases", "{density: [calm]}"],
        f"model.biases is {{'density': ['calm']}}, expected {BIASES}",
    ),
    (
        ["--model.bases", "{density: wavelet}"],
        "model.bases is 'wavelet', expected {NAME: one of cosine, sine, legendre, robin}",
    ),
    (
        ["--model.bases", "{density:wavelet}"],
        "model.bases is '{density:wavelet}', expected {NAME: one of cosine, sine, legendre, robin};"
        " YAML needs a space behind each colon",
    ),
    (["--model.order", "3"], "model.order is 3, expected one of 1, 2"),
    (["--model.width", "wide"], "model.width is 'wide', expected a whole number"),
    (["--model.width", "2.5"], "model.width is 2.5, expected a whole number"),
    (["--model.lr", "fast"], "model.lr is 'fast', expected a number"),
    (["--model.flux", "maybe"], "model.flux is 'maybe', expected true or false"),
    (["--model.horizons", "4"], "model.horizons is 4, expected a list of whole numbers"),
    (
        ["--model.vectors", "[momentum_x, momentum_y]"],
        "model.vectors is 'momentum_x', expected the components of each vector, such as [[momentum_x, momentum_y]]",
    ),
    (["--model.terms", "null"], "model.terms is null, expected a whole number"),
    (["--model.width"], "model.width has no value, expected a whole number"),
    (["--data.fields", "density"], "data.fields is 'density', expected a list of names or null"),
    (["--data.held_out", "[1]"], "data.held_out is [1], expected {NAME: a number} or null"),
    (["--data.particles", "many"], "data.particles is 'many', expected one of auto, file or a whole number or null"),
    (["--trainer.devices", "x"], "trainer.devices is 'x', expected a whole number, a list of them, or auto"),
    (["--trainer.max_epochs", "x"], "trainer.max_epochs is 'x', expected a whole number or null"),
    (
        ["--model.wdth", "3"],
        "model.wdth is not a setting, expected one that `morlight fit --help` lists; did you mean model.width?",
    ),
    (
        ["--modle.width=3"],
        "modle.width is not a setting, expected one that `morlight fit --help` lists; did you mean model.width?",
    ),
    (["--zzz", "3"], "zzz is not a setting, expected one that `morlight fit --help` lists"),
    (["stray"], "'stray' belongs to no setting, expected FILE as the first word, and --KEY VALUE"),
    (["--model", "3"], "model is 3, expected its keys with their values, such as {width: 4}"),
]


@pytest.mark.parametrize(("words", "sentence"), ARGUMENTS, ids=[" ".join(words) for words, _ in ARGUMENTS])
def test_a_wrong_option_is_named_with_its_value_and_what_was_expected(words, sentence):
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        from_arguments([*DATA, *words])


CHANGES = [
    ({"model.biases": ["calm"]}, f"model.biases is ['calm'], expected {BIASES}"),
    ({"model.width": "wide"}, "model.width is 'wide', expected a whole number"),
    ({"model.width": None}, "model.width is null, expected a whole number"),
    ({"model": 3}, "model is 3, expected its keys with their values, such as {width: 4}"),
    (
        {"model": {"wdth": 3}},
        "model.wdth is not a setting, expected one that `morlight fit --help` lists; did you mean model.width?",
    ),
    (
        {"trainer.max_epoch": 3},
        "trainer.max_epoch is not a setting, expected one that `morlight fit --help` lists;"
        " did you mean trainer.max_epochs?",
    ),
]


@pytest.mark.parametrize(("changes", "sentence"), CHANGES, ids=[str(changes) for changes, _ in CHANGES])
def test_a_wrong_setting_from_python_or_from_a_file_is_named_in_the_same_words(tmp_path, changes, sentence):
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        from_mapping(changes, data="any.h5")
    import yaml

    groups: dict = {}
    for key, value in changes.items():
        group, dot, name = key.partition(".")
        groups[group] = {name: value} if dot else value
    file = Path(tmp_path / "wrong.yaml")
    file.write_text(yaml.safe_dump(groups))
    for read in (
        lambda: from_arguments(["--config", str(file), *DATA]),
        lambda: from_mapping({}, file, "any.h5"),
    ):
        with pytest.raises(ValueError, match=f"^{re.escape(f'{file}: {sentence}')}$"):
            read()


def test_the_file_is_named_only_where_the_key_stands_in_it(tmp_path):
    file = tmp_path / "good.yaml"
    file.write_text("model: {width: 3}\n")
    with pytest.raises(ValueError, match=r"^model.width is 'wide', expected a whole number$"):
        from_arguments(["--config", str(file), *DATA, "--model.width", "wide"])
    with pytest.raises(ValueError, match=r"^model.width is 'wide', expected a whole number$"):
        from_mapping({"model.width": "wide"}, file, "any.h5")


def test_missing_data_are_asked_for():
    with pytest.raises(ValueError, match=r"^data.path is missing, expected a trajectory file, or the name of a set"):
        from_arguments([])


LITERAL = "model.literal no longer exists, expected model.field_scaling, model.wavenumber_scaling and"


def test_the_key_literal_of_old_is_refused_with_the_names_in_its_place(tmp_path):
    file = tmp_path / "old.yaml"
    file.write_text("model: {literal: true}\n")
    for read in (
        lambda: from_arguments([*DATA, "--model.literal", "true"]),
        lambda: from_arguments([*DATA, "--model.literal=true"]),
        lambda: from_arguments([*DATA, "--config", str(file)]),
        lambda: from_mapping({"model.literal": True}, data="any.h5"),
        lambda: from_mapping({"model": {"literal": True}}, data="any.h5"),
        lambda: from_mapping({}, file, "any.h5"),
    ):
        with pytest.raises(ValueError, match=LITERAL):
            read()


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (int, "a whole number"),
        (list[int] | None, "a list of whole numbers or null"),
        (dict[str, float], "{NAME: a number}"),
        (int | str, "a whole number or text"),
    ],
)
def test_types_are_said_in_words(hint, words):
    assert expectation(hint) == words


def test_a_message_that_is_not_understood_stays_as_it_is():
    assert complaint("something\n  else", {}).text == "something else"
