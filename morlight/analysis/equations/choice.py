"""The closed form, if any, that the data justify for one field with one term."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from morlight.analysis.data_errors import standard_error
from morlight.analysis.equations import forms
from morlight.analysis.equations.forms import MISFIT, Form
from morlight.analysis.equations.known import KnownForm, known_equation
from morlight.analysis.equations.power_law import PowerLaw, power_law
from morlight.analysis.learned import Term, generator_of, terms
from morlight.analysis.trained_operator import Trained, TrainedOperator
from morlight.operators import build, shells


class Chosen(NamedTuple):
    """A closed form that is justified.

    Attributes:
        form: with its coefficients and standard deviations.
        departure: of its roll-outs from those of the networks, as a share of the change.
    """

    form: Form | KnownForm
    departure: float


def choose(model: TrainedOperator, place: int) -> Chosen | str:
    """The closed form of the rate of change of a field, or one sentence that says why there is none."""
    known = known_equation(model)
    if known is not None:
        return Chosen(KnownForm(known, model.data.field_names[place]), 0.0)
    learned = terms(model, place)
    if (reason := _excluded(model, learned)) is not None:
        return reason
    form = closed_form(model, place, learned)
    if form is None:
        return (
            "no power law with drift and no sum of whole powers of ∇ and of u describes what was learned within"
            f" {100 * MISFIT:g} %, with every coefficient more than {forms.SURE:g} standard deviations from zero"
        )
    departure = forms.departure(model, forms.twin(model, form))
    if departure > MISFIT:
        return (
            f"{form.text()} would depart from the networks by {100 * departure:.2g} % of the change over"
            f" {forms.STEPS} steps, more than {100 * MISFIT:g} %"
        )
    return Chosen(form, departure)


def twin(model: Trained) -> Trained | None:
    """The closed form as a model that predicts; None if no closed form is justified."""
    chosen = choose(model, 0)
    if isinstance(chosen, str) or isinstance(chosen.form, KnownForm) or len(model.data.fields) > 1:
        return None
    return forms.twin(model, chosen.form)


def _excluded(model: TrainedOperator, learned: list[Term]) -> str | None:
    """Reason why no closed form is tried; None if one is."""
    if len(model.data.fields) > 1:
        return "several fields are coupled; closed forms are read for one field"
    if model.data.parameters:
        return "the operator depends on parameters; closed forms are read for operators without"
    if model.config.walls:
        return "values or slopes are given at the walls (model.walls), which closed forms do not have"
    if "robin" in model.config.bases.values():
        return "the field slips at the walls (model.bases robin), which closed forms do not"
    if len(learned) != 1 or learned[0].mixed:
        return f"{len(learned)} terms add up, whose g and h are determined together only"
    if model.config.scheme == "implicit":
        return "the scheme is implicit, whose symbol is that of neither an explicit step nor a generator"
    band = model.band(0)
    if band is None:
        return "the data identify the symbol at no wavenumber"
    if band[0] == band[1]:
        return (
            f"the data identify the symbol at one wavenumber only, |κ| = {band[0]:.4g}, which does not determine how it"
            " depends on κ; initial states with more waves, more particles or less noise identify more"
        )
    return None


def closed_form(model: TrainedOperator, place: int, learned: list[Term]) -> Form | None:
    """A power law with drift, or else powers of ∇ and polynomials of u; None if neither fits."""
    found = fractional_diffusion(model, place, learned)
    if found is not None:
        return forms.of_power_law(model, found, learned[0].symbol.is_complex())
    term, band = learned[0], model.band(place)
    if band is None:
        return None
    modulus = term.kappa.square().sum(0).sqrt()
    inside = (modulus >= 0.999 * band[0]) & (modulus <= 1.001 * band[1])
    errors = torch.ones_like(modulus) if model.steady else _rate_errors(model, place, term)
    errors = torch.where(inside, errors, torch.inf)
    return forms.of_powers(model, place, errors)


def fractional_diffusion(model: TrainedOperator, place: int, learned: list[Term]) -> PowerLaw | None:
    """The fractional diffusion with drift nearest to a model of one field and one term; None if none is near."""
    continuum = generator_of(model, learned)
    if continuum is None or model.checkpoint.modes.rate_errors is None:
        return None
    term = learned[0]
    line = term.slope[:, None] * term.u
    bent = (term.nonlinearity - line).square().mean(1).sqrt() / line.square().mean(1).sqrt()
    moduli, index = shells(build.basis(model.data.grid).double().wavenumbers)
    errors = torch.tensor(model.checkpoint.modes.rate_errors[place], dtype=torch.float64)
    band = model.band(place)
    if band is None:
        return None
    errors = torch.where((moduli[0] >= band[0]) & (moduli[0] <= band[1]), errors, torch.inf)
    each = _of_modes(errors, index, term)
    found = power_law(term.kappa, continuum, each)
    if found is None or max(float(found.misfit.median()), float(bent.median())) > MISFIT:
        return None
    return _with_data_errors(model, place, found, each) if bool((found.exponent > 0).all()) else None


def _with_data_errors(model: TrainedOperator, place: int, found: PowerLaw, errors: Float[Tensor, " K"]) -> PowerLaw:
    """The power law with standard errors from blocks of the data, where these are known."""

    def numbers(other: TrainedOperator) -> Tensor:
        own = terms(other, place)
        continuum = generator_of(other, own)
        again = None if continuum is None else power_law(own[0].kappa, continuum, errors)
        assert again is not None  # changes are infinitesimal
        return torch.cat([again.coefficient[:, None].log(), again.exponent[:, None], again.drift], 1)

    known = standard_error(model, numbers)
    if known is None:
        return found
    c, alpha = known[:2].tolist()
    return found._replace(coefficient_error=c, exponent_error=alpha, drift_error=known[2:])


def _rate_errors(model: TrainedOperator, place: int, term: Term) -> Float[Tensor, " K"]:
    """Relative standard error of the rate of each mode at which a term is evaluated."""
    assert model.checkpoint.modes.rate_errors is not None
    errors = torch.tensor(model.checkpoint.modes.rate_errors[place], dtype=torch.float64)
    return _of_modes(errors, shells(build.basis(model.data.grid).double().wavenumbers)[1], term)


def _of_modes(errors: Float[Tensor, " S"], index: Tensor, term: Term) -> Float[Tensor, " K"]:
    """Errors of each |κ| as those of each mode, if a term is evaluated at every mode separately."""
    if term.kappa.shape[1] == len(errors):
        return errors
    flat = index.flatten()
    return errors[flat] * flat.bincount(minlength=len(errors))[flat].sqrt()
