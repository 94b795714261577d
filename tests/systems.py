"""One operator of each kind that an exported program and another grid have to reproduce, as a checkpoint."""

import numpy as np
import small
import torch

from morlight.analysis.model import Model, load
from morlight.operators import build
from morlight.operators.description import DataDescription

SCALES = (1.3, 0.7, 1.1)
DENSITY = small.parameter("density", 0.2, low=0.1, high=0.3)
SIZE = small.parameter("size", 3.0, low=2.0, high=5.0)
PAIR = ("density", "momentum")
GRID = small.grid((16,))
CHANNEL = small.grid((16,), boundaries="WALL")
SMALL = {
    "biases": ["conservation", "reflection"], "symbol": "dissipative", "width": 3, "depth": 3, "activation": "tanh"
}  # fmt: skip
BASES = {"bases": {"momentum": "sine"}, "terms": 2, "biases": {"density": ["conservation"]}}
BOUNDED = {"density": ["conservation", "stability"], "momentum": ["stability"]}
PAPER = {  # the paper's networks see fields and wavenumbers as they are
    "field_scaling": False, "wavenumber_scaling": False, "parameter_scaling": False, "complex_isotropy": True,
    "odd_jump": True, "initial_slope": "random",
}  # fmt: skip


def described(fields=("density",), where=GRID, target=None, **more) -> DataDescription:
    """A description of fields between 0.1 and 2, each of another size."""
    named = [small.field(name, 0.1, 2.0, scale, target=target) for name, scale in zip(fields, SCALES, strict=False)]
    return small.description(named, where=where, dt=0.01, **more)


SYSTEMS = {
    name: (SMALL | options, data)
    for name, (options, data) in {
        "fourier": ({}, described()),
        "odd points": ({"biases": [], "symbol": "plain"}, described(where=small.grid((15,)))),
        "stable": ({"biases": ["stability", "reflection"]}, described()),
        "channel": (BASES | {"activation": "elu"}, described(PAIR, CHANNEL, parameters=(DENSITY, SIZE))),
        "bounded": (
            BASES | {"symbol": "plain", "biases": BOUNDED}, described(PAIR, CHANNEL, parameters=(DENSITY, SIZE))
        ),
        "fluxes": (BASES | {"flux": True, "symbol": "plain"}, described(PAIR, CHANNEL)),
        "plane": ({"biases": ["conservation"], "activation": "softplus"}, described(where=small.grid((12, 8)))),
        "isotropic": (
            {"biases": ["isotropy"], "activation": "silu"},
            described(where=small.grid((8, 8)), parameters=(DENSITY, SIZE)),
        ),
        "literal": (PAPER | {"biases": ["isotropy"], "symbol": "plain"}, described()),
        "pipe": (
            {"bases": {"density": "sine"}, "biases": []},
            described(where=small.grid((6, 8), boundaries=("WALL", "PERIODIC"))),
        ),
        "moving": (
            BASES | {"symbol": "plain", "walls": {"momentum": [0, "0.1*size"]}},
            described(PAIR, CHANNEL, parameters=(DENSITY, SIZE)),
        ),
        "slipping": (
            BASES | {
                "symbol": "plain", "bases": {"momentum": "robin"}, "slip_lengths": {"momentum": [0.3, "learned"]},
                "walls": {"momentum": [0, "0.1*size"]},
            },
            described(PAIR, CHANNEL, parameters=(DENSITY, SIZE)),
        ),
        "slip": ({"bases": {"density": "robin"}, "biases": ["stability", "reflection"]}, described(where=CHANNEL)),
        "heated": (
            {"biases": [], "symbol": "plain", "terms": 2, "walls": {"density": [-0.1, "0.2*size"]}},
            described(where=small.grid((6, 8), boundaries=("WALL", "PERIODIC")), parameters=(SIZE,)),
        ),
        "polynomials": ({"bases": {"density": "legendre"}, "biases": []}, described(where=CHANNEL)),
        "waves": ({"order": 2, "biases": []}, described(("u", "v"))),
        "samples": ({"biases": [], "symbol": "plain"}, described(target=2.0, targets=("f",))),
    }.items()
}  # fmt: skip


def made(tmp_path, name) -> Model:
    """A checkpoint of a system with every parameter redrawn, moderate enough to be rolled out."""
    options, data = SYSTEMS[name]
    operator = small.redraw(build.operator(small.config(**options), data), seed=1, size=0.4)
    with torch.no_grad():
        for key, parameter in operator.named_parameters():
            if "h." in key and "weights" in key:
                parameter *= 0.5
    return load(small.save(tmp_path / "made.ckpt", operator, data, losses=(1.0, 0.5), **options))


def start(model, batch=3):
    """Initial fields near 1 and parameters γ within their ranges, None where there are none."""
    rng = np.random.default_rng(2)
    u = 1 + 0.3 * rng.standard_normal((batch, len(model.data.fields), *model.grid.points))
    ranges = np.array([(each.low, each.high) for each in model.data.parameters])
    return u, rng.uniform(*ranges.T, (batch, len(ranges))) if len(ranges) else None
