"""Metrics that have not been sent to the store yet, in memory and in a file that outlives the process."""

import json
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from morlight.tracking.names import legal_name
from morlight.tracking.realization_table import details

if TYPE_CHECKING:
    from mlflow.entities import Metric

METRICS_PER_BATCH = 1000  # limit of MLflow
Recorded = tuple[str, int, str]


def recorded(name: str, step: int, value: float | Tensor) -> Recorded:
    """A value at a step in a form that can be compared, even if it is not a number."""
    return name, step, repr(float(value))


class Measurement(NamedTuple):
    """One value of a metric; tensors stay on their device until they are sent or written."""

    name: str
    value: float | Tensor
    time: int
    """ms since 1970"""
    step: int


class MetricBuffer:
    """Measurements in the order in which they were logged, until the store has accepted them."""

    def __init__(self) -> None:
        self._pending: list[Measurement] = []
        self._latest: dict[str, float | Tensor] = {}
        self._spool: Path | None = None
        self._spooled = 0  # number of pending measurements that the file contains
        self._run_id: str | None = None
        self._recorded: set[Recorded] = set()

    def __len__(self) -> int:
        return len(self._pending)

    def add(self, metrics: Mapping[str, float | int | Tensor], step: int) -> None:
        """Append values (numbers or tensors of one element) as they are; those of single realizations stay local."""
        now, unsent = time.time_ns() // 1_000_000, details(metrics)
        for name, value in metrics.items():
            number = value.detach().clone().reshape(()) if isinstance(value, Tensor) else float(value)
            self._latest[name] = number
            repeated = self._recorded and recorded(legal_name(name), step, number) in self._recorded
            if name not in unsent and not repeated:
                self._pending.append(Measurement(legal_name(name), number, now, step))
        try:
            self._write_spool()
        except OSError:  # a full disk: the values remain in memory, and the next call writes the whole file anew
            self._spooled = 0

    @property
    def latest(self) -> dict[str, float]:
        """Last value of every metric, under the name by which it was logged."""
        return {name: float(value) for name, value in self._latest.items()}

    def spool_to(self, path: Path, run_id: str, known: set[Recorded]) -> bool:
        """Keep unsent measurements in this file from now on; returns whether an earlier process left some in it.

        Repeated epochs log the same values at the same steps again; the store receives each of them once.

        Args:
            path: of the file.
            run_id: of the run.
            known: measurements that the store has from an earlier process.
        """
        self._recorded = known
        self._spool, self._run_id = path, run_id
        if not path.exists():
            return False
        lines = [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]
        unsent = [line for line in lines if line.pop("run_id") == run_id]
        left = [Measurement(**line) for line in unsent]
        left = [m for m in left if recorded(m.name, m.step, m.value) not in known]
        known.update(recorded(m.name, m.step, m.value) for m in left)
        self._pending = left + self._pending
        path.unlink()
        self._spooled = 0
        return True

    def send(self, log_batch: Callable[[list["Metric"]], object]) -> None:
        """Pass everything to `log_batch`, at most a thousand at a time; what it did not accept stays in the buffer."""
        from mlflow.entities import Metric

        # the buffer is swapped, so that a signal handler that logs meanwhile neither loses nor repeats
        pending, self._pending = self._pending, []
        try:
            pending = _on_host(pending)
            while pending:
                log_batch([Metric(m.name, m.value, m.time, m.step) for m in pending[:METRICS_PER_BATCH]])
                del pending[:METRICS_PER_BATCH]
        finally:
            self._pending = pending + self._pending
            self._spooled = 0
            if self._spool is not None and not self._pending:
                self._spool.unlink(missing_ok=True)

    def move_to_file(self, run_id: str, path: Path) -> Path:
        """Write everything to the spool file, or to `path` if there is none, and empty the buffer; the file."""
        self._run_id = run_id
        if self._spool is None:
            self._append(path, _on_host(self._pending))
        else:
            path = self._spool
            self._write_spool()
        self._pending, self._spooled = [], 0
        return path

    def _write_spool(self) -> None:
        if self._spool is None or self._spooled == len(self._pending):
            return
        new = self._pending[self._spooled :] = _on_host(self._pending[self._spooled :])
        if self._spooled == 0:
            self._spool.unlink(missing_ok=True)
        self._append(self._spool, new)
        self._spooled = len(self._pending)

    def _append(self, path: Path, measurements: list[Measurement]) -> None:
        """Write one JSON object per line."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            for measurement in measurements:
                file.write(json.dumps({"run_id": self._run_id, **measurement._asdict()}) + "\n")


def _on_host(measurements: list[Measurement]) -> list[Measurement]:
    """All values as floats, with one transfer for all tensors of a device and type."""
    values: list[float | Tensor] = [m.value for m in measurements]
    groups: defaultdict[tuple[torch.device, torch.dtype], list[int]] = defaultdict(list)
    for i, value in enumerate(values):
        if isinstance(value, Tensor):
            groups[value.device, value.dtype].append(i)
    for indices in groups.values():
        numbers = torch.stack([torch.as_tensor(values[i]) for i in indices]).tolist()
        for i, number in zip(indices, numbers, strict=True):
            values[i] = float(number)
    return [m._replace(value=value) for m, value in zip(measurements, values, strict=True)]
