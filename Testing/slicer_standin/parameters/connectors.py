"""Between a widget and a parameter: a connector takes exact widget classes and exact types, as Slicer's do."""

from __future__ import annotations

import enum
import typing
from collections.abc import Callable
from typing import Any

import ctk
import qt
import slicer

from slicer_standin.parameters.serializers import PATHS, is_node, split
from slicer_standin.parameters.validators import Choice, Decimals, Maximum, Minimum, SingleStep, WithinRange

INT_LIMIT = 2**31
SLIDERS = (qt.QSlider, ctk.ctkSliderWidget, slicer.qMRMLSliderWidget)
FLOATS = (qt.QDoubleSpinBox, ctk.ctkSliderWidget, slicer.qMRMLSliderWidget, ctk.ctkDoubleSlider, ctk.ctkDoubleSpinBox,
          slicer.qMRMLSpinBox)  # fmt: skip


class Connector:
    """Reads and writes one widget.

    Args:
        widget: of the .ui.
        signal: name of the signal that tells of changes; empty where there is none.
        read: gives the widget's value.
        write: sets it.
    """

    def __init__(self, widget: Any, signal: str, read: Callable[[], Any], write: Callable[[Any], None]) -> None:
        self._widget, self._signal = widget, signal
        self.read, self.write = read, write
        self._callback: Callable[[], None] | None = None

    def onChanged(self, callback: Callable[[], None] | None) -> None:
        """Call this when the user changes the widget; None ends it."""
        self._callback = callback
        if self._signal:
            signal = getattr(self._widget, self._signal)
            (signal.disconnect if callback is None else signal.connect)(self.changed)

    def changed(self) -> None:
        """The widget changed."""
        if self._callback is not None:
            self._callback()

    def widget(self) -> Any:
        """The widget."""
        return self._widget


def connector_for(widget: Any, annotated: Any) -> Connector:
    """The connector of a widget and a type; raises RuntimeError where there is none, as Slicer does."""
    kind, beside = split(annotated)
    for make in (_bool, _number, _choice, _text, _path, _node):
        made = make(widget, kind, beside)
        if made is not None:
            return made
    raise RuntimeError(
        f"no connector from {annotated} to {type(widget).__name__} '{widget.objectName}': Slicer connects exact widget "
        "classes only (QCheckBox, QPushButton, QSpinBox, QComboBox, QLineEdit, QLabel, QTextEdit, ctkSliderWidget, ...)"
    )


def _attribute(widget: Any, name: str) -> tuple[Callable[[], Any], Callable[[Any], None]]:
    return (lambda: getattr(widget, name)), (lambda value: setattr(widget, name, value))


def _bool(widget: Any, kind: Any, beside: Any) -> Connector | None:
    if kind is not bool or type(widget) not in (qt.QCheckBox, ctk.ctkCheckBox, qt.QPushButton):
        return None
    if type(widget) is qt.QPushButton:
        widget.checkable = True
    return Connector(widget, "toggled", *_attribute(widget, "checked"))


def _number(widget: Any, kind: Any, beside: Any) -> Connector | None:
    whole = kind is int and type(widget) in (qt.QSlider, qt.QSpinBox)
    if not whole and not (kind in (int, float) and type(widget) in FLOATS):
        return None
    low, high = _bounds(beside)
    if type(widget) in SLIDERS and (low is None or high is None):
        raise RuntimeError(f"{type(widget).__name__} '{widget.objectName}' needs bounds: annotate with WithinRange")
    for hint, name in ((Decimals, "decimals"), (SingleStep, "singleStep")):
        for one in beside:
            if isinstance(one, hint):
                setattr(widget, name, one.value)
    unbounded = INT_LIMIT if whole else float("inf")
    widget.minimum = low if low is not None else -unbounded
    widget.maximum = high if high is not None else unbounded - 1
    if kind is int and not whole and type(widget) is not ctk.ctkDoubleSlider:
        widget.decimals = 0
    return Connector(widget, "valueChanged", lambda: kind(widget.value), _attribute(widget, "value")[1])


def _bounds(beside: Any) -> tuple[Any, Any]:
    low = next((one.minimum for one in beside if isinstance(one, (WithinRange, Minimum))), None)
    high = next((one.maximum for one in beside if isinstance(one, (WithinRange, Maximum))), None)
    return low, high


def _choice(widget: Any, kind: Any, beside: Any) -> Connector | None:
    if type(widget) not in (qt.QComboBox, ctk.ctkComboBox):
        return None
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        label = getattr(kind, "label", lambda one: one.name)
        choices, labels = list(kind), [label(one) for one in kind]
    elif kind in (int, float, str, bool):
        found = [one for one in beside if isinstance(one, Choice)]
        if not found:
            raise RuntimeError(f"the combo box '{widget.objectName}' needs Choice beside its type")
        choices = list(found[0].choices)
        labels = [str(one) for one in choices]
    else:
        return None
    widget.clear()
    for text in labels:
        widget.addItem(text)

    def write(value: Any) -> None:
        if value not in choices:
            raise ValueError(f"{value!r} is not among {choices}")
        widget.currentIndex = choices.index(value)

    return Connector(widget, "currentIndexChanged", lambda: choices[widget.currentIndex], write)


def _text(widget: Any, kind: Any, beside: Any) -> Connector | None:
    if kind is not str:
        return None
    if type(widget) is qt.QTextEdit:
        return Connector(widget, "textChanged", lambda: widget.toPlainText(), lambda v: widget.setPlainText(v))
    if type(widget) in (qt.QLineEdit, qt.QLabel):
        signal = "textChanged" if type(widget) is qt.QLineEdit else ""
        return Connector(widget, signal, lambda: widget.text, lambda v: v == widget.text or setattr(widget, "text", v))
    return None


def _path(widget: Any, kind: Any, beside: Any) -> Connector | None:
    names = {ctk.ctkPathLineEdit: "currentPath", ctk.ctkDirectoryButton: "directory"}
    if kind not in PATHS or type(widget) not in names:
        return None
    name = names[type(widget)]
    return Connector(
        widget, f"{name}Changed", lambda: kind(getattr(widget, name)), lambda v: setattr(widget, name, str(v))
    )


def _node(widget: Any, kind: Any, beside: Any) -> Connector | None:
    parts = [split(part)[0] for part in typing.get_args(kind)] or [kind]
    nodes = [part for part in parts if part is not type(None)]
    if type(widget) is not slicer.qMRMLNodeComboBox or not all(is_node(part) for part in nodes):
        return None
    widget.nodeTypes = tuple(part().GetClassName() for part in nodes)
    return Connector(widget, "currentNodeChanged", lambda: widget.currentNode(), lambda v: widget.setCurrentNode(v))
