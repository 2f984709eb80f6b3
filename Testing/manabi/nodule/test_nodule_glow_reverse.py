"""Back-propagation by inversion: the gradients of plain back-propagation, with memory that does not grow with depth."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from test_nodule_glow import films, shaken

from manabi.nodule.glow import Glow
from manabi.nodule.glow_grey import film_noise
from manabi.nodule.glow_layers import conv3, gather_sum, patches, reversed_parts, squeeze, unsqueeze


def gradients(flow: Glow, x: torch.Tensor, noise: torch.Tensor, reversible: bool) -> tuple[float, list[torch.Tensor]]:
    flow.reversible = reversible
    flow.zero_grad()
    loss = flow(x, noise).mean()
    loss.backward()
    return float(loss.detach()), [weight.grad.clone() for weight in flow.parameters()]


@pytest.mark.parametrize("coupling", ["affine", "additive"])
def test_gradients_are_those_of_plain_back_propagation(coupling):
    flow = shaken(16, levels=2, steps=6, hidden=12, coupling=coupling).double()
    x, noise = films(3, 16, 1).double(), film_noise((3, 16, 16), 2).double()
    loss, ours = gradients(flow, x, noise, True)
    expected, plain = gradients(flow, x, noise, False)
    assert loss == pytest.approx(expected, abs=1e-12)
    for (name, weight), a, b in zip(flow.named_parameters(), ours, plain, strict=True):
        assert float(b.norm()) > 0 or weight.numel() == 0, name
        torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-10, msg=name)


def test_gradients_in_single_precision_are_as_good_as_its_rounding():
    flow = shaken(32, levels=3, steps=16, hidden=16)
    x, noise = films(4, 32, 3), film_noise((4, 32, 32), 4)
    _, ours = gradients(flow, x, noise, True)
    _, plain = gradients(flow, x, noise, False)
    for a, b in zip(ours, plain, strict=True):
        assert float((a - b).norm()) <= 2e-3 * float(b.norm())


def test_the_gradient_reaches_the_films():
    flow = shaken(16).double()
    x = films(2, 16, 5).double().requires_grad_()
    flow.reversible = True
    (ours,) = torch.autograd.grad(flow(x).sum(), x)
    flow.reversible = False
    (plain,) = torch.autograd.grad(flow(x).sum(), x)
    torch.testing.assert_close(ours, plain, rtol=1e-8, atol=1e-10)


def kept_bytes(flow: Glow, x: torch.Tensor) -> int:
    """Bytes that back-propagation keeps, the weights and what is made of them aside: storages that follow the films."""
    seen: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.ndim == 4 or (tensor.ndim == 2 and tensor.shape[0] >= len(x) * x[0].numel() // 4**3):
            seen[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        loss = flow(x).mean()
        total = sum(seen.values())
    loss.backward()
    return total


def test_memory_does_not_grow_with_depth():
    x = films(4, 32, 6)
    kept = {}
    for reversible in (True, False):
        for steps in (2, 16):
            torch.manual_seed(0)
            flow = Glow(size=32, levels=2, steps=steps, hidden=16, reversible=reversible)
            kept[reversible, steps] = kept_bytes(flow, x)
    assert kept[True, 16] == kept[True, 2]
    assert kept[False, 16] > 5 * kept[False, 2]
    assert kept[True, 16] < kept[False, 16] / 20


def test_a_few_steps_of_training_lower_the_bits():
    flow = shaken(16, amount=0.0, steps=4, hidden=16)
    optimiser = torch.optim.Adamax(flow.parameters(), 3e-3)
    x, noise = films(32, 16, 7), film_noise((32, 16, 16), 8)
    first = float(flow(x, noise).mean().detach())
    for _ in range(30):
        loss = flow(x, noise).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert float(loss.detach()) < first - 0.5


# --- the layers -------------------------------------------------------------------------------------------------------


def test_products_of_matrices_are_convolutions():
    torch.manual_seed(0)
    x, weight, bias = torch.randn(2, 5, 7, 3).double(), torch.randn(4, 3, 3, 3).double(), torch.randn(4).double()
    expected = F.conv2d(x.permute(0, 3, 1, 2), weight, bias, padding=1).permute(0, 2, 3, 1)
    torch.testing.assert_close(conv3(x, weight.permute(2, 3, 1, 0).reshape(27, 4), bias), expected)
    spread = x @ weight.permute(1, 2, 3, 0).reshape(3, 36)
    torch.testing.assert_close(gather_sum(spread) + bias, expected)


def test_reversed_parts_turn_each_layer_into_the_others_adjoint():
    torch.manual_seed(1)
    x, g = torch.randn(2, 4, 6, 3).double(), torch.randn(2, 4, 6, 27).double()
    inner = (patches(x).view(g.shape) * g).sum()
    torch.testing.assert_close(inner, (x * gather_sum(reversed_parts(g))).sum())
    torch.testing.assert_close((gather_sum(g) * x).sum(), (g * reversed_parts(patches(x)).view(g.shape)).sum())


def test_squeezing_keeps_every_pixel_and_puts_neighbours_together():
    x = torch.arange(2 * 4 * 6 * 3).view(2, 4, 6, 3)
    folded = squeeze(x)
    assert folded.shape == (2, 2, 3, 12)
    assert torch.equal(unsqueeze(folded), x)
    assert set(folded[0, 0, 0].tolist()) == set(x[0, :2, :2].flatten().tolist())
