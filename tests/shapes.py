"""Shapes and types are checked once for every kind of arguments of a function within a test file.

Arguments of the same types and shapes go through the same checks; to repeat them took three fifths of the time of the
tests that step or iterate.
"""

import functools
import inspect

import jaxtyping
import numpy as np
import torch

ARRAYS = (torch.Tensor, np.ndarray)
checked_before: set[object] = set()
decorate = jaxtyping.jaxtyped


def checked_once(function=None, *, typechecker):
    """As `jaxtyping.jaxtyped`, once for arguments of a kind."""
    if function is None:
        return functools.partial(checked_once, typechecker=typechecker)
    if not inspect.isfunction(function):
        return decorate(function, typechecker=typechecker)
    form = functools.cache(lambda: decorate(function, typechecker=typechecker))  # most are called in few test files

    @functools.wraps(function)
    def called(*args, **kwargs):
        kinds = (function, *map(kind, args), *kwargs, *map(kind, kwargs.values()))
        try:
            known = kinds in checked_before
        except TypeError:  # symbols of torch.export in place of numbers
            return form()(*args, **kwargs)
        if known:
            return function(*args, **kwargs)
        result = form()(*args, **kwargs)
        checked_before.add(kinds)
        return result

    return called


def kind(value):
    """Type of a value, and the shape and the type of the numbers of an array."""
    return (type(value), value.shape, value.dtype) if isinstance(value, ARRAYS) else type(value)


def install():
    """Have the import hook of jaxtyping's plugin check that way."""
    jaxtyping.jaxtyped = checked_once
