"""The source's classifiers: their published sizes, small images, and weights that fit or are refused."""

from __future__ import annotations

import pytest
import torch

from manabi.errors import CorruptModelError, InvalidInputError, ModelNotFoundError
from manabi.networks.classifiers import CLASSIFIERS, build_classifier, load_weights
from manabi.networks.inception import InceptionV3

PUBLISHED = {
    "densenet121": 7_978_856,
    "densenet161": 28_681_000,
    "densenet169": 14_149_480,
    "densenet201": 20_013_928,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "inception_v3": 23_834_568,
    "efficientnet_b0": 5_288_548,
    "efficientnet_b4": 19_341_616,
}
"""Weights of the published ImageNet models of 1000 classes (Inception-V3 without its auxiliary classifier)."""


def count(network):
    return sum(weight.numel() for weight in network.parameters())


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_networks_have_their_published_number_of_weights(name):
    assert count(build_classifier(name, 3, 1000)) == PUBLISHED[name]


@pytest.mark.parametrize("name", ["densenet121", "resnet50", "inception_v3", "efficientnet_b0"])
def test_a_small_image_gives_one_logit_and_a_gradient_to_every_weight(name):
    torch.manual_seed(0)
    network = build_classifier(name)
    answer = network(torch.randn(2, 3, 80, 80))
    assert answer.shape == (2, 1)
    answer.sum().backward()
    assert all(weight.grad is not None for weight in network.parameters())


def test_every_network_of_the_source_is_there():
    assert len(CLASSIFIERS) == 15
    assert {"densenet169", "resnet101", "inception_v3", "efficientnet_b7"} <= set(CLASSIFIERS)


def test_inception_without_its_last_layer_has_21_8_million_weights():
    network = InceptionV3()
    assert count(network) - count(network.head) == pytest.approx(21.8e6, abs=0.05e6)


def test_other_channels_and_outputs():
    assert build_classifier("efficientnet_b0", 1, 4).eval()(torch.zeros(1, 1, 64, 64)).shape == (1, 4)


def test_an_image_too_small_for_inception_is_refused():
    with pytest.raises(InvalidInputError, match="at least 75×75"):
        InceptionV3().eval()(torch.zeros(1, 3, 74, 80))


def test_an_unknown_name_is_refused():
    with pytest.raises(InvalidInputError, match="resnet50"):
        build_classifier("resnet18")


# --- weights ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A file of EfficientNet-b0's weights for 5 classes, and the network."""
    torch.manual_seed(1)
    network = build_classifier("efficientnet_b0", 3, 5)
    path = tmp_path_factory.mktemp("weights") / "b0.pt"
    torch.save({"state_dict": network.state_dict()}, path)
    return path, network


def test_weights_are_taken_over_but_for_a_head_of_another_size(saved):
    path, original = saved
    network = build_classifier("efficientnet_b0")
    report = load_weights(network, path)
    assert report.head == ("_fc.bias", "_fc.weight")
    assert report.loaded == len(original.state_dict()) - 2
    loaded, stored = network.state_dict(), original.state_dict()
    assert all(torch.equal(loaded[key], stored[key]) for key in stored if key not in report.head)


def test_weights_of_the_same_head_are_taken_over_whole(saved):
    path, original = saved
    network = build_classifier("efficientnet_b0", 3, 5, weights=path)
    assert torch.equal(network.state_dict()["_fc.weight"], original.state_dict()["_fc.weight"])


def test_weights_of_another_network_are_refused_naming_what_differs(saved):
    with pytest.raises(InvalidInputError, match="is missing.*more"):
        build_classifier("resnet50", weights=saved[0])
    with pytest.raises(InvalidInputError, match=r"_conv_stem.* is \(32, 3, 3, 3\) instead of \(32, 1, 3, 3\)"):
        build_classifier("efficientnet_b0", 1, weights=saved[0])


def test_files_that_are_not_weights_are_refused(tmp_path):
    with pytest.raises(ModelNotFoundError, match="no weights"):
        build_classifier("efficientnet_b0", weights=tmp_path / "none.pt")
    (tmp_path / "text.pt").write_text("hello", encoding="utf-8")
    with pytest.raises(CorruptModelError, match=r"text\.pt"):
        build_classifier("efficientnet_b0", weights=tmp_path / "text.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(CorruptModelError, match="state dictionary"):
        build_classifier("efficientnet_b0", weights=tmp_path / "list.pt")
