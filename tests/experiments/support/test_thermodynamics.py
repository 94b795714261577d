import numpy as np
import pytest

from experiments.support.thermodynamics import speed_of_sound


def test_speed_of_sound_in_an_ideal_gas_with_three_degrees_of_freedom(tmp_path):
    noise = np.random.default_rng(0).normal(size=(20, 2)) * 1e-4
    for density, temperature in ((0.11, 2.0), (0.09, 2.0), (0.1, 2.2), (0.1, 1.8)):
        place = tmp_path / f"state_{density:g}_{temperature:g}"
        place.mkdir()
        means = np.array([density * temperature, 1.5 * temperature]) + noise - noise.mean(0)
        np.savetxt(place / "means.txt", np.column_stack([np.arange(20), means]))
        (place / "finished.txt").touch()
    adiabatic, isothermal = speed_of_sound(tmp_path, 0.1, 2.0)
    assert adiabatic.value == pytest.approx((5 / 3 * 2) ** 0.5, abs=4 * adiabatic.error)
    assert isothermal.value == pytest.approx(2**0.5, abs=4 * isothermal.error)
    assert adiabatic.error < 0.01
