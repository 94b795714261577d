"""A run and the data set of a run, as plain values."""

from collections.abc import Mapping
from dataclasses import dataclass

ERRORS_ON, TRAINING_DATA, HELD_BACK = "errors_on", "training data", "data held back"  # a tag, and its values
TESTED = "tested"  # a tag: which trajectories and frames are held back


@dataclass(frozen=True)
class Dataset:
    """Data on which a fit was trained.

    Args:
        name: as MLflow shows it.
        digest: start of the hash of the file, which distinguishes files of the same name.
    """

    name: str
    digest: str


@dataclass(frozen=True)
class Run:
    """One run of MLflow: a fit, a trial of a sweep, or a sweep.

    Args:
        run_id: ID in the store.
        name: as shown in the UI.
        status: RUNNING, FINISHED, FAILED, KILLED or SCHEDULED.
        metrics: last value of each metric.
        params: options of the fit as text.
        tags: everything else that was recorded, such as `sweep`, the name of the sweep that the run belongs to.
        dataset: of the fit, if it was recorded.
    """

    run_id: str
    name: str
    status: str
    metrics: Mapping[str, float]
    params: Mapping[str, str]
    tags: Mapping[str, str]
    dataset: Dataset | None = None

    @property
    def is_sweep(self) -> bool:
        """Whether this is the run of a sweep as a whole, the parent of its trials."""
        return self.tags.get("kind") == "sweep"

    @property
    def on_training_data(self) -> bool:
        """Whether the errors of the run were measured on its training data."""
        return self.tags.get(ERRORS_ON) == TRAINING_DATA

    @property
    def errors_of(self) -> "Errors":
        """On what the errors of the run were measured."""
        return Errors(self.dataset, self.on_training_data, self.tags.get(TESTED, ""))

    @property
    def parent_id(self) -> str | None:
        """ID of the run of the sweep to which this trial belongs."""
        return self.tags.get("mlflow.parentRunId")


@dataclass(frozen=True)
class Errors:
    """On what errors were measured; only errors on the same can be compared.

    Args:
        dataset: of the fit, if it was recorded.
        on_training_data: whether these are the data that it was trained on.
        tested: which trajectories and frames of the data set, in a few words; empty if it is not known.
    """

    dataset: Dataset | None
    on_training_data: bool
    tested: str
