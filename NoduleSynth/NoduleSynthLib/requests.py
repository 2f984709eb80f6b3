"""What the panel's choices ask for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from NoduleSynthLib import tasks
from NoduleSynthLib.parameters import Task

if TYPE_CHECKING:
    from manabi_slicer.request import Request


def request_of(p: Any, points: Sequence[Sequence[float]]) -> Request:
    """What Apply asks for in the part of the panel that is open.

    Args:
        p: the parameter node.
        points: places of nodules, RAS mm.
    """
    if p.task == Task.DETECT:
        return detection(p, p.inputVolume)
    return tasks.synthesis_request(
        p.inputVolume, base=p.base.value, count=p.count, diameterMm=p.diameterMm, density=p.density.value,
        places=points, ratio=None if p.randomRatio else p.ratioPercent / 100.0, filmMm=p.filmMm,
        flow=p.flow.strip() or None, seed=p.seed, device=p.device.value, precision=p.precision.value,
    )  # fmt: skip


def detection(p: Any, film: Any = None) -> Request:
    """A search of a film with the panel's choices; without one it is what a batch asks for."""
    return tasks.detect_request(
        film, falsePositives=p.falsePositives, limitToLungs=p.limitToLungs, average=p.average, filmMm=p.filmMm,
        model=p.model or None, device=p.device.value, precision=p.precision.value,
    )  # fmt: skip


def from_nothing(p: Any) -> bool:
    """Whether the open part makes a film from nothing, so that no film has to be chosen."""
    return p.task == Task.SYNTHESISE and p.base.value != tasks.INPUT
