"""The share of the information on an exponent, from the scatter of single sets."""

import re

import numpy as np

from experiments.studies.levy_information import Single, summary


def test_exponents_that_scatter_by_twice_the_bound_use_a_quarter_of_the_information():
    values = 1.5 + 0.002 * np.random.default_rng(0).normal(size=2000)
    printed = summary([Single(value, 0.002, (0.0015, 0.001)) for value in values], 1.5)
    share, error = map(float, re.findall(r"uses \| ([\d.]+) ± ([\d.]+)", printed)[0])
    assert abs(share - 0.25) < 0.03  # four standard errors, 0.25 √(2/2000)
    assert error == 0.01
