"""The demonstration with few walkers: every part of the way leaves its file."""

from experiments import demo
from morlight.data.trajectory_file import TrajectoryFile


def test_the_demonstration_simulates_learns_predicts_and_draws(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    demo.main(["--sets", "4", "--walkers", "2000"])
    shown = capsys.readouterr().out
    assert "| realization | square wave, t = 1 | generator, κ ≤ 16 | drift of the total |" in shown
    assert (tmp_path / demo.FOLDER / "demo.png").stat().st_size > 20_000
    later = TrajectoryFile.open(demo.FOLDER / "prediction.h5")
    assert (later.trajectories, len(later.times)) == (5, 11)
