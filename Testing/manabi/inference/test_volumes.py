"""Predicting volumes: MONAI's values, the network's own values, foreground, padding, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.inference import predict_volume


def _image(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def _direct(network: nn.Module, image: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return network(torch.from_numpy(image)[None])[0].numpy()


@pytest.mark.parametrize("blend", ["constant", "gaussian"])
@pytest.mark.parametrize("overlap", [0.25, 0.5])
@pytest.mark.parametrize("batch", [1, 3])
def test_the_same_windows_give_the_values_of_monai(blur, exact, blend, overlap, batch):
    from monai.inferers import sliding_window_inference

    image = _image(1, 21, 18, 35)
    ours = predict_volume(blur, image, context=exact, window=(8, 16, 12), overlap=overlap, blend=blend, batch=batch,
                          divisor=4)
    with torch.inference_mode():
        theirs = sliding_window_inference(torch.from_numpy(image)[None], (8, 16, 12), batch, blur, overlap, mode=blend)
    np.testing.assert_allclose(ours, theirs[0].numpy(), atol=2e-6)


def test_a_volume_that_fits_is_one_pass_with_the_networks_own_values(blur, exact):
    image = _image(1, 16, 32, 16)
    np.testing.assert_allclose(predict_volume(blur, image, context=exact), _direct(blur, image), atol=1e-6)


def test_the_leading_axis_and_tensors_are_accepted(blur, exact):
    image = _image(1, 16, 16, 16)
    as_tensor = predict_volume(blur, torch.from_numpy(image)[None], context=exact)
    np.testing.assert_array_equal(as_tensor, predict_volume(blur, image, context=exact))


@pytest.mark.parametrize("window", [None, (16, 16, 16)])
def test_labels_are_the_greatest_output(blur, exact, window):
    image = _image(1, 20, 32, 24)
    outputs = predict_volume(blur, image, context=exact, window=window)
    labels = predict_volume(blur, image, context=exact, window=window, reduce="argmax")
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, outputs.argmax(0))


@pytest.mark.parametrize("shape", [(1, 5, 7), (17, 16, 33), (1, 1, 1)])
@pytest.mark.parametrize("window", [None, (16, 32, 16)])
def test_any_shape_comes_back_on_its_own_grid(hungry, exact, shape, window):
    network, image = hungry(10**9), _image(1, *shape)
    found = predict_volume(network, image, context=exact, window=window)
    np.testing.assert_allclose(found, _direct(network, image), atol=1e-6)


def test_integer_and_read_only_images_are_taken_and_left_alone(blur, exact):
    image = np.random.default_rng(1).integers(-1000, 1000, size=(1, 16, 16, 16)).astype(np.int16)
    before = image.copy()
    image.setflags(write=False)
    found = predict_volume(blur, image, context=exact)
    np.testing.assert_allclose(found, _direct(blur, image.astype(np.float32)), rtol=1e-4, atol=1e-2)
    np.testing.assert_array_equal(image, before)


def test_windows_without_foreground_are_left_out_and_get_the_empty_value(blur, exact):
    image = _image(1, 16, 16, 96)
    mask = np.zeros((16, 16, 96), bool)
    mask[8, 8, [4, 90]] = True
    calls = []
    blur.register_forward_hook(lambda *_: calls.append(1))
    found = predict_volume(blur, image, context=exact, window=(16,) * 3, overlap=0.0, foreground=mask, empty_value=-7)
    assert len(calls) == 2
    assert (found[..., 16:80] == -7).all()
    reference = predict_volume(blur, image, context=exact, window=(16, 16, 16), overlap=0.0)
    np.testing.assert_array_equal(found[..., :16], reference[..., :16])


def test_a_threshold_cuts_to_the_box_around_what_exceeds_it(blur, exact):
    image = np.zeros((1, 16, 16, 128), np.float32)
    image[0, 8, 8, 60:68] = 5
    seen = []
    blur.register_forward_pre_hook(lambda _, args: seen.append(tuple(args[0].shape[2:])))
    found = predict_volume(blur, image, context=exact, foreground=1.0, divisor=4, reduce="argmax", empty_value=9)
    assert seen == [(12, 12, 16)]
    assert (found[..., 0] == 9).all()
    assert (found[8, 8, 60:68] < 3).all()


def test_nothing_in_the_foreground_is_an_empty_result(blur, exact):
    image = _image(1, 16, 16, 16)
    found = predict_volume(blur, image, context=exact, foreground=99.0, n_outputs=3, empty_value=-1)
    assert found.shape == (3, 16, 16, 16)
    assert (found == -1).all()
    with pytest.raises(InvalidInputError, match="foreground is empty"):
        predict_volume(blur, image, context=exact, foreground=99.0)


def test_the_first_of_several_outputs_is_taken(blur, exact):
    class Deep(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = blur

        def forward(self, x):
            return [self.inner(x), x]

    image = _image(1, 16, 16, 16)
    np.testing.assert_allclose(predict_volume(Deep(), image, context=exact), _direct(blur, image), atol=1e-6)


def test_the_same_run_gives_the_same_bits(blur):
    image = _image(1, 32, 32, 32)
    runs = [predict_volume(blur, image, context=Context(device="cpu"), window=(16, 16, 16)) for _ in range(2)]
    np.testing.assert_array_equal(*runs)


def test_bfloat16_returns_float32_close_to_float32(blur, exact):
    image = _image(1, 32, 32, 32)
    low = predict_volume(blur, image, context=Context(device="cpu", precision="bfloat16"))
    assert low.dtype == np.float32
    np.testing.assert_allclose(low, predict_volume(blur, image, context=exact), atol=0.05)


@pytest.mark.parametrize(
    "wrong",
    [
        {"overlap": 1.0},
        {"overlap": -0.1},
        {"batch": 0},
        {"window": (10, 16, 16)},
        {"window": (0, 16, 16)},
        {"blend": "linear"},
        {"reduce": "max"},
        {"reduce": "argmax", "empty_value": -1},
        {"n_outputs": 5},
        {"foreground": np.ones((2, 2, 2))},
    ],
)
def test_wishes_that_cannot_be_met_are_refused(blur, exact, wrong):
    with pytest.raises(InvalidInputError):
        predict_volume(blur, _image(1, 16, 16, 16), context=exact, **wrong)


@pytest.mark.parametrize("shape", [(16, 16, 16), (2, 1, 16, 16, 16), (1, 0, 16, 16)])
def test_images_of_another_shape_are_refused(blur, exact, shape):
    with pytest.raises(InvalidInputError, match="channels, slices, rows, columns"):
        predict_volume(blur, np.zeros(shape, np.float32), context=exact)


def test_a_network_that_returns_no_volume_is_refused(exact):
    with pytest.raises(InvalidInputError, match="one value per voxel"):
        predict_volume(nn.AvgPool3d(2), _image(1, 16, 16, 16), context=exact)
