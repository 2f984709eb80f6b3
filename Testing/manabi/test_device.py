"""The device: what auto takes and why, what cannot be had, memory, bfloat16."""

from __future__ import annotations

import psutil
import pytest
import torch

from manabi import device
from manabi.errors import InvalidInputError

GB = 2**30


def test_auto_takes_a_device_that_computes_and_says_why():
    choice = device.choose_device()
    assert choice.reason.startswith(choice.device)
    assert len(choice.reason) > len(choice.device) + 5
    assert torch.ones(2, device=choice.device).sum().item() == 2


def test_auto_explains_a_torch_without_cuda_beside_an_nvidia_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(device, "nvidia_gpu_present", lambda: True)
    choice = device.choose_device("auto")
    assert choice.device == "cpu"
    assert "built without CUDA although an NVIDIA GPU is present: install" in choice.reason


def test_auto_passes_over_a_gpu_that_does_not_compute(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(device, "_fault_of", lambda name: f"{name} is too old.")
    choice = device.choose_device("auto")
    assert choice.device == "cpu"
    assert "cuda:0 is too old. cuda:1 is too old." in choice.reason


def test_auto_prefers_the_gpu_with_more_free_memory(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda name: "card")
    monkeypatch.setattr(device, "_fault_of", lambda name: None)
    monkeypatch.setattr(device, "describe_memory", lambda name: device.DeviceMemory(int(name[-1]), 9))
    assert device.choose_device("auto").device == "cuda:1"


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:7"])
def test_asking_for_an_absent_gpu_is_an_error_that_says_what_to_do(monkeypatch, name):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InvalidInputError, match="Choose cpu or auto"):
        device.choose_device(name)


def test_asking_for_a_gpu_number_that_is_not_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(InvalidInputError, match="has 2 CUDA device"):
        device.choose_device("cuda:2")


def test_asking_for_mps_elsewhere(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(InvalidInputError, match="mps"):
        device.choose_device("mps")


@pytest.mark.parametrize("name", ["gpu", "", "cuda:", "cuda:-1", "tpu"])
def test_an_unknown_name_is_refused_with_the_known_ones(name):
    with pytest.raises(InvalidInputError, match="auto, cpu, cuda"):
        device.choose_device(name)


def test_cpu_on_request_ignores_case():
    assert device.choose_device(" CPU ").device == "cpu"


def test_an_nvidia_card_is_seen_without_torch(tmp_path, monkeypatch):
    monkeypatch.setattr(device.shutil, "which", lambda name: None)
    assert not device.nvidia_gpu_present(tmp_path)
    (tmp_path / "proc/driver/nvidia/gpus/0000:01:00.0").mkdir(parents=True)
    assert device.nvidia_gpu_present(tmp_path)


def test_free_memory_is_within_the_total():
    memory = device.describe_memory("cpu")
    assert 0 < memory.free_mb <= memory.total_mb <= psutil.virtual_memory().total / device.MB


def _group(root, listing, folder, **files):
    (root / "proc/self").mkdir(parents=True, exist_ok=True)
    (root / "proc/self/cgroup").write_text(listing)
    (root / folder).mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (root / folder / name.replace("__", ".")).write_text(text)


def test_the_limit_of_a_version_2_control_group_counts_its_cache_as_free(tmp_path):
    _group(tmp_path, "0::/batch/job\n", "sys/fs/cgroup/batch/job", memory__max=f"{8 * GB}\n",
           memory__current=f"{6 * GB}\n", memory__stat=f"anon 1\ninactive_file {GB}\n")
    memory = device._control_group_memory(tmp_path)
    assert (memory.free_mb, memory.total_mb) == (3 * 1024, 8 * 1024)


def test_the_tightest_group_on_the_way_to_the_root_decides(tmp_path):
    _group(tmp_path, "0::/batch/job\n", "sys/fs/cgroup/batch/job", memory__max="max\n", memory__current="5\n")
    assert device._control_group_memory(tmp_path) is None
    _group(tmp_path, "0::/batch/job\n", "sys/fs/cgroup/batch", memory__max=f"{GB}\n", memory__current=f"{GB}\n")
    assert device._control_group_memory(tmp_path).free_mb == 0


def test_the_limit_of_a_version_1_control_group(tmp_path):
    _group(tmp_path, "5:cpu:/x\n4:memory:/job\n", "sys/fs/cgroup/memory/job", memory__limit_in_bytes=f"{4 * GB}",
           memory__usage_in_bytes=f"{GB}")
    assert device._control_group_memory(tmp_path).free_mb == 3 * 1024


def test_no_control_groups_no_limit(tmp_path):
    assert device._control_group_memory(tmp_path) is None


@pytest.mark.parametrize(("capability", "fast"), [((7, 5), False), ((8, 0), True), ((9, 0), True)])
def test_bfloat16_is_fast_on_cuda_from_ampere_on(monkeypatch, capability, fast):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda name: capability)
    assert device.has_fast_bfloat16("cuda:0") is fast


@pytest.mark.parametrize(("flags", "fast"), [("fpu avx2", False), ("fpu avx512_bf16", True), ("amx_bf16", True)])
def test_bfloat16_on_a_processor_follows_its_flags(monkeypatch, flags, fast):
    for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: False, raising=False)
    monkeypatch.setattr(device, "_processor_flags", lambda path: set(flags.split()))
    assert device.has_fast_bfloat16("cpu") is fast


def test_processor_flags_are_read_from_cpuinfo(tmp_path):
    (tmp_path / "cpuinfo").write_text("processor : 0\nflags\t\t: fpu vme amx_bf16\n\nprocessor : 1\n")
    assert device._processor_flags(tmp_path / "cpuinfo") == {"fpu", "vme", "amx_bf16"}
    assert device._processor_flags(tmp_path / "absent") == set()


def test_mps_is_not_taken_for_fast_at_bfloat16():
    assert device.has_fast_bfloat16("mps") is False
