"""What a panel or a script asks of a method: nodes, parameters, and how to run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slicer import vtkMRMLNode

    from manabi.context import Precision


@dataclass(frozen=True)
class Request:
    """One run.

    Attributes:
        nodes: input node by the method's input name; None for an optional input that is not given.
        parameters: of the method, by name.
        bundle: name or path of the model, or None for the method's default.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        precision: arithmetic of the network.
        seed: everything random follows from it.
        memory_limit_mb: memory that inference may plan with; None takes what is free.
        chosen: output node by key (``volumes/denoised``), where the user chose one.
    """

    nodes: Mapping[str, vtkMRMLNode | None]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    bundle: str | None = None
    device: str = "auto"
    precision: Precision = "auto"
    seed: int = 0
    memory_limit_mb: float | None = None
    chosen: Mapping[str, vtkMRMLNode] = field(default_factory=dict)

    def context_options(self) -> dict[str, Any]:
        """What the worker takes as ``context``."""
        return {
            "device": self.device,
            "precision": self.precision,
            "seed": self.seed,
            "bundle": self.bundle,
            "memory_limit_mb": self.memory_limit_mb,
        }
