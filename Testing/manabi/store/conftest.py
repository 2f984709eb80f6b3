"""A tiny network, a bundle of it, and an empty store."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from manabi import networks
from manabi.bundle import Bundle
from manabi.store import BundleStore, write_bundle


def tiny(in_channels: int = 3, out_channels: int = 1) -> nn.Module:
    return nn.Conv2d(in_channels, out_channels, 3, padding=1)


@pytest.fixture(autouse=True)
def tiny_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """``manabi.networks`` knows one network more, ``tiny``."""
    build = networks.build
    monkeypatch.setitem(networks.NETWORKS, "tiny", "of these tests")
    both = {"tiny": tiny, **{name: partial(build, name) for name in networks.NETWORKS if name != "tiny"}}
    monkeypatch.setattr(networks, "build", lambda name, **arguments: both[name](**arguments))


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Bundle]:
    """Writes a bundle; keywords replace the arguments of ``write_bundle``."""

    def write(folder: str = "source", **changes: object) -> Bundle:
        torch.manual_seed(0)
        arguments = {
            "name": "tiny",
            "version": "1.0.0",
            "method": "spect",
            "network": {"name": "tiny", "arguments": {"in_channels": 3}},
            "state_dict": tiny().state_dict(),
            "card": "# Tiny\nFor tests.\n",
            "metadata_extra": {"trained_on": "nothing", "simulated": True, "inputs": {"context_slices": 3}},
        }
        return write_bundle(tmp_path / folder, **{**arguments, **changes})

    return write


@pytest.fixture
def store(tmp_path: Path) -> BundleStore:
    """Accents and spaces in the paths, as on many users' computers."""
    return BundleStore(tmp_path / "modèles de José", tmp_path / "shipped 学び")
