"""A sweep from its plan to its end: checked first, then worked on by one process or several."""

import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import optuna
import torch

from morlight.sweep import samplers
from morlight.sweep import study as studies
from morlight.sweep.common import Common, typed
from morlight.sweep.figures import figures
from morlight.sweep.orphan import PARENT, PATIENCE
from morlight.sweep.parent import Parent
from morlight.sweep.plan import Dimension, Plan
from morlight.sweep.summary import summary
from morlight.sweep.worker import Hopeless, Worker
from morlight.tracking.provenance import COMMAND, users_command
from morlight.tracking.registry import register

INDEX = "MORLIGHT_WORKER"  # which of the workers of one command this is
OTHER_DATA = ("data.path", "data.deposit")  # keys whose values are different data
OF_SPLIT = (  # keys that may change which trajectories and frames are tested
    "data.seed", "data.test", "data.validation", "data.split", "data.trajectories", "data.ensemble", "data.held_out",
    "data.left_out",
)  # fmt: skip
RESTARTS = 10  # of workers that died, by one command


def run(plan: Plan, known: Sequence[studies.Known] = ()) -> optuna.Study:
    """Work on the sweep until it is finished: begin, join or continue the study of this name in its storage.

    Args:
        plan: what to do; `Plan.read` takes it from a YAML file.
        known: trials that were made elsewhere, with which a new study begins.

    Returns:
        Optuna's study. Each trial has in `user_attrs` the `run_id` of its MLflow run and the `folder` of its
        checkpoints; those that came to nothing, `diverged` or `refused` with the reason, and an infinite value.

    Raises:
        ValueError: in one sentence, for a plan that cannot be carried out; nothing is written then.
    """
    with _silent():
        common = check(plan)
        study, new = studies.open_study(plan, common)
        study.sampler, study.pruner = samplers.Seeded(plan), samplers.pruner(plan)
        parent = Parent(plan, study, common.settings)
        parent.begin(new=new)
        if new:
            studies.add(study, plan, known)
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


def check(plan: Plan) -> Common:
    """What all trials have in common, once the values at the ends of the space have been tried.

    Raises:
        ValueError: an unknown key, a value that it does not take, data that are not there or do not fit.
    """
    common = Common.of(plan)
    for dimension in plan.space:
        if dimension.key in OTHER_DATA:
            raise ValueError(f"space.{dimension.key}: objectives on different data cannot be compared")
        if dimension.key not in common.settings:
            raise ValueError(f"space.{dimension.key} is no key of `morlight fit`; `morlight fit --help` lists them")
        for key in [dimension.per] * (dimension.per is not None):
            if key not in common.settings:
                raise ValueError(f"space.{dimension.key}.per is {key}, which is no key of `morlight fit`")
    for dimension in () if INDEX in os.environ else plan.space:  # else the command that started this one has done so
        _try_ends(plan, dimension, common)
    return common


def _try_ends(plan: Plan, dimension: Dimension, common: Common) -> None:
    """Refuse values that no fit takes, and say where trials are tested on different trajectories or frames."""
    for value in dimension.choices or (dimension.low, dimension.high):
        changes, place = {dimension.key: dimension.setting(value)}, f"space.{dimension.key} = {value}"
        if dimension.key not in OF_SPLIT:
            typed(plan, changes, place)
        elif Common.of(plan, changes, place).test_data != common.test_data:
            print(
                f"{plan.name}: trials with different values of {dimension.key} are tested on different trajectories or"
                " frames, so that their errors can hardly be compared; data.held_out gives all of them the same test",
                file=sys.stderr,
            )
            return


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
