"""Glow: exact likelihood, exact inverse, data-dependent initialisation, samples, grey levels, classes."""

from __future__ import annotations

import math

import pytest
import torch

from manabi.errors import InvalidInputError
from manabi.nodule.glow import Glow
from manabi.nodule.glow_grey import dequantise, film_noise
from manabi.nodule.glow_steps import shift_and_scale


def shaken(size: int = 16, amount: float = 0.05, **arguments) -> Glow:
    """A small flow whose weights are nowhere at their first values, with activations of unit variance."""
    torch.manual_seed(0)
    flow = Glow(size=size, **{"levels": 2, "steps": 3, "hidden": 8, **arguments})
    with torch.no_grad():
        for weight in flow.parameters():
            weight.add_(amount * torch.randn_like(weight))
    flow.initialise(films(16 if size < 256 else 4, size, 1))
    return flow


def films(count: int, size: int, seed: int) -> torch.Tensor:
    """Smooth random films."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand((count, 1, 4, 4), generator=generator)
    wide = torch.nn.functional.interpolate(coarse, (size, size), mode="bilinear", align_corners=False)[:, 0]
    return (wide + 0.02 * torch.randn(wide.shape, generator=generator)).clamp(0, 1)


# --- the law of a flow ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("coupling", ["affine", "additive"])
@pytest.mark.parametrize("top", ["channel", "place"])
def test_log_density_is_that_of_the_latents_plus_the_jacobians_determinant(coupling, top):
    flow = shaken(8, levels=2, coupling=coupling, top=top).double()
    x = films(1, 8, 2).double()

    def latents(flat: torch.Tensor) -> torch.Tensor:
        return torch.cat([z.flatten() for z in flow.encode(flat.view(1, 8, 8))[0]])

    jacobian = torch.autograd.functional.jacobian(latents, x.flatten())
    eps = latents(x.flatten())
    expected = -0.5 * (eps.square() + math.log(2 * math.pi)).sum() + torch.linalg.slogdet(jacobian).logabsdet
    assert flow.encode(x)[1].item() == pytest.approx(expected.item(), abs=1e-8)
    assert abs(float(torch.linalg.slogdet(jacobian).logabsdet)) > 1.0


def test_the_density_of_a_tiny_flow_integrates_to_one():
    flow = shaken(2, levels=1, steps=2, hidden=4).double()
    torch.manual_seed(3)
    with torch.no_grad():
        drawn = flow.decode([torch.randn((2000, *flow.latent_shapes()[0])).double()]).flatten(1)
        proposal = torch.distributions.MultivariateNormal(drawn.mean(0), 2.0 * torch.cov(drawn.T))
        x = proposal.sample((40000,))
        log_density = flow.encode(x.view(-1, 2, 2))[1]
    ratios = (log_density - proposal.log_prob(x)).exp()
    assert float(ratios.mean()) == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("coupling", ["affine", "additive"])
def test_decode_undoes_encode(coupling):
    flow = shaken(32, levels=3, steps=8, hidden=16, coupling=coupling)
    x, noise = films(4, 32, 4), film_noise((4, 32, 32), 5)
    with torch.no_grad():
        latents, _ = flow.encode(x, noise)
        back = flow.decode(latents)
    assert [tuple(z.shape[1:]) for z in latents] == flow.latent_shapes()
    assert sum(z[0].numel() for z in latents) == 32 * 32
    torch.testing.assert_close(back, dequantise(x, noise, 8) + 0.5, atol=2e-5, rtol=0)
    assert float((back - x).abs().max()) <= 1 / 256 + 2e-5


def test_decode_undoes_encode_at_full_size():
    flow = shaken(256, 0.01, levels=6, steps=4, hidden=8)
    x = films(1, 256, 6)
    with torch.no_grad():
        back = flow.decode(flow.encode(x)[0])
    torch.testing.assert_close(back, x, atol=1e-4, rtol=0)


def test_encode_undoes_decode():
    flow = shaken(16)
    torch.manual_seed(7)
    drawn = [torch.randn((3, *shape)) for shape in flow.latent_shapes()]
    with torch.no_grad():
        found, _ = flow.encode(flow.decode(drawn))
    for a, b in zip(found, drawn, strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


def test_unusual_latents_still_give_numbers():
    flow = shaken(32, levels=3, steps=16, hidden=8)
    torch.manual_seed(1)
    with torch.no_grad():
        for steps in flow.flows:
            steps.b3[:, steps.out // 2 :] -= 30.0
        for split in flow.splits:
            split.bias[split.kept :] += 30.0
        films = flow.decode([5.0 * torch.randn((4, *shape)) for shape in flow.latent_shapes()])
        smallest = shift_and_scale(torch.full((1, 1, 1, 4), -50.0), 2)[1]
    assert bool(films.isfinite().all()) and float(films.abs().max()) < 1e30
    assert float(smallest.min()) == 0.5


# --- first values -----------------------------------------------------------------------------------------------------


def test_initialisation_gives_every_actnorm_unit_variance():
    flow = Glow(size=16, levels=1, steps=1, hidden=6)
    x = films(64, 16, 8)
    flow.initialise(x, seed=9)
    from manabi.nodule.glow_layers import patches, squeeze

    steps = flow.flows[0]
    inside = squeeze(dequantise(x, film_noise((64, 16, 16), 9), 8)[..., None]).flatten(0, 2)
    normal = (inside + steps.bias[0]) * steps.log_scale[0].exp()
    p = steps.folded().step(0)
    a = (inside @ p.matrix + p.shift).view(64, 8, 8, 4)[..., :2]
    first = patches(a) @ p.w1 + p.b1
    second = torch.relu(first) @ p.w2 + p.b2
    for rows in (normal, first, second):
        torch.testing.assert_close(rows.mean(0), torch.zeros(rows.shape[1]), atol=1e-3, rtol=0)
        torch.testing.assert_close(rows.std(0), torch.ones(rows.shape[1]), atol=1e-3, rtol=0)


def test_a_constant_channel_does_not_break_initialisation():
    flow = Glow(size=8, levels=2, steps=2, hidden=4, bits=16)
    flow.initialise(torch.full((8, 8, 8), 0.5))
    assert all(bool(weight.isfinite().all()) for weight in flow.parameters())


def test_a_new_flow_is_a_rotation_and_its_couplings_change_nothing_but_scale():
    flow = Glow(size=8, levels=1, steps=4, hidden=4, coupling="additive")
    x = films(2, 8, 10)
    latents, log_density = flow.encode(x)
    torch.testing.assert_close(latents[0].flatten(1).norm(dim=1), (x - 0.5).flatten(1).norm(dim=1), rtol=1e-4, atol=0)
    expected = (-0.5 * (x - 0.5).square() - 0.5 * math.log(2 * math.pi)).flatten(1).sum(1)
    torch.testing.assert_close(log_density, expected, rtol=1e-4, atol=1e-4)


# --- grey levels, samples, classes ------------------------------------------------------------------------------------


def test_noise_fills_a_grey_level_and_no_more():
    x = torch.tensor([[[0.0, 0.4999], [0.5, 1.0]]])
    low, high = (dequantise(x, torch.full_like(x, u), 1) + 0.5 for u in (0.0, 0.999))
    torch.testing.assert_close(low, torch.tensor([[[0.0, 0.0], [0.5, 0.5]]]))
    assert float(high.max()) < 1.0 and float(high[0, 0, 1]) < 0.5
    assert torch.equal(dequantise(x, None, 1), x - 0.5)
    with pytest.raises(InvalidInputError, match="bits must lie between 1 and 16; got 17"):
        dequantise(x, torch.zeros_like(x), 17)
    with pytest.raises(InvalidInputError, match="Noise must have the films' shape"):
        dequantise(x, torch.zeros(1, 2, 3), 8)


def test_bits_per_dimension_grow_by_one_with_every_bit_of_unresolved_grey():
    flow = shaken(16)
    x = films(2, 16, 11)
    before = flow.bits_per_dimension(x)
    flow.bits = 9
    torch.testing.assert_close(flow.bits_per_dimension(x), before + 1)
    assert int(flow.state_dict()["grey_bits"]) == 9


def test_samples_follow_from_the_seed_and_spread_with_temperature():
    flow = shaken(16).eval()
    one, again, other = flow.sample(3, 0.7, 1), flow.sample(3, 0.7, 1), flow.sample(3, 0.7, 2)
    assert torch.equal(one, again) and not torch.equal(one, other)
    assert one.shape == (3, 16, 16) and float(one.min()) >= 0 and float(one.max()) <= 1
    assert float(flow.sample(8, 0.0, 1).std(0).max()) < 1e-6 < float(flow.sample(8, 0.7, 1).std(0).mean())


def test_classes_have_their_own_films():
    flow = shaken(8, classes=2)
    label = torch.tensor([0, 1])
    x = films(1, 8, 12).expand(2, -1, -1)
    (fine, top), log_density = flow.encode(x, None, label)
    assert not torch.allclose(top[0], top[1]) and torch.equal(fine[0], fine[1])
    assert log_density[0].item() != pytest.approx(log_density[1].item())
    torch.testing.assert_close(flow.decode([fine, top], label), x, atol=1e-5, rtol=0)
    with pytest.raises(InvalidInputError, match="2 classes"):
        flow.encode(x)
    with pytest.raises(InvalidInputError, match="0 classes"):
        shaken(8).encode(x, None, label)


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 20, "levels": 3}, "multiple of 2 to the power of levels .here 8.; got 20"),
        ({"levels": 0}, "multiple of 2"),
        ({"steps": 0}, "1 step"),
        ({"hidden": 0}, "1 hidden channel"),
        ({"coupling": "linear"}, "affine or additive; got 'linear'"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        Glow(**{"size": 16, "levels": 2, "steps": 1, "hidden": 2, **arguments})


def test_films_that_do_not_fit_are_refused():
    flow = Glow(size=16, levels=2, steps=1, hidden=2)
    for wrong in (torch.rand(1, 1, 16, 16), torch.rand(1, 18, 16), torch.zeros(1, 16, 16, dtype=torch.uint8)):
        with pytest.raises(InvalidInputError, match="rows and columns multiples of 4"):
            flow.encode(wrong)
    with pytest.raises(InvalidInputError, match="2 levels of latents; got 1"):
        flow.decode([torch.zeros(1, 4, 4, 16)])


def test_films_of_other_sizes_are_encoded():
    flow = shaken(16)
    x = films(2, 32, 13)[:, :24]
    with torch.no_grad():
        torch.testing.assert_close(flow.decode(flow.encode(x)[0]), x, atol=1e-5, rtol=0)
