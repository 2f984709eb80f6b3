"""Running out of memory: every step, its words, and the end."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from manabi.context import Context
from manabi.errors import CancelledError, OutOfMemoryError
from manabi.inference import Setting, climb_down, is_out_of_memory, predict_stack, predict_volume
from manabi.inference.ladder import halved


def _image(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(
    "error",
    [
        torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 1 bytes."),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"),
        MemoryError(),
    ],
)
def test_shortages_of_memory_are_recognised(error):
    assert is_out_of_memory(error)


@pytest.mark.parametrize("error", [RuntimeError("shape mismatch"), ValueError("out of memory"), OutOfMemoryError("x")])
def test_other_errors_are_not_taken_for_a_shortage(error):
    assert not is_out_of_memory(error)


def test_halving_takes_the_longest_side_down_to_the_smallest():
    window, seen = (48, 96, 64), []
    while window is not None:
        seen.append(window)
        window = halved(window, (32, 32, 32), 16)
    assert seen == [(48, 96, 64), (48, 48, 64), (48, 48, 32), (32, 48, 32), (32, 32, 32)]


def test_smaller_windows_give_the_same_values_and_a_warning(hungry, exact):
    image = _image(1, 64, 64, 64)
    want = predict_volume(hungry(10**9), image, context=Context(device="cpu", precision="float32")).shape
    network = hungry(64 * 32 * 32)
    found = predict_volume(network, image, context=exact)
    with torch.inference_mode():
        direct = network.layer(torch.from_numpy(image)[None])[0].numpy()
    assert found.shape == want
    np.testing.assert_allclose(found, direct, atol=1e-6)
    assert len(exact.warnings) == 2
    assert "ran out of memory with parts of 64×64×64 voxels; parts of 64×64×32" in exact.warnings[0]


def test_a_smaller_batch_comes_first_and_says_that_the_result_is_the_same(hungry, exact):
    image = _image(1, 32, 32, 128)
    found = predict_volume(hungry(2 * 32**3), image, context=exact, window=(32, 32, 32), overlap=0.0, batch=4)
    assert exact.warnings == [
        "The computer ran out of memory; 2 instead of 4 parts were computed at a time. The result is the same."
    ]
    assert found.shape == (2, 32, 32, 128)


def test_python_and_numpy_shortages_count_as_well(hungry, exact):
    predict_volume(hungry(32**3, MemoryError("Unable to allocate 9 GiB")), _image(1, 32, 32, 64), context=exact)
    assert len(exact.warnings) == 1


def test_the_last_step_is_an_error_that_says_what_to_do(hungry, exact):
    with pytest.raises(OutOfMemoryError, match="Close other programs.*can't allocate memory"):
        predict_volume(hungry(10), _image(1, 64, 32, 32), context=exact)


def test_another_error_passes_through(hungry, exact):
    with pytest.raises(RuntimeError, match="shape mismatch"):
        predict_volume(hungry(10, RuntimeError("shape mismatch")), _image(1, 32, 32, 32), context=exact)
    assert exact.warnings == []


def test_the_processor_follows_the_graphics_card_with_its_own_plan():
    context, tried = Context(), []

    def attempt(setting: Setting) -> str:
        tried.append(setting)
        if setting.device != "cpu":
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return "done"

    plan = {"cuda:0": Setting("cuda:0", 2, (64, 64, 64), (32, 64, 64)), "cpu": Setting("cpu", 1, (128, 64, 64))}
    assert climb_down("cuda:0", plan.__getitem__, attempt, context) == "done"
    assert [(s.device, s.batch, s.window) for s in tried] == [
        ("cuda:0", 2, (64, 64, 64)), ("cuda:0", 1, (64, 64, 64)), ("cuda:0", 1, (32, 64, 64)),
        ("cpu", 1, (128, 64, 64)),
    ]  # fmt: skip
    assert context.used_device == "cpu"
    assert "the processor did the work, which is slower" in context.warnings[-1]


def test_a_shortage_while_planning_goes_down_too():
    context = Context()

    def plan(device: str) -> Setting:
        if device == "cuda:0":
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return Setting(device, 1)

    assert climb_down("cuda:0", plan, lambda setting: setting.device, context) == "cpu"


def test_an_operation_that_mps_lacks_goes_to_the_processor():
    context = Context()

    def attempt(setting: Setting) -> str:
        if setting.device == "mps":
            raise NotImplementedError("The operator 'aten::max_pool3d' is not implemented for the MPS device")
        return setting.device

    assert climb_down("mps", lambda device: Setting(device, 1), attempt, context) == "cpu"
    assert "lacks an operation" in context.warnings[0]


def test_cancelling_is_not_a_shortage():
    context = Context()
    context.cancel.set()
    with pytest.raises(CancelledError):
        climb_down("cpu", lambda device: Setting(device, 4), lambda setting: context.check_cancelled(), context)
    assert context.warnings == []


def test_stacks_take_smaller_batches(exact):
    class Narrow(torch.nn.Conv2d):
        def forward(self, x):
            if len(x) > 3:
                raise RuntimeError("CUDA out of memory")
            return super().forward(x)

    network, slices = Narrow(1, 1, 1), _image(9, 1, 8, 8)
    found = predict_stack(network, slices, context=exact, batch=8)
    assert found.shape == (9, 1, 8, 8)
    assert len(exact.warnings) == 2
