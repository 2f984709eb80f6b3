"""Back-propagation by inversion: the inputs of a level's steps are computed again from its output.

A step's output determines its input, so nothing between the steps has to be kept: memory does not grow with their
number. Gomez AN et al., The reversible residual network, NeurIPS 2017 (arXiv 1707.04585), algorithm 1, carried over to
the steps of Glow. The network of a coupling has to be run once more; what it gives serves both the inversion and the
gradients, so a training step costs about 4/3 of one that keeps everything.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from manabi.nodule.glow_layers import gather_sum, patches, reversed_parts
from manabi.nodule.glow_steps import (
    LEAST_SCALE,
    Folded,
    Hidden,
    coupling_network,
    inverse_of,
    mix,
    shift_and_scale,
    step_forward,
)


class ReversibleSteps(torch.autograd.Function):
    """The steps of a level; keeps its output and the weights, and nothing of what lies between.

    ``ReversibleSteps.apply(x, *folded)`` gives the output and the couplings' log-determinant ``(b,)``, as a loop over
    :func:`manabi.nodule.glow_steps.step_forward` does, with the same gradients up to rounding.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, *folded: Tensor) -> tuple[Tensor, Tensor]:
        """Run all steps; see the class."""
        weights = Folded(*folded)
        total = x.new_zeros(len(x))
        for k in range(len(weights.matrix)):
            x, log_determinant = step_forward(x, weights.step(k))
            total = total + log_determinant
        ctx.save_for_backward(x, *folded)
        return x, total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor, grad_total: Tensor) -> tuple[Tensor, ...]:
        """From the last step to the first: the step's input, then its gradients."""
        y, *folded = ctx.saved_tensors
        weights = Folded(*folded)
        inverses = inverse_of(weights.matrix)
        gradients = Folded(*(torch.empty_like(tensor) for tensor in weights))
        for k in reversed(range(len(weights.matrix))):
            y, grad_y = _step_backward(y, grad_y, grad_total, weights.step(k), inverses[k], gradients.step(k))
        return (grad_y, *gradients)


def _step_backward(
    y: Tensor, grad_y: Tensor, grad_total: Tensor, p: Folded, inverse: Tensor, gradients: Folded
) -> tuple[Tensor, Tensor]:
    """Input of a step and the gradient with respect to it; writes the weights' gradients into ``gradients``."""
    a, changed, grad_changed = y[..., : p.half], y[..., p.half :], grad_y[..., p.half :]
    out, hidden = coupling_network(a, p)
    shift, scale = shift_and_scale(out, changed.shape[-1])
    if scale is None:
        b, grad_b, grad_out = changed - shift, grad_changed, grad_changed
    else:
        before = changed / scale
        b, grad_b = before - shift, grad_changed * scale
        grad_scale = grad_changed * before + grad_total[:, None, None, None] / scale
        # The scale is LEAST + (1 - LEAST) sigmoid, whose derivative is (scale - LEAST) (1 - scale) / (1 - LEAST).
        slope = (scale - LEAST_SCALE) * (1.0 - scale) / (1.0 - LEAST_SCALE)
        grad_out = torch.cat([grad_b, grad_scale * slope], -1)
    grad_a = grad_y[..., : p.half] + _network_backward(grad_out, a.shape, hidden, p, gradients)
    grad_u = torch.cat([grad_a, grad_b], -1)
    x = mix(torch.cat([a, b], -1) - p.shift, inverse, torch.zeros_like(p.shift))
    rows = grad_u.flatten(0, 2)
    torch.mm(x.flatten(0, 2).T, rows, out=gradients.matrix)
    torch.sum(rows, 0, out=gradients.shift)
    return x, (rows @ p.matrix.T).view(x.shape)


def _network_backward(grad_out: Tensor, shape: tuple[int, ...], hidden: Hidden, p: Folded, gradients: Folded) -> Tensor:
    """Gradient with respect to the coupling network's input; the weights' are written into ``gradients``."""
    torch.sum(grad_out, (0, 1, 2), out=gradients.b3)
    grad = reversed_parts(patches(grad_out))
    torch.mm(hidden.second.T, grad, out=gradients.w3)
    grad = torch.ops.aten.threshold_backward(grad @ p.w3.T, hidden.second, 0)
    torch.sum(grad, 0, out=gradients.b2)
    torch.mm(hidden.first.T, grad, out=gradients.w2)
    grad = torch.ops.aten.threshold_backward(grad @ p.w2.T, hidden.first, 0)
    torch.sum(grad, 0, out=gradients.b1)
    torch.mm(hidden.cols.T, grad, out=gradients.w1)
    return gather_sum(reversed_parts((grad @ p.w1.T).view(*shape[:3], -1)))
