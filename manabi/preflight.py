"""What there is to run on, said before a long run: device, memory, disk, and what could be better.

torch is imported when the preflight is made, no model is loaded, and nothing is allocated but a single number.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Self

from manabi import device as devices
from manabi.errors import InvalidInputError

LOW_RAM_MB = 4096.0
LOW_GPU_MB = 2048.0
LOW_DISK_MB = 1024.0
"""Below these a run may be slow or fail (our choice)."""


@dataclass(frozen=True)
class Preflight:
    """What a run would find now.

    Attributes:
        device: that would be used, as torch writes it; empty where the one asked for cannot be had.
        name: of the graphics card or processor.
        reason: why this device, or why none, in words a user understands.
        remedy: what would let the graphics card be used: ``cuda_build`` (another build of torch), ``driver`` (a newer
            driver), or empty.
        gpu_free_mb: free memory of the graphics card in MB (2^20 bytes); None where none is used.
        gpu_total_mb: all of it.
        ram_free_mb: memory that this process could still take, in MB.
        ram_total_mb: all of it, or the limit of this process.
        cpu_threads: that torch would compute with.
        disk_free_mb: in the folder that was asked about, in MB.
        torch: its version; empty where it is not installed.
        torch_build: ``CPU``, ``CUDA 12.4``, ``ROCm 6.2`` or ``macOS``; empty without torch.
    """

    device: str
    name: str
    reason: str
    remedy: str
    gpu_free_mb: float | None
    gpu_total_mb: float | None
    ram_free_mb: float
    ram_total_mb: float
    cpu_threads: int
    disk_free_mb: float
    torch: str
    torch_build: str

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self:
        """The preflight of :meth:`to_dict`; keys that this version does not know are left out."""
        known = {field.name for field in dataclasses.fields(cls)}
        return cls(**{key: value for key, value in record.items() if key in known})

    @property
    def warnings(self) -> list[str]:
        """What may make a run slow or fail."""
        found = []
        if self.ram_free_mb < LOW_RAM_MB:
            found.append(f"Only {_gb(self.ram_free_mb)} of memory are free: close other programs before a large image.")
        if self.gpu_free_mb is not None and self.gpu_free_mb < LOW_GPU_MB:
            found.append(
                f"Only {_gb(self.gpu_free_mb)} of the graphics card's memory are free: close what else uses it, or the "
                "run falls back to smaller pieces."
            )
        if self.disk_free_mb < LOW_DISK_MB:
            found.append(f"Only {_gb(self.disk_free_mb)} of disk are free for temporary files: free some space.")
        return found

    def lines(self) -> list[str]:
        """What was found, as sentences for a reader."""
        if not self.torch:
            return [f"Nothing can be run: {self.reason}", self._memory(), *self._warned()]
        torch = f"PyTorch {self.torch} (built for {self.torch_build})."
        if not self.device:
            return [f"The device that was asked for cannot be used: {self.reason}", self._memory(), torch,
                    *self._warned()]  # fmt: skip
        return [self._device(), self._memory(), torch, *self._warned()]

    def _device(self) -> str:
        if self.device == "cpu":
            threads = "1 thread" if self.cpu_threads == 1 else f"{self.cpu_threads} threads"
            return f"Runs on the processor ({self.name}, {threads}): {self.reason}"
        memory = "" if self.gpu_free_mb is None else f", {_gb(self.gpu_free_mb)} of {_gb(self.gpu_total_mb)} free"
        return f"Runs on the graphics card {self.device} ({self.name}{memory})."

    def _memory(self) -> str:
        ram = f"{_gb(self.ram_free_mb)} of {_gb(self.ram_total_mb)} of memory are free"
        return f"{ram}; {_gb(self.disk_free_mb)} of disk are free for temporary files."

    def _warned(self) -> list[str]:
        return [f"Warning: {text}" for text in self.warnings]


def preflight(device: str = "auto", folder: Path | None = None) -> Preflight:
    """Look at what a run on this device would find.

    Args:
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``, as a run takes it. One that cannot be had is no
            error here: it is told why.
        folder: whose disk is looked at; by default where temporary files go.
    """
    ram = devices.system_memory()
    place = folder if folder is not None and folder.is_dir() else Path(tempfile.gettempdir())
    disk_free_mb = shutil.disk_usage(place).free / devices.MB
    common = {"ram_free_mb": ram.free_mb, "ram_total_mb": ram.total_mb, "disk_free_mb": disk_free_mb}
    try:
        torch = import_module("torch")
    except (ImportError, OSError) as error:
        reason = f"PyTorch is not installed or cannot be loaded ({type(error).__name__}). Install it first."
        return Preflight("", "", reason, "", None, None, cpu_threads=os.cpu_count() or 1, torch="", torch_build="",
                         **common)  # fmt: skip
    chosen, reason, remedy = _choice(device)
    memory = devices.describe_memory(chosen) if chosen.startswith("cuda") else None
    free_mb, total_mb = (None, None) if memory is None else (memory.free_mb, memory.total_mb)
    return Preflight(
        chosen, _name(chosen), reason, remedy, free_mb, total_mb,
        cpu_threads=int(torch.get_num_threads()), torch=str(torch.__version__), torch_build=_build(torch), **common,
    )  # fmt: skip


def _choice(requested: str) -> tuple[str, str, str]:
    """Device, reason and remedy; the card that is there but not used is named."""
    import torch

    try:
        choice = devices.choose_device(requested)
    except InvalidInputError as error:
        wants_cuda = requested.strip().lower().startswith("cuda")
        return "", str(error), _remedy() if wants_cuda else ""
    reason = choice.reason.partition(": ")[2]
    if choice.device != "cpu" or requested.strip().lower() == "cpu" or torch.backends.mps.is_available():
        return choice.device, reason, ""
    remedy = _remedy()
    cards = devices.nvidia_cards() if remedy else []
    named = f" The card: {', '.join(cards)}." if cards else ""
    return choice.device, reason + named, remedy


def _remedy() -> str:
    """What would let an NVIDIA card be used."""
    import torch

    if not torch.cuda.is_available():
        return devices.cuda_trouble().remedy
    newer = any(devices.is_newer_than_torch(f"cuda:{index}") for index in range(torch.cuda.device_count()))
    return "cuda_build" if newer else ""


def _name(device: str) -> str:
    if device.startswith("cuda"):
        import torch

        return str(torch.cuda.get_device_name(device))
    return devices.processor_name() if device else ""


def _build(torch: Any) -> str:
    if torch.version.cuda:
        return f"CUDA {torch.version.cuda}"
    if getattr(torch.version, "hip", None):
        return f"ROCm {torch.version.hip}"
    return "macOS" if torch.backends.mps.is_built() else "CPU"


def _gb(megabytes: float | None) -> str:
    value = (megabytes or 0.0) / 1024.0
    return f"{value:.1f} GB" if value < 100 else f"{value:.0f} GB"
