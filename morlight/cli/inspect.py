"""`morlight inspect`: symbol, nonlinearity, generator and growth of an operator."""

import argparse
from typing import Any

from morlight.cli.output import print_json
from morlight.cli.parsing import add_checkpoint, add_json


def add(commands: Any) -> None:
    """Add the command to the parser."""
    inspect = commands.add_parser("inspect", help="what was learned: symbol, nonlinearity, generator, growth")
    add_checkpoint(inspect)
    add_json(inspect)
    inspect.add_argument("--plot", metavar="FILE", help="figure of symbols and nonlinearities")
    inspect.add_argument(
        "--data", metavar="FILE", help="trajectory file on which the closed form is compared with the networks"
    )
    inspect.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from morlight.analysis import inspection, plots
    from morlight.analysis.model import load
    from morlight.tracking.checkpoints import resolve

    if options.plot:
        plots.check(options.plot)
    model = load(resolve(options.checkpoint))
    result = inspection.inspect(model)
    if options.data:
        _compare_closed_form(model, options.data, result)
    if options.plot:
        plots.learned(inspection.readings(model), options.plot)
    if options.json:
        print_json(result)
    else:
        print(inspection.summary(result))


def _compare_closed_form(model: Any, data: str, result: dict[str, Any]) -> None:
    """Add the errors of the closed form beside those of the networks."""
    from morlight.analysis import inspection
    from morlight.analysis.equations import forms
    from morlight.analysis.evaluation.walkers import evaluate

    equation = inspection.twin(model)
    networks = evaluate(model, data)
    if equation is not None:
        (field,) = result["fields"].values()
        field["closed_form"]["twin"] = forms.compared(networks, evaluate(equation, data))
