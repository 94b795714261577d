"""`optimizer: equation`: a fit whose operator is the sum of terms that the data justify."""

import math

import numpy as np
import pytest
import small_fits
import torch

import morlight
from morlight.operators.bases import Cosine, Fourier
from morlight.operators.library import Candidate, Laplacian, Partial
from morlight.operators.sum_of_terms import SumOfTerms

STEPS, DT = 40, 0.05
QUIET = {"trainer.enable_progress_bar": False, "trainer.accelerator": "cpu"}


def solved(basis, terms, u, steps=STEPS):
    """Solutions of ∂ₜu_c = Σ θ G φ, by sub-steps so small that their error is rounding."""
    system = SumOfTerms(basis, [list(own) for own in terms])
    theta = torch.tensor([[value for own in terms for value in own.values()]], dtype=torch.float64)
    c = basis.forward(u)[None]
    with torch.no_grad():
        states = system.flow(theta, c, intervals=[DT] * steps, substeps=20)[0]
    return torch.cat([u[:, None], basis.inverse(states)], 1).numpy()


def waves(trajectories, points, seed=0):
    """Smooth random fields of three waves."""
    rng = np.random.default_rng(seed)
    x = np.arange(points) * math.tau / points
    size, phase = rng.normal(size=(3, trajectories, 1, 1)), 6 * rng.random((3, trajectories, 1, 1))
    return torch.from_numpy(0.5 * sum(size[k] * np.cos((k + 1) * x + phase[k]) for k in range(3)))


def line(p, n):
    return Candidate(Partial((p,)), (n,))


@pytest.fixture(scope="module")
def burgers(tmp_path_factory):
    """∂ₜu = 0.1 ∂²ₓu − ½ ∂ₓu² from three initial states, and a fit to it."""
    folder = tmp_path_factory.mktemp("burgers")
    u = solved(Fourier(64, math.tau).double(), [{line(2, 1): 0.1, line(1, 2): -0.5}], waves(3, 64))
    morlight.write(folder / "u.h5", {"u": u[:, :, 0]}, dt=DT, length=math.tau, boundaries="periodic")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        result = morlight.fit("u.h5", QUIET, config="own")
        model = morlight.load(folder / result.checkpoint)
    return u, result, model


def test_the_equation_of_clean_fields_is_found_to_rounding_and_read_from_the_checkpoint(burgers):
    _, _, model = burgers
    terms = {(tuple(t["derivative"]), *t["of"].items()): t for t in model.equation().terms["u"]}
    assert set(terms) == {((2,), ("u", 1)), ((1,), ("u", 2))}
    assert terms[(2,), ("u", 1)]["coefficient"] == pytest.approx(0.1, rel=1e-6)
    assert terms[(1,), ("u", 2)]["coefficient"] == pytest.approx(-0.5, rel=1e-6)
    assert model.equation().text.startswith("∂ₜu = 0.1")


def test_its_steps_are_those_of_the_exact_equation_over_the_whole_trajectory(burgers):
    u, _, model = burgers
    walk = model.predict(u[:, 0], STEPS, realizations="best")
    assert np.abs(walk - u).max() < 1e-6


def test_it_forecasts_states_that_it_has_not_seen(burgers):
    _, _, model = burgers
    u = solved(Fourier(64, math.tau).double(), [{line(2, 1): 0.1, line(1, 2): -0.5}], waves(1, 64, seed=9))
    assert np.abs(model.predict(u[:, 0], STEPS, realizations=0) - u).max() < 1e-5


def test_the_terms_are_an_operator_of_equation_27_on_any_grid(burgers):
    u, _, model = burgers
    finer = torch.fft.irfft(torch.fft.rfft(torch.from_numpy(u[:1, 0])), 128) * 2
    walk = model.on(128).predict(finer.numpy(), 5, realizations=0)
    assert np.abs(walk[:, -1, :, ::2] - u[:1, 5]).max() < 1e-5


def test_realizations_are_draws_within_the_standard_errors(folder):
    rng = np.random.default_rng(1)
    u = solved(Fourier(64, math.tau).double(), [{line(2, 1): 0.1, line(1, 2): -0.5}], waves(4, 64))
    noisy = u[:, :, 0] + 0.02 * rng.normal(size=u[:, :, 0].shape)
    morlight.write("u.h5", {"u": noisy}, dt=DT, length=math.tau, boundaries="periodic")
    model = morlight.fit("u.h5", {**QUIET, "model.realizations": 200}, config="own").model
    symbol = model.operator.g
    scores = (symbol.theta[1:] - symbol.estimate) / symbol.standard_error
    assert torch.equal(symbol.theta[0], symbol.estimate)
    assert scores.std(0).tolist() == pytest.approx([1.0] * scores.shape[1], abs=0.25)  # five standard errors of 199
    assert model.config.equation == {"u": ["dxx u", "dx u^2"]}
    off = (symbol.estimate - torch.tensor([0.1, -0.5], dtype=torch.float64)).abs()
    assert bool((off < 5 * symbol.standard_error).all())


def test_a_finished_fit_has_nothing_to_go_on_with(burgers, capfd, monkeypatch):
    _, result, _ = burgers
    folder = result.checkpoint.parents[4] if result.checkpoint.is_absolute() else None
    monkeypatch.chdir(folder or burgers[2].path.parents[4])
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    morlight.fit("u.h5", {**QUIET, "ckpt_path": "last"}, config="own")
    assert "nothing" in capfd.readouterr().err


def test_coupled_fields_between_walls_have_an_equation_each(folder):
    basis = Cosine(32, math.pi).double()
    rng = np.random.default_rng(2)
    x = (np.arange(32) + 0.5) * math.pi / 32
    u = sum(rng.normal(size=(6, 2, 1)) * np.cos(k * x) for k in (0, 1, 2))
    a, b = Candidate(Partial((2,)), (1, 0)), Candidate(Partial((2,)), (0, 1))
    product = Candidate(Partial((0,)), (1, 1))
    truth = [{a: 0.1, product: -0.3}, {b: 0.2, product: 0.2}]
    fields = solved(basis, truth, torch.from_numpy(0.3 * u))
    morlight.write("w.h5", {"a": fields[:, :, 0], "b": fields[:, :, 1]}, dt=DT, length=math.pi, boundaries="wall")
    model = morlight.fit("w.h5", QUIET, config="own").model
    assert model.config.equation == {"a": ["dxx a", "a*b"], "b": ["dxx b", "a*b"]}
    assert np.abs(model.predict(fields[:, 0], STEPS, realizations=0) - fields).max() < 1e-5


def test_an_equation_with_a_parameter_predicts_at_values_between(folder):
    basis, nu = Fourier(32, math.tau).double(), torch.tensor([[0.05], [0.1], [0.2]], dtype=torch.float64)
    terms = [Candidate(Partial((2,)), (1,), (1,)), Candidate(Partial((1,)), (2,), (0,))]
    system, u = SumOfTerms(basis, [terms]), 0.5 * waves(3, 32)
    theta = torch.tensor([[1.0, -0.5]], dtype=torch.float64)

    def truth(u, nu):
        c = system.at(nu).flow(theta, basis.forward(u)[None], intervals=[DT] * STEPS, substeps=20)[0]
        return torch.cat([u[:, None], basis.inverse(c)], 1).numpy()

    gamma = {"nu": nu[:, 0].tolist()}
    morlight.write(
        "n.h5", {"u": truth(u, nu)[:, :, 0]}, dt=DT, length=math.tau, boundaries="periodic", parameters=gamma
    )
    model = morlight.fit("n.h5", {**QUIET, "data.parameters": ["nu"]}, config="own").model
    assert model.config.equation == {"u": ["dx u^2", "dxx nu*u"]}
    for between in (0.07, 0.15):
        walk = model.predict(u.numpy(), STEPS, realizations=0, gamma={"nu": between})
        assert np.abs(walk - truth(u, torch.full((3, 1), between).double())).max() < 1e-5


def test_biases_limit_the_terms(folder):
    basis = Fourier((16, 16), math.tau).double()
    rng = np.random.default_rng(3)
    c = torch.zeros(4, 1, 16, 9, dtype=torch.complex128)
    c[:, :, :3, 1:3] = torch.from_numpy(20 * rng.normal(size=(4, 1, 3, 2)))
    lap = Candidate(Laplacian(1), (1,))
    u = solved(basis, [{lap: 0.2, Candidate(Partial((0, 0)), (1,)): -0.1}], torch.fft.irfftn(c, dim=(-2, -1)))
    morlight.write("p.h5", {"u": u[:, :, 0]}, dt=DT, length=math.tau, boundaries="periodic")
    biases = ["conservation", "isotropy", "reflection"]
    model = morlight.fit("p.h5", {**QUIET, "model.biases": biases}, config="own").model
    derivatives, powers = zip(*(words.split() for words in model.config.equation["u"]), strict=True)
    assert all(derivative.startswith("lap") for derivative in derivatives)
    assert set(powers) <= {"u", "u^3"}
    drift = np.ptp(model.predict(u[:, 0] + 1, 5, realizations=0).mean((-2, -1)), 2)
    assert drift.max() < 1e-12


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"model.biases": ["stability"]}, "stability cannot be built into an equation"),
        ({"model.equation": {"u": ["dxx u"]}}, "model.equation is found by model.optimizer equation"),
    ],
)
def test_what_an_equation_cannot_hold_is_refused(folder, changes, sentence):
    small_fits.write("u.h5", {"u": waves(3, 32)[:, 0, None].numpy() * np.linspace(1, 2, 30)[:, None]})
    with pytest.raises(ValueError, match=sentence):
        morlight.fit("u.h5", {**QUIET, **changes}, config="own")


def test_fields_that_vanish_at_the_walls_are_sent_to_sines(folder, capfd):
    rng = np.random.default_rng(3)
    x, kappa = (np.arange(32) + 0.5) / 32, np.pi * np.arange(1, 4)
    decay = np.exp(-0.1 * kappa**2 * (np.arange(40) * DT)[:, None])
    u = (rng.normal(size=(3, 1, 3)) * decay) @ np.sin(kappa[:, None] * x)
    morlight.write("u.h5", {"u": u}, dt=DT, length=1.0, boundaries="wall")
    try:
        morlight.fit("u.h5", QUIET, config="own")
        said = capfd.readouterr().err
    except ValueError as error:
        said = str(error)
    assert "model.bases {u: sine}" in said


def test_a_field_name_that_breaks_the_words_of_terms_is_refused_by_name(folder):
    small_fits.write("u.h5", {"a*b": waves(3, 32)[:, 0, None].numpy() * np.linspace(1, 2, 30)[:, None]})
    with pytest.raises(ValueError, match=r"the field or parameter 'a\*b' has a name that terms"):
        morlight.fit("u.h5", QUIET, config="own")


def test_fields_without_an_equation_are_sent_to_networks(folder):
    u = np.random.default_rng(0).normal(size=(1, 60, 16))
    small_fits.write("u.h5", {"u": u})
    with pytest.raises(ValueError, match=r"u\.h5: no term of degree 3 or less .* explains the field u; expected model"):
        morlight.fit("u.h5", QUIET, config="own")


def test_frames_at_any_times_have_an_equation_and_fits_refuse_them(folder):
    rng = np.random.default_rng(4)
    times = np.cumsum(rng.uniform(0.02, 0.08, 60))
    basis = Fourier(32, math.tau).double()
    system, u = SumOfTerms(basis, [[line(2, 1), line(1, 2)]]), waves(2, 32)
    theta = torch.tensor([[0.1, -0.5]], dtype=torch.float64)
    with torch.no_grad():
        states = system.flow(theta, basis.forward(u)[None], intervals=np.diff(times).tolist(), substeps=20)[0]
    fields = torch.cat([u[:, None], basis.inverse(states)], 1)[:, :, 0].numpy()
    morlight.write("u.h5", {"u": fields}, times=times, length=math.tau, boundaries="periodic")
    terms = {(term.derivative, term.exponents): term.coefficient for term in morlight.discover("u.h5").terms[0]}
    expected = {(Partial((2,)), (1,)): 0.1, (Partial((1,)), (2,)): -0.5}
    assert terms == {key: pytest.approx(value, rel=1e-4) for key, value in expected.items()}
    with pytest.raises(ValueError, match=r"u\.h5: frames are 0\.0.* to 0\.0.* apart, expected equally spaced ones"):
        morlight.fit("u.h5", QUIET, config="own")
