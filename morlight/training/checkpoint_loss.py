"""`morlight validate` and `morlight test`: the loss of a checkpoint on held-out trajectories."""

from collections.abc import Mapping

from morlight.training import fit, resume
from morlight.training.continuation import starting_point
from morlight.training.extensions import Extensions
from morlight.training.quiet import quiet
from morlight.training.settings import FitSettings


def checkpoint_loss(task: str, settings: FitSettings) -> Mapping[str, float]:
    """Loss of a checkpoint on the validation or test trajectories.

    Args:
        task: validate or test.
        settings: settings of the fit, with `ckpt_path`.

    Raises:
        ValueError: if there is no checkpoint, or it does not fit the settings.
    """
    with quiet():
        saved = starting_point(settings, fit.FOLDER / settings.name, None)
        if saved is None:
            raise ValueError(f"ckpt_path is missing, `morlight {task}` expects a checkpoint: last, a path, or runs:/ID")
        served, module = fit.built(settings)
        resume.check(saved, module)
        trainer = fit.lightning_trainer(settings, Extensions(), False)
        served.schedule = fit.schedule(module, served, trainer.max_epochs or 0)
        part = {"validate": "validation"}.get(task, task)
        if not served.count(part, module.held_back_horizon):
            share = getattr(settings.data, part)
            raise ValueError(f"{served.sample.path}: data.{part} is {share}, which leaves no trajectory for `{task}`")
        resume.check_data(saved, served, same_run=False)
        getattr(trainer, task)(module, served, ckpt_path=str(saved.path), verbose=False, weights_only=True)
        return {name: float(value) for name, value in trainer.callback_metrics.items()}
