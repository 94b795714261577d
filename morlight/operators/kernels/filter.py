"""Π⁻¹ g Π v of periodic fields, with its derivatives written out: two transforms in each direction.

The plain form is `basis.inverse(g * basis.forward(v))`, and what follows equals it to rounding. Let y = Π⁻¹ g Π v with
the transforms of `Fourier`, ȳ the gradient of a loss with respect to y, w the freedom of a mode and N the number of
points. Then

    v̄ = Π⁻¹ g* Π ȳ,    ḡ = (w/N) Σ_batch (Π v)* Π ȳ.

For the weight w, by which Π⁻¹ counts the modes that stand for their conjugates as well, and 1/N leave v̄ again in the
transform of the gradient. torch's own gradient of Π is a complex transform of all modes, which costs twice as much and
fills half of its input with zeros.
"""

from typing import Any

import torch
from jaxtyping import Complex, Float, Inexact
from torch import Tensor


class Filter(torch.autograd.Function):
    """v (r, B, T·K, *X), g (R, b, T·K, *modes), w/N (*modes) ↦ Π⁻¹ Σ_k g_k Π v_k, (R, B, T, *X), and Π v."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        v: Float[Tensor, "r B H *X"], g: Inexact[Tensor, "R b h *K"], weight: Float[Tensor, "*K"], fields: int
    ) -> tuple[Float[Tensor, "S B T *X"], Complex[Tensor, "r B H *K"]]:
        c = torch.fft.rfftn(v, dim=_axes(weight))
        return torch.fft.irfftn(_summed(g * c, fields), s=v.shape[-weight.ndim :], dim=_axes(weight)), c

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        v, g, weight, ctx.fields = inputs
        ctx.save_for_backward(g, output[1], weight)
        ctx.save_for_forward(g, output[1], weight)
        ctx.mark_non_differentiable(output[1])
        ctx.set_materialize_grads(False)
        ctx.points = v.shape[-weight.ndim :]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, Tensor | None, None, None]:
        g, c, weight = ctx.saved_tensors
        if grads[0] is None:
            return None, None, None, None
        e = torch.fft.rfftn(grads[0], dim=_axes(weight))
        channels = max(g.shape[2], c.shape[2])
        e = e.repeat_interleave(channels // ctx.fields, 2) if channels != ctx.fields else e
        in_v, in_g = ctx.needs_input_grad[:2]
        of_v = None
        if in_v:
            of_v = _to_shape(torch.fft.irfftn(g.conj() * e, s=ctx.points, dim=_axes(weight)), (len(c), *e.shape[1:3]))
        if not in_g:
            return of_v, None, None, None
        whole = g.shape[:3] == (len(e), 1, channels)  # one symbol for the batch: a sum without its summands
        of_g = torch.linalg.vecdot(c, e, dim=1).unsqueeze(1) if whole else _to_shape(c.conj() * e, g.shape[:3])
        of_g = (of_g if g.is_complex() else of_g.real) * weight
        return of_v, of_g, None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> tuple[Tensor, None]:
        dv, dg = tangents[:2]
        g, c, weight = ctx.saved_tensors
        moved = torch.zeros_like(g * c)
        if dv is not None:
            moved = moved + g * torch.fft.rfftn(dv, dim=_axes(weight))
        if dg is not None:
            moved = moved + dg * c
        return torch.fft.irfftn(_summed(moved, ctx.fields), s=ctx.points, dim=_axes(weight)), None


def _axes(weight: Tensor) -> tuple[int, ...]:
    return tuple(range(-weight.ndim, 0))


def _summed(c: Complex[Tensor, "R B H *K"], fields: int) -> Complex[Tensor, "R B T *K"]:
    """The sum over the terms of each field."""
    return c if c.shape[2] == fields else c.unflatten(2, (fields, -1)).sum(3)


def _to_shape(gradient: Inexact[Tensor, "R B H *K"], shape: tuple[int, ...]) -> Inexact[Tensor, "r b h *K"]:
    """Summed over the leading axes along which a factor was repeated."""
    over = [axis for axis in range(len(shape)) if shape[axis] == 1 < gradient.shape[axis]]
    return gradient.sum(over, keepdim=True) if over else gradient
