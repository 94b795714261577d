"""Large packages are imported without garbage collection, which goes on afterwards."""

import gc
import sys
import weakref

import pytest

from morlight.cli import imports

SOURCE = """
import gc

class Loop:
    def __init__(self):
        self.itself = self

Loop()
collected_while_imported, loop = gc.isenabled(), Loop()
"""


@pytest.fixture
def bulky(tmp_path, monkeypatch):
    """A package of the list, and one inside it that cannot be imported."""
    monkeypatch.setattr(imports, "LARGE", {"bulky", "bulky.broken"})
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "bulky").mkdir()
    (tmp_path / "bulky" / "__init__.py").write_text(SOURCE)
    (tmp_path / "bulky" / "broken.py").write_text("raise OSError")
    imports.import_uncollected()
    yield "bulky"
    gc.unfreeze()
    for name in [name for name in sys.modules if name.partition(".")[0] == "bulky"]:
        del sys.modules[name]


def test_a_large_package_is_imported_without_collections_and_its_objects_are_never_searched(bulky):
    package = __import__(bulky)
    assert not package.collected_while_imported
    assert gc.isenabled()
    assert not any(thing is package.loop for thing in gc.get_objects())
    assert package.__spec__.loader.get_source(bulky) == SOURCE


def test_later_garbage_is_collected(bulky):
    loop = __import__(bulky).Loop()
    gone = weakref.ref(loop)
    del loop
    gc.collect()
    assert gone() is None


def test_collections_go_on_after_an_import_that_fails(bulky):
    with pytest.raises(OSError):  # noqa: PT011 - the one of the package
        __import__(f"{bulky}.broken")
    assert gc.isenabled()
