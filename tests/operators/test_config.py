"""Unknown words are refused by name, in Python and in configurations."""

import subprocess
import sys

import pytest

from morlight.training.settings import from_mapping

UNKNOWN = [  # each with the sentence of OperatorConfig
    (
        {"biases": ["calm"]},
        "model.biases is ['calm'], expected any of conservation, isotropy, reflection, stability, band",
    ),
    ({"biases": {"u": ["calm"]}}, "model.biases is {'u': ['calm']}, expected any of conservation, isotropy,"),
    (
        {"bases": {"density": "wavelet"}},
        "model.bases has 'wavelet' for density, expected one of cosine, sine, legendre",
    ),
    ({"symbol": "magic"}, "model.symbol is 'magic', expected one of dissipative, plain"),
    ({"activation": "relu"}, "model.activation is 'relu', expected one of elu, gelu, silu, softplus, tanh"),
    ({"scheme": "leapfrog"}, "model.scheme is 'leapfrog', expected one of explicit, implicit, exponential"),
    ({"initial_slope": "up"}, "model.initial_slope is 'up', expected one of positive, random"),
    ({"terms": 0}, "model.terms is 0, expected at least 1"),
    ({"order": 3}, "model.order is 3, expected one of 1, 2"),
    ({"substeps": 0}, "model.substeps is 0, expected at least 1"),
    ({"substeps": 4}, "model.substeps is 4 with model.scheme explicit, expected exponential"),
    ({"scheme": "exponential", "order": 2}, "model.order is 2 with model.scheme exponential, expected 1"),
]
PROGRAM = """
from morlight.operators.config import OperatorConfig
for options in {!r}:
    try:
        print(OperatorConfig(**options))
    except ValueError as error:
        print(error)
"""


def test_unknown_words_are_refused_by_name_where_no_types_are_checked():
    """In a process of its own: here the checks of types come first."""
    program = PROGRAM.format([options for options, _ in UNKNOWN])
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    for line, (_, sentence) in zip(run.stdout.splitlines(), UNKNOWN, strict=True):
        assert line.startswith(sentence)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"biases": ["calm"]}, r"model\.biases(?=.*calm).*conservation"),
        ({"bases": {"density": "wavelet"}}, "model.bases is 'wavelet', expected .*one of cosine, sine, legendre"),
        ({"symbol": "magic"}, "model.symbol is 'magic', expected one of dissipative, plain"),
        ({"activation": "relu"}, "model.activation is 'relu', expected one of elu, gelu, silu, softplus, tanh"),
        ({"scheme": "leapfrog"}, "model.scheme is 'leapfrog', expected one of explicit, implicit, exponential"),
        ({"terms": 0}, "model.terms is 0, expected at least 1"),
        ({"depth": 10**6}, "model.depth is 1000000, expected at most 1000"),
        ({"order": 3}, "model.order is '?3'?, expected one of 1, 2"),
        ({"scheme": "exponential", "start": "linear"}, "start is linear with model.scheme exponential, expected"),
        ({"scheme": "exponential", "optimizer": "moments"}, "scheme is exponential with model.optimizer moments"),
    ],
)
def test_unknown_words_in_a_configuration_are_refused_by_name(options, named):
    with pytest.raises(ValueError, match=named):
        from_mapping({"model": options}, data="heat.h5")
