"""Asking the user, where there is one: in tests and without a main window nothing blocks on a dialog."""

from __future__ import annotations

import qt
import slicer


def can_ask() -> bool:
    """Whether a dialog may open: there is a main window, and Slicer does not run tests."""
    return slicer.util.mainWindow() is not None and not slicer.app.testingEnabled()


def confirm(question: str) -> bool:
    """Ask a question with OK and Cancel; False where nobody can be asked."""
    return can_ask() and bool(slicer.util.confirmOkCancelDisplay(question, windowTitle="Manabi"))


def ask_file(title: str, kinds: str) -> str:
    """Ask for a file that is there; empty where the user changed his mind, or nobody can be asked.

    Args:
        title: of the dialog.
        kinds: of files, as Qt takes them: ``Tables (*.csv)``.
    """
    if not can_ask():
        return ""
    return str(qt.QFileDialog.getOpenFileName(slicer.util.mainWindow(), title, "", kinds) or "")


def ask_folder(title: str) -> str:
    """Ask for a folder that is there; empty where the user changed his mind, or nobody can be asked.

    Args:
        title: of the dialog.
    """
    if not can_ask():
        return ""
    return str(qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), title) or "")


def has_views() -> bool:
    """Whether there are views to arrange: there are none without a main window."""
    return slicer.app.layoutManager() is not None
