"""Which node of the scene gets which output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import slicer

from manabi.errors import InvalidInputError
from manabi_slicer.bridge.attributes import described
from manabi_slicer.bridge.drafts import LANDMARKS, Draft
from manabi_slicer.bridge.volumes import can_hold

if TYPE_CHECKING:
    from slicer import vtkMRMLNode


def targets_of(
    drafts: list[Draft],
    previous: Mapping[str, Any],
    chosen: Mapping[str, vtkMRMLNode | None],
    inputs: Sequence[vtkMRMLNode | None],
) -> dict[str, Any]:
    """The node to update for each draft, by its name: the one the user chose, else the one of the run before.

    Raises:
        InvalidInputError: for a chosen node that cannot be used; the message says why and what to do.
    """
    wanted = {_name(key): node for key, node in chosen.items() if node is not None}
    outputs = {draft.name: draft for draft in drafts if not draft.helper}
    for name, node in wanted.items():
        _check(name, node, inputs, outputs.get(name))
    targets = {name: node for name, node in wanted.items() if name in outputs}
    identifiers = [node.GetID() for node in targets.values()]
    if len(set(identifiers)) != len(identifiers):
        raise InvalidInputError("One node was chosen for several outputs. Choose a node of its own for each.")
    for draft in drafts:
        node = previous.get(draft.name)
        if draft.name not in targets and node is not None and node.GetID() not in identifiers:
            targets[draft.name] = node
    return targets


def _name(key: str) -> str:
    """Every landmark is in the one point list."""
    return LANDMARKS if key.startswith(f"{LANDMARKS}/") else key


def _check(name: str, node: Any, inputs: Sequence[vtkMRMLNode | None], draft: Draft | None) -> None:
    if any(node is one for one in inputs):
        raise InvalidInputError(f"{name}: an input cannot be overwritten. Choose another node, or a new one.")
    if node.GetScene() is not slicer.mrmlScene:
        raise InvalidInputError(f"{name}: the chosen node is no longer in the scene. Choose another one.")
    expected = draft.node.GetClassName() if draft is not None else node.GetClassName()
    if not can_hold(node, expected):
        raise InvalidInputError(f"{name}: expected a {expected}; got {described(node)}. Choose another node.")
