"""A small form for the patient's clinical values, made anew for each model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import qt
from slicer.i18n import tr as _

from manabi_slicer.slots import calling
from RadiomicsSurvivalLib.clinical import Field
from RadiomicsSurvivalLib.tasks import listed


class ClinicalForm:
    """Numbers to type and levels to choose; what is left empty counts as not known.

    Args:
        container: widget with a form layout.
        on_changed: called with the values as text, as the method takes them.
    """

    def __init__(self, container: Any, on_changed: Callable[[str], None]) -> None:
        self._container, self._on_changed = container, on_changed
        self._fields: tuple[Field, ...] = ()
        self._widgets: dict[str, Any] = {}
        self._filling = False

    def show(self, fields: tuple[Field, ...], values: Mapping[str, str]) -> None:
        """Ask for these variables, and show what is known of them.

        Args:
            fields: of the chosen model.
            values: by name.
        """
        self._filling = True
        if fields != self._fields:
            self._build(fields)
        for field in fields:
            self._write(field, values.get(field.name, ""))
        self._filling = False

    def widget(self, name: str) -> Any:
        """The widget of a variable; raises KeyError for one that is not asked for."""
        return self._widgets[name]

    def _build(self, fields: tuple[Field, ...]) -> None:
        form = self._container.layout()
        while form.rowCount() > 0:
            form.removeRow(0)
        self._fields, self._widgets = fields, {}
        for field in fields:
            self._widgets[field.name] = widget = qt.QComboBox() if field.levels else qt.QLineEdit()
            widget.objectName = f"clinical_{field.name}"
            if field.levels:
                widget.addItem(_("not known"))
                for level in field.levels:
                    widget.addItem(level)
                widget.connect("currentIndexChanged(int)", calling(self._changed))
            else:
                widget.placeholderText = _("not known")
                widget.connect("textChanged(QString)", calling(self._changed))
            form.addRow(f"{field.name}:", widget)
        self._container.visible = bool(fields)

    def _write(self, field: Field, value: str) -> None:
        widget = self._widgets[field.name]
        if field.levels:
            widget.currentIndex = field.levels.index(value) + 1 if value in field.levels else 0
        elif widget.text != value:
            widget.text = value

    def _changed(self) -> None:
        if self._filling:
            return
        self._on_changed(listed({field.name: self._value(field) for field in self._fields}))

    def _value(self, field: Field) -> str:
        widget = self._widgets[field.name]
        if not field.levels:
            return str(widget.text)
        return field.levels[widget.currentIndex - 1] if widget.currentIndex > 0 else ""
