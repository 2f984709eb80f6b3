"""Noticing that the input was moved or changed while it was being processed."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
from slicer.i18n import tr as _

from manabi.result import Labelmap, Result
from manabi.volume import Volume
from manabi_slicer.bridge.geometry import ijk_to_world

if TYPE_CHECKING:
    from slicer import vtkMRMLScalarVolumeNode

STILL_MM = 1e-6
"""Matrices that differ by less are the same."""


class Watch:
    """What an input was when it was read.

    Args:
        node: the volume that a method runs on.
    """

    def __init__(self, node: vtkMRMLScalarVolumeNode) -> None:
        self._place = ijk_to_world(node)
        self._image = node.GetImageData()
        self._modified = _modified(node)

    def follow(self, result: Result, node: vtkMRMLScalarVolumeNode) -> Result:
        """The result where the input is now; with a warning where the input's voxels are others now.

        Args:
            result: what came of the input as it was.
            node: the input as it is now.
        """
        now = ijk_to_world(node)
        if now.shape == self._place.shape and np.abs(now - self._place).max() > STILL_MM:
            result = moved(result, now @ np.linalg.inv(self._place))
        if node.GetImageData() is not self._image or _modified(node) != self._modified:
            result.warnings.append(
                _(
                    "The scan was changed while it was being processed. This is the result of the scan as it was when "
                    "Apply was pressed; press Apply again for what it is now."
                )
            )
        return result


def moved(result: Result, matrix: np.ndarray) -> Result:
    """A result carried along with the patient: images, labels and landmarks.

    Args:
        result: where the input was.
        matrix: 4×4 in RAS mm, from there to where the input is now.
    """
    volumes = {name: _moved(volume, matrix) for name, volume in result.volumes.items()}
    labels = {name: Labelmap(_moved(one.volume, matrix), one.segments) for name, one in result.labelmaps.items()}
    marks = {
        name: dataclasses.replace(mark, position_ras=tuple((matrix @ [*mark.position_ras, 1.0])[:3].tolist()))
        for name, mark in result.landmarks.items()
    }
    return dataclasses.replace(result, volumes=volumes, labelmaps=labels, landmarks=marks)


def _moved(volume: Volume, matrix: np.ndarray) -> Volume:
    return dataclasses.replace(volume, ijk_to_ras=matrix @ volume.ijk_to_ras)


def _modified(node: vtkMRMLScalarVolumeNode) -> int:
    """When the voxels were last modified."""
    image = node.GetImageData()
    return 0 if image is None else int(image.GetMTime())
