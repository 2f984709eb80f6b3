"""Loading ``.ui`` files: every class, property and connection is checked, where Qt only warns."""


from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from PySide6 import QtCore, QtUiTools, QtWidgets

from slicer_standin import ctk_widgets, pythonqt, qmrml_widgets
from slicer_standin.declared import Stored, declared_slots, stored
from slicer_standin.recorder import recorder

CUSTOM = {**ctk_widgets.WIDGETS, **qmrml_widgets.WIDGETS}
LAYOUT_PROPERTIES = {
    "margin", "leftMargin", "topMargin", "rightMargin", "bottomMargin", "spacing", "horizontalSpacing",
    "verticalSpacing",
}  # fmt: skip
Element = ElementTree.Element


class QUiLoader:
    """What ``slicer.util.loadUI`` uses."""

    def load(self, file: Any, parent: Any = None) -> Any:
        """The widget of an open file; its parts are of our classes."""
        root = ElementTree.fromstring(bytes(file.readAll().data()))
        findings = [f"{file.fileName()}: {finding}" for finding in check(root)]
        if findings:
            raise recorder.fail("\n".join(findings))
        later = _take_out(root)
        widget = _load(root, parent)
        named = {part.objectName: part for part in [widget, *_descendants(widget)]}
        for name, key, value in later:
            setattr(named[name], key, value)
        _connect(root, named)
        return widget


def check(root: Element) -> list[str]:
    """What Slicer would not find, in words."""
    custom = {entry.findtext("class") for entry in root.iter("customwidget")}
    found = []
    for part in root.iter("widget"):
        name, cls = part.get("class", ""), _class(part.get("class", ""))
        where = f"{part.get('name')}: {name}"
        if cls is None:
            found.append(f"{where}: no such class in Qt, CTK or Slicer that the stand-in knows")
            continue
        if name in CUSTOM and name not in custom:
            found.append(f"{where}: has no <customwidget> entry")
        found += [f"{where} has no property '{key}'" for key in _own(part) if not _has_property(cls, key)]
    for part in root.iter("layout"):
        cls = getattr(QtWidgets, part.get("class", ""))
        keys = [key for key in _own(part) if key not in LAYOUT_PROPERTIES and key not in pythonqt.members(cls)[0]]
        found += [f"{part.get('name')}: {part.get('class')} has no property '{key}'" for key in keys]
    return found + _check_connections(root)


def _class(name: str) -> Any:
    return QtWidgets.QFrame if name == "Line" else CUSTOM.get(name) or getattr(QtWidgets, name, None)


def _own(part: Element) -> list[str]:
    return [entry.get("name", "") for entry in part.findall("property") if entry.get("stdset") != "0"]


def _has_property(cls: type, name: str) -> bool:
    return isinstance(stored(cls, name), Stored) or name in pythonqt.members(cls)[0] or name == "orientation"


def _check_connections(root: Element) -> list[str]:
    classes = {part.get("name"): _class(part.get("class", "")) for part in root.iter("widget")}
    found = []
    for sender, signal, receiver, slot in _connections(root):
        if sender not in classes or receiver not in classes:
            found.append(f"connection {sender} -> {receiver}: no such widget")
        elif signal not in pythonqt.signatures(classes[sender]):
            found.append(f"{sender}: {classes[sender].__name__} has no signal {signal}")
        elif slot not in declared_slots(classes[receiver]) | pythonqt.slots(classes[receiver]):
            found.append(f"{receiver}: {classes[receiver].__name__} has no slot {slot}")
    return found


def _connections(root: Element) -> list[tuple[str, str, str, str]]:
    tags = ("sender", "signal", "receiver", "slot")
    return [tuple(entry.findtext(tag, "") for tag in tags) for entry in root.iter("connection")]  # type: ignore[misc]


def _take_out(root: Element) -> list[tuple[str, str, Any]]:
    """Remove the properties of our own classes, which Qt does not know; returns (widget, property, value)."""
    found = []
    for part in root.iter("widget"):
        cls = CUSTOM.get(part.get("class", ""))
        for entry in list(part.findall("property")) if cls is not None else []:
            if isinstance(stored(cls, entry.get("name", "")), Stored):
                part.remove(entry)
                found.append((part.get("name", ""), entry.get("name", ""), _value(entry[0])))
    return found


def _value(element: Element) -> Any:
    text = element.text or ""
    if element.tag == "stringlist":
        return tuple(entry.text or "" for entry in element)
    kinds = {"bool": lambda t: t == "true", "number": int, "double": float}
    return kinds.get(element.tag, str)(text)


def _load(root: Element, parent: Any) -> Any:
    connections = root.find("connections")
    stripped = ElementTree.fromstring(ElementTree.tostring(root))
    if connections is not None:
        stripped.remove(stripped.find("connections"))  # type: ignore[arg-type]
    buffer = QtCore.QBuffer()
    buffer.setData(ElementTree.tostring(stripped))
    buffer.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
    warnings: list[str] = []
    before = QtCore.qInstallMessageHandler(lambda kind, context, text: warnings.append(text))
    loader = _Loader()
    pythonqt.loading.append(True)
    try:
        widget = loader.load(buffer, parent)
    finally:
        pythonqt.loading.pop()
        QtCore.qInstallMessageHandler(before)
    if widget is None or warnings:
        raise recorder.fail(f"Qt could not load the .ui: {warnings}")
    widget.__dict__["_standin_parts"] = loader._made  # else Python's side of them may be lost
    return widget


class _Loader(QtUiTools.QUiLoader):
    def __init__(self) -> None:
        super().__init__()
        self._made: list[Any] = []

    def createWidget(self, name: str, parent: Any = None, objectName: str = "") -> Any:
        cls = CUSTOM.get(name) or getattr(QtWidgets, name, None)
        if cls is None:
            return super().createWidget(name, parent, objectName)
        before, pythonqt.loading[:] = pythonqt.loading[:], []
        widget = cls(parent) if parent is not None else cls()
        pythonqt.loading[:] = before
        widget.setObjectName(objectName)
        self._made.append(widget)
        return widget


def _descendants(widget: Any) -> list[Any]:
    return list(widget.findChildren(QtWidgets.QWidget))


def _connect(root: Element, named: dict[str, Any]) -> None:
    for sender, signal, receiver, slot in _connections(root):
        pythonqt.connect(named[sender], signal, getattr(named[receiver], slot.partition("(")[0]))
