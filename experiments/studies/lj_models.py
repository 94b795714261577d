"""Fig. 12: models of one, two and three fields of the Lennard-Jones fluid over the cutoff time of their data.

`python -m experiments.lj_models --scale small|paper`
"""

from collections.abc import Mapping, Sequence
from typing import Any

from experiments import channels, results
from experiments.channels import Fields, least, median
from experiments.study import Study

MODELS = {
    "1 field": Fields((), ("momentum",)),
    "2 fields, conservation": Fields(("density",), ("momentum",)),
    "2 fields": Fields(("density",), ("momentum",), conserved=False),
    "3 fields, conservation": Fields(("density",), ("momentum",), ("density_temperature",)),
    "3 fields": Fields(("density",), ("momentum",), ("density_temperature",), conserved=False),
}
ONLY = {"density": 0.01}  # ρ* that is looked at; all are trained on
BASE = "--config configs/lj.yaml"


def momentum(fields: Fields, word: str = "steady") -> str:
    """Name of the error of momentum, at t = 1 or of the mean of the last frames."""
    return word if fields.count == 1 else f"{word} momentum"


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit what is not there yet, draw the figure, answer the claims of Sec. 6.3.2."""
    options = channels.parser(__doc__, "lj").parse_args(arguments)
    study = Study("lj_models", options.scale)
    found = channels.by_cutoff(study, MODELS, BASE, options, ONLY)
    path = study.folder / "lj_models.png"
    channels.curves(found, MODELS, momentum, path)
    results.keep(study, found, [path])
    study.publish(page(found), path)


def page(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Tables of errors and of claims."""
    return f"{errors(found, MODELS, momentum)}\n\n{results.claims(claims(found))}"


def errors(found: Mapping[str, Mapping[str, Any]], models: Mapping[str, Fields], name: Any) -> str:
    """Median and minimum for every model and cutoff, beside the noise and the baselines."""
    cutoffs = sorted({float(key.split("/")[1]) for key in found})
    lines = [f"| model | {' | '.join(f't_c = {t:g}' for t in cutoffs)} |", "|---|" + "---|" * len(cutoffs)]
    for label, fields in models.items():
        mine = [found[f"{label}/{t}"] for t in cutoffs]
        cells = (f"{median(r, name(fields)):.2g} / {least(r, name(fields)):.2g}" for r in mine)
        lines.append(f"| {label} | {' | '.join(cells)} |")
    fields = models[label]
    for word, told in (("linear model of each mode", "linear"), ("persistence", "persistence")):
        values = [found[f"{label}/{t}"]["baselines"][told][name(fields)] for t in cutoffs]
        lines.append(f"| {word} | {' | '.join(f'{value:.2g}' for value in values)} |")
    noise = found[f"{label}/{cutoffs[-1]}"]["noise"].get(name(fields))
    lines.append(f"| noise ceiling | {f'{noise:.2g}' if noise else 'one run alone'} |" + " |" * (len(cutoffs) - 1))
    return "\n".join(lines)


def claims(found: Mapping[str, Mapping[str, Any]]) -> list[results.Claim]:
    """What Sec. 6.3.2 says of the Lennard-Jones fluid."""
    two, three = "2 fields, conservation", "3 fields, conservation"
    cutoffs = sorted({float(key.split("/")[1]) for key in found})

    def over_time(label: str) -> list[float]:
        return [median(found[f"{label}/{t}"], momentum(MODELS[label])) for t in cutoffs]

    last = {label: over_time(label)[-1] for label in MODELS}
    return [
        results.plateau("accuracy improves quickly with data, then levels off (2 fields)", cutoffs, over_time(two)),
        results.Claim(
            "the one-field model performs poorly (twice the error of the others at least)",
            f"{last['1 field']:.2g}, 2 fields {last[two]:.2g}, 3 fields {last[three]:.2g}",
            last["1 field"] > 2 * max(last[two], last[three]),
        ),
        results.Claim(
            "two and three fields perform similarly (within 1.5 of each other)",
            f"{last[two]:.2g} and {last[three]:.2g}",
            max(last[two], last[three]) < 1.5 * min(last[two], last[three]),
        ),
        results.benefit(
            "no consistent benefit of conservation (better in a quarter to three quarters of the cases)",
            [(a, b) for pair in ((two, "2 fields"), (three, "3 fields"))
             for a, b in zip(*map(over_time, pair), strict=True)],
            expected=False,
        ),
    ]  # fmt: skip


if __name__ == "__main__":
    main()
