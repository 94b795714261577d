"""Fig. 13: models of two, four and six fields of the colloid over the cutoff time of their data.

`python -m experiments.colloid_models --scale small|paper`
"""

from collections.abc import Mapping, Sequence
from typing import Any

from experiments import channels, results
from experiments.channels import Fields, median
from experiments.lj_models import errors
from experiments.study import Study

L, S = "density_large", "density_small"
PL, PS = "momentum_large", "momentum_small"
HEAT = ("density_temperature_large", "density_temperature_small")
MODELS = {
    "2 fields, conservation": Fields((L,), (f"{PL}+{PS}",)),
    "2 fields": Fields((L,), (f"{PL}+{PS}",), conserved=False),
    "4 fields, conservation": Fields((L, S), (PL, PS)),
    "4 fields": Fields((L, S), (PL, PS), conserved=False),
    "6 fields, conservation": Fields((L, S), (PL, PS), HEAT),
    "6 fields": Fields((L, S), (PL, PS), HEAT, conserved=False),
}
ONLY = {"concentration": 0.2, "radius": 3.0}  # (c, d) that is looked at; all are trained on
BASE = "--config configs/colloid.yaml"


def concentration(fields: Fields, word: str = "steady") -> str:
    """Name of the error of the density of the large ones."""
    return f"{word} {L}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit what is not there yet, draw the figure, answer the claims of Sec. 6.3.2."""
    options = channels.parser(__doc__, "colloid").parse_args(arguments)
    study = Study("colloid_models", options.scale)
    found = channels.by_cutoff(study, MODELS, BASE, options, ONLY)
    path = study.folder / "colloid_models.png"
    channels.curves(found, MODELS, concentration, path)
    results.keep(study, found, [path])
    study.publish(page(found), path)


def page(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Tables of errors and of claims."""
    return f"{errors(found, MODELS, concentration)}\n\n{results.claims(claims(found))}"


def claims(found: Mapping[str, Mapping[str, Any]]) -> list[results.Claim]:
    """What Sec. 6.3.2 says of the colloid."""
    cutoffs = sorted({float(key.split("/")[1]) for key in found})

    def over_time(label: str) -> list[float]:
        return [median(found[f"{label}/{t}"], concentration(MODELS[label])) for t in cutoffs]

    two, four, six = (f"{count} fields, conservation" for count in (2, 4, 6))
    last = {label: over_time(label)[-1] for label in MODELS}
    pairs = [(f"{count} fields, conservation", f"{count} fields") for count in (2, 4, 6)]
    return [
        results.plateau("accuracy is poor with little data, improves quickly and saturates (4 fields)",
                        cutoffs, over_time(four)),
        results.Claim(
            "two and four fields perform similarly (within 1.5 of each other)",
            f"{last[two]:.2g} and {last[four]:.2g}",
            max(last[two], last[four]) < 1.5 * min(last[two], last[four]),
        ),
        results.Claim(
            "six fields perform poorly (twice the error of the others at least)",
            f"{last[six]:.2g}, 2 fields {last[two]:.2g}, 4 fields {last[four]:.2g}",
            last[six] > 2 * max(last[two], last[four]),
        ),
        results.benefit(
            "a small, more consistent benefit of conservation (better in more than three quarters of the cases)",
            [(a, b) for pair in pairs for a, b in zip(*map(over_time, pair), strict=True)],
            expected=True,
        ),
    ]  # fmt: skip


if __name__ == "__main__":
    main()
