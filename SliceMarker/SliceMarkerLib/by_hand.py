"""Markers corrected by hand, in the scene: the result there is read, corrected, and put in the place of the former."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from slicer.i18n import tr as _

from manabi.errors import InvalidInputError
from manabi_slicer import bridge
from SliceMarkerLib import chest

if TYPE_CHECKING:
    from slicer import vtkMRMLScalarVolumeNode

    from manabi.result import Result
    from manabi.slices.stack import AxialStack
    from manabi.volume import Volume
    from manabi_slicer.logic import ManabiLogic, Nodes


def move(
    logic: ManabiLogic, inputVolume: vtkMRMLScalarVolumeNode, marker: str, positionRAS: Sequence[float],
    keepColumn: bool = False,
) -> Nodes:  # fmt: skip
    """Put a marker on the slice nearest to a position; as :meth:`SliceMarker.SliceMarkerLogic.moveMarker`."""
    from SliceMarkerLib import corrections

    def moved(result: Result, volume: Volume, stack: AxialStack) -> Result:
        """The result with the marker there."""
        k, place = chest.slice_of(stack, positionRAS), positionRAS
        if keepColumn:
            mark = result.landmarks.get(marker)
            place = mark.position_ras if mark is not None else chest.middle_ras(stack, k)
        return corrections.moved(result, volume, stack, marker, chest.on_slice(stack, place, k), k)

    return _correct(logic, inputVolume, moved)


def put_back(logic: ManabiLogic, inputVolume: vtkMRMLScalarVolumeNode, marker: str) -> Nodes:
    """Put a marker where it was found; as :meth:`SliceMarker.SliceMarkerLogic.putMarkerBack`."""
    from SliceMarkerLib import corrections

    return _correct(logic, inputVolume, lambda *read: corrections.put_back(*read, marker))


def _correct(
    logic: ManabiLogic,
    inputVolume: vtkMRMLScalarVolumeNode,
    change: Callable[[Result, Volume, AxialStack], Result],
) -> Nodes:
    """Change the result as the scene shows it; its representative volume is made anew by that, or stays.

    One that the user removed is made anew as well.
    """
    outputs = logic.outputsOf(inputVolume)
    if "tables/markers" not in outputs:
        raise InvalidInputError(_("There is no result yet. Press Apply first."))
    volume, stack = chest.read(inputVolume)
    result = change(logic.resultOf(inputVolume, volumes=False), volume, stack)
    if "representative" not in result.volumes:
        node = outputs.get("volumes/representative")
        result.volumes["representative"] = (
            _representative(result, volume, stack) if node is None else bridge.volume_from_node(node)
        )
    return logic.keep(result, [inputVolume])


def _representative(result: Result, volume: Volume, stack: AxialStack) -> Volume:
    from manabi.slices.representative import chosen_of, representative_volume

    return representative_volume(volume, stack, chosen_of(result.tables["representative"], stack))
