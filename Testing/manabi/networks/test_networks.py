"""Laws over every network, and what is known of some."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import pytest
import torch

from manabi.errors import InvalidInputError
from manabi.networks import MONAI_NETWORKS, NETWORKS, PAPER_NETWORKS, build
from manabi.networks.bricks import pad_to_multiple

SMALL = {"filters": (4, 8, 12)}
SMALL_FOR = {name: SMALL for name in NETWORKS} | {
    "transunet": {**SMALL, "layers": 1, "heads": 2, "dim": 8, "mlp_dim": 16},
    "translator": {**SMALL, "blocks": 2},
    "monai_vnet": {},
    "monai_unetpp": {"filters": (4, 8, 8, 8, 8)},
    "monai_attention_unet": SMALL,
}
ALL = [*NETWORKS, *MONAI_NETWORKS]
every_network = pytest.mark.parametrize("name", ALL)


def small(name, **arguments):
    torch.manual_seed(0)
    return build(name, **SMALL_FOR[name], **arguments)


@every_network
@pytest.mark.parametrize("size", [(33, 47), (5, 64), (32, 32)])
def test_any_size_comes_back_at_that_size(name, size):
    network = small(name, out_channels=2).eval()
    with torch.inference_mode():
        assert network(torch.rand(2, 1, *size)).shape == (2, 2, *size)


@pytest.mark.parametrize("name", NETWORKS)
def test_three_dimensions_work(name):
    with torch.inference_mode():
        assert small(name, spatial_dims=3)(torch.rand(1, 1, 5, 10, 12)).shape == (1, 1, 5, 10, 12)


@every_network
def test_the_gradient_reaches_every_parameter(name):
    network = small(name)
    network(torch.rand(2, 1, 32, 32)).square().mean().backward()
    without = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert without == []
    dead = [n for n, p in network.named_parameters() if n.endswith("weight") and not p.grad.any()]
    assert dead == []


@every_network
def test_the_same_seed_gives_the_same_network(name):
    first, second = small(name).state_dict(), small(name).state_dict()
    torch.manual_seed(1)
    other = build(name, **SMALL_FOR[name]).state_dict()
    assert all(torch.equal(first[k], second[k]) for k in first)
    assert any(not torch.equal(first[k], other[k]) for k in first)


@every_network
def test_the_state_loads_strictly_into_another_of_its_kind(name):
    network, image = small(name).eval(), torch.rand(1, 1, 32, 32)
    torch.manual_seed(5)
    other = build(name, **SMALL_FOR[name]).eval()
    with torch.inference_mode():
        assert not torch.equal(other(image), network(image))
        other.load_state_dict(network.state_dict(), strict=True)
        assert torch.equal(other(image), network(image))


@every_network
def test_bfloat16_stays_close_to_float32(name):
    network, image = small(name).eval(), torch.rand(1, 1, 37, 32)
    with torch.inference_mode():
        exact = network(image)
        with torch.autocast("cpu", torch.bfloat16):
            rough = network(image)
    assert rough.isfinite().all()
    assert (rough.float() - exact).abs().max() < 0.05 * exact.abs().max()


@pytest.mark.parametrize("name", [n for n in NETWORKS if n != "transunet"])
def test_a_shift_by_whole_coarse_pixels_shifts_the_answer(name):
    torch.manual_seed(0)
    local = {"norm": "none", "blocks": 2} if name == "translator" else {}
    network = build(name, filters=(4, 8), **local).eval()
    image = torch.rand(1, 1, 96, 96)
    with torch.inference_mode():
        here, there = network(image), network(image.roll((2, 4), (2, 3)))
    inner = slice(40, 56)
    moved = here.roll((2, 4), (2, 3))
    torch.testing.assert_close(there[..., inner, inner], moved[..., inner, inner], rtol=1e-4, atol=1e-5)


def test_the_transformer_knows_where_it_is():
    network = small("transunet").eval()
    with torch.inference_mode():
        network.positions.normal_()
        here = network(torch.zeros(1, 1, 32, 32))
    assert (here - here.flip(-1)).abs().max() > 1e-4


@pytest.mark.parametrize("levels, documented", list(enumerate((2497, 27953, 129553, 535505, 2158417), start=1)))
def test_the_unet_has_the_documented_number_of_parameters(levels, documented):
    f = (16, 32, 64, 128, 256)[:levels]

    def convolution(a, b):
        return 9 * a * b + b

    count = convolution(1, f[0]) + convolution(f[0], f[0]) + f[0] + 1
    for a, b in pairwise(f):
        count += convolution(a, b) + convolution(b, b) + convolution(b, a) + convolution(2 * a, a) + convolution(a, a)
    assert count == documented
    assert sum(p.numel() for p in build("unet", filters=f).parameters()) == documented


def test_residual_adds_the_centre_slice_to_channel_zero_only():
    network = small("unet", in_channels=5, out_channels=2, residual=True).eval()
    image = torch.rand(1, 5, 16, 16)
    with torch.inference_mode():
        network.head.weight.zero_()
        answer = network(image)
    assert torch.equal(answer[:, 0], image[:, 2])
    assert not answer[:, 1].any()


@pytest.mark.parametrize("activation, low, high", [("sigmoid", 0.0, 1.0), ("softplus", 0.0, float("inf"))])
def test_the_output_activation_bounds_the_image_but_not_the_log_variance(activation, low, high):
    network = small("unet", out_channels=2, output_activation=activation).eval()
    with torch.inference_mode():
        network.head.weight.mul_(50)
        answer = network(torch.randn(1, 1, 32, 32))
        network.output_activation = "linear"
        raw = network(torch.zeros(1, 1, 32, 32))[:, 1:]
        network.output_activation = activation
        assert torch.equal(network(torch.zeros(1, 1, 32, 32))[:, 1:], raw)
    assert low <= answer[:, 0].min() and answer[:, 0].max() <= high


def test_unetpp_without_skips_has_only_the_chain_from_bottom_to_top():
    network = small("unetpp", skips=False)
    assert sorted(network.merge) == ["0_2", "1_1"]
    assert sum(p.numel() for p in network.parameters()) < sum(p.numel() for p in small("unetpp").parameters())


def test_shared_recurrences_have_a_third_of_the_recurrent_weights():
    own, shared = small("r2unet").down[0], small("r2unet", shared=True).down[0]
    recurrent = [sum(p.numel() for p in m.first.parameters()) for m in (own, shared)]
    assert recurrent[0] == 3 * recurrent[1]


def test_padding_reflects_and_repeats_where_it_cannot():
    row = torch.arange(5.0).reshape(1, 1, 1, 5).expand(1, 1, 5, 5)
    assert pad_to_multiple(row, 8)[0, 0, 0].tolist() == [0, 1, 2, 3, 4, 3, 2, 1]
    assert pad_to_multiple(row[..., :2], 8)[0, 0, 0].tolist() == [0, 1, 1, 1, 1, 1, 1, 1]


def test_every_network_of_the_paper_can_be_built_small():
    assert len(PAPER_NETWORKS) == 10
    assert [kind for kind, _ in PAPER_NETWORKS.values()].count("unet") == 5
    for kind, arguments in PAPER_NETWORKS.values():
        lighter = {**arguments, "layers": 1} if kind == "transunet" else arguments
        with torch.inference_mode():
            answer = build(kind, **lighter)(torch.rand(1, 1, 64, 64))
        assert answer.min() >= 0 and answer.max() <= 1


def test_an_unknown_network_is_refused_with_the_known_names():
    with pytest.raises(InvalidInputError, match="unet, vnet, unetpp, r2unet, attention_unet, transunet"):
        build("resnet")


@pytest.mark.parametrize(
    "name, arguments, words",
    [
        ("unet", {"colour": 1}, "do not fit"),
        ("unet", {"filters": ()}, "at least one"),
        ("unet", {"spatial_dims": 4}, "2 or 3"),
        ("unet", {"output_activation": "softmax"}, "linear, sigmoid, softplus"),
        ("unet", {"norm": "layer"}, "none, batch, instance"),
        ("unet", {"residual": True, "output_activation": "sigmoid"}, "linear"),
        ("transunet", {"heads": 5}, "divide"),
        ("monai_vnet", {"filters": (16, 32)}, "takes any"),
        ("monai_unetpp", {"filters": (16, 32)}, "five levels"),
        ("monai_attention_unet", {"filters": (16,)}, "at least two"),
        ("monai_attention_unet", {"norm": "batch"}, "leave norm out"),
    ],
)
def test_impossible_arguments_are_refused(name, arguments, words):
    with pytest.raises(InvalidInputError, match=words):
        build(name, **arguments)


def test_a_tensor_of_the_wrong_shape_is_refused():
    with pytest.raises(InvalidInputError, match=r"\(batch, 1, height, width\)"):
        small("unet")(torch.rand(1, 3, 16, 16))


def test_a_unet_needs_no_monai_and_the_registry_no_torch():
    code = (
        "import sys, manabi.networks as n; print('torch' in sys.modules); "
        "n.build('unet'); print('monai' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert said.split() == ["False", "False"]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_few_steps_of_training_lower_the_loss(name):
    """Catches weights so large that the sigmoid is saturated from the start."""
    torch.manual_seed(0)
    transformer = {"layers": 1, "heads": 2, "dim": 16, "mlp_dim": 32} if name == "transunet" else {}
    network = build(name, output_activation="sigmoid", **transformer)
    image = torch.rand(2, 1, 32, 32)
    target = torch.nn.functional.avg_pool2d(image, 5, 1, 2)
    optimiser = torch.optim.Adam(network.parameters(), 1e-3)
    losses = []
    for _ in range(15):
        loss = (network(image) - target).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.75 * losses[0]


def test_a_sigmoid_network_does_not_get_stuck_at_black_on_dark_images() -> None:
    torch.manual_seed(0)
    rows = torch.linspace(-1, 1, 32)
    blob = torch.exp(-12 * (rows[:, None] ** 2 + rows[None] ** 2))[None, None].repeat(8, 1, 1, 1)
    network = build("unet", filters=(16, 32, 64, 128), output_activation="sigmoid")
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    for _ in range(60):
        loss = (network(blob) - blob).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.25 * float(blob.square().mean())
