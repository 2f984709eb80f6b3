"""Which device does the work, how much memory it has, and whether bfloat16 is fast on it.

torch is imported inside the functions: importing this module costs nothing.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from manabi.errors import InvalidInputError

MB = 1024 * 1024
_FAST_BFLOAT16_FLAGS = {"amx_bf16", "avx512_bf16"}


@dataclass(frozen=True)
class DeviceChoice:
    """The device that was taken.

    Attributes:
        device: as torch writes it: ``cpu``, ``cuda:0``, ``mps``.
        reason: why, in words a user understands; never empty.
    """

    device: str
    reason: str


@dataclass(frozen=True)
class DeviceMemory:
    """Memory of a device in MB (2^20 bytes); ``free_mb`` is what this process could still take."""

    free_mb: float
    total_mb: float


def choose_device(requested: str = "auto") -> DeviceChoice:
    """Take the requested device, or with ``auto`` the best one that works.

    ``auto`` takes the CUDA device with the most free memory, then Apple's MPS, then the processor.

    Args:
        requested: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.

    Raises:
        InvalidInputError: for an unknown name, or a device that this computer (or this torch) does not have.
    """
    name = requested.strip().lower()
    if name == "auto":
        return _automatic()
    if name == "cpu":
        return DeviceChoice("cpu", "cpu: as requested")
    if re.fullmatch(r"cuda(:\d+)?", name):
        return _requested_cuda(name)
    if name == "mps":
        return _requested_mps()
    raise InvalidInputError(f"The device must be auto, cpu, cuda, cuda:N or mps; got {requested!r}.")


def describe_memory(device: str) -> DeviceMemory:
    """Free and total memory of a device.

    For ``cpu`` (and ``mps``, which shares it) the free memory is what the system can give without swapping, or what
    is left of the control group's limit (containers, batch systems) where that is less.
    """
    import torch

    if device.startswith("cuda"):
        free, total = torch.cuda.mem_get_info(device)
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return DeviceMemory((free + cached) / MB, total / MB)
    return system_memory()


def system_memory() -> DeviceMemory:
    """Memory that the system, or this process' control group, can still give, and all of it."""
    import psutil

    system = psutil.virtual_memory()
    free_mb, total_mb = system.available / MB, system.total / MB
    group = _control_group_memory()
    if group is None:
        return DeviceMemory(free_mb, total_mb)
    return DeviceMemory(min(free_mb, group.free_mb), min(total_mb, group.total_mb))


def has_fast_bfloat16(device: str) -> bool:
    """Whether the device computes convolutions in bfloat16 faster than in float32.

    Processors: AMX or AVX512-BF16. CUDA: compute capability 8.0 (Ampere) or newer. MPS: no (our choice: not measured).
    """
    import torch

    if device.startswith("cuda"):
        return torch.cuda.get_device_capability(device)[0] >= 8
    if device != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        supported = getattr(torch.cpu, name, None)
        if supported is not None and supported():
            return True
    return bool(_FAST_BFLOAT16_FLAGS & _processor_flags(Path("/proc/cpuinfo")))


def _automatic() -> DeviceChoice:
    import torch

    names = [f"cuda:{index}" for index in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    faults = {name: _fault_of(name) for name in names}
    working = [name for name in names if faults[name] is None]
    if working:
        best = max(working, key=lambda name: describe_memory(name).free_mb)
        return DeviceChoice(best, f"{best}: {torch.cuda.get_device_name(best)}")
    if torch.backends.mps.is_available():
        return DeviceChoice("mps", "mps: the graphics processor of this Mac")
    return DeviceChoice("cpu", f"cpu: {' '.join(filter(None, faults.values())) or why_no_cuda()}")


def _requested_cuda(name: str) -> DeviceChoice:
    import torch

    if not torch.cuda.is_available():
        raise InvalidInputError(f"The device {name} was asked for, but {why_no_cuda()} Choose cpu or auto.")
    index = int(name.partition(":")[2] or 0)
    count = torch.cuda.device_count()
    if index >= count:
        raise InvalidInputError(
            f"The device {name} was asked for, but this computer has {count} CUDA device(s), cuda:0 to "
            f"cuda:{count - 1}. Choose one of them, cpu or auto."
        )
    fault = _fault_of(f"cuda:{index}")
    if fault is not None:
        raise InvalidInputError(f"The device {name} was asked for, but {fault} Choose cpu or auto.")
    return DeviceChoice(f"cuda:{index}", f"cuda:{index}: as requested ({torch.cuda.get_device_name(index)})")


def _requested_mps() -> DeviceChoice:
    import torch

    if torch.backends.mps.is_available():
        return DeviceChoice("mps", "mps: as requested")
    lacks = "this is not a Mac" if sys.platform != "darwin" else "this Mac or its torch does not support it"
    raise InvalidInputError(f"The device mps (Apple graphics) was asked for, but {lacks}. Choose cpu or auto.")


@dataclass(frozen=True)
class CudaTrouble:
    """Why no CUDA device is used.

    Attributes:
        reason: one sentence that says what to do.
        remedy: ``cuda_build`` (install another build of torch), ``driver`` (update the graphics driver) or empty.
    """

    reason: str
    remedy: str = ""


def why_no_cuda() -> str:
    """Why torch sees no CUDA device, as one sentence that says what to do."""
    return cuda_trouble().reason


def cuda_trouble() -> CudaTrouble:
    """Why torch sees no CUDA device, and what would mend it."""
    import torch

    if not nvidia_gpu_present():
        return CudaTrouble("no graphics card that torch can use was found.")
    if torch.version.cuda is None:
        return CudaTrouble(
            "torch was built without CUDA although an NVIDIA GPU is present: install the CUDA build of torch "
            "(pytorch.org, Get Started) to use it.",
            "cuda_build",
        )
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0") in ("", "-1"):
        return CudaTrouble("CUDA_VISIBLE_DEVICES hides the NVIDIA GPU that is present: remove it from the environment.")
    return CudaTrouble(
        f"torch (built for CUDA {torch.version.cuda}) cannot use the NVIDIA GPU that is present{_said_by_torch()}: "
        "update the graphics driver, or check CUDA_VISIBLE_DEVICES.",
        "driver",
    )


def _said_by_torch() -> str:
    """What torch says of the driver when it is asked to use it, in brackets; empty where it says nothing."""
    import torch

    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:
        first = str(error).strip().partition("\n")[0].partition(". ")[0]
        return f" ({first[:160]})" if first else ""
    return ""


def nvidia_gpu_present(root: Path = Path("/")) -> bool:
    """Whether an NVIDIA driver with a card is installed, whatever torch says; no process is started."""
    gpus = root / "proc/driver/nvidia/gpus"
    if gpus.is_dir():
        return any(gpus.iterdir())
    return nvidia_smi() is not None


def nvidia_smi() -> str | None:
    """The driver's own program, which is not on the path of every Windows and WSL; None where there is none."""
    usual = (
        Path(os.environ.get("SYSTEMROOT", "C:/Windows"), "System32/nvidia-smi.exe"),
        Path(os.environ.get("PROGRAMFILES", "C:/Program Files"), "NVIDIA Corporation/NVSMI/nvidia-smi.exe"),
        Path("/usr/lib/wsl/lib/nvidia-smi"),
    )
    return shutil.which("nvidia-smi") or next((str(path) for path in usual if path.is_file()), None)


def nvidia_cards(root: Path = Path("/")) -> list[str]:
    """Names of the NVIDIA cards that the driver knows, whatever torch says; empty where it does not tell."""
    found = []
    for information in sorted((root / "proc/driver/nvidia/gpus").glob("*/information")):
        model = re.search(r"^Model:\s*(.+)$", information.read_text(errors="replace"), re.MULTILINE)
        found += [model.group(1).strip()] if model else []
    program = None if found else nvidia_smi()
    return _asked(program) if program else found


def _asked(program: str) -> list[str]:
    """The cards that ``nvidia-smi`` lists; it may hang or fail where the driver is broken."""
    try:
        done = subprocess.run(
            [program, "--query-gpu=name", "--format=csv,noheader"], capture_output=True, text=True, timeout=5,
            check=False, errors="replace", creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()] if done.returncode == 0 else []


def is_newer_than_torch(device: str) -> bool:
    """Whether a CUDA device is of a later generation than any that this torch was built for."""
    import torch

    built = [int(name[3:].rstrip("af")) for name in torch.cuda.get_arch_list() if name.startswith("sm_")]
    major, minor = torch.cuda.get_device_capability(device)
    return bool(built) and 10 * major + minor > max(built)


def _fault_of(device: str) -> str | None:
    """Why a CUDA device that torch lists cannot compute, or None when it can."""
    import torch

    try:
        (torch.ones(1, device=device) + 1).item()
    except RuntimeError as error:
        text = str(error).partition("\n")[0]
        return f"{device} ({torch.cuda.get_device_name(device)}) does not work with this torch: {text}."
    return None


def processor_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """What the system calls its processor."""
    if cpuinfo.is_file():
        found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(errors="replace"), re.MULTILINE)
        if found:
            return " ".join(found.group(1).split())
    return platform.processor() or platform.machine()


def _processor_flags(cpuinfo: Path) -> set[str]:
    """Instruction set flags that Linux lists; empty elsewhere."""
    if not cpuinfo.is_file():
        return set()
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", cpuinfo.read_text(errors="replace"), re.MULTILINE)
    return set(found.group(1).split()) if found else set()


def _control_group_memory(root: Path = Path("/")) -> DeviceMemory | None:
    """The tightest memory limit of this process' Linux control groups (versions 1 and 2), or None without one."""
    listing = root / "proc/self/cgroup"
    if not listing.is_file():
        return None
    found = []
    for line in listing.read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            names = ("memory.max", "memory.current", "inactive_file")
            found += _limits(root / "sys/fs/cgroup", path, names)
        elif "memory" in controllers.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            found += _limits(root / "sys/fs/cgroup/memory", path, names)
    return min(found, key=lambda memory: memory.free_mb, default=None)


def _limits(base: Path, path: str, names: tuple[str, str, str]) -> list[DeviceMemory]:
    """Limits from a control group up to its root; page cache that can be dropped counts as free."""
    limit_name, usage_name, cache_name = names
    group = base / path.strip("/")
    found = []
    for folder in (group, *group.parents):
        if not folder.is_relative_to(base):
            break
        limit, usage = _number(folder / limit_name), _number(folder / usage_name)
        if limit is None or usage is None or limit >= 1 << 60:
            continue
        free = limit - usage + _statistic(folder / "memory.stat", cache_name)
        found.append(DeviceMemory(max(free, 0) / MB, limit / MB))
    return found


def _number(path: Path) -> int | None:
    text = path.read_text().strip() if path.is_file() else ""
    return int(text) if text.isdigit() else None


def _statistic(path: Path, name: str) -> int:
    lines = path.read_text().splitlines() if path.is_file() else []
    return next((int(line.split()[1]) for line in lines if line.split()[:1] == [name]), 0)

