"""Where a run happens: devices and processes through Lightning Fabric, repeatable arithmetic, and being stopped."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

import torch

from manabi.errors import DependencyError, InvalidInputError
from Training.config import TrainConfig

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def launch(config: TrainConfig, several_phases: bool = False) -> Fabric:
    """A launched Fabric: one CPU, one GPU, several, or the processes that ``torchrun`` started.

    Under ``torchrun`` the number of processes is its own and ``config.devices`` is ignored.

    Raises:
        DependencyError: when Lightning Fabric is not installed.
        InvalidInputError: when the device is not there, or the batch does not divide over the processes.
    """
    try:
        from lightning_fabric import Fabric
        from lightning_fabric.strategies import DDPStrategy
    except ImportError as error:
        raise DependencyError("Training needs lightning-fabric. Install it: pip install 'manabi[train]'") from error
    kind, index = _accelerator(config.device)
    devices, nodes = _processes(config, kind, index)
    world = nodes * (devices if isinstance(devices, int) else len(devices))
    if config.batch_size % world:
        raise InvalidInputError(f"batch_size {config.batch_size} does not divide over {world} processes; change it.")
    ddp = DDPStrategy(find_unused_parameters=several_phases)
    fabric = Fabric(
        accelerator=kind,
        devices=devices,
        num_nodes=nodes,
        strategy=ddp if world > 1 else "auto",
        precision=config.precision,
    )
    fabric.launch()
    return fabric


def _accelerator(device: str) -> tuple[str, int | None]:
    """Fabric's name of the device's kind, and its index where one was given."""
    if device == "auto":
        if torch.cuda.is_available():
            return "cuda", None
        return ("mps" if torch.backends.mps.is_available() else "cpu"), None
    kind, _, index = device.partition(":")
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}[kind]
    if not there:
        raise InvalidInputError(f"There is no {kind} device that torch {torch.__version__} can use. Take device=cpu.")
    if index and int(index) >= torch.cuda.device_count():
        raise InvalidInputError(f"There is no {device}: torch sees {torch.cuda.device_count()} CUDA devices.")
    return kind, int(index) if index else None


def _processes(config: TrainConfig, kind: str, index: int | None) -> tuple[int | list[int], int]:
    """Devices on this machine and number of machines, as Fabric takes them."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        local = int(os.environ["LOCAL_WORLD_SIZE"])
        return local, int(os.environ["WORLD_SIZE"]) // local
    if index is not None:
        return [index], 1
    if config.devices == 0:
        return (torch.cuda.device_count() if kind == "cuda" else 1), 1
    return config.devices, 1


@contextmanager
def repeatable(wanted: bool) -> Iterator[None]:
    """Only algorithms that repeat bit for bit, where torch has them; torch warns of others. Restored afterwards."""
    if not wanted:
        yield
        return
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.backends.cudnn.benchmark,
    )
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        torch.backends.cudnn.benchmark = before[2]


class StopSignal:
    """Notes SIGTERM and SIGINT, so that the loop can save before it ends; a second one acts as usual."""

    def __init__(self) -> None:
        self.name: str | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopSignal:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        self.name = signal.Signals(number).name
        signal.signal(number, self._before[number])

    def agreed(self, fabric: Fabric) -> bool:
        """Whether any process was asked to stop; the answer is the same on all of them."""
        if fabric.world_size == 1:
            return self.name is not None
        mine = torch.tensor(float(self.name is not None), device=fabric.device)
        asked: Any = fabric.all_reduce(mine, reduce_op="max")
        return bool(asked > 0)
