"""The two things that the module does, each with outputs of its own, and what each asks the method for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypedDict, Unpack

from manabi_slicer.request import Request

if TYPE_CHECKING:
    from slicer import vtkMRMLScalarVolumeNode

    from manabi.context import Precision

DETECT, SYNTHESISE = "detect", "synthesise"
TASKS = (DETECT, SYNTHESISE)
"""Values of the method's parameter ``task``."""
FILM = "radiograph"
"""The method's input."""
STRICTEST, LOOSEST = 0.05, 4.0
"""Ends of the slider, false marks per film; as the method's parameter ``false_positives`` has them."""
USUAL = 0.2
"""Where the slider stands at first, as the method's own default."""
INPUT = "input"
"""The base that is the film itself; every other one needs no film."""


class Options(TypedDict, total=False):
    """How to run, from the Python console.

    Attributes:
        device: ``auto`` (the default), ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        precision: arithmetic of the network: ``auto`` (the default), ``float32``, ``bfloat16`` or ``float16``.
        seed: everything random follows from it; 0 by default.
    """

    device: str
    precision: Precision
    seed: int


def detect_request(
    film: vtkMRMLScalarVolumeNode | None, *, falsePositives: float = USUAL, limitToLungs: bool = True,
    average: bool = False, filmMm: float = 0.0, model: str | None = None, **options: Unpack[Options],
) -> Request:  # fmt: skip
    """A run that looks for nodules; arguments as those of the logic's ``detect``."""
    wanted = {
        "task": DETECT, "false_positives": falsePositives, "limit_to_lungs": limitToLungs, "average": average,
        "film_mm": filmMm,
    }  # fmt: skip
    return Request(nodes={FILM: film}, parameters=wanted, bundle=model, **options)


def synthesis_request(
    film: vtkMRMLScalarVolumeNode | None, *, base: str = INPUT, count: int = 1, diameterMm: float = 0.0,
    density: str = "random", places: Sequence[Sequence[float]] = (), ratio: float | None = None, filmMm: float = 0.0,
    flow: str | None = None, pairs: int = 0, **options: Unpack[Options],
) -> Request:  # fmt: skip
    """A run that makes a film with nodules; arguments as those of the logic's ``synthesise``."""
    wanted = {
        "task": SYNTHESISE, "base": base, "count": count, "diameter_mm": diameterMm, "density": density,
        "place": place_text(places), "ratio": -1.0 if ratio is None else ratio, "film_mm": filmMm, "flow": flow,
        "pairs": pairs,
    }  # fmt: skip
    return Request(nodes={FILM: film if base == INPUT else None}, parameters=wanted, **options)


def place_text(places: Sequence[Sequence[float]]) -> str:
    """Points (RAS mm) as the method takes them: ``R,A,S;R,A,S``."""
    return ";".join(",".join(f"{float(x):.3f}" for x in point) for point in places)
