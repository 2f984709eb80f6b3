"""The generator's noise, its skips, and what the judge of patches sees."""

from __future__ import annotations

import pytest
import torch

from manabi.errors import InvalidInputError
from manabi.networks import build
from manabi.networks.pix2pix import NoiseDropout, PatchJudge, sampling

FILTERS = (4, 6, 8, 10, 12)


def generator(**arguments):
    torch.manual_seed(0)
    return build("pix2pix_generator", filters=FILTERS, **{"norm": "instance", **arguments})


def test_evaluation_repeats_and_sampling_varies():
    network, image = generator().eval(), torch.rand(1, 1, 32, 48)
    with torch.inference_mode():
        plain = network(image)
        assert torch.equal(plain, network(image))
        with sampling(network) as layers:
            first, second = network(image), network(image)
        assert layers == 3
        assert not torch.equal(first, second) and not torch.equal(first, plain)
        assert torch.equal(plain, network(image))


def test_the_samples_scatter_around_what_evaluation_gives():
    network, image = generator(norm="none", dropout=0.2).eval(), torch.rand(1, 1, 32, 32)
    with torch.inference_mode(), sampling(network):
        mean = torch.stack([network(image) for _ in range(200)]).mean(0)
    with torch.inference_mode():
        plain = network(image)
    assert (mean - plain).abs().mean() < 0.1 * plain.std()


def test_sampling_a_network_without_dropout_finds_no_noise():
    with sampling(generator(dropout=0.0)) as layers:
        assert layers == 0


def test_only_the_deepest_blocks_drop():
    drops = [[m.probability for m in block if isinstance(m, NoiseDropout)][0] for block in generator().up]
    assert drops == [0.0, 0.5, 0.5, 0.5]


@pytest.mark.parametrize("dims", [2, 3])
def test_every_level_has_its_skip(dims):
    network = generator(spatial_dims=dims).eval()
    network.up[0].register_forward_hook(lambda _module, _inputs, output: torch.zeros_like(output))
    image = torch.rand(1, 1, *(16,) * dims, requires_grad=True)
    (gradient,) = torch.autograd.grad(network(image).sum(), image)
    assert gradient.any()
    widths = [block[0].in_channels for block in network.up]
    assert widths == [12, 16, 20, 12]


def test_one_voxel_at_the_bottom_keeps_what_it_knows():
    network = generator().eval()
    seen = []
    network.down[-1].register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    with torch.inference_mode():
        answer = network(torch.rand(1, 1, 16, 16))
    assert seen[0].shape[2:] == (1, 1) and seen[0].abs().max() > 1e-3
    assert answer.isfinite().all() and answer.shape == (1, 1, 16, 16)


def test_neighbouring_slices_are_channels():
    assert generator(in_channels=5)(torch.rand(2, 5, 20, 33)).shape == (2, 1, 20, 33)


@pytest.mark.parametrize("filters, field", [((64, 128, 256, 512), 70), ((8, 8, 8), 34), ((8, 8), 16)])
def test_the_judge_sees_patches_of_the_documented_size(filters, field):
    torch.manual_seed(0)
    judge = PatchJudge(2, [min(f, 8) for f in filters], norm="none")
    image = torch.rand(1, 1, 128, 128, requires_grad=True)
    said = judge(torch.rand(1, 1, 128, 128), image)
    middle = said.shape[-1] // 2
    (gradient,) = torch.autograd.grad(said[0, 0, middle, middle], image)
    rows, columns = (gradient[0, 0].abs().sum(axis).nonzero() for axis in (1, 0))
    assert rows.max() - rows.min() + 1 == columns.max() - columns.min() + 1 == field


def test_the_judge_looks_at_the_source_too():
    judge = PatchJudge(4, (4, 8), spatial_dims=3)
    source, image = torch.rand(1, 3, 16, 16, 16), torch.rand(1, 1, 16, 16, 16)
    with torch.inference_mode():
        assert not torch.equal(judge(source, image), judge(source.flip(2), image))


def test_the_source_judge_has_the_published_number_of_weights():
    """C64-C128-C256-C512 and the output: 4×4 kernels, biases, affine norms of three layers, six input channels."""
    expected = sum(16 * a * b + b for a, b in ((6, 64), (64, 128), (128, 256), (256, 512), (512, 1)))
    assert sum(p.numel() for p in PatchJudge(6).parameters()) == expected + 2 * (128 + 256 + 512)


def test_impossible_arguments_are_refused():
    with pytest.raises(InvalidInputError, match="dropout"):
        generator(dropout=1.0)
    with pytest.raises(InvalidInputError, match="two filters"):
        PatchJudge(2, (8,))
