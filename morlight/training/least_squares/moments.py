"""All that the squared error of L u = Π⁻¹ g Π h(u) knows of its data, in one pass over them (Eq. 7, 8).

Let h be a combination of n fixed functions of u, h(u) = Σ_a h_a φ_a(u). Then the error over all pairs (u, f),

    Σ ‖f − Π⁻¹ g Π h(u)‖² = Σ_κ w_κ [ Σ|f̂|² − 2 Re g* Σ_a h_a Σ φ̂_a* f̂ + |g|² Σ_ab h_a h_b Re Σ φ̂_a* φ̂_b ],

needs of the data only the sums over pairs of φ̂_a* φ̂_b, φ̂_a* f̂ and |f̂|², for each mode by itself. They are gathered
in one pass; the error and its derivatives then cost the same for ten pairs and for a million.

Over several steps, u_{j+m} − u_j = Σ_i L (I + L)^i u_j, whose quadratic form is as simple where h is nearly a straight
line: with s its slope, the increment over m steps is Π⁻¹ G_m Π h(u_j) with G_m = ((1 + s g)^m − 1)/s. That is exact
for a straight line, and to first order in the rest of h where 1 + s g is near 1. The sums for several m are gathered
at once.

Fields that are counts of particles in cells carry noise that has nothing to do with their modes: the aliases of the
shorter waves, of variance A, of which û_j and û_{j+m} share C (`shot_noise`). Where C is less than what the decay of
the mode leaves of A, the mode looks as if it decayed faster; the known part A|1 + s G_m|² − 2 Re (1 + s G_m)* C is
subtracted from the error. The size of the fluctuations adds an error of its own (`fluctuations`).

g is taken to be the symbol of a real operator, g(−κ) = g(κ)*. Where a network breaks that in the few modes that Π keeps
with their conjugates (κ = 0 on a line), Π⁻¹ drops the difference, and the error here counts it.

The φ are cubic B-splines over the range of u. A network h is projected on them in the mean square over the values
of u; what is left over, which splines cannot see, is counted as white noise of its variance, so that no training can
hide in it.
"""

import dataclasses
from dataclasses import dataclass

import torch
from jaxtyping import Float, Inexact
from torch import Tensor

from morlight.operators.biases import shells
from morlight.training.least_squares.fluctuations import Fluctuations, of_type


@dataclass(frozen=True)
class Moments:
    """The error as a function of g(κ) and h(values).

    Attributes:
        wavenumbers: κ of each mode, the last axis flat.
        values: of u at which h is looked at.
        projection: from h there to its coefficients of splines.
        rest: quadratic form of h there, variance of what the splines leave over.
        slope: from h there to the slope of the straight line through it.
        energy: of the target.
        quadratic: Re Σ φ̂_a* φ̂_b, weighted.
        linear: Σ φ̂_a* f̂, weighted.
        white: energy of white noise of variance 1 in each mode.
        slope_of_noise: from h to its slope weighted by u, since the variance of counts is proportional to the density.
        counted: energy A of the aliases in each mode.
        remembered: energy C of the aliases that the later frame shares.
        size: Σ ‖f‖², of which all others are shares.
        fluctuations: whose size is known.
    """

    wavenumbers: Float[Tensor, "D K"]
    values: Float[Tensor, " P"]
    projection: Float[Tensor, "n P"]
    rest: Float[Tensor, "P P"]
    slope: Float[Tensor, " P"]
    slope_of_noise: Float[Tensor, " P"]
    energy: Float[Tensor, ""]
    quadratic: Float[Tensor, "K n n"]
    linear: Inexact[Tensor, "K n"]
    white: Float[Tensor, " K"]
    counted: Float[Tensor, " K"] | None = None
    remembered: Inexact[Tensor, " K"] | None = None
    size: float = 1.0
    fluctuations: Fluctuations | None = None

    def folded(self) -> "Moments":
        """Modes of the same |κ| as one, for an isotropic symbol."""
        moduli, index = shells(self.wavenumbers)

        def fold(sums: Tensor) -> Tensor:
            return sums.new_zeros(moduli.shape[1], *sums.shape[1:]).index_add_(0, index, sums)

        return dataclasses.replace(
            self,
            wavenumbers=moduli,
            quadratic=fold(self.quadratic),
            linear=fold(self.linear),
            white=fold(self.white),
            counted=None if self.counted is None else fold(self.counted),
            remembered=None if self.remembered is None else fold(self.remembered),
            fluctuations=None if self.fluctuations is None else self.fluctuations.map(fold),
        )

    def error(self, g: Inexact[Tensor, "R K"], h: Float[Tensor, "R P"]) -> Float[Tensor, " R"]:
        """Σ ‖f − L u‖² as a share of Σ ‖f‖² of all targets, for g at the modes and h at the values."""
        a, form = h @ self.projection.mT, self._form(g)
        quadratic = ((form @ a[..., None])[..., 0] * a).sum(1)
        mixed = ((g.conj() @ self._linear(g)).real * a).sum(1)
        error = self.energy + quadratic - 2 * mixed + (g.abs().square() @ self.white) * ((h @ self.rest) * h).sum(1)
        if self.counted is not None and self.remembered is not None:
            factor = 1 + (h @ self.slope_of_noise)[:, None] * g
            shared = (factor.conj() @ of_type(self.remembered, factor)).real
            error = error - factor.abs().square() @ self.counted + 2 * shared
        if self.fluctuations is not None:
            error = error + self.fluctuations.error(1 + (h @ self.slope)[:, None] * g)
        return error

    def normal_equations(
        self,
        g: Inexact[Tensor, "R K"],
        h: Float[Tensor, "R P"],
        dg: Inexact[Tensor, "R G K"],
        dh: Float[Tensor, "R H P"],
    ) -> tuple[Float[Tensor, "R Q Q"], Float[Tensor, "R Q"]]:
        """JᵀJ and Jᵀr of the residuals of `error`, for the parameters of h first and those of g after them.

        JᵀJ is that of the data together with their mirror images, whose moments are the conjugate ones: the sums
        hold real parts only. It has the same h by itself and g by itself, and is as much a Gauss–Newton matrix.

        Args:
            g: symbol at the modes.
            h: nonlinearity at the values.
            dg: derivative of g with respect to each of its G parameters.
            dh: derivative of h with respect to each of its H parameters.
        """
        a, da, form = h @ self.projection.mT, dh @ self.projection.mT, self._form(g)
        n = a.shape[1]
        rest, drest = h @ self.rest, dh @ self.rest
        left_over = (rest * h).sum(1)
        bound = g.abs().square() @ self.white
        pulled = (a @ self.quadratic.view(-1, n).mT).view(len(a), -1, n)  # Σ_b M_ab a_b of each mode
        energy = (pulled * a[:, None]).sum(2) + self.white * left_over[:, None]
        linear = self._linear(g)
        mixed = a.to(linear.dtype) @ linear.mT
        toward_h = (form @ a[..., None])[..., 0] - (g.conj() @ linear).real
        gradient_h = (da @ toward_h[..., None] + bound[:, None, None] * (dh @ rest[..., None]))[..., 0]
        gradient_g = (dg.conj() @ (g * energy - mixed)[..., None])[..., 0].real
        parts = torch.view_as_real(dg).flatten(2) if dg.is_complex() else dg
        weights = energy.repeat_interleave(parts.shape[2] // dg.shape[2], 1)
        block_h = da @ form @ da.mT + bound[:, None, None] * (drest @ dh.mT)
        block_g = (parts * weights[:, None]) @ parts.mT
        change = (dg.conj() * g[:, None]).real
        across = (change @ pulled) @ da.mT + (change @ self.white)[..., None] * (dh @ rest[..., None]).mT
        matrix = torch.cat([torch.cat([block_h, across.mT], 2), torch.cat([across, block_g], 2)], 1)
        gradient = torch.cat([gradient_h, gradient_g], 1)
        if self.counted is not None and self.remembered is not None:
            factor, change = change_of_factor(g, h, dg, dh, self.slope_of_noise)
            rest = factor * self.counted - of_type(self.remembered, factor)
            gradient -= (change.conj() @ rest[..., None])[..., 0].real
            matrix -= ((change * self.counted) @ change.mH).real
        if self.fluctuations is not None:
            self.fluctuations.add_normal_equations(*change_of_factor(g, h, dg, dh, self.slope), matrix, gradient)
        return matrix, gradient

    def _linear(self, g: Inexact[Tensor, "R K"]) -> Inexact[Tensor, "K n"]:
        """Σ φ̂_a* f̂ in the type of g: a real symbol has nothing to do with imaginary parts."""
        return of_type(self.linear, g)

    def _form(self, g: Inexact[Tensor, "R K"]) -> Float[Tensor, "R n n"]:
        n = self.quadratic.shape[1]
        return (g.abs().square() @ self.quadratic.view(len(self.quadratic), -1)).view(-1, n, n)


def change_of_factor(
    g: Inexact[Tensor, "R K"],
    h: Float[Tensor, "R P"],
    dg: Inexact[Tensor, "R G K"],
    dh: Float[Tensor, "R H P"],
    slope: Float[Tensor, " P"],
) -> tuple[Inexact[Tensor, "R K"], Inexact[Tensor, "R Q K"]]:
    """λ = 1 + s g with the slope s of h, and its derivatives with respect to the parameters of h and of g."""
    s = (h @ slope)[:, None]
    return 1 + s * g, torch.cat([(dh @ slope)[..., None] * g[:, None], s[..., None] * dg], 1)
