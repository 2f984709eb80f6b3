"""What the buttons of the panel ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from BrainSegLib import tasks
from BrainSegLib.parameters import Mode

if TYPE_CHECKING:
    from manabi_slicer.request import Request


def request_of(logic: Any, parameterNode: Any, task: str) -> Request:
    """What a button asks for.

    Args:
        logic: the module's.
        parameterNode: the panel's choices.
        task: one of :data:`BrainSegLib.tasks.TASKS`.

    Raises:
        InvalidInputError: when nothing is painted, for a propagation.
    """
    p = parameterNode
    options = options_of(p)
    if task == tasks.PROPAGATE:
        return logic.propagateRequest(
            p.inputVolume, p.segmentation, p.segments, secondVolume=p.secondVolume, axis=p.direction.value,
            keep=p.mode == Mode.KEEP, preview=p.preview, changedOnly=p.changedOnly, **options,
        )  # fmt: skip
    if task == tasks.CONTRAST:
        if not translates(options.get("model")):
            options["model"] = None  # the chosen model finds structures; Manabi's own computes contrasts
        return tasks.request_of(p.inputVolume, None, {"task": tasks.CONTRAST}, **options)
    if task in (tasks.FEATURES, tasks.LAYERS):
        wanted = {"task": tasks.FEATURES, "layer": p.layer if task == tasks.FEATURES else "",
                  "structure": p.structure.value, "count": p.count}  # fmt: skip
        return tasks.request_of(p.inputVolume, p.secondVolume, wanted, **options)
    structures = tasks.listed([name for name in tasks.NAMES if getattr(p, name)])
    wanted = {"task": tasks.STRUCTURES, "structures": structures}
    return tasks.request_of(p.inputVolume, p.secondVolume, wanted, **options)


def options_of(parameterNode: Any) -> tasks.Options:
    """Model, device and the other choices that all tasks share."""
    p = parameterNode
    return {
        "model": p.model or None, "minConfidence": p.minConfidencePercent / 100.0, "fine": p.fine,
        "device": p.device.value, "precision": p.precision.value,
    }  # fmt: skip


def translates(model: str | None) -> bool:
    """Whether a model computes contrasts, rather than finding structures."""
    from manabi.store import BundleStore

    if model is None:
        return False
    return bool(BundleStore().get(model, method="brain").facts.get("brain", {}).get("kind") == "translation")


def reason_not_to_propagate(parameterNode: Any, automatic: Any) -> str:
    """Why nothing can be propagated yet, and what to do; empty where it can.

    Args:
        parameterNode: the panel's choices.
        automatic: the segmentation of the last automatic result, or None.
    """
    from slicer.i18n import tr as _

    p = parameterNode
    if not p.inputVolume or p.inputVolume.GetImageData() is None:
        return _("Choose the image that was painted on.")
    if not p.segmentation:
        return _("Choose a segmentation. Paint slices in Segment Editor first, for example every tenth one.")
    if not p.segments:
        return _("Check the segment to propagate.")
    if p.changedOnly and automatic is None:
        return _("There is no automatic result to compare with. Press Apply first, or uncheck Changed slices only.")
    if p.changedOnly and p.segmentation is automatic:
        return _("This is the automatic result itself. Press Copy to correct, and correct the copy.")
    return ""
