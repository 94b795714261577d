"""The options of an operator, each with its default: the only definition of them."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args, get_origin, get_type_hints

from morlight.operators import wall_words

Bias = Literal["conservation", "isotropy", "reflection", "stability", "band", "gradient_flow"]
Scheme = Literal["explicit", "implicit", "exponential"]
Wall = Literal["cosine", "sine", "legendre", "robin"]

BIASES: tuple[str, ...] = get_args(Bias)
WALLS: tuple[str, ...] = get_args(Wall)
LEARNED = "learned"
DEEPEST = 1000  # linear layers; far fewer suffice, and far more take minutes to make


@dataclass(frozen=True, kw_only=True)
class OperatorConfig:
    """The kind of operator that is learned.

    Args:
        biases: any of conservation, isotropy, reflection, stability, band and gradient_flow; one list for all fields,
            or one list for each field. With band, waves that are shorter than those with a signal in the training data
            do not change. With gradient_flow, the energy of one field, which is learned, never rises.
        symbol: dissipative, which has |1 + g| ≤ 1 by construction, or plain, the network of the paper.
        width: number of units in each hidden layer of g and h.
        depth: number of linear layers of g and h.
        activation: activation function of the hidden layers.
        realizations: number R of independently initialized models that are trained side by side.
        seed: seed of the initial weights; realization r is initialized as a single model with the seed + r.
        terms: number K of pairs of g and h for each field (Eq. 27).
        bases: basis of each field between walls: cosine (default), sine, legendre, or robin for walls with a slip
            length.
        walls: values of fields in sines, and slopes of fields in cosines, at the lower and at the upper wall, such as
            `{momentum: [0, 0.4*speed]}`; each is a product of numbers and parameters γ, and 0 by default. Of fields in
            the basis robin, they are the values of the walls, from which the fluid slips.
        slip_lengths: of fields in the basis robin, at the lower and at the upper wall, such as `{momentum: [0,
            learned]}`, or one entry for both; each is a length or `learned`, and `learned` by default.
        vectors: fields that are the components of vectors along the axes, such as `[[momentum_x, momentum_y]]`; with
            the bias isotropy, they turn with the axes.
        flux: add the mixed terms Π⁻¹ g ∂ₓ Π' h between sines and cosines.
        order: 1 for ∂ₜu, or 2 for ∂ₜₜu; with 2, the data contain each field u and then each ∂ₜu.
        scheme: explicit or implicit Euler (Eq. 4), or exponential: the equation ∂ₜu = L u/Δt with the generator L/Δt is
            solved by exponential Runge–Kutta steps of fourth order.
        substeps: number of substeps in each step Δt of the exponential scheme.
        equation: terms G(∇) φ(u) of each field, such as `dxx u`, `dx u^2`, `lap u^3`, `u*v^2` and `1`, which replace
            the networks; `model.optimizer: equation` finds them in the data.
        field_scaling: scale the fields to order one before they enter h; the paper does not.
        wavenumber_scaling: scale κ to order one before it enters a plain symbol; the paper does not.
        parameter_scaling: scale γ to order one before it enters the networks; the paper does not.
        complex_isotropy: keep the imaginary part of an isotropic symbol, as Eq. 14 is printed.
        odd_jump: reflection as printed in the paper, h(u) = sign(u) ĥ(|u|), which jumps at u = 0 unless ĥ(0) = 0.
        initial_slope: positive, so that h of one field is initialized with a positive slope, or random.
    """

    biases: list[Bias] | dict[str, list[Bias]] = field(default_factory=list)
    symbol: Literal["dissipative", "plain"] = "dissipative"
    width: int = 4
    depth: int = 4
    activation: Literal["elu", "gelu", "silu", "softplus", "tanh"] = "elu"
    realizations: int = 5
    seed: int = 0
    terms: int = 1
    bases: dict[str, Wall] = field(default_factory=dict)
    walls: dict[str, list[int | float | str]] = field(default_factory=dict)
    slip_lengths: dict[str, list[int | float | str]] = field(default_factory=dict)
    vectors: list[list[str]] = field(default_factory=list)
    flux: bool = False
    order: Literal[1, 2] = 1
    scheme: Scheme = "explicit"
    substeps: int = 1
    equation: dict[str, list[str]] | None = None
    field_scaling: bool = True
    wavenumber_scaling: bool = True
    parameter_scaling: bool = True
    complex_isotropy: bool = False
    odd_jump: bool = False
    initial_slope: Literal["positive", "random"] = "positive"

    def __post_init__(self) -> None:
        for key in ("width", "depth", "realizations", "terms", "substeps"):
            if getattr(self, key) < 1:
                raise ValueError(f"model.{key} is {getattr(self, key)}, expected at least 1")
        if self.depth > DEEPEST:
            raise ValueError(f"model.depth is {self.depth}, expected at most {DEEPEST}")
        self._check_words()
        self._check_walls()
        self._check_slip_lengths()
        self._check_scheme()

    def _check_words(self) -> None:
        """Refuse unknown words: a misspelled bias would be left out without notice."""
        for key, hint in get_type_hints(OperatorConfig).items():
            if get_origin(hint) is Literal and getattr(self, key) not in get_args(hint):
                known = ", ".join(map(str, get_args(hint)))
                raise ValueError(f"model.{key} is {getattr(self, key)!r}, expected one of {known}")
        lists = self.biases.values() if isinstance(self.biases, dict) else [self.biases]
        if not all(set(biases) <= set(BIASES) for biases in lists):
            raise ValueError(f"model.biases is {self.biases!r}, expected any of {', '.join(BIASES)}")
        for name, wall in self.bases.items():
            if wall not in WALLS:
                raise ValueError(f"model.bases has {wall!r} for {name}, expected one of {', '.join(WALLS)}")

    def _check_walls(self) -> None:
        for name, ends in self.walls.items():
            if len(ends) != 2:
                raise ValueError(f"model.walls has {ends} for {name}, expected two values, one for each wall")
            for end in ends:
                try:
                    wall_words.read(end)
                except ValueError as error:
                    raise ValueError(f"model.walls of {name}: {error}") from error
        if self.walls and (self.flux or self.order == 2 or self.equation is not None):
            raise ValueError(
                "model.walls goes with networks and model.order 1, and neither with model.flux nor with an equation"
            )

    def _check_slip_lengths(self) -> None:
        for name, slip in self.slip_lengths.items():
            if self.wall(name) != "robin":
                raise ValueError(f"model.slip_lengths has {name} in the basis {self.wall(name)}, expected robin")
            numbers = [b for b in slip if b != LEARNED]
            if len(slip) not in (1, 2) or not all(isinstance(b, int | float) and 0 <= b < math.inf for b in numbers):
                raise ValueError(
                    f"model.slip_lengths has {slip} for {name}, expected one or two entries, each a length of 0 or more"
                    f" or the word {LEARNED}; for a wall without friction, take the basis cosine"
                )
        other = self.flux or self.vectors or self.equation is not None or self.has("gradient_flow")
        for name in [name for name, wall in self.bases.items() if wall == "robin"]:
            if other or self.has("conservation", name):
                raise ValueError(
                    f"model.bases has robin for {name}, which goes neither with conservation of {name}, as the walls"
                    " take some of it, nor with gradient_flow, model.flux, model.vectors or an equation"
                )

    def slip(self, field: str) -> tuple[float | None, ...]:
        """Slip lengths of a field at both walls, or one for both; None where they are learned."""
        entries = self.slip_lengths.get(field, [LEARNED, LEARNED])
        return tuple(None if entry == LEARNED else float(entry) for entry in entries)

    def _check_scheme(self) -> None:
        if self.substeps > 1 and self.scheme != "exponential":
            raise ValueError(f"model.substeps is {self.substeps} with model.scheme {self.scheme}, expected exponential")
        flows = self.has("gradient_flow")
        if flows and (self.terms != 2 or self.scheme != "exponential" or self.flux or self.has("stability")):
            raise ValueError(
                "model.biases: gradient_flow goes with model.terms 2 and model.scheme exponential, and neither with"
                " model.flux nor with stability"
            )
        if self.scheme == "exponential" and self.order == 2:
            raise ValueError("model.order is 2 with model.scheme exponential, expected 1")

    def has(self, bias: Bias, field: str | None = None) -> bool:
        """Whether a field, or any field where none is named, has a bias."""
        if not isinstance(self.biases, dict):
            return bias in self.biases
        if field is not None:
            return bias in self.biases.get(field, [])
        return any(bias in biases for biases in self.biases.values())

    def wall(self, field: str) -> Wall:
        """The basis of a field between walls."""
        return self.bases.get(field, "cosine")

    def to_plain(self) -> dict[str, Any]:
        """Numbers, strings, lists and dictionaries of them, as a checkpoint stores them."""
        return asdict(self)
