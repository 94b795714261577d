"""`morlight inspect`: symbol, nonlinearity, generator and growth of an operator."""

import argparse
from typing import TYPE_CHECKING, Any

from morlight.cli.output import print_json, warnings_as_sentences
from morlight.cli.parsing import add_checkpoint, add_json, pairs

if TYPE_CHECKING:
    from morlight.analysis.inspection import Inspection
    from morlight.analysis.model import Model


def add(commands: Any) -> None:
    """Add the command to the parser."""
    inspect = commands.add_parser("inspect", help="what was learned: symbol, nonlinearity, generator, growth")
    add_checkpoint(inspect)
    add_json(inspect)
    inspect.add_argument("--plot", metavar="FILE", help="figure of symbols and nonlinearities")
    inspect.add_argument("--overwrite", action="store_true", help="replace an existing figure")
    inspect.add_argument(
        "--data", metavar="FILE", help="trajectory file on which the closed form is compared with the networks"
    )
    inspect.add_argument(
        "--gamma", nargs="+", metavar="NAME=VALUE",
        help="parameters of the transport coefficients and of the noise (default: typical)",
    )  # fmt: skip
    inspect.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from morlight.tracking.checkpoints import resolve

    checkpoint = resolve(options.checkpoint)
    from morlight.analysis import plots
    from morlight.analysis.extrapolation import Extrapolation
    from morlight.analysis.inspection import inspect, readings
    from morlight.analysis.inspection_text import summary
    from morlight.analysis.model import load

    if options.plot:
        plots.check(options.plot, options.overwrite)
    model = load(checkpoint)
    inspection = inspect(model, pairs("--gamma", options.gamma, float) or None)
    if options.data:
        with warnings_as_sentences(Extrapolation):
            inspection = _with_twin(model, options.data, inspection)
    if options.plot:
        plots.learned(readings(model), options.plot)
    if options.json:
        print_json(inspection.to_json())
    else:
        print(summary(inspection))


def _with_twin(model: "Model", data: str, inspection: "Inspection") -> "Inspection":
    """With the errors of the closed form beside those of the networks."""
    from morlight.analysis.equations import forms
    from morlight.analysis.equations.choice import twin
    from morlight.analysis.evaluation.evaluate import evaluate

    equation, networks = twin(model), evaluate(model, data)
    return inspection if equation is None else inspection.with_twin(forms.compared(networks, evaluate(equation, data)))
