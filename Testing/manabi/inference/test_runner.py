"""The runner: cancelled between layers, progress, and the network left as it was."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from manabi.context import Context
from manabi.errors import CancelledError, InvalidInputError
from manabi.inference import Runner, predict_stack, predict_volume


class _Recorder(nn.Module):
    def __init__(self, reached: list[str], name: str, action=None) -> None:
        super().__init__()
        self.reached, self.name, self.action = reached, name, action

    def forward(self, x):
        self.reached.append(self.name)
        if self.action is not None:
            self.action()
        return x


def test_a_cancelled_pass_stops_before_the_next_layer():
    context, reached = Context(device="cpu"), []
    network = nn.Sequential(_Recorder(reached, "first", context.cancel.set), _Recorder(reached, "second"))
    with pytest.raises(CancelledError):
        predict_volume(network, np.ones((1, 16, 16, 16), np.float32), context=context)
    assert reached == ["first"]


def test_a_cancelled_stack_stops_between_batches():
    context, reached = Context(device="cpu"), []
    network = _Recorder(reached, "batch", context.cancel.set)
    with pytest.raises(CancelledError):
        predict_stack(network, np.ones((8, 1, 4, 4), np.float32), context=context, batch=2)
    assert reached == ["batch"]


def test_progress_rises_from_part_to_part_and_within_them(blur):
    seen = []
    context = Context(device="cpu", precision="float32", on_progress=lambda *told: seen.append(told))
    predict_volume(blur, np.ones((1, 16, 16, 64), np.float32), context=context, window=(16, 16, 16), overlap=0.0)
    fractions = [fraction for fraction, _ in seen]
    assert fractions == sorted(fractions)
    assert len(set(fractions)) > 4
    assert 0.75 < fractions[-1] <= 1
    assert seen[-1][1] == "Part 4 of 4"


def test_the_network_is_left_as_it_was(blur):
    blur.train()
    blur[1].eval()
    predict_volume(blur, np.ones((1, 16, 16, 16), np.float32), context=Context(device="cpu"))
    assert [module.training for module in blur] == [True, False, True]
    assert all(not module._forward_pre_hooks for module in blur.modules())
    assert all(p.dtype == torch.float32 and p.requires_grad for p in blur.parameters())


def test_hooks_are_gone_after_an_error():
    network = nn.Sequential(nn.Conv3d(3, 1, 1))
    with pytest.raises(RuntimeError):
        predict_volume(network, np.ones((1, 16, 16, 16), np.float32), context=Context(device="cpu"))
    assert not network[0]._forward_pre_hooks


def test_dropout_is_off_and_no_gradients_are_kept():
    network = nn.Sequential(nn.Dropout(0.9), nn.Conv3d(1, 1, 1)).train()
    image = np.ones((1, 16, 16, 16), np.float32)
    first, second = (predict_volume(network, image, context=Context(device="cpu")) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_what_was_taken_is_recorded(blur):
    context = Context(device="cpu", precision="float32")
    predict_volume(blur, np.ones((1, 16, 16, 16), np.float32), context=context)
    assert (context.used_device, context.used_precision) == ("cpu", "float32")


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.jit.*")
def test_a_scripted_network_runs(blur):
    image = np.random.default_rng(0).normal(size=(1, 16, 16, 16)).astype(np.float32)
    context = Context(device="cpu", precision="float32")
    scripted = predict_volume(torch.jit.script(blur), image, context=context)
    np.testing.assert_allclose(scripted, predict_volume(blur, image, context=context), atol=1e-6)


def test_what_is_no_network_is_refused():
    with pytest.raises(InvalidInputError, match="nn.Module"):
        Runner(lambda x: x, "cpu", "float32", Context())  # type: ignore[arg-type]
