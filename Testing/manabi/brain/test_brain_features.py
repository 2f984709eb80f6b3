"""Feature maps: the channel that makes a structure comes first, and ablation agrees."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

from manabi.brain.features import Layer, ablated_drop, feature_maps, layers
from manabi.context import Context
from manabi.errors import CancelledError, InvalidInputError
from manabi.networks import build

CHANNELS = 6
DRIVER = 4


class ByHand(nn.Module):
    """Channel ``DRIVER`` alone says where the bright square is; the others are copies that nobody reads."""

    def __init__(self, dims=2, classes=3):
        super().__init__()
        kind = nn.Conv3d if dims == 3 else nn.Conv2d
        self.out_channels = classes
        self.block = nn.Sequential(kind(1, CHANNELS, 1), nn.ReLU(inplace=True))
        self.head = kind(CHANNELS, classes, 1)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.zero_()
            self.block[0].weight.fill_(1.0)
            self.block[0].weight[DRIVER] = 2.0
            self.head.weight[2, DRIVER] = 3.0
            self.head.bias[2] = -1.0

    def forward(self, x):
        return self.head(self.block(x))


def image(dims=2, slices=5):
    x = torch.zeros(slices, 1, 12, 14)
    x[1:4, :, 3:7, 4:9] = 1.0
    return x if dims == 2 else x.movedim(0, 1)[None]


def trained_looking(seed=0, **arguments):
    """A small network whose random weights find something of every class."""
    torch.manual_seed(seed)
    network = build("skipnet", filters=(6, 8, 10), out_channels=3, stream=6, **arguments)
    return network.eval(), torch.rand(3, 1, 18, 22)


@pytest.mark.parametrize("dims", [2, 3])
def test_the_channel_that_alone_drives_the_structure_comes_first(dims):
    found = feature_maps(ByHand(dims), image(dims), "block", 2, top=3)
    assert found.channels[0] == DRIVER
    assert found.contributions.tolist() == pytest.approx([6.0, 0.0, 0.0])
    assert found.maps.shape == (3, 5, 12, 14)
    np.testing.assert_allclose(found.maps[0], 2 * image()[:, 0].numpy())


@pytest.mark.parametrize("dims", [2, 3])
def test_ablation_measures_what_the_contribution_says_where_the_rest_is_linear(dims):
    network, x = ByHand(dims), image(dims)
    drops = ablated_drop(network, x, "block", 2, range(CHANNELS))
    expected = np.zeros(CHANNELS)
    expected[DRIVER] = 6.0
    np.testing.assert_allclose(drops, expected, atol=1e-6)


def shapes(seed):
    """Bright squares are class 1, dark ones class 2."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.zeros(4, 24, 24, dtype=torch.long)
    for plane in labels:
        a, b, c, d = torch.randint(0, 12, (4,), generator=generator).tolist()
        plane[a : a + 9, b : b + 9] = 1
        plane[c : c + 6, d : d + 6] = 2
    noise = 0.3 * torch.randn(4, 1, 24, 24, generator=generator)
    return torch.tensor([0.0, 1.0, -1.0])[labels][:, None] + noise, labels


@pytest.mark.parametrize("pattern", ["horizontal", "crossover"])
def test_contributions_and_ablation_agree_in_sign_and_order_on_a_small_trained_network(pattern):
    torch.manual_seed(2)
    network = build("skipnet", filters=(6, 8, 10), out_channels=3, stream=6, pattern=pattern)
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    for step in range(60):
        x, labels = shapes(step)
        loss = nn.functional.cross_entropy(network(x), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    x, labels = shapes(999)
    for layer, structure in (("merge.0", 1), ("merge.0", 2)):
        inside = (labels == structure).numpy()
        found = feature_maps(network, x, layer, structure, top=99, inside=inside)
        drops = ablated_drop(network, x, layer, structure, found.channels, inside=inside)
        assert spearmanr(found.contributions, drops).statistic > 0.8
        assert (np.diff(found.contributions) <= 0).all()
        large = np.abs(drops) > 0.2 * np.abs(drops).max()
        assert (np.sign(found.contributions[large]) == np.sign(drops[large])).all()


def test_the_layers_are_the_blocks_and_single_convolutions_in_running_order():
    assert layers(ByHand()) == [Layer("block", CHANNELS, 1), Layer("head", 3, 1)]
    network, _ = trained_looking(pattern="vertical", spatial_dims=3)
    found = {layer.name: layer for layer in layers(network)}
    assert list(found)[:3] == ["stem", "down.0", "write_down.0"] and list(found)[-2:] == ["join", "head"]
    assert found["down.2"] == Layer("down.2", 10, 4) and found["up.1.convolve"] == Layer("up.1.convolve", 8, 2)


@pytest.mark.parametrize("name", ["unet", "unetpp", "r2unet", "attention_unet", "skipnet", "pix2pix_generator"])
def test_every_listed_layer_of_every_network_can_be_shown_at_the_images_size(name):
    torch.manual_seed(0)
    network = build(name, filters=(4, 6, 8), out_channels=2)
    x = torch.rand(2, 1, 13, 10)
    everywhere = np.ones((2, 13, 10), bool)
    for layer in layers(network):
        found = feature_maps(network, x, layer.name, 1, top=2, inside=everywhere)
        assert found.maps.shape == (min(2, layer.channels), 2, 13, 10) and np.isfinite(found.contributions).all()


def test_coarse_maps_lie_where_the_image_does_although_the_network_pads():
    torch.manual_seed(0)
    network = build("unet", filters=(4, 4, 4, 4))
    x = torch.zeros(1, 1, 37, 37)
    x[..., 8:16, 24:32] = 5.0
    found = feature_maps(network, x, "down.2", 0, top=4, inside=np.ones((1, 37, 37), bool))
    empty = feature_maps(network, 0 * x, "down.2", 0, top=4, inside=np.ones((1, 37, 37), bool))
    change = np.zeros((37, 37))
    for channel, plane in zip(found.channels, found.maps, strict=True):
        change += np.abs(plane[0] - empty.maps[list(empty.channels).index(channel)][0])
    rows, columns = np.mgrid[:37, :37]
    centre = (change * rows).sum() / change.sum(), (change * columns).sum() / change.sum()
    assert centre == pytest.approx((11.5, 27.5), abs=1.5)


def test_batches_do_not_change_the_answer():
    network, x = trained_looking()
    one, all_at_once = (feature_maps(network, x, "merge.0", 1, batch=n) for n in (1, 3))
    np.testing.assert_allclose(one.contributions, all_at_once.contributions, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(one.maps, all_at_once.maps, atol=1e-5)


def test_the_network_is_left_as_it_was():
    network, x = trained_looking(norm="batch")
    network.train()
    network.head.weight.requires_grad_(False)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    feature_maps(network, x, "merge.0", 1, inside=np.ones((3, 18, 22), bool))
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert all(m.training for m in network.modules()) and not any(m._forward_hooks for m in network.modules())
    assert [n for n, p in network.named_parameters() if not p.requires_grad] == ["head.weight"]


def test_a_single_output_finds_its_structure_above_zero():
    network = ByHand(classes=3)
    network.out_channels, head = 1, nn.Conv2d(CHANNELS, 1, 1)
    head.load_state_dict({"weight": network.head.weight[2:].clone(), "bias": network.head.bias[2:].clone()})
    network.head = head
    found = feature_maps(network, image(), "block", 0, top=1)
    assert found.channels.tolist() == [DRIVER] and found.contributions.tolist() == pytest.approx([6.0])


def test_a_structure_that_is_not_there_and_wrong_requests_are_refused():
    network, x = ByHand(), image()
    with pytest.raises(InvalidInputError, match="finds nothing of class 1"):
        feature_maps(network, x, "block", 1)
    with pytest.raises(InvalidInputError, match="no layer 'other' .* Known: block, head"):
        feature_maps(network, x, "other", 2)
    with pytest.raises(InvalidInputError, match="classes 0 to 2; got 3"):
        ablated_drop(network, x, "block", 3, [0])
    with pytest.raises(InvalidInputError, match="one volume"):
        feature_maps(network, torch.zeros(2, 1, 4, 4, 4), "block", 2)
    with pytest.raises(InvalidInputError, match="convolutions"):
        layers(nn.Linear(2, 2))


def test_it_can_be_cancelled():
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(CancelledError):
        feature_maps(ByHand(), image(), "block", 2, context=Context(cancel=cancel))
