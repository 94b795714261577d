"""A sweep from its plan to its end: checked first, then worked on by one process or several."""

import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import torch

from morlight.sweep import study as studies
from morlight.sweep.figures import figures
from morlight.sweep.orphan import PARENT, PATIENCE
from morlight.sweep.parent import Parent
from morlight.sweep.plan import Plan
from morlight.sweep.summary import summary
from morlight.sweep.worker import Hopeless, Worker
from morlight.tracking.provenance import COMMAND, users_command
from morlight.tracking.registry import register
from morlight.training import fit
from morlight.training.settings import FitSettings, from_mapping

INDEX = "MORLIGHT_WORKER"  # which of the workers of one command this is
RESTARTS = 10  # of workers that died, by one command


def run(plan: Plan) -> optuna.Study:
    """Work on the sweep until it is finished: begin, join or continue the study of this name in its storage.

    Args:
        plan: what to do; `Plan.read` takes it from a YAML file.

    Returns:
        Optuna's study. Each trial has in `user_attrs` the `run_id` of its MLflow run and the `folder` of its
        checkpoints; those that came to nothing, `diverged` or `refused` with the reason, and an infinite value.

    Raises:
        ValueError: in one sentence, for a plan that cannot be carried out; nothing is written then.
    """
    with _silent():
        common = check(plan)
        study, new = studies.open_study(plan, common)
        study.sampler, study.pruner = studies.Seeded(plan), studies.pruner(plan)
        parent = Parent(plan, study, common.settings)
        parent.begin(new=new)
        if new:
            studies.fill(study, plan)
            study.set_user_attr("plan", common.signature(plan))
        elif INDEX not in os.environ:
            studies.fill(study, plan)
        try:
            if plan.workers == 1:
                Worker(plan, study, parent, common).work()
            else:
                _many(plan)
        except Hopeless as error:
            raise ValueError(f"{plan.name}: {error}") from error
        finally:
            parent.end()
        if INDEX not in os.environ:
            _finish(plan, study, parent)
        return study


def _finish(plan: Plan, study: optuna.Study, parent: Parent) -> None:
    """Figures of the study in its run, and the best trial as a registered model."""
    with tempfile.TemporaryDirectory() as folder:
        if figures(study, Path(folder)):
            parent.run.keep(Path(folder))
    best = summary(plan, study)["best"]
    if plan.register and len(best) == 1:
        (value,) = best[0]["values"].values()
        smaller_is_better = value if plan.direction == ("minimize",) else -value
        version, _ = register(plan.register, best[0]["run_id"], smaller_is_better, plan.objective[0])
        print(f"models:/{plan.register}/{version}", file=sys.stderr)


def check(plan: Plan) -> studies.Common:
    """What all trials have in common, once the values at the ends of the space have been tried.

    Raises:
        ValueError: an unknown key, a value that it does not take, data that are not there or do not fit.
    """
    typed = _typed(plan, {}, "the base configuration")
    base = typed.to_flat()
    with _placed(plan, "the base configuration"):
        served, module = fit.built(typed)
        fit.check_lengths(module, served, typed)
    for dimension in plan.space:
        if dimension.key not in base:
            raise ValueError(f"space.{dimension.key} is no key of `morlight fit`; `morlight fit --help` lists them")
        for key in [dimension.per] * (dimension.per is not None):
            if key not in base:
                raise ValueError(f"space.{dimension.key}.per is {key}, which is no key of `morlight fit`")
    for dimension in () if INDEX in os.environ else plan.space:  # else the command that started this one has done so
        ends = dimension.choices or (dimension.low, dimension.high)
        for value in ends:
            _typed(plan, {dimension.key: dimension.setting(value)}, f"space.{dimension.key} = {value}")
    return studies.Common(base, served.description.digest)


def _typed(plan: Plan, settings: Mapping[str, Any], place: str) -> FitSettings:
    with _placed(plan, place):
        return from_mapping(plan.changes(settings, plan.name), plan.config)


@contextmanager
def _placed(plan: Plan, place: str) -> Iterator[None]:
    """Name the configuration and the place in what is refused."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{plan.config}, {place}: {' '.join(str(error).split())}") from error


def _many(plan: Plan) -> None:
    """Workers in processes of their own, each on its share of the cores or with a GPU; the dead are replaced."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "sweep.yaml"
        file.write_text(plan.text())
        command = [sys.executable, "-m", "morlight", "sweep", "--config", str(file), "--workers", "1"]
        workers = {i: subprocess.Popen(command, env=surroundings(i, plan.workers)) for i in range(plan.workers)}
        deaths = 0
        try:
            while workers:
                for i, process in list(workers.items()):
                    try:
                        status = process.wait(timeout=0.2)
                    except subprocess.TimeoutExpired:
                        continue
                    del workers[i]
                    if status == 2:
                        raise Hopeless("a worker has ended with the sentence above")
                    if status != 0 and deaths < RESTARTS:
                        deaths += 1
                        print(f"{plan.name}: worker {i} died with status {status}; another starts", file=sys.stderr)
                        workers[i] = subprocess.Popen(command, env=surroundings(i, plan.workers))
        finally:
            for process in workers.values():
                process.terminate()  # not SIGINT, which is ignored by what a shell has started in the background
            for process in workers.values():
                _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Wait until a worker has queued its trial again."""
    try:
        process.wait(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def surroundings(index: int, workers: int) -> dict[str, str]:
    """Environment of a worker: one GPU of those visible where there are any, its share of the cores."""
    words = dict(os.environ) | {INDEX: str(index), PARENT: str(os.getpid()), COMMAND: users_command()}
    words.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))
    if (count := torch.cuda.device_count()) > 0:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(count)))
        words["CUDA_VISIBLE_DEVICES"] = visible.split(",")[index % count]
    return words


@contextmanager
def _silent() -> Iterator[None]:
    """Optuna says each trial, and that heartbeats are new; we say it our way."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            warnings.filterwarnings("ignore", "Heartbeat of storage is supposed")  # the worker starts it itself
            yield
    finally:
        optuna.logging.set_verbosity(before)
