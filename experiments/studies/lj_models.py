"""Fig. 12: models of one, two and three fields of the Lennard-Jones fluid over the cutoff time of their data.

`python -m experiments.studies.lj_models --scale small|paper`
"""

import argparse
import math
from collections.abc import Iterator, Mapping, Sequence

from experiments.support import channel_figures, channels, results
from experiments.support.channels import ByCutoff, ChannelErrors, Fields
from experiments.support.claims import Claim, benefit, claims_table, plateau
from experiments.support.fits import Fit, Kept
from experiments.support.study import Study
from morlight.analysis.model import Model

MODELS = {
    "1 field": Fields((), ("momentum",)),
    "2 fields, conservation": Fields(("density",), ("momentum",)),
    "2 fields": Fields(("density",), ("momentum",), conserved=False),
    "3 fields, conservation": Fields(("density",), ("momentum",), ("density_temperature",)),
    "3 fields": Fields(("density",), ("momentum",), ("density_temperature",), conserved=False),
}
# name of the error of momentum at steady state
STEADY = {label: "steady" if fields.count == 1 else "steady momentum" for label, fields in MODELS.items()}
ONLY = {"density": 0.01}  # ρ* that is looked at; all are trained on
# Models that are not told ρ*, looked at where momentum is as large as in the fluid of ρ* = 1.
UNTOLD = {"1 field, ρ* not given": "1 field", "2 fields, ρ* not given": "2 fields, conservation"}
UNTOLD_ONLY = {"density": 0.2}


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit what is not there yet, draw the figure, answer the claims of Sec. 6.3.2."""
    options = channels.parser(__doc__, "lj").parse_args(arguments)
    study = Study("lj_models", options.scale, ChannelErrors)
    fits = channels.fit_by_cutoff(study, MODELS, "lj", options, ONLY)
    fits |= _without_parameter(study, options)
    path = study.folder / "lj_models.png"
    channel_figures.curves(channels.by_cutoff(fits), MODELS, STEADY, path)
    results.keep(study, fits, [path])
    study.publish(page(fits), path)


def _without_parameter(study: Study[ChannelErrors], options: argparse.Namespace) -> dict[str, Kept[ChannelErrors]]:
    """Fits without γ: the state alone says which fluid it is."""
    changes = {"data.held_out": None, "data.parameters": None, "data.scaling": "global"}
    fits = {
        f"{label}/1.0": Fit("lj", options.data, {**MODELS[fields].settings, **changes, **channels.FEW[study.scale]})
        for label, fields in UNTOLD.items()
    }

    def measured(key: str, model: Model) -> ChannelErrors:
        return channels.measure(model, options.data, MODELS[UNTOLD[key.split("/")[0]]].measured, UNTOLD_ONLY)

    return study.fits(fits, measured, options.processes)


def page(fits: Mapping[str, Kept[ChannelErrors]]) -> str:
    """Tables of errors and of claims."""
    errors = channels.by_cutoff(fits)
    note = f"""The errors are those of the momentum at steady state for ρ* = {ONLY["density"]:g}. The models are trained
on all densities, this one included."""
    return f"{note}\n\n{channels.error_table(errors, STEADY)}\n\n{claims_table([*claims(errors), *reasons(errors)])}"


def reasons(errors: ByCutoff) -> Iterator[Claim]:
    """Why one field is enough, and where it is not: claims of ours."""
    told, untold = (errors[label][1.0] for label in ("2 fields, conservation", "2 fields, ρ* not given"))
    change, numbers = _density_change(told)
    yield Claim("ours: at ρ* = 0.01, the density does not change by twice its noise", numbers, change < 2)
    change, numbers = _density_change(untold)
    yield Claim("ours: at ρ* = 0.2 it does", numbers, change > 2)
    one, two = errors["1 field, ρ* not given"][1.0].median("steady"), untold.median("steady momentum")
    yield Claim(
        "ours: one field performs poorly where ρ* is no parameter (twice the error of two at least, ρ* = 0.2)",
        f"{one:.2g}, 2 fields {two:.2g}",
        one > 2 * two,
    )


def _density_change(errors: ChannelErrors) -> tuple[float, str]:
    """From rest to the steady flow, in units of the noise of this difference."""
    change, noise = errors.baselines["persistence"]["steady density"], errors.noise.get("steady density", math.nan)
    first = errors.noise.get("t=0.025 density", math.nan)
    both = math.hypot(noise, first)
    return change / both, f"{change:.2g}, its noise {both:.2g}"


def claims(errors: ByCutoff) -> list[Claim]:
    """What Sec. 6.3.2 says of the Lennard-Jones fluid."""
    two, three = "2 fields, conservation", "3 fields, conservation"
    over_time = {label: [each.median(STEADY[label]) for each in errors[label].values()] for label in MODELS}
    last = {label: values[-1] for label, values in over_time.items()}
    return [
        plateau("accuracy improves quickly with data, then levels off (2 fields)", list(errors[two]), over_time[two]),
        Claim(
            "the one-field model performs poorly (twice the error of the others at least)",
            f"{last['1 field']:.2g}, 2 fields {last[two]:.2g}, 3 fields {last[three]:.2g}",
            last["1 field"] > 2 * max(last[two], last[three]),
        ),
        Claim(
            "two and three fields perform similarly (within 1.5 of each other)",
            f"{last[two]:.2g} and {last[three]:.2g}",
            max(last[two], last[three]) < 1.5 * min(last[two], last[three]),
        ),
        benefit(
            "no consistent benefit of conservation (better in a quarter to three quarters of the cases)",
            [
                pair
                for biased, free in ((two, "2 fields"), (three, "3 fields"))
                for pair in zip(over_time[biased], over_time[free], strict=True)
            ],
            expected=False,
        ),
    ]


if __name__ == "__main__":
    main()
