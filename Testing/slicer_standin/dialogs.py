"""Modal dialogs: each needs an answer that the test prepared; one that nobody answers fails the test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PySide6 import QtWidgets

from slicer_standin.recorder import recorder

YES = ("Ok", "Yes", "Retry", "Open", "Save", "Apply", "YesToAll")
NO = ("Cancel", "No", "Close", "Discard", "Abort", "NoToAll")
FILE_DIALOGS = {
    "getOpenFileName": "", "getSaveFileName": "", "getExistingDirectory": "", "getOpenFileNames": (),
}  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """A dialog that was opened: its kind (``QMessageBox``, ``getOpenFileName``...) and what it said."""

    kind: str
    text: str


asked: list[Asked] = []
_prepared: list[Any] = []


def answer(*values: Any) -> None:
    """Prepare answers to the next dialogs, in order.

    Args:
        values: for message boxes a button, or True and False for the affirmative and the other button; for file
            dialogs a path, empty where the user cancels; for other dialogs the result of ``exec_``. A callable is
            called with the dialog (or with the arguments of a static function) and returns one of these.
    """
    _prepared.extend(values)


def clear() -> None:
    """Forget dialogs and answers."""
    asked.clear()
    _prepared.clear()


def prepared() -> tuple[Any, ...]:
    """The answers that wait for a dialog."""
    return tuple(_prepared)


def run(dialog: Any) -> Any:
    """``dialog.exec_()``."""
    if isinstance(dialog, QtWidgets.QMenu):
        return _next("QMenu", dialog.title, (dialog,))
    text = dialog.text if isinstance(dialog, QtWidgets.QMessageBox) else dialog.windowTitle
    value = _next(type(dialog).__name__, text, (dialog,))
    if isinstance(dialog, QtWidgets.QMessageBox):
        return _button(value, dialog.standardButtons)
    dialog.done(int(value))
    return int(value)


def _next(kind: str, text: str, args: tuple[Any, ...]) -> Any:
    asked.append(Asked(kind, text))
    if not _prepared:
        raise recorder.fail(f"a dialog would block here: {kind}: {text!r}; no answer was prepared")
    value = _prepared.pop(0)
    return value(*args) if callable(value) and not isinstance(value, type) else value


def _button(value: Any, buttons: Any) -> Any:
    Standard = QtWidgets.QMessageBox.StandardButton
    if not isinstance(value, bool):
        if not Standard(value) & buttons:
            raise recorder.fail(f"the answer {value} is not among the dialog's buttons {buttons}")
        return Standard(value)
    names = YES if value else NO
    for name in names:
        if getattr(Standard, name) & buttons:
            return getattr(Standard, name)
    raise recorder.fail(f"the dialog's buttons {buttons} have none of {names}")


def _message(kind: str) -> Callable[..., Any]:
    def show(parent: Any, title: str, text: str, buttons: Any = None, *_: Any) -> Any:
        standard = QtWidgets.QMessageBox.StandardButton
        default = standard.Yes | standard.No if kind == "question" else standard.Ok
        return _button(_next(f"QMessageBox.{kind}", text, (parent, title, text)), buttons or default)

    return show


def _file(kind: str) -> Callable[..., Any]:
    def show(parent: Any = None, caption: str = "", *args: Any) -> Any:
        value = _next(kind, caption, (parent, caption, *args))
        return tuple(value) if kind == "getOpenFileNames" else str(value)

    return show


def _input(kind: str) -> Callable[..., Any]:
    def show(parent: Any, title: str, label: str, *args: Any) -> Any:
        return _next(f"QInputDialog.{kind}", label, (parent, title, label, *args))

    return show


def install() -> None:
    """Replace Qt's static dialogs."""
    for kind in ("question", "information", "warning", "critical", "about"):
        setattr(QtWidgets.QMessageBox, kind, staticmethod(_message(kind)))
    for kind in FILE_DIALOGS:
        setattr(QtWidgets.QFileDialog, kind, staticmethod(_file(kind)))
    for kind in ("getText", "getItem", "getInt", "getDouble", "getMultiLineText"):
        setattr(QtWidgets.QInputDialog, kind, staticmethod(_input(kind)))
    QtWidgets.QColorDialog.getColor = staticmethod(lambda *args: _next("getColor", "", args))
