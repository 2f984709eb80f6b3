"""What the bridge notes on nodes, so that outputs are found and read back from any scene, saved ones too."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slicer import vtkMRMLNode

PREFIX = "Manabi."
METHOD = "Manabi.method"
KEY = "Manabi.key"
HELPER = "Manabi.helper"
"""Set on nodes that another output needs, such as the series of a chart."""
INDEX = "Manabi.index"
"""Place in the result, for the order of outputs."""
BUNDLE = "Manabi.bundle"
CONTENT = "Manabi.content"
"""JSON of what the node itself cannot hold exactly."""
MODALITY = "Manabi.modality"
UNITS = "Manabi.units"
CAUTION = "Manabi.caution"
"""What every reader of values that no scanner measured must know."""
CHOSEN = "Manabi.chosen"
"""Set on outputs whose node the user chose; such a node is never removed."""
FOLDER = "Manabi.folder"
"""Attribute of the folder in the subject hierarchy."""
INPUT_ROLE = "Manabi.input"
"""Node reference from an output to the input it was made from."""


def set_text(node: vtkMRMLNode, name: str, text: str | None) -> None:
    """Set an attribute; None and empty text remove it."""
    if text:
        node.SetAttribute(name, text)
    else:
        node.RemoveAttribute(name)


def set_content(node: vtkMRMLNode, content: Any) -> None:
    """Note JSON on a node."""
    from manabi.result_codec import json_value

    node.SetAttribute(CONTENT, json.dumps(content, separators=(",", ":"), default=json_value))


def content(node: vtkMRMLNode) -> dict[str, Any]:
    """What :func:`set_content` noted; empty where there is none or it was damaged."""
    try:
        found = json.loads(node.GetAttribute(CONTENT) or "{}")
    except json.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def is_a(node: vtkMRMLNode | None, *classes: str) -> bool:
    """Whether a node is of one of the classes, or derived from it."""
    return node is not None and any(node.IsA(name) for name in classes)


def described(node: Any) -> str:
    """The kind of a node for an error message; never its name, which may be a patient's."""
    return "nothing" if node is None else node.GetNodeTagName() if hasattr(node, "GetNodeTagName") else str(type(node))
