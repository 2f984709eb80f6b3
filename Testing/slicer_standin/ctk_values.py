"""CTK's widgets for numbers, with the properties, signals and slots that CTK declares."""

# ruff: noqa: N801, N815

from __future__ import annotations

from typing import Any

from PySide6 import QtCore, QtWidgets

from slicer_standin.declared import Declared, Stored, watch


class _Value(Declared, QtWidgets.QWidget):
    """A value between a minimum and a maximum."""

    minimum, maximum = Stored(0.0, "_bound"), Stored(99.0, "_bound")
    value = Stored(0.0, "_changed", True, "_fitted")
    singleStep = Stored(1.0)
    slots = ("setValue(double)",)
    signals = ("valueChanged(double)",)

    def __init__(self, *parent: Any) -> None:
        super().__init__(*parent)
        self._spin = QtWidgets.QDoubleSpinBox()
        self._spin.setRange(self.minimum, self.maximum)
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        self._lay_out(row)
        watch(self._spin, "valueChanged(double)", self._from_part)

    def _lay_out(self, row: Any) -> None:
        row.addWidget(self._spin)

    def setValue(self, value: float) -> None:
        self.value = value

    def _from_part(self, value: float) -> None:
        if abs(value - self.value) > 1e-9:
            self.value = value

    def _fitted(self, value: float) -> float:
        return min(max(value, self.minimum), self.maximum)

    def _bound(self) -> None:
        self._spin.setRange(self.minimum, self.maximum)
        self.value = self._fitted(self.value)

    def _changed(self) -> None:
        self._show()
        self._emit("valueChanged(double)", self.value)

    def _show(self) -> None:
        self._spin.setValue(self.value)


class ctkDoubleSpinBox(_Value):
    """A spin box for floats."""

    decimals = Stored(2, "_set_decimals")
    prefix, suffix, cleanText = Stored("", "_set_texts"), Stored("", "_set_texts"), Stored("", None, False)
    alignment, decimalsOption, setMode, sizeHintPolicy = Stored(), Stored(), Stored(), Stored()
    frame, invertedControls, readOnly = Stored(True), Stored(False), Stored(False)
    signals = ("decimalsChanged(int)", "editingFinished()", "valueChanged(QString)")
    slots = ("setDecimals(int)", "setReadOnly(bool)", "stepDown()", "stepUp()")

    def setDecimals(self, value: int) -> None:
        self.decimals = value

    def _set_decimals(self) -> None:
        self._spin.setDecimals(self.decimals)

    def _set_texts(self) -> None:
        self._spin.setPrefix(self.prefix)
        self._spin.setSuffix(self.suffix)


class ctkSliderWidget(_Value):
    """A slider beside a spin box."""

    decimals = Stored(2, "_set_decimals")
    prefix, suffix = Stored("", "_set_texts"), Stored("", "_set_texts")
    pageStep, tickInterval = Stored(10.0), Stored(0.0)
    tracking, spinBoxVisible, popupSlider = Stored(True), Stored(True, "_set_visible"), Stored(False)
    invertedAppearance, invertedControls = Stored(False), Stored(False)
    spinBoxAlignment, synchronizeSiblings, tickPosition = Stored(), Stored(), Stored()
    signals = ("decimalsChanged(int)", "valueIsChanging(double)")
    slots = ("reset()", "setDecimals(int)", "setSpinBoxVisible(bool)")

    def _lay_out(self, row: Any) -> None:
        self._slider = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal)
        self._slider.setRange(0, 1000)
        row.addWidget(self._slider)
        row.addWidget(self._spin)

    def setDecimals(self, value: int) -> None:
        self.decimals = value

    def setSpinBoxVisible(self, visible: bool) -> None:
        self.spinBoxVisible = visible

    _set_decimals, _set_texts = ctkDoubleSpinBox._set_decimals, ctkDoubleSpinBox._set_texts

    def _set_visible(self) -> None:
        self._spin.setVisible(self.spinBoxVisible)

    def _show(self) -> None:
        super()._show()
        span = self.maximum - self.minimum
        self._slider.setValue(round(1000 * (self.value - self.minimum) / span) if span else 0)


class ctkDoubleSlider(_Value):
    """A slider for floats."""

    pageStep, tickInterval, sliderPosition = Stored(10.0), Stored(0.0), Stored(0.0)
    tracking, invertedAppearance, invertedControls = Stored(True), Stored(False), Stored(False)
    handleToolTip, orientation, tickPosition = Stored(""), Stored(), Stored()
    signals = ("rangeChanged(double,double)", "sliderMoved(double)", "sliderPressed()", "sliderReleased()")


class ctkRangeWidget(Declared, QtWidgets.QWidget):
    """Two values between a minimum and a maximum."""

    minimum, maximum = Stored(0.0), Stored(99.0)
    minimumValue, maximumValue = Stored(0.0, "_changed"), Stored(99.0, "_changed")
    singleStep, decimals, tickInterval = Stored(1.0), Stored(2), Stored(0.0)
    prefix, suffix, tracking, symmetricMoves, autoSpinBoxWidth = (
        Stored(""), Stored(""), Stored(True), Stored(False), Stored(True),
    )  # fmt: skip
    spinBoxAlignment, spinBoxTextAlignment = Stored(), Stored()
    signals = ("valuesChanged(double,double)", "minimumValueChanged(double)", "maximumValueChanged(double)",
               "rangeChanged(double,double)")  # fmt: skip
    slots = ("reset()", "setDecimals(int)", "setMaximumValue(double)", "setMinimumValue(double)",
             "setValues(double,double)")  # fmt: skip

    def setRange(self, low: float, high: float) -> None:
        self.minimum, self.maximum = low, high

    def setValues(self, low: float, high: float) -> None:
        self.minimumValue, self.maximumValue = low, high

    def _changed(self) -> None:
        self._emit("valuesChanged(double,double)", self.minimumValue, self.maximumValue)


class ctkDoubleRangeSlider(ctkRangeWidget):
    """Two handles on one slider."""
