"""Fields on disk and in batches; `morlight.data.open("lj")` opens a set that comes with the package."""

from morlight.data.shipped import card, names, open

__all__ = ["card", "names", "open"]
