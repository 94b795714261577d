"""The options of an operator, each with its default: the only definition of them."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args, get_origin, get_type_hints

Bias = Literal["conservation", "isotropy", "reflection", "stability", "band"]
Scheme = Literal["explicit", "implicit", "exponential"]
Wall = Literal["cosine", "sine", "legendre"]

BIASES: tuple[str, ...] = get_args(Bias)
WALLS: tuple[str, ...] = get_args(Wall)


@dataclass(frozen=True, kw_only=True)
class OperatorConfig:
    """What kind of operator is learned.

    Args:
        biases: any of conservation, isotropy, reflection, stability, band; a list for all fields, or one for each
            field. With band, waves shorter than those that carry a signal in the training data do not change.
        symbol: dissipative, |1 + g| ≤ 1 by construction, or plain, the paper's network.
        width: of the hidden layers of g and h.
        depth: number of their linear layers.
        activation: of the hidden layers.
        realizations: R, independently initialized operators trained side by side.
        seed: of the initial weights; realization r starts as a single one with seed + r would.
        terms: K, pairs of g and h for each field (Eq. 27).
        bases: of fields between walls, cosine (the default), sine or legendre, by field.
        flux: whether the mixed terms Π⁻¹ g ∂ₓ Π' h between sines and cosines are added.
        order: 1, or 2 for ∂ₜₜu, where the fields are each u and then each ∂ₜu.
        scheme: explicit or implicit Euler (Eq. 4), or exponential, where L/Δt is the generator, ∂ₜu = L u/Δt, solved
            by exponential Runge–Kutta steps of fourth order.
        substeps: of each step Δt of the exponential scheme.
        equation: by field, terms G(∇) φ(u) in words (`dxx u`, `dx u^2`, `lap u^3`, `u*v^2`, `1`), which then take the
            place of networks; found in the data by model.optimizer equation.
        field_scaling: whether h sees fields of order one; the paper's networks see them as they are.
        wavenumber_scaling: whether a plain symbol sees κ of order one.
        parameter_scaling: whether the networks see γ of order one.
        complex_isotropy: keep the imaginary part of an isotropic symbol, as Eq. 14 does literally.
        odd_jump: h(u) = sign(u) ĥ(|u|), the paper's reflection, which jumps at u = 0 wherever ĥ(0) ≠ 0.
        initial_slope: positive, h of one field is initialized with a positive slope, or random.
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
        self._check_words()
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

    def _check_scheme(self) -> None:
        if self.substeps > 1 and self.scheme != "exponential":
            raise ValueError(f"model.substeps is {self.substeps} with model.scheme {self.scheme}, expected exponential")
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
