"""Landmarks: one point list for all of a result, so that they are read and edited side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import slicer

from manabi.result import Landmark
from manabi_slicer.bridge.attributes import content, set_content
from manabi_slicer.bridge.geometry import local_to_world

if TYPE_CHECKING:
    from slicer import vtkMRMLMarkupsFiducialNode


def build_landmarks(landmarks: Mapping[str, Landmark], world_to_local: np.ndarray) -> vtkMRMLMarkupsFiducialNode:
    """A point list that is in no scene.

    Args:
        landmarks: positions in RAS mm of the patient.
        world_to_local: 4×4 to the space under the node's parent transform.
    """
    node = slicer.vtkMRMLMarkupsFiducialNode()
    noted = {}
    for key, mark in landmarks.items():
        local = world_to_local[:3, :3] @ np.asarray(mark.position_ras, float) + world_to_local[:3, 3]
        index = node.AddControlPoint(local.tolist(), mark.name)
        node.SetNthControlPointDescription(index, mark.description)
        noted[key] = {
            "id": node.GetNthControlPointID(index), "confidence": mark.confidence,
            "ras": list(mark.position_ras),
        }  # fmt: skip
    set_content(node, {"landmarks": noted})
    return node


def landmark_names(node: vtkMRMLMarkupsFiducialNode) -> list[str]:
    """The keys of the landmarks in a point list."""
    return list(content(node).get("landmarks", {}))


def landmark_index(node: vtkMRMLMarkupsFiducialNode, name: str) -> int:
    """Index of a landmark's control point; -1 where the user removed it."""
    noted = content(node).get("landmarks", {}).get(name)
    return -1 if noted is None else int(node.GetNthControlPointIndexByID(noted["id"]))


def landmark_position(node: vtkMRMLMarkupsFiducialNode, name: str) -> tuple[float, float, float] | None:
    """Where a landmark is now, RAS mm of the patient; None where the user removed it."""
    index = landmark_index(node, name)
    if index < 0:
        return None
    place = [0.0, 0.0, 0.0]
    node.GetNthControlPointPositionWorld(index, place)
    return place[0], place[1], place[2]


def read_landmarks(node: vtkMRMLMarkupsFiducialNode) -> dict[str, Landmark]:
    """The landmarks of a point list where they are now; those the user removed are left out."""
    to_world = local_to_world(node)
    found = {}
    for name, noted in content(node).get("landmarks", {}).items():
        index = landmark_index(node, name)
        if index < 0:
            continue
        x, y, z = (float(v) for v in _position(node, index, noted, to_world))
        found[name] = Landmark(
            node.GetNthControlPointLabel(index), (x, y, z), noted.get("confidence"),
            node.GetNthControlPointDescription(index),
        )  # fmt: skip
    return found


def _position(node: vtkMRMLMarkupsFiducialNode, index: int, noted: dict, to_world: np.ndarray) -> np.ndarray:
    """Where a point lies in RAS mm: exactly what was noted while nothing moved it."""
    local = np.array(node.GetNthControlPointPosition(index), float)
    world = to_world[:3, :3] @ local + to_world[:3, 3]
    stated = np.array(noted["ras"], float)
    return stated if np.abs(world - stated).max() < 1e-6 else world
