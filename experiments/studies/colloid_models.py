"""Fig. 13: models of two, four and six fields of the colloid over the cutoff time of their data.

`python -m experiments.studies.colloid_models --scale small|paper`
"""

from collections.abc import Iterator, Mapping, Sequence

from experiments.support import channel_figures, channels, results
from experiments.support.channels import ByCutoff, ChannelErrors, Fields
from experiments.support.claims import Claim, benefit, claims_table, plateau
from experiments.support.fits import Kept
from experiments.support.study import Study

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
STEADY = {label: f"steady {L}" for label in MODELS}  # name of the error of the density of the large ones
ONLY = {"concentration": 0.2, "radius": 3.0}  # (c, d) that is looked at; all are trained on


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit what is not there yet, draw the figure, answer the claims of Sec. 6.3.2."""
    options = channels.parser(__doc__, "colloid").parse_args(arguments)
    study = Study("colloid_models", options.scale, ChannelErrors)
    fits = channels.fit_by_cutoff(study, MODELS, "colloid", options, ONLY)
    path = study.folder / "colloid_models.png"
    channel_figures.curves(channels.by_cutoff(fits), MODELS, STEADY, path)
    results.keep(study, fits, [path])
    study.publish(page(fits), path)


def page(fits: Mapping[str, Kept[ChannelErrors]]) -> str:
    """Tables of errors and of claims."""
    errors = channels.by_cutoff(fits)
    note = f"""The errors are those of the density of the large particles at steady state for
(c, d) = ({ONLY["concentration"]:g}, {ONLY["radius"]:g}). The models are trained on all systems, this one included."""
    return (
        f"{note}\n\n{channels.error_table(errors, STEADY)}\n\n{claims_table([*claims(errors), *beside_others(errors)])}"
    )


def claims(errors: ByCutoff) -> list[Claim]:
    """What Sec. 6.3.2 says of the colloid."""
    over_time = {label: [each.median(STEADY[label]) for each in errors[label].values()] for label in MODELS}
    last = {label: values[-1] for label, values in over_time.items()}
    two, four, six = (f"{count} fields, conservation" for count in (2, 4, 6))
    return [
        plateau(
            "accuracy is poor with little data, improves quickly and saturates (4 fields)",
            list(errors[four]),
            over_time[four],
        ),
        Claim(
            "two and four fields perform similarly (within 1.5 of each other)",
            f"{last[two]:.2g} and {last[four]:.2g}",
            max(last[two], last[four]) < 1.5 * min(last[two], last[four]),
        ),
        Claim(
            "six fields perform poorly (twice the error of the others at least)",
            f"{last[six]:.2g}, 2 fields {last[two]:.2g}, 4 fields {last[four]:.2g}",
            last[six] > 2 * max(last[two], last[four]),
        ),
        benefit(
            "a small, more consistent benefit of conservation (better in more than three quarters of the cases)",
            [
                pair
                for count in (2, 4, 6)
                for pair in zip(over_time[f"{count} fields, conservation"], over_time[f"{count} fields"], strict=True)
            ],
            expected=True,
        ),
    ]


def beside_others(errors: ByCutoff) -> Iterator[Claim]:
    """How good these models are, with all of the data: claims of ours."""
    last = {label: list(errors[label].values())[-1].median(name) for label, name in STEADY.items()}
    reference = list(errors["4 fields, conservation"].values())[-1]
    name = STEADY["4 fields, conservation"]
    linear, noise = reference.baselines["linear"][name], reference.noise.get(name)
    best, free = (
        min(last[label] for label in MODELS if MODELS[label].conserved is with_bias) for with_bias in (True, False)
    )
    yield Claim(
        "ours: with conservation, networks are better than the linear model of each mode; without it, they are not",
        f"linear {linear:.2g}, best networks with {best:.2g}, without {free:.2g}",
        best < linear < free,
    )
    yield Claim(
        "ours: the errors are those of the models, not of the noise (best median above twice the noise ceiling)",
        f"{best:.2g}" if noise is None else f"{best:.2g}, noise ceiling {noise:.2g}",
        None if noise is None else best > 2 * noise,
    )


if __name__ == "__main__":
    main()
