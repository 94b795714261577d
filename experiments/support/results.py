"""Results of the studies of channels as they are kept beside the code, and the page that is made of them.

`python -m experiments.results` writes experiments/README.md anew from experiments/results/*.json, which the studies at
the scale of the paper leave there, and nothing else.
"""

import importlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.study import Study

HERE = Path(__file__).parent
FOLDER = HERE / "results"
PAGE = HERE / "README.md"
STUDIES = ("lj_refinement", "lj_models", "colloid_models", "generalization")


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper, our numbers, and whether they say the same; None where they cannot tell."""

    sentence: str
    numbers: str
    holds: bool | None


def claims(found: Sequence[Claim]) -> str:
    """A table of them."""
    words = {True: "reproduced", False: "not reproduced", None: "cannot be told"}
    lines = ["| claim | numbers | verdict |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {c.sentence} | {c.numbers} | {words[c.holds]} |" for c in found)])


def plateau(sentence: str, cutoffs: Sequence[float], errors: Sequence[float]) -> Claim:
    """Whether an error falls by a fifth or more at first, and by less in the second half of the cutoffs."""
    middle = len(errors) // 2
    first, later = errors[0] / errors[middle], errors[middle] / errors[-1]
    told = ", ".join(f"{error:.2g}" for error in errors)
    return Claim(sentence, f"medians for t_c = {cutoffs[0]:g} … {cutoffs[-1]:g}: {told}", first > 1.2 > later)


def benefit(sentence: str, pairs: Sequence[tuple[float, float]], *, expected: bool) -> Claim:
    """Whether the first of each pair is the lower one in most cases."""
    better = sum(a < b for a, b in pairs) / len(pairs)
    ratio = float(sorted(b / a for a, b in pairs)[len(pairs) // 2])
    told = f"better in {better:.0%} of {len(pairs)} cases; error without over with, median {ratio:.2f}"
    return Claim(sentence, told, better > 0.75 if expected else 0.25 <= better <= 0.75)


def keep(study: Study, found: Mapping[str, Mapping[str, Any]], figures: Sequence[Path], **more: Any) -> None:
    """Results and figures of a study at the scale of the paper, beside the code and in docs."""
    if study.scale != "paper" or not Path("experiments").is_dir():
        return
    FOLDER.mkdir(exist_ok=True)
    for path in figures:
        shutil.copyfile(path, HERE.parent / "docs" / path.name)
    told = {key: {k: v for k, v in result.items() if k != "checkpoint"} for key, result in found.items()}
    text = json.dumps({"found": told, "figures": [path.name for path in figures], **more}, separators=(",", ":"))
    (FOLDER / f"{study.name}.json").write_text(text.replace('},"', '},\n"') + "\n")
    PAGE.write_text(page())


def page() -> str:
    """The page, from the kept results alone."""
    parts = [INTRODUCTION]
    for name in STUDIES:
        path = FOLDER / f"{name}.json"
        module = importlib.import_module(f"experiments.{name}")
        title = (module.__doc__ or "").strip().split("\n\n")[0]
        parts.append(f"## {title.replace(chr(10), ' ')}")
        parts.append(f"```sh\npython -m experiments.{name} --scale paper\n```")
        if not path.exists():
            parts.append("Not run yet at this scale.")
            continue
        held = json.loads(path.read_text())
        seconds = sum(result["seconds"] for result in held["found"].values())
        parts.append(
            f"{len(held['found'])} fits, {seconds / 60:.0f} minutes of one process in all"
            f" ({seconds / 120:.0f} minutes with two at once)."
        )
        parts.append(module.page(held["found"]))
        parts += [f"![{Path(figure).stem}](../docs/{figure})" for figure in held["figures"]]
    return "\n\n".join(parts) + "\n"


INTRODUCTION = """# Section 6: continuum models from molecules

This page is made by `python -m experiments.results` from the results beside it, and every study writes it anew. The
models are learned from our own runs of LAMMPS (`morlight simulate lj`, `morlight simulate colloid`); errors are
‖a − b‖/‖b‖ over x, of several fields the root of the mean of their squares; *steady* is that of the mean of the last
five frames (t = 0.9 … 1), the others of one frame. Cells read *median / minimum* of the realisations. The noise ceiling
is the error that the exact equation would have: half the difference between halves of the runs with the same γ. Beside
it stand persistence, u(t) = u(0), and the linear (affine) model of each mode by itself, both of the same data."""


if __name__ == "__main__":
    PAGE.write_text(page())
