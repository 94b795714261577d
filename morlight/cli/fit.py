"""`morlight fit`, `validate` and `test`."""

from collections.abc import Sequence

TASKS = {
    "fit": "learn an operator from a trajectory file; --config FILE-or-NAME --key value …",
    "validate": "loss of a checkpoint on the validation trajectories",
    "test": "loss of a checkpoint on the test trajectories",
}


def run(task: str, arguments: Sequence[str]) -> None:
    """One of them, with the words behind it.

    Raises:
        ValueError: one sentence for anything that the user gave and that cannot be.
    """
    from morlight.training.settings import from_arguments

    settings = from_arguments(arguments, f"morlight {task}")
    if task == "fit":
        from morlight.cli.output import pointing_to_doctor
        from morlight.training.fit import run as fit

        with pointing_to_doctor([str(settings.data.path)]):
            fit(settings)
        return
    from morlight.training.fit import evaluate_loss

    for name, value in sorted(evaluate_loss(task, settings).items()):
        print(f"{name}: {value:.6g}")
