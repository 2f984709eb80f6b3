"""CTK's widgets: properties, signals and slots as CTK declares them, on plain Qt parts."""

# ruff: noqa: N801, N815

from __future__ import annotations

from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets

from slicer_standin import ctk_values
from slicer_standin.declared import Declared, Stored, watch

HEADER = 26


class ctkCollapsibleButton(Declared, QtWidgets.QAbstractButton):
    """A header with what it holds below; collapsed, the contents are hidden."""

    signals = ("contentsCollapsed(bool)",)
    collapsed = Stored(False, "_apply")
    flat = Stored(False)
    collapsedHeight = Stored(14)
    buttonTextAlignment, indicatorAlignment = Stored(), Stored()
    contentsFrameShape, contentsFrameShadow = Stored(), Stored()
    contentsLineWidth, contentsMidLineWidth = Stored(1), Stored(0)

    def __init__(self, *args: Any) -> None:
        texts, parents = [a for a in args if isinstance(a, str)], [a for a in args if not isinstance(a, str)]
        super().__init__(*parents)
        self.setText(texts[0] if texts else "")
        self.setContentsMargins(0, HEADER, 0, 0)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Preferred, QtWidgets.QSizePolicy.Policy.Preferred)
        watch(self, "clicked(bool)", self._toggle)
        self._shut: list[Any] = []
        self._forcing = False

    def _toggle(self) -> None:
        self.collapsed = not self.collapsed

    def _apply(self) -> None:
        if self.collapsed:
            parts = [part for part in self.children() if isinstance(part, QtWidgets.QWidget)]
            self._shut = [part for part in parts if not _is_hidden(part)]
            for part in parts:
                part.installEventFilter(self)
        for part in list(self._shut):
            self._force(part, not self.collapsed)
        self.setMaximumHeight(HEADER if self.collapsed else 16777215)
        self._emit("contentsCollapsed(bool)", self.collapsed)

    def _force(self, part: Any, shown: bool) -> None:
        """Show or hide a part in such a way that somebody can still hide it on purpose, as CTK does."""
        self._forcing = True
        part.setVisible(shown)
        part.setAttribute(QtCore.Qt.WidgetAttribute.WA_WState_ExplicitShowHide, False)
        self._forcing = False

    def eventFilter(self, part: Any, event: Any) -> bool:
        """Note what is hidden or shown on purpose while the contents are collapsed."""
        kinds = QtCore.QEvent.Type
        if self.collapsed and not self._forcing:
            if event.type() == kinds.HideToParent and part in self._shut:
                self._shut.remove(part)
            elif event.type() == kinds.ShowToParent:
                self._shut += [part] if part not in self._shut else []
                self._force(part, False)
        return False

    def hitButton(self, position: Any) -> bool:
        return bool(position.y() < HEADER)

    def sizeHint(self) -> QtCore.QSize:
        layout = self.layout()
        if layout is None or self.collapsed:
            return QtCore.QSize(120, HEADER)
        return QtCore.QSize(max(layout.totalSizeHint().width(), 120), layout.totalSizeHint().height())

    def minimumSizeHint(self) -> QtCore.QSize:
        layout = self.layout()
        inside = HEADER if layout is None or self.collapsed else layout.totalMinimumSize().height()
        return QtCore.QSize(60, inside)

    def hasHeightForWidth(self) -> bool:
        return self.layout() is not None and not self.collapsed and self.layout().hasHeightForWidth()

    def heightForWidth(self, width: int) -> int:
        return self.layout().totalHeightForWidth(width) if self.hasHeightForWidth() else -1

    def paintEvent(self, event: Any) -> None:
        painter, option = QtWidgets.QStylePainter(self), QtWidgets.QStyleOption()
        option.initFrom(self)
        style, bar = QtWidgets.QStyle, QtCore.QRect(0, 0, option.rect.width(), HEADER - 2)
        painter.fillRect(bar, option.palette.button())
        painter.setPen(option.palette.mid().color())
        painter.drawRect(bar.adjusted(0, 0, -1, -1))
        option.rect = QtCore.QRect(8, 6, 12, 12)
        arrow = style.PrimitiveElement.PE_IndicatorArrowRight if self.collapsed else None
        painter.drawPrimitive(arrow or style.PrimitiveElement.PE_IndicatorArrowDown, option)
        painter.setPen(option.palette.buttonText().color())
        painter.drawText(bar.adjusted(28, 0, 0, 0), QtCore.Qt.AlignmentFlag.AlignVCenter, self.text)
        painter.end()


class ctkCollapsibleGroupBox(Declared, QtWidgets.QGroupBox):
    """A group box that can be shut."""

    collapsed = Stored(False)
    collapsedHeight = Stored(14)


class ctkPathLineEdit(Declared, QtWidgets.QWidget):
    """A path with a button to browse."""

    currentPath = Stored("", "_changed")
    filters, options, sizeAdjustPolicy = Stored(), Stored(), Stored()
    label, settingKey, nameFilters = Stored(""), Stored(""), Stored(())
    minimumContentsLength, showBrowseButton, showHistoryButton = Stored(0), Stored(True), Stored(True)
    signals = ("currentPathChanged(QString)", "validInputChanged(bool)")
    slots = ("addCurrentPathToHistory()", "browse()", "retrieveHistory()", "setCurrentPath(QString)")

    def __init__(self, *parent: Any) -> None:
        super().__init__(*parent)
        self._edit, row = QtWidgets.QLineEdit(), QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._edit)
        button = QtWidgets.QToolButton()
        button.setText("...")
        row.addWidget(button)
        watch(button, "clicked(bool)", lambda: self.browse())
        watch(self._edit, "textChanged(QString)", self.setCurrentPath)

    def setCurrentPath(self, path: str) -> None:
        self.currentPath = path

    def browse(self) -> None:
        path = QtWidgets.QFileDialog.getOpenFileName(self, self.label)
        if path:
            self.currentPath = path

    def addCurrentPathToHistory(self) -> None:
        """Nothing is remembered here."""

    def _changed(self) -> None:
        self._edit.setText(self.currentPath)
        self._emit("currentPathChanged(QString)", self.currentPath)


class ctkDirectoryButton(Declared, QtWidgets.QWidget):
    """A button that shows a folder and asks for another one."""

    directory = Stored("", "_changed")
    caption, text, icon, acceptMode, elideMode, options = (
        Stored(""), Stored(""), Stored(), Stored(), Stored(), Stored(),
    )  # fmt: skip
    signals = ("directoryChanged(QString)", "directorySelected(QString)")
    slots = ("browse()",)

    def browse(self) -> None:
        folder = QtWidgets.QFileDialog.getExistingDirectory(self, self.caption)
        if folder:
            self.directory = folder
            self._emit("directorySelected(QString)", folder)

    def _changed(self) -> None:
        self._emit("directoryChanged(QString)", self.directory)


class ctkCheckBox(Declared, QtWidgets.QCheckBox):
    """A check box with an icon."""

    indicatorIcon, indicatorIconSize = Stored(), Stored()


class ctkPushButton(Declared, QtWidgets.QPushButton):
    """A push button."""

    buttonTextAlignment, elideMode, iconAlignment = Stored(), Stored(), Stored()


class ctkMenuButton(Declared, QtWidgets.QPushButton):
    """A push button with a menu beside it."""


class ctkCheckablePushButton(ctkPushButton):
    """A push button with a check box."""

    checkBoxControlsButton, checkBoxControlsButtonToggleState, checkBoxUserCheckable = (
        Stored(True), Stored(True), Stored(True),
    )  # fmt: skip
    checkState, indicatorAlignment = Stored(), Stored()
    signals = ("checkBoxToggled(bool)", "checkStateChanged(Qt::CheckState)")


class ctkColorPickerButton(Declared, QtWidgets.QPushButton):
    """A button with a colour."""

    color, dialogOptions = Stored(None, "_changed"), Stored()
    colorName, displayColorName = Stored(""), Stored(True)
    signals = ("colorChanged(QColor)", "colorNameChanged(QString)")
    slots = ("changeColor()", "setColor(QColor)", "setDisplayColorName(bool)")

    def setColor(self, color: QtGui.QColor) -> None:
        self.color = color

    def _changed(self) -> None:
        self._emit("colorChanged(QColor)", self.color)


class ctkComboBox(Declared, QtWidgets.QComboBox):
    """A combo box with a text for no choice."""

    currentUserDataAsString, defaultText = Stored(""), Stored("")
    defaultIcon, elideMode, scrollWheelEffect, forceDefault = Stored(), Stored(), Stored(), Stored(False)
    signals = ("returnRelease()",)


class ctkCheckableComboBox(Declared, QtWidgets.QComboBox):
    """A combo box whose items have check boxes."""

    signals = ("checkedIndexesChanged()", "returnRelease()")

    def checkedIndexes(self) -> tuple[Any, ...]:
        model = self.model()
        rows = (model.index(row, 0) for row in range(self.count))
        return tuple(index for index in rows if self.checkState(index) == QtCore.Qt.CheckState.Checked)

    def checkState(self, index: Any) -> Any:
        return QtCore.Qt.CheckState(self.model().data(index, QtCore.Qt.ItemDataRole.CheckStateRole) or 0)

    def setCheckState(self, index: Any, state: Any) -> None:
        self.model().setData(index, state, QtCore.Qt.ItemDataRole.CheckStateRole)
        self._emit("checkedIndexesChanged()")

    def noneChecked(self) -> bool:
        return not self.checkedIndexes()

    def allChecked(self) -> bool:
        return len(self.checkedIndexes()) == self.count


class ctkMessageBox(Declared, QtWidgets.QMessageBox):
    """A message box that can be told not to come again."""

    dontShowAgain, dontShowAgainVisible, dontShowAgainSettingsKey = Stored(False), Stored(False), Stored("")
    dontShowAgainButtonRoles = Stored()
    slots = ("setDontShowAgain(bool)",)


class ctkFittedTextBrowser(Declared, QtWidgets.QTextBrowser):
    """A text browser as high as its text."""

    collapsed, disableMouseScroll = Stored(True), Stored(False)
    hideDetailsText, showDetailsText = Stored(""), Stored("")


class ctkExpandableWidget(Declared, QtWidgets.QFrame):
    """A frame with a grip."""

    orientations, sizeGripInside, sizeGripMargins = Stored(), Stored(True), Stored()
    slots = ("updateSizeHint()",)


def _is_hidden(part: Any) -> bool:
    attribute = QtCore.Qt.WidgetAttribute
    return bool(
        part.testAttribute(attribute.WA_WState_ExplicitShowHide) and part.testAttribute(attribute.WA_WState_Hidden)
    )


_EVERY = {**vars(ctk_values), **globals()}
WIDGETS = {name: value for name, value in _EVERY.items() if name.startswith("ctk") and isinstance(value, type)}
