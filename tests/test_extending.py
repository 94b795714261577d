"""The page on extending morlight: every example runs as it stands there, and does what it says."""

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[1] / "docs" / "extending.md").read_text()
PARTS = PAGE.split("\n## ")
COMMON, *SECTIONS = [("\n".join(re.findall(r"```python\n(.*?)```", part, re.DOTALL)), part) for part in PARTS]


@pytest.mark.parametrize(("code", "part"), SECTIONS, ids=[part.partition("\n")[0] for _, part in SECTIONS])
def test_the_examples_of_a_section_run_verbatim(tmp_path, monkeypatch, code, part):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert "assert " in code  # an example says what it shows
    exec(compile(f"{COMMON[0]}\n{code}", "docs/extending.md", "exec"), {"__name__": "example"})
    assert list(tmp_path.glob("mlruns/fits/fit/*/last.ckpt"))
    if "CSVLogger" in code:
        assert list(tmp_path.glob("logs/mine/*/metrics.csv"))


def test_the_page_has_an_example_of_everything_that_can_be_passed():
    import inspect

    from morlight.training.fit import fit

    settings = {"data", "settings", "config"}
    for name in set(inspect.signature(fit).parameters) - settings:
        assert f"{name}=" in PAGE, name
