"""Learn continuum models from particle and molecular data."""

__version__ = "0.1.0"
