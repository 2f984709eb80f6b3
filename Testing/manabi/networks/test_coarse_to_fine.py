"""The network of two stages: they meet where they should, at any size."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from manabi.errors import InvalidInputError
from manabi.networks import build
from manabi.networks.coarse_to_fine import LEAST, CoarseToFine

SIZES = [(12, 16, 20), (13, 17, 21), (9, 16, 15)]


def network(in_channels=1, classes=4, norm="instance", corrects=True) -> CoarseToFine:
    """Random weights; with ``corrects``, those of the fine stage's last layer too, which begin at zero."""
    torch.manual_seed(3)
    small = {"filters": [4, 8], "stream": 4, "norm": norm}
    net = build("coarse_to_fine", classes=classes, coarse=small, fine=small, in_channels=in_channels).eval()
    if corrects:
        torch.nn.init.normal_(net.fine.head.weight)
    return net


@pytest.mark.parametrize("size", SIZES)
def test_every_size_comes_back(size):
    net = network()
    image = torch.rand(2, 1, *size)
    with torch.no_grad():
        assert net(image).shape == (2, 4, *size)
        logits, side = net.look(image)
    half = tuple(-(-n // 2) for n in size)
    assert logits.shape == (2, 4, *half)
    assert side.shape == (2, 1, *half)


@pytest.mark.parametrize("size", SIZES)
def test_without_a_correction_the_answer_is_the_coarse_one(size):
    net = network(corrects=False)
    image = torch.rand(1, 1, *size)
    with torch.no_grad():
        coarse = net.enlarged(net.look(image)[0], size)
        answer = net(image).softmax(1)
    np.testing.assert_allclose(answer, coarse.clamp(min=LEAST) / coarse.clamp(min=LEAST).sum(1, keepdim=True),
                               atol=1e-6)  # fmt: skip


def test_a_perfect_coarse_answer_stays_and_can_be_overruled():
    net = network(corrects=False)
    truth = torch.zeros(1, 12, 12, 12, dtype=torch.long)
    truth[:, 3:9, 2:7, 4:10] = 2
    perfect = F.one_hot(truth, 4).movedim(-1, 1).float()
    image = torch.rand(1, 1, 12, 12, 12)
    with torch.no_grad():
        assert (net.sharpen(image, perfect).argmax(1) == truth).all()
        net.fine.head.bias[3] = 1.0 - np.log(LEAST)
        assert (net.sharpen(image, perfect).argmax(1) == 3).all(), "no probability is so low that it cannot be raised"
        assert torch.isfinite(net.sharpen(image, perfect)).all()


def test_the_coarse_answer_lies_where_the_image_lies():
    net = network()
    logits = torch.full((1, 4, 6, 6, 6), -20.0)
    logits[:, 0] = 20.0
    logits[:, 0, 2, 3, 1], logits[:, 1, 2, 3, 1] = -20.0, 20.0
    place = np.argwhere(net.enlarged(logits, (12, 12, 12))[0, 1].numpy() > 0.4).mean(0)
    assert place.tolist() == [4.5, 6.5, 2.5], "voxel n at 2 mm covers the voxels 2n and 2n + 1"


def test_looking_is_answering_the_image_at_half_the_resolution():
    net = network()
    image = torch.rand(1, 1, 13, 16, 18)
    longer = torch.cat([image, image[:, :, -1:]], 2)
    with torch.no_grad():
        for one, two, three in zip(net.look(image), net.look(longer), net.answer(F.avg_pool3d(longer, 2)),
                                   strict=True):  # fmt: skip
            torch.testing.assert_close(one, two)
            torch.testing.assert_close(one, three)


def test_the_stages_alone_are_what_the_whole_is_made_of():
    net = network()
    image = torch.rand(1, 1, 12, 16, 20)
    with torch.no_grad():
        coarse = net(F.avg_pool3d(image, 2), stage="coarse")
        assert coarse.shape[1] == 5, "the side's logit comes last"
        probabilities = net.enlarged(coarse[:, :4], (12, 16, 20))
        torch.testing.assert_close(net(image, stage="fine", probabilities=probabilities), net(image))


@pytest.mark.parametrize("norm", ["none", "batch", "instance"])
def test_two_contrasts_and_every_normalisation(norm):
    net = network(in_channels=2, norm=norm)
    image = torch.rand(1, 2, 8, 8, 8)
    with torch.no_grad():
        answer = net(image)
        assert answer.shape == (1, 4, 8, 8, 8)
        assert not torch.equal(net(image.flip(1)), answer), "the order of the contrasts matters"


def test_untrained_the_fine_stage_changes_nothing_and_learns():
    net = network(corrects=False)
    image = torch.rand(1, 1, 8, 8, 8)
    assert not any(weight.any() for weight in net.fine.head.parameters())
    net(image)[:, 1].mean().backward()
    assert net.fine.head.weight.grad.abs().max() > 0


@pytest.mark.parametrize("shape", [(1, 2, 8, 8, 8), (1, 8, 8, 8)])
def test_another_image_than_it_was_made_for_is_refused(shape):
    with pytest.raises(InvalidInputError, match="slices, rows, columns"):
        network()(torch.rand(*shape))


def test_one_class_is_refused():
    with pytest.raises(InvalidInputError, match="at least 2 classes"):
        CoarseToFine(1, {"filters": [4, 8]}, {"filters": [4, 8]})
