"""The tables of the study of transport coefficients."""

from experiments.studies.transport import Bulk, Row, distance, page
from experiments.support.equilibrium import Measured
from experiments.support.shear import LongWaves


def test_a_difference_is_relative_and_in_standard_errors():
    assert distance(Measured(1.1, 0.03), Measured(1.0, 0.04)) == "+10 %, 2.0"
    assert distance(Measured(0.9, 0.1), Measured(1.0, 0.0)) == "-10 %, 1.0"


def test_tables_hold_every_method_at_its_density():
    waves = LongWaves([2.0, 0.1], [3.0, 0.5], [0.1], [1.9], [0.2])
    numbers = [Measured(n / 10, 0.02) for n in range(1, 9)]
    row = Row(waves, waves, (numbers[0], numbers[1]), (numbers[2], numbers[3]), *numbers[4:])
    viscosity, diffusivity, bending, liquid = page({0.1: row}, Bulk(waves, waves, row.learned, row.integrals)).split(
        "\n\n"
    )
    assert viscosity.splitlines()[2] == (
        "| 0.1 | 0.10 ± 0.02 | 0.30 ± 0.02 | -67 %, 7.1 | 0.250 ± 0.013 | 0.50 ± 0.02 | 0.60 ± 0.02 | 0.70 ± 0.02 |"
    )
    assert diffusivity.splitlines()[2] == "| 0.1 | 0.20 ± 0.02 | 0.40 ± 0.02 | -50 %, 7.1 | 2.693 ± 0.008 |"
    assert bending.splitlines()[2] == "| 0.1 | 3.0 ± 0.5 | 2 | 0.80 ± 0.02 |"
    assert liquid.splitlines()[2:] == [
        "| η | 0.10 ± 0.02 | 0.30 ± 0.02 | -67 %, 7.1 | 3.24 ± 0.03 |",
        "| D | 0.20 ± 0.02 | 0.40 ± 0.02 | -50 %, 7.1 | |",
    ]
