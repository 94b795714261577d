"""`morlight export`: a checkpoint as a program that runs without morlight, or as a model that MLflow serves."""

import argparse
from typing import Any

from morlight.cli.parsing import BadInput, number, numbers


def add(commands: Any) -> None:
    """`morlight export`."""
    these = commands.add_parser("export", help="one step as ONNX or torch.export, or a model folder for MLflow")
    these.add_argument("checkpoint", help="a path, runs:/ID, or models:/NAME@ALIAS")
    these.add_argument(
        "-o", "--output", required=True, metavar="FILE",
        help="program to write: .onnx or .pt2 (torch.export); a new folder where it has no ending, for `mlflow models`",
    )  # fmt: skip
    these.add_argument("--points", type=number, nargs="+", help="of another grid of the same domain")
    these.add_argument("--precision", type=number, choices=(32, 64), default=64, help="of the numbers (default 64)")
    these.add_argument(
        "--realizations", nargs="+", default=["all"], metavar="WHICH", help="all, best, or numbers from 0 (default all)"
    )
    these.add_argument("--equation", action="store_true", help="the closed form alone, in place of the networks")
    these.set_defaults(run=_run_export)


def _run_export(options: argparse.Namespace) -> None:
    from pathlib import Path

    from morlight.analysis.model import load
    from morlight.tracking.store import resolve

    words = options.realizations
    chosen: Any = words[0] if words in (["all"], ["best"]) else numbers("--realizations", words, "all, best")
    if not Path(options.output).suffix:
        if options.points or options.precision != 64 or words != ["all"] or options.equation:
            raise BadInput(
                f"{options.output}: a folder for MLflow holds the whole checkpoint, expected neither --points nor"
                " --precision nor --realizations nor --equation; realizations are asked for with each prediction"
            )
        from morlight.analysis.export.pyfunc import save

        save(resolve(options.checkpoint), options.output)
        return
    from morlight.analysis.export.program import export

    model = load(resolve(options.checkpoint))
    rows = model.chosen(chosen)
    if options.equation:
        model, rows = _equation(model), [0]
    model = model if options.points is None else model.on(options.points)
    export(model, options.output, precision=options.precision, realizations=rows)


def _equation(model: Any) -> Any:
    from morlight.analysis.equations.choice import twin

    found = twin(model)
    if found is None:
        raise BadInput(f"{model.path}: no closed form is justified, which --equation would export")
    return found
