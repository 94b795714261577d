"""Results of the studies of channels as they are kept in the repository, and their figures in docs/figures."""

import dataclasses
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.support.channels import ChannelErrors
from experiments.support.fits import Kept
from experiments.support.study import Study

EXPERIMENTS = Path(__file__).parents[1]
FOLDER = EXPERIMENTS / "results"
FIGURES = EXPERIMENTS.parent / "docs" / "figures"


@dataclass(frozen=True)
class Results:
    """What a study found at the scale of the paper.

    Attributes:
        fits: by their keys.
        figures: names of files in docs/figures.
    """

    fits: Mapping[str, Kept[ChannelErrors]]
    figures: Sequence[str]


def keep(
    study: Study[ChannelErrors],
    fits: Mapping[str, Kept[ChannelErrors]],
    figures: Sequence[Path],
    of_searches: Sequence[Path] = (),
) -> None:
    """Keep results and figures of a study at the scale of the paper; `python -m experiments.page` shows them."""
    if study.scale != "paper" or not Path("experiments").is_dir():
        return
    for path in (*figures, *of_searches):
        shutil.copyfile(path, FIGURES / path.name)
    plain = {key: dataclasses.replace(kept, checkpoint=None).to_json() for key, kept in fits.items()}
    write(study.name, {"fits": plain, "figures": [path.name for path in figures]})


def write(name: str, plain: Mapping[str, object]) -> None:
    """Write the file of a study, a line for each of its longer parts."""
    text = json.dumps(plain, separators=(",", ":"), ensure_ascii=False)
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.json").write_text(text.replace('},"', '},\n"') + "\n", encoding="utf-8")


def load(name: str) -> Results | None:
    """The results of a study; None where it has not run at the scale of the paper."""
    path = FOLDER / f"{name}.json"
    if not path.exists():
        return None
    plain = json.loads(path.read_text(encoding="utf-8"))
    return Results({key: Kept.from_json(each, ChannelErrors) for key, each in plain["fits"].items()}, plain["figures"])
