"""`morlight fit`, `validate` and `test`."""

from collections.abc import Sequence

TASKS = {
    "fit": "learn an operator: FILE, with settings chosen for it, or --config FILE-or-NAME --key value …",
    "validate": "loss of a checkpoint on the validation trajectories",
    "test": "loss of a checkpoint on the test trajectories",
}


def run(task: str, arguments: Sequence[str]) -> None:
    """One of them, with the words behind it.

    Raises:
        ValueError: one sentence for anything that the user gave and that cannot be.
    """
    from morlight.cli.output import pointing_to_doctor
    from morlight.training.options import TRAINER_HELP, trainer_help
    from morlight.training.settings import chosen_by_user, data_from_arguments, from_arguments

    prog, arguments = f"morlight {task}", _with_path(arguments)
    if TRAINER_HELP in arguments:
        print(trainer_help(prog))
        return
    if any(word.startswith("--print_config") for word in arguments):
        from_arguments(arguments, prog)  # prints and ends
    data = data_from_arguments(arguments, prog)
    with pointing_to_doctor([data.path]):
        if data.deposit is None:  # mistakes in the settings and in the file are reported before seconds of imports
            from morlight.data.trajectory_file import TrajectoryFile

            TrajectoryFile.open(data.path)
        chosen = {}
        if task == "fit" and not chosen_by_user(arguments):
            from morlight.training.suggestions.suggest import settings_for

            chosen = settings_for(data)
        settings = from_arguments(arguments, prog, chosen)
        if task == "fit":
            from morlight.training.fit import run as fit

            fit(settings)
            return
        from morlight.training.checkpoint_loss import checkpoint_loss

        for name, value in sorted(checkpoint_loss(task, settings).items()):
            print(f"{name}: {value:.6g}")


def _with_path(arguments: Sequence[str]) -> list[str]:
    """The words with `--data.path FILE` for a first word FILE; behind a configuration, whose path it replaces.

    Raises:
        ValueError: where both are there.
    """
    words = list(arguments)
    if not words or words[0].startswith("-"):
        return words
    if any(word.partition("=")[0] == "--data.path" for word in words):
        raise ValueError(f"'{words[0]}' and --data.path both name the data, expected one of them")
    return [*words[1:], "--data.path", words[0]]
