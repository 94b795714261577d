"""Share of a fit's time that goes into tracking: everything between entering and leaving a method of the tracker."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import morlight
from morlight.simulate.walkers import Walkers, brownian
from morlight.tracking.logger import Tracker

METHODS = ("log_metrics", "log_hyperparams", "log_dataset", "log_artifact", "log_text", "save", "finalize")


class Watch:
    """Seconds spent in the outermost of some methods."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.clock, self.seconds, self.depth = clock, 0.0, 0

    def over(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """The method, timed."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            start, self.depth = self.clock(), self.depth + 1
            try:
                return method(*args, **kwargs)
            finally:
                self.depth -= 1
                self.seconds += (self.clock() - start) * (self.depth == 0)

        return timed


def measure() -> Iterator[dict[str, Any]]:
    """The default configuration on the paper's data and on a fiftieth of it, in a new and in an existing store."""
    watch = Watch()
    for name in METHODS:
        setattr(Tracker, name, watch.over(getattr(Tracker, name)))
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for sets in (2, 100):
            brownian(f"{sets}.h5", Walkers(sets=sets))
        for case, sets in (("small, new store", 2), ("small", 2), ("paper's data", 100)):
            watch.seconds, start = 0.0, time.perf_counter()
            morlight.fit(f"{sets}.h5", config="brownian")
            whole = time.perf_counter() - start
            yield {"case": case, "value": watch.seconds / whole, "unit": "share of the fit", "fit_seconds": whole}
        os.chdir("/")
