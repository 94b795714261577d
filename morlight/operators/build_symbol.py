"""The symbol g of a summand from a configuration and its data (see `build`)."""

import math
from collections.abc import Sequence

from torch import nn

from morlight.operators.bases import Basis
from morlight.operators.biases import Banded, Conservative, Isotropic
from morlight.operators.config import OperatorConfig
from morlight.operators.description import DataDescription
from morlight.operators.given_vectors import mean_of_components
from morlight.operators.gradient_flow import Descent
from morlight.operators.networks import Perceptrons
from morlight.operators.robin import Robin
from morlight.operators.stability import Anchored
from morlight.operators.symbols import DissipativeSymbol, Symbol
from morlight.operators.vector_isotropy import Tensors, VectorSymbol

PARTS = 1_000_003  # seeds apart: networks of one summand share no stream with those of the next
DECAYS = 500_000  # and the decays of a summand as many from its terms


class Symbols:
    """Symbols of summands.

    Args:
        config: of the operator.
        data: that it is for.
        tensors: scalars and vectors among the fields, if there are vectors.
        scale: of each field.
        anchored: whether roll-outs of coupled fields stay bounded by an anchor.
    """

    def __init__(
        self,
        config: OperatorConfig,
        data: DataDescription,
        tensors: Tensors | None,
        scale: Sequence[float],
        *,
        anchored: bool,
    ) -> None:
        self.config, self.data, self.tensors, self.scale, self.anchored = config, data, tensors, scale, anchored
        self.fields, self.parameters = data.field_names, data.parameter_names
        self.generator = config.scheme == "exponential"

    @property
    def terms(self) -> int:
        """Channels of h for each field that changes."""
        return self.config.terms if self.tensors is None else self.config.terms * self.tensors.fields

    def band(self, space: Basis) -> tuple[float, float]:
        """Smallest and largest |κ| > 0 at which the data have energy."""
        kappa = space.wavenumbers.double().square().sum(0).sqrt()
        low, high = self.data.band or (0.0, math.inf)
        inside = kappa[(kappa > 0) & (kappa >= low * 0.999) & (kappa <= high * 1.001)]
        inside = inside if len(inside) else kappa[kappa > 0]
        return float(inside.min()), float(inside.max())

    def symbol(self, space: Basis, names: Sequence[str], number: int) -> nn.Module:
        config, extra = self.config, len(self.parameters)
        if config.has("gradient_flow"):
            return self._descent(space, names, number)
        if self.tensors is not None:
            return self._conserved(self.banded(self._vectors(space, self.tensors, number), names), names, self.terms)
        isotropic = {config.has("isotropy", name) for name in names}
        if len(isotropic) > 1:
            raise ValueError(f"model.biases: isotropy for some of {', '.join(names)}, expected for all or none of them")
        dimensions = 1 if isotropic == {True} else len(space.points)
        real = space.real or (isotropic == {True} and not config.complex_isotropy)
        smallest, largest = self.band(space)
        unit = largest if config.wavenumber_scaling else 1.0
        if config.symbol == "plain":
            network = self.network(dimensions + extra, 1 if real else 2, len(names), seed=number * PARTS)
            g: nn.Module = Symbol(network, unit)
        else:
            inputs = DissipativeSymbol.inputs(dimensions) + extra
            network = self.network(inputs, 1 if real else 1 + dimensions, len(names), seed=number * PARTS)
            middle = math.sqrt(smallest * largest)
            g = DissipativeSymbol(network, middle, math.log(largest / middle), self.generator)
        if isotropic == {True} and not isinstance(space, Robin):  # whose κ are positive, and differentiated
            g = Isotropic(g, complex_symbol=config.complex_isotropy)
        g, terms = self.banded(g, names), config.terms
        if self.anchored:
            seed = number * PARTS + DECAYS
            decay = self.network(len(space.points) + extra, 1, len(names), seed=seed, terms=1)
            g, terms = Anchored(Symbol(decay, unit), g, self.generator), terms + 1
        return self._conserved(g, names, terms)

    def _conserved(self, g: nn.Module, names: Sequence[str], terms: int) -> nn.Module:
        conserved = [self.config.has("conservation", name) for name in names for _ in range(terms)]
        return Conservative(g, None if all(conserved) else conserved) if any(conserved) else g

    def _vectors(self, space: Basis, tensors: Tensors, number: int) -> nn.Module:
        """Symbols of scalars and vectors."""
        smallest, largest = self.band(space)
        unit, middle = largest if self.config.wavenumber_scaling else 1.0, math.sqrt(smallest * largest)
        network = self.network(1 + len(self.parameters), 1, tensors.blocks, seed=number * PARTS)
        sides = zip(space.points, space.length, strict=True)
        spread = mean_of_components([field.spread for field in self.data.fields], tensors)
        return VectorSymbol(
            Isotropic(Symbol(network, middle if self.config.wavenumber_scaling else 1.0)),
            tensors,
            unit=unit,
            nyquist=[math.pi * N / L if N % 2 == 0 else math.inf for N, L in sides],
            spread=[deviation / scale for deviation, scale in zip(spread, self.scale, strict=True)],
            conserved=[self.config.has("conservation", name) for name in self.fields],
            middle=middle,
        )

    def _descent(self, space: Basis, names: Sequence[str], number: int) -> nn.Module:
        """Symbols of a gradient flow."""
        if len(self.fields) > 1:
            raise ValueError(f"fields: {', '.join(self.fields)}, expected one for model.biases: gradient_flow")
        isotropic, conserved = self.config.has("isotropy"), self.config.has("conservation")
        inputs, largest = 1 if isotropic else len(space.points), self.band(space)[1]
        unit = largest if self.config.wavenumber_scaling else 1.0
        mobility, stiffness = (
            Symbol(self.network(inputs + len(self.parameters), 1, 1, seed=seed, terms=1), unit)
            for seed in (number * PARTS, number * PARTS + DECAYS)
        )
        g: nn.Module = Descent(mobility, stiffness, conserved=conserved, scale=largest)
        return self.banded(Isotropic(g) if isotropic else g, names)

    def banded(self, g: nn.Module, names: Sequence[str]) -> nn.Module:
        limited = [self.config.has("band", name) for name in names for _ in range(self.terms)]
        if not any(limited):
            return g
        if self.data.signal is None:
            raise ValueError(
                "model.biases: band needs fields that change in time, expected trajectories of more than one frame"
            )
        return Banded(g, self.data.signal, None if all(limited) else limited)

    def network(self, inputs: int, outputs: int, fields: int, *, seed: int, terms: int | None = None) -> Perceptrons:
        """One network a term of each field, the streams of the realizations two apart from this seed on."""
        config = self.config
        return Perceptrons(
            inputs,
            outputs,
            width=config.width,
            depth=config.depth,
            activation=config.activation,
            seeds=tuple(2 * (config.seed + r) + seed for r in range(config.realizations)),
            copies=fields * (terms or config.terms),
        )
