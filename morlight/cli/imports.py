"""Imports of large packages without garbage collection, which finds nothing among objects that live until the end.

Python searches all objects for garbage again and again while their number grows, and twice when the program ends: that
took 3.4 s of the 7.7 s of processor time in which a process imports Lightning and MLflow and ends.
"""

import atexit
import gc
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

LARGE = {
    "MDAnalysis",
    "matplotlib",
    "mlflow",
    "mlflow.store.tracking.sqlalchemy_store",
    "optuna",
    "pytorch_lightning",
    "scipy.stats",
    "sympy",
    "torch",
    "torch._dynamo",
    "xarray",
}


class _LargePackages:
    """Finds the packages of LARGE where Python finds them, and changes how they are executed."""

    @staticmethod
    def find_spec(fullname: str, path: Sequence[str] | None, target: ModuleType | None = None, /) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path, target) if fullname in LARGE else None
        if spec is not None and spec.loader is not None:
            spec.loader.exec_module = _uncollected(spec.loader.exec_module)  # type: ignore[assignment, method-assign]
        return spec


def _uncollected(execute: Callable[[ModuleType], None]) -> Callable[[ModuleType], None]:
    """`execute` without garbage collection; all objects that exist afterwards are exempt from later collections."""

    def executed(module: ModuleType) -> None:
        if not gc.isenabled():  # within the import of another large package
            execute(module)
            return
        gc.disable()
        try:
            execute(module)
        finally:
            gc.freeze()
            gc.enable()

    return executed


def import_uncollected() -> None:
    """Import large packages this way from now on, and end the program without searching for garbage."""
    sys.meta_path.insert(0, _LargePackages)
    atexit.register(gc.freeze)
