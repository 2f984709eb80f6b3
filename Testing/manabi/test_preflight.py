"""The preflight: what it finds, how it says so, and acceptance check 2: a GPU that this torch cannot use."""

from __future__ import annotations

import dataclasses
import importlib
import json
import subprocess
import sys
import tempfile
import time

import pytest
import torch
from worker_fixtures import image, use_site_methods

from manabi import device, preflight
from manabi.cli.outcome import main
from manabi.errors import InvalidInputError, WorkerError
from manabi.preflight import Preflight
from manabi.worker_client import COMMAND, WorkerClient
from manabi.worker_process import python_executable

GOOD = Preflight(
    "cuda:0", "NVIDIA RTX 4000", "NVIDIA RTX 4000", "", 9000.0, 20000.0, 20000.0, 32000.0, 8, 50_000.0, "2.6.0",
    "CUDA 12.4",
)  # fmt: skip


@pytest.fixture
def beside_a_gpu(monkeypatch):
    """A computer with an NVIDIA card that its torch does not see."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(device, "nvidia_gpu_present", lambda: True)
    monkeypatch.setattr(device, "nvidia_cards", lambda: ["NVIDIA GeForce RTX 3060"])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


# --- what is found ------------------------------------------------------------------------------------------


def test_this_computer_is_described(tmp_path):
    found = preflight.preflight("cpu", tmp_path)
    assert (found.device, found.torch, found.remedy) == ("cpu", torch.__version__, "")
    assert found.cpu_threads == torch.get_num_threads()
    assert 0 < found.ram_free_mb <= found.ram_total_mb
    assert found.disk_free_mb > 0 and found.gpu_free_mb is None
    assert found.name and found.reason and found.torch_build
    assert found.lines()[0].startswith("Runs on the processor")


def test_it_survives_json_and_a_newer_version():
    record = json.loads(json.dumps(GOOD.to_dict()))
    assert Preflight.from_dict({**record, "of_a_later_version": 1}) == GOOD


def test_a_folder_that_is_not_there_is_no_trouble(tmp_path):
    assert preflight.preflight("cpu", tmp_path / "gone").disk_free_mb > 0


# --- check 2: CPU-only torch with an NVIDIA GPU ---------------------------------------------------------------


def test_a_torch_without_cuda_beside_a_gpu_is_told_with_its_remedy(beside_a_gpu, monkeypatch):
    monkeypatch.setattr(torch.version, "cuda", None)
    found = preflight.preflight()
    assert (found.device, found.remedy) == ("cpu", "cuda_build")
    line = found.lines()[0]
    assert "built without CUDA although an NVIDIA GPU is present: install the CUDA build" in line
    assert "RTX 3060" in line


def test_asking_for_cuda_there_is_answered_too(beside_a_gpu, monkeypatch):
    monkeypatch.setattr(torch.version, "cuda", None)
    found = preflight.preflight("cuda")
    assert (found.device, found.remedy) == ("", "cuda_build")
    assert "cannot be used" in found.lines()[0] and "install the CUDA build" in found.lines()[0]


def test_asking_for_the_processor_offers_nothing(beside_a_gpu, monkeypatch):
    monkeypatch.setattr(torch.version, "cuda", None)
    assert preflight.preflight("cpu").remedy == ""


def test_a_driver_that_is_too_old_is_told_in_torchs_words(beside_a_gpu, monkeypatch):
    def fail():
        raise RuntimeError("The NVIDIA driver on your system is too old (found version 11040). Please update")

    monkeypatch.setattr(torch.version, "cuda", "12.4")
    monkeypatch.setattr(torch.cuda, "init", fail)
    found = preflight.preflight()
    assert (found.device, found.remedy) == ("cpu", "driver")
    assert "too old (found version 11040)" in found.reason and "update the graphics driver" in found.reason


def test_a_hidden_gpu_needs_no_installation(beside_a_gpu, monkeypatch):
    monkeypatch.setattr(torch.version, "cuda", "12.4")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    found = preflight.preflight()
    assert found.remedy == ""
    assert "CUDA_VISIBLE_DEVICES hides" in found.reason


@pytest.mark.parametrize(("capability", "remedy"), [((12, 0), "cuda_build"), ((3, 5), "")])
def test_a_card_that_this_torch_was_not_built_for(beside_a_gpu, monkeypatch, capability, remedy):
    """A newer torch helps a newer card, and nothing an older one."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_50", "sm_90a", "compute_90"])
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda name: capability)
    monkeypatch.setattr(device, "_fault_of", lambda name: f"{name} (card) does not work with this torch: no kernel.")
    found = preflight.preflight()
    assert (found.device, found.remedy) == ("cpu", remedy)
    assert "does not work with this torch" in found.lines()[0]


def test_a_computer_without_a_card_is_offered_nothing(beside_a_gpu, monkeypatch):
    monkeypatch.setattr(device, "nvidia_gpu_present", lambda: False)
    found = preflight.preflight()
    assert (found.device, found.remedy) == ("cpu", "")
    assert "no graphics card that torch can use" in found.reason


def test_without_torch_it_says_so_and_does_not_fail(monkeypatch):
    original = importlib.import_module

    def without(name, *rest):
        if name == "torch":
            raise ImportError("No module named 'torch'")
        return original(name, *rest)

    monkeypatch.setattr(preflight, "import_module", without)
    found = preflight.preflight()
    assert (found.device, found.torch) == ("", "")
    assert found.lines()[0].startswith("Nothing can be run: PyTorch is not installed")


# --- the cards behind torch's back ------------------------------------------------------------------------


def test_the_driver_names_its_cards(tmp_path):
    gpu = tmp_path / "proc/driver/nvidia/gpus/0000:01:00.0"
    gpu.mkdir(parents=True)
    (gpu / "information").write_text("Model: \t\t NVIDIA RTX A4000\nIRQ: 5\n", encoding="utf-8")
    assert device.nvidia_cards(tmp_path) == ["NVIDIA RTX A4000"]
    assert device.nvidia_gpu_present(tmp_path)


@pytest.mark.parametrize(
    ("script", "cards"),
    [("echo 'NVIDIA T4'", ["NVIDIA T4"]), ("exit 9", []), (r"printf 'NVIDIA T4 \377\202'", ["NVIDIA T4 \ufffd\ufffd"])],
)
def test_where_the_system_does_not_tell_nvidia_smi_is_asked(tmp_path, monkeypatch, script, cards):
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert device.nvidia_cards(tmp_path) == cards


# --- sentences -------------------------------------------------------------------------------------------------


def test_a_good_computer_gets_no_warning():
    assert GOOD.warnings == []
    assert GOOD.lines() == [
        "Runs on the graphics card cuda:0 (NVIDIA RTX 4000, 8.8 GB of 19.5 GB free).",
        "19.5 GB of 31.2 GB of memory are free; 48.8 GB of disk are free for temporary files.",
        "PyTorch 2.6.0 (built for CUDA 12.4).",
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ram_free_mb": 3000.0}, "Only 2.9 GB of memory"),
        ({"gpu_free_mb": 500.0}, "graphics card's memory"),
        ({"disk_free_mb": 100.0}, "of disk"),
    ],
)
def test_what_is_scarce_is_warned_of(changes, words):
    found = dataclasses.replace(GOOD, **changes)
    assert len(found.warnings) == 1 and words in found.warnings[0]
    assert found.lines()[-1] == f"Warning: {found.warnings[0]}"


# --- the command and the worker ---------------------------------------------------------------------------------


def test_the_command_prints_the_lines_or_json(capfd):
    assert main(["preflight", "--device", "cpu"]) == 0
    assert capfd.readouterr().out.startswith("Runs on the processor")
    assert main(["preflight", "--device", "cpu", "--json"]) == 0
    record = json.loads(capfd.readouterr().out)
    assert (record["device"], record["lines"][0][:4]) == ("cpu", "Runs")


@pytest.fixture
def client(tmp_path, monkeypatch):
    use_site_methods(monkeypatch)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    with WorkerClient((*COMMAND, "--lazy")) as client:
        yield client
    tempfile.tempdir = None


def waited(job, seconds=60):
    deadline = time.monotonic() + seconds
    while not job.poll(0.05) and time.monotonic() < deadline:
        pass
    return job


def test_the_worker_answers_while_a_run_goes_on(client):
    run = client.submit("slow", {"image": image()})
    while not run.messages.qsize():
        time.sleep(0.05)
    found = waited(client.preflight({"device": "cpu"})).preflight()
    assert found.device == "cpu" and found.torch == torch.__version__
    assert not run.poll()
    run.cancel()
    assert waited(run).done


def test_a_job_that_was_no_preflight_says_so(client):
    job = waited(client.load("echo"))
    with pytest.raises(WorkerError, match="not a preflight"):
        job.preflight()


def test_what_is_no_device_is_told_not_raised(client):
    found = waited(client.preflight({"device": "toaster"})).preflight()
    assert (found.device, found.remedy) == ("", "")
    assert "toaster" in found.reason


# --- another Python for the worker ---------------------------------------------------------------------------


def test_the_worker_runs_in_the_python_that_is_named(tmp_path, monkeypatch):
    use_site_methods(monkeypatch)
    script = tmp_path / "my python"
    script.write_text(f'#!/bin/sh\ntouch "{tmp_path}/was used"\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    monkeypatch.setenv("MANABI_PYTHON", str(script))
    with WorkerClient() as client:
        assert client.run("echo", {"image": image()}).measurements["count"] == 60
    assert (tmp_path / "was used").exists()


def test_a_python_that_is_not_there_is_named_as_the_reason(monkeypatch):
    monkeypatch.setenv("MANABI_PYTHON", "/no/such/python")
    with pytest.raises(InvalidInputError, match="MANABI_PYTHON"):
        WorkerClient()
    monkeypatch.delenv("MANABI_PYTHON")
    assert python_executable() == sys.executable


def test_neither_client_nor_preflight_import_torch():
    code = "import sys, manabi.worker_client, manabi.preflight; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
