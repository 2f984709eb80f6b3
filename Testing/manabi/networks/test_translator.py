"""The translator in two parts, its options, the judge of patches, and converters in pairs."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from manabi.errors import InvalidInputError
from manabi.networks import build
from manabi.networks.converter_pair import ConverterPair, centre
from manabi.networks.patch_discriminator import PatchDiscriminator, verdict_weights
from manabi.networks.pix2pix import sampling
from manabi.networks.translator import Mirrored, PixelShuffle, PlainInstanceNorm, Translator

SMALL = {"filters": (4, 6, 8), "blocks": 3}


def translator(**arguments):
    torch.manual_seed(0)
    return Translator(**{**SMALL, **arguments})


@pytest.mark.parametrize("skip", ["none", "concat", "add", "conv"])
@pytest.mark.parametrize("down, up", [("stride", "resize"), ("maxpool", "unpool"), ("stride", "pixelshuffle")])
@pytest.mark.parametrize("dims", [2, 3])
def test_every_option_gives_the_size_back_and_trains_all_its_weights(skip, down, up, dims):
    network = translator(skip=skip, down=down, up=up, spatial_dims=dims)
    answer = network(torch.rand(1, 1, *(9, 18, 21)[3 - dims :]))
    assert answer.shape == (1, 1, *(9, 18, 21)[3 - dims :])
    answer.square().mean().backward()
    assert all(p.grad is not None and p.grad.any() for n, p in network.named_parameters() if n.endswith("weight"))


def test_decoding_what_was_encoded_is_the_network_itself():
    network, image = translator(skip="concat", residual=True), torch.rand(2, 1, 17, 22)
    latent, skips = network.encode(image)
    assert latent.shape == (2, 8, 6, 6) and len(skips.levels) == 3
    assert torch.equal(network.decode(latent, skips), network(image))


def test_without_skips_the_answer_follows_from_the_latent_image_alone():
    network, image = translator(), torch.rand(1, 1, 16, 16)
    latent, skips = network.encode(image)
    other = skips._replace(levels=tuple(torch.zeros_like(level) for level in skips.levels))
    assert torch.equal(network.decode(latent, other), network.decode(latent, skips))
    joined = translator(skip="add")
    latent, skips = joined.encode(image)
    other = skips._replace(levels=tuple(torch.zeros_like(level) for level in skips.levels))
    assert not torch.equal(joined.decode(latent, other), joined.decode(latent, skips))


def test_the_source_has_as_many_blocks_in_either_half():
    network = translator(blocks=18)
    assert (len(network.encoder_blocks), len(network.decoder_blocks)) == (9, 9)
    assert (len(translator().encoder_blocks), len(translator().decoder_blocks)) == (2, 1)


def test_a_residual_network_corrects_every_slice_or_the_middle_one():
    image = torch.rand(1, 3, 16, 16)
    for outputs, expected in ((3, image), (1, image[:, 1:2])):
        network = translator(in_channels=3, out_channels=outputs, residual=True)
        with torch.no_grad():
            network.head.weight.zero_()
        assert torch.equal(network(image), expected)
    near = translator(residual=True, in_channels=3, out_channels=3)
    assert 0 < (near(image) - image).abs().mean() < 0.5


def test_latent_noise_is_of_training_alone():
    network, image = translator(latent_noise=0.5), torch.rand(1, 1, 16, 16)
    assert not torch.equal(network(image), network(image))
    network.eval()
    assert torch.equal(network(image), network(image))


def test_dropout_can_be_sampled():
    network, image = translator(dropout=0.5).eval(), torch.rand(1, 1, 16, 16)
    assert torch.equal(network(image), network(image))
    with torch.no_grad(), sampling(network) as layers:
        assert layers == 3 and not torch.equal(network(image), network(image))


def test_tanh_keeps_every_slice_between_minus_one_and_one():
    network = translator(in_channels=3, out_channels=3, output_activation="tanh")
    with torch.no_grad():
        network.head.weight.mul_(100)
        answer = network(torch.randn(1, 3, 16, 16))
    assert answer.abs().max() <= 1 and (answer.abs() > 0.99).any()


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("shape", [(5, 6, 7), (5, 3, 4, 6)])
def test_instance_normalisation_is_torchs_own(n, shape):
    image = torch.randn(n, *shape, dtype=torch.double, requires_grad=True)
    ours, theirs = PlainInstanceNorm()(image), F.instance_norm(image)
    torch.testing.assert_close(ours, theirs)
    weights = torch.rand_like(ours)
    found, expected = (torch.autograd.grad((y * weights).sum(), image)[0] for y in (ours, theirs))
    torch.testing.assert_close(found, expected)


def test_the_margin_is_torchs_reflection():
    image = torch.rand(2, 3, 6, 5)
    assert torch.equal(Mirrored(3)(image), F.pad(image, [3] * 4, mode="reflect"))


def test_the_pixel_shuffle_is_torchs_in_two_dimensions():
    image = torch.rand(2, 12, 4, 5)
    assert torch.equal(PixelShuffle()(image), F.pixel_shuffle(image, 2))
    assert PixelShuffle()(torch.rand(1, 16, 2, 3, 4)).shape == (1, 2, 4, 6, 8)


@pytest.mark.parametrize(
    "wrong, words",
    [
        ({"skip": "some"}, "skip must be one of"),
        ({"down": "up"}, "down must be"),
        ({"up": "down"}, "up must be"),
        ({"blocks": -1}, "at least 0 blocks"),
        ({"dropout": 1.0}, "dropout"),
        ({"residual": True, "output_activation": "tanh"}, "linear"),
    ],
)
def test_impossible_translators_are_refused(wrong, words):
    with pytest.raises(InvalidInputError, match=words):
        translator(**wrong)


def test_encoding_another_number_of_slices_is_refused():
    with pytest.raises(InvalidInputError, match=r"\(batch, 3, height, width\)"):
        translator(in_channels=3).encode(torch.rand(1, 1, 16, 16))


# --- the judge of patches -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("filters, field", [((4, 4, 4), 46), ((4, 4), 22)])
def test_the_judge_sees_patches_of_the_documented_size(filters, field):
    torch.manual_seed(0)
    image = torch.rand(1, 1, 128, 128, requires_grad=True)
    said = PatchDiscriminator(1, filters, norm="none")(image)
    middle = said.shape[-1] // 2
    (gradient,) = torch.autograd.grad(said[0, 0, middle, middle], image)
    rows = gradient[0, 0].abs().sum(1).nonzero()
    assert rows.max() - rows.min() + 1 == field


def test_a_weighted_judge_has_a_weight_for_each_patch():
    verdict = PatchDiscriminator(2, (4, 6), weighted=True)(torch.rand(2, 2, 32, 32))
    weights = verdict_weights(verdict)
    assert verdict.shape[1] == 2 and weights.shape == verdict[:, :1].shape
    assert torch.equal(weights, torch.tanh(verdict[:, 1:]) + 1)
    assert (verdict_weights(verdict[:, :1]) == 1).all()


def test_instance_normalisation_hides_the_level_from_the_judge():
    image = torch.rand(1, 1, 64, 64)
    for norm, sees in (("none", True), ("instance", False)):
        torch.manual_seed(0)
        judge = PatchDiscriminator(1, (8, 8, 8), norm=norm)
        change = (judge(image * 3) - judge(image)).abs().mean() / judge(image).std()
        assert (change > 0.5) == sees


@pytest.mark.parametrize("wrong", [{"filters": ()}, {"kernel": 1}, {"norm": "layer"}, {"spatial_dims": 4}])
def test_impossible_judges_are_refused(wrong):
    with pytest.raises(InvalidInputError):
        PatchDiscriminator(**wrong)


# --- converters in pairs --------------------------------------------------------------------------------------------


def pair(context=3, outputs=None, backward=True):
    torch.manual_seed(0)
    arguments = {**SMALL, "in_channels": context, "out_channels": outputs or context, "residual": True}
    return build("converter_pair", forward=arguments, backward=arguments if backward else None)


def test_a_pair_answers_with_the_middle_slice_there_and_back():
    both, stack = pair().eval(), torch.rand(2, 3, 20, 24)
    assert isinstance(both, ConverterPair) and both.context == 3 and both.has_return
    converted, again = both.cycle(stack)
    assert torch.equal(converted, both(stack)) and converted.shape == (2, 1, 20, 24)
    assert torch.equal(again, centre(both.returner(both.converter(stack))))
    assert torch.equal(both.back(stack), centre(both.returner(stack)))
    assert not torch.equal(both.back(stack), both(stack))


def test_a_pair_without_a_way_back_says_so():
    alone, stack = pair(backward=False), torch.rand(1, 3, 16, 16)
    assert not alone.has_return and alone(stack).shape == (1, 1, 16, 16)
    for call in (alone.back, alone.cycle):
        with pytest.raises(InvalidInputError, match="without a way back"):
            call(stack)


def test_a_cycle_through_one_slice_says_what_to_do():
    single, stack = pair(outputs=1), torch.rand(1, 3, 16, 16)
    with pytest.raises(InvalidInputError, match="takes 3 slices and the converter gives 1"):
        single.cycle(stack)
    assert single.back(stack).shape == (1, 1, 16, 16)
