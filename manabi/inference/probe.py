"""What a network needs: memory per voxel and its longest single step, measured on two small inputs.

Live tensors are counted while the network runs (torch's dispatcher tells of each), so that the figures are the same
on every run and every operating system; memory that a library takes inside one operation is not seen and is covered
by :data:`HIDDEN`.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from manabi.inference.runner import Runner

HIDDEN = {"float32": 1.1, "bfloat16": 1.6, "float16": 1.6}
"""Factor for memory inside and between operations (our choice). Measured peak over count, on two processor cores with
AVX512-BF16: MONAI's UNet 0.7-0.8 in both precisions, BasicUNet 0.95 in float32 and 1.5 in bfloat16, AttentionUnet 0.94
and 1.1, SegResNet 0.5 and 0.4."""

OVERHEAD_MB = 150.0
"""Memory that a first pass on a processor takes whatever its size: kernels, their caches, the allocator's reserve (our
choice; 120 MB were measured)."""


@dataclass(frozen=True)
class Demand:
    """What one forward pass needs, as a straight line in the number of voxels.

    Attributes:
        bytes_per_voxel: peak of live tensors, input and output included.
        fixed_bytes: peak that does not grow with the input (weights in another precision, ...).
        step_flops_per_voxel: floating-point operations of the costliest single operation.
        n_outputs: channels of the output.
        hidden: factor for what is not seen, see :data:`HIDDEN`.
        overhead_mb: see :data:`OVERHEAD_MB`; 0 on graphics cards.
    """

    bytes_per_voxel: float
    fixed_bytes: float
    step_flops_per_voxel: float
    n_outputs: int
    hidden: float = 1.0
    overhead_mb: float = 0.0

    def forward_mb(self, voxels: int) -> float:
        """Estimated peak memory of one forward pass in MB."""
        return self.overhead_mb + self.hidden * (self.fixed_bytes + self.bytes_per_voxel * voxels) / 2**20


_known: weakref.WeakKeyDictionary[torch.nn.Module, dict[Any, Demand]] = weakref.WeakKeyDictionary()


def measure_demand(runner: Runner, n_channels: int, multiple: int, n_axes: int = 3) -> Demand:
    """Run the network on two small inputs and count; remembered for each network, device and precision.

    Args:
        runner: the network as it will be run.
        n_channels: channels of its input.
        multiple: input sizes must be multiples of it.
        n_axes: 2 for slices, 3 for volumes.
    """
    key = (runner.device, runner.precision, n_channels, multiple, n_axes)
    known = _known.setdefault(runner.network, {})
    if key not in known:
        known[key] = _measured(runner, n_channels, multiple, n_axes)
    return known[key]


def _measured(runner: Runner, n_channels: int, multiple: int, n_axes: int) -> Demand:
    side = multiple * math.ceil((48 if n_axes == 3 else 64) / multiple)
    small, large = (side,) * n_axes, (2 * side, *(side,) * (n_axes - 1))
    low, high = (_count(runner, (1, n_channels, *size)) for size in (small, large))
    slope = max((high.peak - low.peak) / (math.prod(large) - math.prod(small)), 1.0)
    fixed = max(low.peak - slope * math.prod(small), 0.0)
    step = high.largest_step / math.prod(large)
    overhead = 0.0 if runner.device.startswith("cuda") else OVERHEAD_MB
    return Demand(slope, fixed, step, high.n_outputs, HIDDEN[runner.precision], overhead)


def _count(runner: Runner, shape: Sequence[int]) -> _Census:
    image = torch.zeros(*shape)
    with _Census() as census:
        census.n_outputs = int(runner(image).shape[1])
    return census


class _Census(TorchDispatchMode):
    """Counts the bytes of live tensors and the work of each operation."""

    def __init__(self) -> None:
        super().__init__()
        self.live = 0
        self.peak = 0
        self.largest_step = 0
        self.n_outputs = 0
        self._seen: dict[int, weakref.finalize[Any, Any]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the operation, then count what it made."""
        arguments = kwargs or {}
        with self:
            parts = func.decompose(*args, **arguments)
        if parts is not NotImplemented:
            return parts
        out = func(*args, **arguments)
        for tensor in _tensors(out):
            self._born(tensor.untyped_storage())
        self._weigh(func, args, arguments, out)
        return out

    def _weigh(self, func: Any, args: tuple[Any, ...], arguments: dict[str, Any], out: Any) -> None:
        """Note the work of an operation, and what a convolution takes while it runs."""
        counter = flop_registry.get(func._overloadpacket)
        if counter is None:
            return
        self.largest_step = max(self.largest_step, int(counter(*args, **arguments, out_val=out)))
        hidden = sum(_blocked_bytes(t) for t in (args[0], out) if t.dim() > 3 and t.device.type == "cpu")
        self.peak = max(self.peak, self.live + hidden)

    def _born(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self._seen:
            return
        size = storage.nbytes()
        self.live += size
        self.peak = max(self.peak, self.live)
        self._seen[key] = weakref.finalize(storage, self._died, key, size)

    def _died(self, key: int, size: int) -> None:
        self.live -= size
        self._seen.pop(key, None)


def _tensors(out: Any) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(out) if isinstance(leaf, torch.Tensor)]


def _blocked_bytes(tensor: torch.Tensor) -> int:
    """A copy in oneDNN's layout, which rounds the number of channels up to 16."""
    channels = tensor.shape[1]
    return tensor.numel() // channels * (16 * math.ceil(channels / 16)) * tensor.element_size()
