"""Terms as words, and back."""

import pytest

from morlight.operators.bases import Fourier
from morlight.operators.library import Candidate, Fractional, Laplacian, Partial, library
from morlight.operators.term_words import read, written

FIELDS = ("u", "density_large")


@pytest.mark.parametrize(
    ("words", "term"),
    [
        ("dxx u", Candidate(Partial((2, 0)), (1, 0))),
        ("dxyy u^2*density_large", Candidate(Partial((1, 2)), (2, 1))),
        ("lap^2 density_large", Candidate(Laplacian(2), (0, 1))),
        ("frac1.5 u", Candidate(Fractional(1.5), (1, 0))),
        ("1", Candidate(Partial((0, 0)), (0, 0))),
        ("u*density_large^2", Candidate(Partial((0, 0)), (1, 2))),
    ],
)
def test_words_stand_for_a_term_and_a_term_for_words(words, term):
    assert read(words, FIELDS, 2) == term
    assert written(term, FIELDS) == words


def test_parameters_are_factors():
    term = Candidate(Partial((2, 0)), (2, 0), (0, 1))
    assert written(term, FIELDS, ("speed", "nu")) == "dxx nu*u^2"
    assert read("dxx nu*u^2", FIELDS, 2, ("speed", "nu")) == term
    assert read("nu^2", FIELDS, 2, ("speed", "nu")) == Candidate(Partial((0, 0)), (0, 0), (0, 2))


def test_every_term_of_a_library_has_words_of_its_own():
    for axes in (1, 2):
        terms = library(Fourier((8,) * axes, 1.0), 2)
        words = [written(term, FIELDS) for term in terms]
        assert len(set(words)) == len(terms)
        assert [read(each, FIELDS, axes) for each in words] == terms


@pytest.mark.parametrize("words", ["", "dz u", "dxx", "dxx w", "lap^0 u", "frac0 u", "u^0", "u**2", "exp(u)", "dx  u"])
def test_words_that_are_no_term_are_refused_with_an_example(words):
    with pytest.raises(ValueError, match=r"is not a term, expected a derivative of a product of the fields u, density"):
        read(words, FIELDS, 2)
