"""A run and the data set of a run, as plain values."""

from collections.abc import Mapping
from dataclasses import dataclass

ERRORS_ON, TRAINING_DATA, HELD_BACK = "errors_on", "training data", "data held back"  # a tag, and its values
TEST_DATA = "test_data"  # a tag: which trajectories and frames are held back


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
class MeasuredOn:
    """On what errors were measured; only errors on the same can be compared.

    Attributes:
        data: digest of the data set, or its name; None if it was not recorded.
        on_training_data: whether these are the data that the model was trained on.
        test_data: trajectories and frames that are held back, in a few words; None if they are not known.
    """

    data: str | None
    on_training_data: bool
    test_data: str | None

    def comparable(self, other: "MeasuredOn") -> bool:
        """Whether errors on both can be compared; trajectories that are not known may be the same."""
        known = None not in (self.test_data, other.test_data)
        same = (self.data, self.on_training_data) == (other.data, other.on_training_data)
        return same and (not known or self.test_data == other.test_data)


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
    def measured_on(self) -> MeasuredOn:
        """On what the errors of the run were measured."""
        data = None if self.dataset is None else self.dataset.digest or self.dataset.name
        return MeasuredOn(data, self.on_training_data, self.tags.get(TEST_DATA))

    @property
    def parent_id(self) -> str | None:
        """ID of the run of the sweep to which this trial belongs."""
        return self.tags.get("mlflow.parentRunId")
