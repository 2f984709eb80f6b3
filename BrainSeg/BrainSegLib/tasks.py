"""The four things that the method does, each with outputs of its own, so that none of them replaces another's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from manabi_slicer.request import Request

if TYPE_CHECKING:
    from manabi.context import Precision

STRUCTURES, PROPAGATE, CONTRAST, FEATURES, LAYERS = "structures", "propagate", "contrast", "features", "layers"
TASKS = (STRUCTURES, PROPAGATE, CONTRAST, FEATURES, LAYERS)
"""Values of the method's parameter ``task``, and the list of layers, which is the task ``features`` without a layer."""
PREVIEW = "labelmaps/propagated"
"""Key of a propagation that waits to be accepted."""
NAMES = ("cerebrum", "cerebellum", "brainstem", "ventricles", "vessels")
"""Structures, as the method calls them."""


class Options(TypedDict, total=False):
    """How anything is run, from the Python console.

    Attributes:
        model: name or path of a model; by default the one that Manabi brings.
        minConfidence: structures that are less sure are flagged, 0 to 1; 0.6 by default.
        fine: whether a second stage looks at 1 mm; by default it does.
        device: ``auto`` (the default), ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        precision: arithmetic of the network: ``auto`` (the default), ``float32``, ``bfloat16`` or ``float16``.
        seed: everything random follows from it; 0 by default.
    """

    model: str | None
    minConfidence: float
    fine: bool
    device: str
    precision: Precision
    seed: int


def request_of(
    image: Any, second: Any = None, parameters: Mapping[str, Any] | None = None, **options: Unpack[Options]
) -> Request:  # fmt: skip
    """What a run asks for.

    Args:
        image: node of the MR.
        second: node of another contrast of the same patient, or None.
        parameters: of the method, beside those of ``options``.
        options: as :class:`Options` says.
    """
    settings = {
        **(parameters or {}),
        "min_confidence": options.get("minConfidence", 0.6),
        "fine": options.get("fine", True),
    }
    return Request(
        nodes={"image": image, "second": second, "painted": None}, parameters=settings, bundle=options.get("model"),
        device=options.get("device", "auto"), precision=options.get("precision", "auto"), seed=options.get("seed", 0),
    )  # fmt: skip


def task_of(parameters: Mapping[str, Any]) -> str:
    """Which of :data:`TASKS` a run's parameters ask for."""
    task = str(parameters.get("task", STRUCTURES))
    return LAYERS if task == FEATURES and not parameters.get("layer") else task


def listed(structures: str | Iterable[str]) -> str:
    """Structures as the method takes them: ``all``, or names with commas.

    Args:
        structures: names, or that text itself.
    """
    if isinstance(structures, str):
        return structures
    names = [name for name in NAMES if name in set(structures)]
    return "all" if len(names) == len(NAMES) else ",".join(names)
