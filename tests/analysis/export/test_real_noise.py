"""Programs with the noise of a step: the same as a step of the ensemble with the same normal numbers."""

import dataclasses
import json

import numpy as np
import onnxruntime
import pytest
import torch
from systems import made, start

from morlight.analysis.export.program import export
from morlight.analysis.export.real_noise import RealNoise, check
from morlight.cli import main as cli
from morlight.operators import build
from morlight.operators.fluctuations import Fluctuations, ModeFluctuations


def positive(K, c, generator):
    """A positive Hermitian matrix for each mode, of two realizations and two γ."""
    kind = torch.complex128 if c > 1 else torch.float64
    root = torch.randn(2, 2, K, c, c, generator=generator, dtype=kind)
    return root @ root.mH


def noise(model, gamma=(0.0,), *, conserved=False, constant=False) -> Fluctuations:
    """Noise of a model of two realizations, of coupled fields where they share a basis."""
    generator, names, groups = torch.Generator().manual_seed(0), model.data.field_names, {}
    for place, name in enumerate(names):
        groups.setdefault(model.config.wall(name), []).append(place)
    parts, G = [], len(gamma)
    for wall, places in groups.items():
        K, c = build.basis(model.grid, wall).energy.numel(), len(places)
        spectrum = positive(K, c, generator)[:, :G]
        spectrum = spectrum if wall == "cosine" and "WALL" not in model.grid.boundaries else spectrum.real
        knots = torch.linspace(0.2, 1.8, 4).double().expand(2, G, c, 4)
        squares = torch.rand(2, G, c, 4, generator=generator).double()
        squares = torch.ones_like(squares) if constant else squares
        held = (conserved and wall == "cosine",) * c
        parts.append(ModeFluctuations(tuple(places), wall, held, spectrum, 0 * spectrum, knots, squares,
                                      0 * spectrum[..., 0].real))  # fmt: skip
    return Fluctuations(tuple(gamma), tuple(parts))


def drawn(known, model, u, gamma, xi):
    """The noise of a step with given normal numbers instead of drawn ones."""
    prepared = known.prepared(model.grid, torch.zeros(1, 0) if gamma is None else gamma)
    whole = torch.empty_like(u)
    for part in prepared.parts:
        a = part.amplitude(u[:, :, part.places]).sqrt() * xi[:, :, part.places]
        flux = part.flux
        c = part.basis.forward(a) if flux is None else flux[0](a.unsqueeze(3))
        whole[:, :, part.places] = part._colored(part.of_process, c)
    return whole


CASES = [
    ("fourier", (0.0,), {"conserved": True}),
    ("odd points", (0.0,), {"conserved": True}),
    ("fourier", (0.0,), {}),
    ("plane", (0.0,), {"constant": True}),
    ("channel", (0.1, 0.3), {"conserved": True}),
    ("waves", (0.0,), {}),
]


@pytest.mark.parametrize(("name", "gamma", "options"), CASES)
def test_real_matrices_make_the_noise_that_transforms_make(tmp_path, name, gamma, options):
    model = made(tmp_path, name)
    known = noise(model, gamma, **options)
    assert check(known, model.grid) is None
    u = torch.from_numpy(start(model)[0]).expand(2, -1, -1, *model.grid.points).contiguous()
    xi = torch.randn(u.shape, generator=torch.Generator().manual_seed(1), dtype=u.dtype)
    values = None if len(gamma) == 1 else torch.tensor([[0.05, 1.0], [0.15, 1.0], [0.3, 1.0]]).double()
    found = RealNoise(known, model.grid).double()(u, xi, values)
    assert torch.allclose(found, drawn(known, model, u, values, xi), atol=1e-11)


def test_onnx_runtime_takes_the_noise_as_an_input(tmp_path):
    model = made(tmp_path, "fourier")
    known = noise(model, conserved=True)
    saved = torch.load(model.path, weights_only=True)
    saved["morlight"]["fluctuations"] = known.to_plain()
    torch.save(saved, model.path)
    words = ["export", str(model.path), "-o", str(tmp_path / "model.onnx"), "--realizations", "1"]
    cli.main([*words, "--fluctuations"])
    u = start(model)[0]
    xi = np.random.default_rng(0).normal(size=u.shape)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    assert [each.name for each in session.get_inputs()] == ["u", "noise"]
    (found,) = session.run(None, {"u": u, "noise": xi})
    both = torch.from_numpy(u).expand(2, *u.shape), torch.from_numpy(xi).expand(2, *u.shape)
    expected = model.predict(u, 1)[1, :, 1] + drawn(known, model, both[0], None, both[1])[1].numpy()
    assert np.abs(found - expected).max() < 1e-6
    assert json.loads(session.get_modelmeta().custom_metadata_map["fields"]) == model.data.field_names


def test_noise_that_no_program_has_is_refused(tmp_path):
    model = made(tmp_path, "plane")
    flowing = dataclasses.replace(model.checkpoint, fluctuations=noise(model, conserved=True))
    with pytest.raises(ValueError, match="a random flux along several axes, expected the program without fluctuations"):
        export(dataclasses.replace(model, checkpoint=flowing), tmp_path / "model.pt2", fluctuations=True)
    whole = made(tmp_path, "fourier")
    known = dataclasses.replace(whole, checkpoint=dataclasses.replace(whole.checkpoint, fluctuations=noise(whole)))
    with pytest.raises(ValueError, match=r"was learned on \[\d+\] points, not on \[64\]; expected the grid of"):
        export(known.on(64), tmp_path / "model.pt2", fluctuations=True)
    with pytest.raises(ValueError, match="the noise of its steps was not learned"):
        export(model, tmp_path / "model.pt2", fluctuations=True)
    coupled = made(tmp_path, "waves")
    assert "depends on γ" in str(check(noise(coupled, (1.0, 2.0)), coupled.grid))
