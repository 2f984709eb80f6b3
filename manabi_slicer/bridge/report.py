"""The report: warnings and provenance as text that a person can read and a program can read back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import slicer

from manabi.result import Result

if TYPE_CHECKING:
    from slicer import vtkMRMLTextNode

FORMAT = "manabi-report/1"


def build_report(result: Result) -> vtkMRMLTextNode:
    """A text node that is in no scene, with the result's warnings and provenance as JSON."""
    from manabi.result_codec import json_value

    node = slicer.vtkMRMLTextNode()
    said = {"format": FORMAT, "warnings": list(result.warnings), "provenance": result.provenance}
    node.SetText(json.dumps(said, indent=1, ensure_ascii=False, default=json_value))
    return node


def read_report(node: vtkMRMLTextNode) -> dict[str, Any]:
    """Warnings and provenance; both empty where the user replaced the text."""
    try:
        said = json.loads(node.GetText() or "")
    except json.JSONDecodeError:
        said = {}
    if not isinstance(said, dict) or said.get("format") != FORMAT:
        return {"warnings": [], "provenance": {}}
    return {"warnings": list(said.get("warnings", [])), "provenance": dict(said.get("provenance", {}))}


def bundle_text(result: Result) -> str:
    """``name@version+sha`` of the bundle that made a result; empty where none did."""
    bundle = result.provenance.get("bundle") or {}
    if not bundle.get("name"):
        return ""
    sha = str(bundle.get("weights_sha256") or "")[:12]
    return f"{bundle['name']}@{bundle.get('version', '')}" + (f"+{sha}" if sha else "")
