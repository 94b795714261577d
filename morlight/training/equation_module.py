"""A fit without networks: the sum of terms G(∇) φ(u) that the data justify, as an operator like any other."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from morlight.analysis.equations.sum_of_terms import Equation
from morlight.data.arrays import NAME
from morlight.data.sample import TrainingSample
from morlight.data.schedule import Schedule
from morlight.data.windows import Batch, Windows
from morlight.operators import build, term_words
from morlight.operators.build import Components
from morlight.operators.config import OperatorConfig
from morlight.operators.description import DataDescription
from morlight.operators.library import Candidate, Laplacian, Partial, distinct, library
from morlight.operators.polynomial import PolynomialSymbol
from morlight.operators.spectral import SpectralOperator
from morlight.operators.sum_of_terms import enough_substeps
from morlight.training.config import EquationConfig, ModelConfig
from morlight.training.discovery import check_size, require_values, sought
from morlight.training.least_squares.discover import Trajectories
from morlight.training.operator_module import OperatorModule
from morlight.training.suggestions.walls import other_bases
from morlight.training.window_loss import Loss

STATES = 8  # training states for which the sub-steps must suffice
TOLERANCE = 1e-6  # of the steps, relative to the change over them


class EquationModule(OperatorModule):
    """The equation of the training data; found before the first step, which only measures its losses.

    Args:
        config: operator, loss and library of terms.
        data: the training data.
        sample: of them.
        components: of the user's own, refused.
        loss: of the user's own, refused.

    Raises:
        ValueError: where no equation can be sought, or none is justified.
    """

    def __init__(
        self,
        config: ModelConfig,
        data: DataDescription,
        sample: TrainingSample,
        components: Components | None = None,
        loss: Loss | None = None,
    ) -> None:
        if components is not None or loss is not None:
            raise ValueError("networks, biases and losses of one's own need model.optimizer adam or moments")
        _check(config, data)
        self.other_bases = _other_bases(config, data, sample)
        self.equation, substeps = _found(config, data, sample, self.other_bases)
        words = {
            name: [term_words.written(term.candidate, data.field_names, data.parameter_names) for term in own]
            for name, own in zip(data.field_names, self.equation.terms, strict=True)
        }
        terms = len(distinct([term.candidate for own in self.equation.terms for term in own]))
        chosen = replace(config, equation=words, terms=terms, scheme="exponential", substeps=substeps)
        super().__init__(chosen, data, sample)
        self._adopt()
        self.automatic_optimization = False
        self._steps = 0

    @property
    def algorithm(self) -> EquationConfig:
        return self.config.terms_of_equation

    @property
    def steps_taken(self) -> int:
        return self._steps

    def schedule(self, epochs: int) -> Schedule:
        longest = self.config.objective.longest
        return Schedule(((0, longest),), max(1, epochs), (0, longest))

    def configure_optimizers(self) -> None:
        """None: the coefficients are known."""

    def training_step(self, batch: Batch, index: int) -> None:
        """Measure the loss of the first batch, as one that represents them all."""
        if index == 0:
            with torch.no_grad():
                self.record("train_loss", self.loss(batch, self.config.objective.longest))
        self._steps += 1

    def _adopt(self) -> None:
        """Coefficients of the estimate, and draws within the standard errors for the other realizations."""
        assert isinstance(self.operator, SpectralOperator)
        symbol = self.operator.double().g  # coefficients are known to more digits than networks
        assert isinstance(symbol, PolynomialSymbol)
        terms = [term for own in self.equation.terms for term in own]
        estimate = torch.tensor([term.coefficient for term in terms], dtype=torch.float64)
        draws = estimate.expand(self.operator.realizations, -1).clone()
        covariance = self.equation.covariance
        if covariance is not None:
            values, vectors = torch.linalg.eigh(covariance)
            generator = torch.Generator().manual_seed(self.config.seed)
            normal = torch.randn(draws.shape, dtype=torch.float64, generator=generator)
            draws[1:] += ((normal * values.clamp_min(0).sqrt()) @ vectors.T)[1:]
        with torch.no_grad():
            symbol.theta.copy_(draws)
            symbol.estimate.copy_(estimate)
            symbol.standard_error.copy_(torch.tensor([term.standard_error for term in terms]))


def _other_bases(config: ModelConfig, data: DataDescription, sample: TrainingSample) -> str:
    """Setting with the bases that suit the fields at the walls, where the configuration has others; else empty."""
    windows = sample.windows
    rows = windows.rows[:STATES]
    first = torch.full_like(rows, windows.used.start)
    u = windows.frames.at(rows, first, range(0, windows.length, max(1, windows.length // STATES)))
    return other_bases(config, data, u.transpose(0, 1))


def _found(config: ModelConfig, data: DataDescription, sample: TrainingSample, bases: str) -> tuple[Equation, int]:
    """The equation, and the sub-steps that its steps need.

    Args:
        config: operator and library of terms.
        data: the training data.
        sample: of them.
        bases: setting to try where there is no equation, or empty.

    Raises:
        ValueError: where there is none.
    """
    basis = build.equation_basis(config, data).double()
    windows, parameters = sample.windows, tuple(data.parameter_names)
    gamma = windows.gamma[windows.rows].double()
    require_values(sample.path, dict(zip(parameters, gamma.T.tolist(), strict=True)), config.parameter_degree)
    terms = library(
        basis, len(data.fields), degree=config.degree, order=config.derivatives, parameters=len(parameters),
        parameter_degree=config.parameter_degree,
    )  # fmt: skip
    candidates = [_keeping_biases(terms, config, name) for name in data.field_names]
    u, dt = _training_fields(windows, sample, candidates), data.dt
    times = dt * torch.arange(u.shape[1], dtype=torch.float64)
    trajectories = Trajectories(u, times, basis, tuple(data.field_names), parameters, gamma)
    equation = sought(sample.path, trajectories, candidates)
    missing = [name for name, own in zip(data.field_names, equation.terms, strict=True) if not own]
    if missing:
        raise ValueError(
            f"{sample.path}: no term of degree {config.degree} or less and order {config.derivatives} or less explains"
            f" the field {', '.join(missing)}; expected {f'{bases}, or ' if bases else ''}model.optimizer adam, or"
            " another model.degree or model.derivatives"
        )
    states, gamma = (part.double() for part in sample.states(STATES))
    system, theta = equation.right_hand_side(basis, gamma)
    try:
        with torch.no_grad():
            return equation, enough_substeps(system, theta, basis.forward(states)[None], dt, TOLERANCE)
    except ValueError as error:
        raise ValueError(f"{sample.path}: {error}{f'; try {bases}' if bases else ''}") from error


def _training_fields(
    windows: Windows, sample: TrainingSample, candidates: list[list[Candidate]]
) -> Float[Tensor, "B T C *X"]:
    """All training trajectories at all of their frames."""
    T, rows = windows.length, windows.rows
    check_size(sample.path, candidates[0], (len(rows), T, *windows.frames.shape[1:]))
    first = torch.full_like(rows, windows.used.start)
    return windows.frames.at(rows, first, range(T)).transpose(0, 1).double()


def _keeping_biases(terms: list[Candidate], config: OperatorConfig, field: str) -> list[Candidate]:
    """Terms that keep the biases of a field."""
    if config.has("conservation", field):
        terms = [term for term in terms if term.derivative.order > 0]
    if config.has("isotropy", field):
        terms = [term for term in terms if _isotropic(term)]
    if config.has("reflection", field):
        terms = [term for term in terms if sum(term.exponents) % 2]
    return terms


def _isotropic(term: Candidate) -> bool:
    derivative = term.derivative
    line = isinstance(derivative, Partial) and len(derivative.orders) == 1 and derivative.order % 2 == 0
    return isinstance(derivative, Laplacian) or derivative.order == 0 or line


def _check(config: ModelConfig, data: DataDescription) -> None:
    """Refuse what an equation cannot hold.

    Raises:
        ValueError: naming the key.
    """
    if config.equation is not None:
        raise ValueError("model.equation is found by model.optimizer equation, expected no terms of one's own")
    if data.steady or config.order == 2:
        raise ValueError(
            "model.optimizer is equation, which needs fields that change in time, of model.order 1; expected adam"
        )
    for name in (*data.field_names, *data.parameter_names):
        if not NAME.fullmatch(name):
            raise ValueError(
                f"the field or parameter '{name}' has a name that terms of equations cannot contain, expected letters,"
                " digits and _, a letter first; `morlight.write` writes it under another name"
            )
    for bias in ("stability", "band"):
        if config.has(bias):
            raise ValueError(f"model.biases: {bias} cannot be built into an equation, expected model.optimizer adam")
    mirrored = {config.has("reflection", name) for name in data.field_names}
    if len(mirrored) > 1:
        raise ValueError("model.biases: reflection of an equation holds for all fields or none")
