"""Nodes of the scene to volumes and results, and back: the only place where they are converted.

Everything lies in the patient to within 1e-6 mm of where it was, parent transforms included. A result enters the scene
whole or not at all, updates the outputs of the run before, can be taken back, and can be read again from a saved scene.
"""

from manabi_slicer.bridge.inputs import inputs_from_nodes
from manabi_slicer.bridge.landmarks import landmark_index
from manabi_slicer.bridge.readback import result_from_nodes
from manabi_slicer.bridge.results import find_outputs, result_to_nodes
from manabi_slicer.bridge.segmentations import labelmap_from_segmentation, labelmap_to_node
from manabi_slicer.bridge.undoing import can_undo, undo
from manabi_slicer.bridge.volumes import volume_from_node, volume_to_node

__all__ = [
    "can_undo",
    "find_outputs",
    "inputs_from_nodes",
    "labelmap_from_segmentation",
    "labelmap_to_node",
    "landmark_index",
    "result_from_nodes",
    "result_to_nodes",
    "undo",
    "volume_from_node",
    "volume_to_node",
]
