"""Each pattern of skips has exactly the connections it is named for."""

from __future__ import annotations

import pytest
import torch

from manabi.errors import InvalidInputError
from manabi.networks import build
from manabi.networks.skipnet import PATTERNS

FILTERS = (4, 6, 8, 10)
DOCUMENTED = {
    "none": (487121, 1459697),
    "full_resolution": (489425, 1466609),
    "horizontal": (535505, 1604849),
    "vertical": (548337, 1631793),
    "crossover": (596721, 1776945),
}
HORIZONTAL = {"none": (), "full_resolution": (0,), "horizontal": (0, 1, 2), "vertical": (), "crossover": (0, 1, 2)}
STREAM = ("vertical", "crossover")


def network_of(pattern, dims=2):
    torch.manual_seed(3)
    return build("skipnet", pattern=pattern, filters=FILTERS, stream=5, spatial_dims=dims)


def zeros_after(module):
    return module.register_forward_hook(lambda _module, _inputs, output: torch.zeros_like(output))


def gradient_at(network, module, image, call=0):
    """Whether the answer depends on what the module gave."""
    seen = []
    handle = module.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    answer = network(image).sum()
    handle.remove()
    (gradient,) = torch.autograd.grad(answer, seen[call], allow_unused=True)
    return gradient is not None and bool(gradient.any())


def depends_on_input(network, dims=2):
    image = torch.rand(1, 1, *(16,) * dims, requires_grad=True)
    (gradient,) = torch.autograd.grad(network(image).sum(), image, allow_unused=True)
    return gradient is not None and bool(gradient.any())


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_with_the_bottom_cut_the_answer_knows_the_image_only_where_a_skip_is(pattern, dims):
    network = network_of(pattern, dims)
    assert depends_on_input(network, dims)
    zeros_after(network.up[0])
    assert depends_on_input(network, dims) == (pattern != "none")


@pytest.mark.parametrize("level", range(3))
@pytest.mark.parametrize("pattern", PATTERNS)
def test_features_pass_sideways_at_the_levels_of_the_pattern(pattern, level):
    network = network_of(pattern)
    zeros_after(network.up[level])
    if pattern in STREAM:
        for write in (*network.write_down, *network.write_up):
            zeros_after(write)
    image = torch.rand(1, 1, 32, 32)
    assert gradient_at(network, network.down[level], image) == (level in HORIZONTAL[pattern])


@pytest.mark.parametrize("pattern", STREAM)
def test_every_block_writes_the_stream(pattern):
    network = network_of(pattern)
    image = torch.rand(1, 1, 32, 32)
    for up in network.up:
        zeros_after(up)
    blocks = (*network.down, *network.merge)
    assert len(network.write_down) + len(network.write_up) == len(blocks) == 7
    assert all(gradient_at(network, block, image) for block in blocks)


@pytest.mark.parametrize("pattern", STREAM)
def test_every_block_reads_the_stream(pattern):
    """What the stem says changes what each block says, when nothing else that it sees does."""
    network = network_of(pattern).eval()
    image = torch.rand(1, 1, 32, 32)
    blocks = (*network.down, *network.merge)
    inputs = {}
    for index, block in enumerate(blocks):
        block.register_forward_pre_hook(lambda _module, args, index=index: inputs.__setitem__(index, args[0]))
    with torch.no_grad():
        network(image)
        before = dict(inputs)
        network.stem.register_forward_hook(lambda _module, _inputs, output: output + 1)
        for block in blocks:
            zeros_after(block)
        network(image)
    for index in before:
        read = inputs[index][:, -5:]
        assert read.min() >= 1 - 1e-6, f"block {index} does not see the stream"


@pytest.mark.parametrize("pattern", ["none", "full_resolution", "horizontal"])
def test_patterns_without_a_stream_have_none(pattern):
    names = {name.split(".")[0] for name, _ in network_of(pattern).named_parameters()}
    assert names == {"down", "up", "merge", "head"}


def test_the_stream_gives_a_path_at_full_resolution_past_all_blocks():
    network = network_of("vertical")
    for block in (*network.down, *network.merge):
        zeros_after(block)
    assert depends_on_input(network)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_number_of_parameters_is_the_documented_one(pattern, dims):
    network = build("skipnet", pattern=pattern, spatial_dims=dims)
    assert sum(p.numel() for p in network.parameters()) == DOCUMENTED[pattern][dims - 2]


def test_horizontal_is_the_unet():
    ours, unet = network_of("horizontal"), build("unet", filters=FILTERS)
    unet.load_state_dict(ours.state_dict(), strict=True)
    image = torch.rand(1, 1, 24, 40)
    with torch.inference_mode():
        assert torch.equal(ours(image), unet(image))


@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_norms_many_classes_and_odd_sizes_work(pattern, norm):
    network = build("skipnet", pattern=pattern, filters=(4, 6, 8), norm=norm, in_channels=3, out_channels=6)
    answer = network(torch.rand(2, 3, 21, 35))
    assert answer.shape == (2, 6, 21, 35) and answer.isfinite().all()
    kind = {"batch": torch.nn.BatchNorm2d, "instance": torch.nn.InstanceNorm2d}[norm]
    assert any(isinstance(module, kind) for module in network.modules())


def test_a_single_level_has_nothing_to_skip():
    for pattern in PATTERNS:
        assert build("skipnet", pattern=pattern, filters=(4,))(torch.rand(1, 1, 5, 6)).shape == (1, 1, 5, 6)


def test_more_convolutions_per_block_add_their_weights():
    two, three = (build("skipnet", filters=(4, 6), pattern="none", convolutions=n) for n in (2, 3))
    more = sum(p.numel() for p in three.parameters()) - sum(p.numel() for p in two.parameters())
    assert more == 2 * (9 * 16 + 4) + 9 * 36 + 6


@pytest.mark.parametrize("wrong", [{"pattern": "diagonal"}, {"stream": 0}, {"convolutions": 0}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(InvalidInputError, match="none, full_resolution, horizontal, vertical, crossover"):
        build("skipnet", **wrong)
