"""Small networks for the tests of inference."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from manabi.context import Context


class Hungry(nn.Module):
    """Voxel-wise, so that windows cannot change its values; out of memory above a number of voxels."""

    def __init__(self, most_voxels: int, error: Exception | None = None) -> None:
        super().__init__()
        self.layer = nn.Conv3d(1, 2, 1)
        self.most_voxels = most_voxels
        self.error = error or RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried 1 GB")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x[:, 0].numel() > self.most_voxels:
            raise self.error
        return self.layer(x)


@pytest.fixture
def hungry() -> type[Hungry]:
    return Hungry


@pytest.fixture
def blur() -> nn.Module:
    """A small network with context: 3 outputs, receptive field 5."""
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv3d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv3d(4, 3, 3, padding=1))


@pytest.fixture
def exact() -> Context:
    """Processor, float32."""
    return Context(device="cpu", precision="float32")
