"""`morlight export`: a checkpoint as a program that runs without morlight, or as a model that MLflow serves."""

import argparse
import sys
from typing import Any

from morlight.cli.parsing import BadInput, add_checkpoint, number, numbers


def add(commands: Any) -> None:
    """Add the command to the parser."""
    export = commands.add_parser("export", help="one step as ONNX or torch.export, or a model folder for MLflow")
    add_checkpoint(export)
    export.add_argument(
        "-o", "--output", required=True, metavar="FILE",
        help="program to write: .onnx or .pt2 (torch.export); without an ending, a new folder for `mlflow models`",
    )  # fmt: skip
    export.add_argument("--points", type=number, nargs="+", help="grid points of another grid on the same domain")
    export.add_argument("--precision", type=number, choices=(32, 64), default=64, help="of the numbers (default 64)")
    export.add_argument(
        "--realizations", nargs="+", default=["all"], metavar="WHICH", help="all, best, or numbers from 0 (default all)"
    )
    export.add_argument("--overwrite", action="store_true", help="replace an existing program")
    export.add_argument("--equation", action="store_true", help="the closed form alone, instead of the networks")
    export.add_argument(
        "--fluctuations", action="store_true",
        help="with the noise of the step, of which normal numbers are an input of the program",
    )  # fmt: skip
    export.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from pathlib import Path

    if Path(options.output).suffix:
        _write_program(options)
    else:
        _write_folder(options)


def _write_folder(options: argparse.Namespace) -> None:
    from morlight.tracking.checkpoints import resolve

    if _of_program(options):
        raise BadInput(
            f"{options.output}: a folder for MLflow holds the whole checkpoint, expected neither --points nor"
            " --precision nor --realizations nor --equation nor --fluctuations; realizations and members are chosen"
            " with each prediction"
        )
    checkpoint = resolve(options.checkpoint)
    from morlight.analysis.export.pyfunc import save
    from morlight.analysis.model import load

    save(load(checkpoint), options.output)
    print(f"morlight: wrote {options.output}: a folder for `mlflow models`", file=sys.stderr)


def _of_program(options: argparse.Namespace) -> bool:
    """Whether there are options of programs, which a folder does not have."""
    chosen = options.points or options.precision != 64 or options.realizations != ["all"]
    return bool(chosen or options.equation or options.fluctuations)


def _write_program(options: argparse.Namespace) -> None:
    from morlight.tracking.checkpoints import resolve

    words = options.realizations
    chosen: Any = words[0] if words in (["all"], ["best"]) else numbers("--realizations", words, "all, best")
    checkpoint = resolve(options.checkpoint)
    from morlight.analysis.export.program import export
    from morlight.analysis.model import load

    model = load(checkpoint)
    rows = model.chosen(chosen)
    if options.equation:
        model, rows = _equation(model), [0]
    model = model if options.points is None else model.on(options.points)
    export(
        model, options.output, precision=options.precision, realizations=rows, fluctuations=options.fluctuations,
        overwrite=options.overwrite,
    )  # fmt: skip
    points = " × ".join(map(str, model.grid.points))
    what = f"one step of {len(rows)} realization{'s' * (len(rows) > 1)} on {points} cells, {options.precision} bits"
    print(f"morlight: wrote {options.output}: {what}", file=sys.stderr)
    if model.checkpoint.fluctuations is not None and not options.fluctuations:
        print("morlight: without the noise of its steps; --fluctuations takes it as an input", file=sys.stderr)


def _equation(model: Any) -> Any:
    from morlight.analysis.equations.choice import twin

    equation = twin(model)
    if equation is None:
        raise BadInput(f"{model.path}: no closed form is justified, so --equation has nothing to export")
    return equation
