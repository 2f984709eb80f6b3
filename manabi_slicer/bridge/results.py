"""A result in the scene: outputs beside their input, updated by the next run, found again, taken back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import slicer

from manabi.errors import InvalidInputError
from manabi.result import Result
from manabi_slicer.bridge import hierarchy, undoing
from manabi_slicer.bridge.attributes import BUNDLE, CHOSEN, HELPER, INDEX, INPUT_ROLE, KEY, METHOD, is_a, set_text
from manabi_slicer.bridge.drafts import LANDMARKS, SEPARATOR, Draft, Drafting
from manabi_slicer.bridge.landmarks import landmark_names
from manabi_slicer.bridge.report import bundle_text
from manabi_slicer.bridge.targets import targets_of
from manabi_slicer.bridge.transaction import Transaction, batch

if TYPE_CHECKING:
    from slicer import vtkMRMLNode

FEW = 3
"""More tables, charts and texts than this stand in a folder of their own (our choice)."""


def result_to_nodes(
    result: Result,
    *,
    method: str,
    title: str,
    input_node: vtkMRMLNode,
    chosen: Mapping[str, vtkMRMLNode | None] | None = None,
    inputs: Sequence[vtkMRMLNode | None] = (),
) -> dict[str, vtkMRMLNode]:
    """Put a result into the scene, all of it or nothing.

    Images, segmentations and landmarks get the input's parent transform and lie on the patient where the input lies.
    Outputs of an earlier run on the same input are updated: they stay the same nodes with the same display, and those
    that the new result lacks are removed. :func:`undo` takes it back.

    Args:
        result: what a method gave back.
        method: its name.
        title: its name for people.
        input_node: the node it ran on.
        chosen: nodes that the user wants outputs in, by key.
        inputs: further nodes that it ran on; like the input itself, none of them is ever overwritten.

    Returns:
        Nodes by key: ``volumes/<name>``, ``labelmaps/<name>``, ``landmarks/<name>`` (the same point list for all),
        ``tables/<name>``, ``plots/<name>``, ``measurements``, ``report``.

    Raises:
        InvalidInputError: when the input is in no scene or lies under a transform that is not linear, or a chosen node
            is of the wrong kind, the input itself, or chosen twice.
    """
    if input_node is None or input_node.GetScene() is not slicer.mrmlScene:
        raise InvalidInputError("The input is no longer in the scene. Load it again, and run again.")
    previous = _nodes_by_name(input_node, method)
    drafts = Drafting(result, title, input_node, previous).all()
    targets = targets_of(drafts, previous, chosen or {}, [input_node, *inputs])
    _note(drafts, method, bundle_text(result))
    transaction = Transaction()
    with batch(slicer.mrmlScene):
        try:
            _commit(transaction, drafts, targets, previous, input_node, title, method)
        except BaseException:
            transaction.roll_back()
            raise
    undoing.remember(transaction, input_node, method)
    return find_outputs(input_node, method)


def find_outputs(input_node: vtkMRMLNode, method: str) -> dict[str, vtkMRMLNode]:
    """The outputs of a method for an input, by key, in the order of the result; also of a scene that was loaded."""
    outputs: dict[str, vtkMRMLNode] = {}
    for name, node in _nodes_by_name(input_node, method).items():
        if name == LANDMARKS:
            outputs |= {f"{LANDMARKS}/{mark}": node for mark in landmark_names(node)}
        elif not node.GetAttribute(HELPER):
            outputs[name] = node
    return outputs


def _nodes_by_name(input_node: vtkMRMLNode, method: str) -> dict[str, Any]:
    """Outputs and their helpers by name; of copies that the user made only the original."""
    scene, identifier = input_node.GetScene(), input_node.GetID()
    found = []
    for index in range(scene.GetNumberOfNodes() if scene is not None else 0):
        node = scene.GetNthNode(index)
        if node.GetAttribute(METHOD) == method and node.GetNodeReferenceID(INPUT_ROLE) == identifier:
            found.append(node)
    found.sort(key=lambda node: node.GetAttribute(INDEX) or "")
    nodes: dict[str, Any] = {}
    for node in found:
        helper = node.GetAttribute(HELPER)
        nodes.setdefault((node.GetAttribute(KEY) or "") + (SEPARATOR + helper if helper else ""), node)
    return nodes


def _note(drafts: list[Draft], method: str, bundle: str) -> None:
    for index, draft in enumerate(drafts):
        node = draft.node
        node.SetAttribute(METHOD, method)
        node.SetAttribute(KEY, draft.key)
        node.SetAttribute(INDEX, f"{index:04d}")
        set_text(node, HELPER, draft.helper)
        set_text(node, BUNDLE, bundle)


def _commit(
    transaction: Transaction,
    drafts: list[Draft],
    targets: Mapping[str, Any],
    previous: Mapping[str, Any],
    input_node: vtkMRMLNode,
    title: str,
    method: str,
) -> None:
    """Change the scene."""
    places = _Places(transaction, drafts, list(previous.values()), input_node, title, method)
    used = {node.GetID() for node in targets.values()}
    nodes: dict[str, Any] = {}
    for draft in drafts:
        target = targets.get(draft.name)
        if target is None:
            transaction.add(_called(draft.node, draft, input_node), places.of(draft))
        else:
            _mark_chosen(draft, target, previous.get(draft.name))
            transaction.update(target, draft.node)
            _called(target, draft, input_node)
        nodes[draft.name] = draft.node if target is None else target
    for draft in drafts:
        _connect(nodes[draft.name], draft, nodes, input_node)
    for name, node in reversed(list(previous.items())):
        if node.GetID() not in used:
            if name in nodes or node.GetAttribute(CHOSEN):
                transaction.release(node)
            else:
                transaction.remove(node)


class _Places:
    """Where new outputs stand in the subject hierarchy."""

    def __init__(
        self, transaction: Transaction, drafts: list[Draft], previous: list[Any], input_node: vtkMRMLNode, title: str,
        method: str,
    ) -> None:  # fmt: skip
        self._transaction = transaction
        self._beside = hierarchy.parent_of(input_node)
        self._many = sum(not draft.is_image for draft in drafts) > FEW
        self._folder = hierarchy.output_folder(previous, method)
        self._name = f"{input_node.GetName()} {title}"
        self._method = method

    def of(self, draft: Draft) -> int:
        """Images beside the input; what is read in a folder, made when it is needed, where there is much of it."""
        if draft.is_image or not self._many:
            return self._beside
        if not self._folder:
            self._folder = self._transaction.folder(self._beside, self._name, self._method)
        return self._folder


def _mark_chosen(draft: Draft, target: Any, before: Any) -> None:
    """Note that the user chose this node, now or in an earlier run."""
    earlier = target.GetAttribute(CHOSEN) if target is before else "1"
    set_text(draft.node, CHOSEN, earlier)


def _called(node: Any, draft: Draft, input_node: vtkMRMLNode) -> Any:
    """Name a node after the input, unless the user gave it a name; series are named for the legend of their chart."""
    if node is draft.node or (node.GetName() or "").endswith(draft.title):
        node.SetName(draft.title if draft.helper.startswith("series/") else f"{input_node.GetName()} {draft.title}")
    return node


def _connect(node: Any, draft: Draft, nodes: Mapping[str, Any], input_node: vtkMRMLNode) -> None:
    """Link an output with its input, its place in the patient, and the nodes it needs."""
    node.SetNodeReferenceID(INPUT_ROLE, input_node.GetID())
    if draft.is_image:
        parent = input_node.GetTransformNodeID() if is_a(input_node, "vtkMRMLTransformableNode") else None
        node.SetAndObserveTransformNodeID(parent)
    draft.link(node, nodes)
    if is_a(node, "vtkMRMLDisplayableNode") and node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
