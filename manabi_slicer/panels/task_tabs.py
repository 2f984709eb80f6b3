"""Tabs of which each is one of a method's tasks; the open one is a choice that the scene keeps."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

import qt


class TaskTabs:
    """Keeps tabs in step with the parameter node's ``task``.

    Args:
        ui: widgets of the panel, with the ``QTabWidget`` ``tasksTab``.
        pages: name of the page's widget by task, in the order of the tabs.
        widget: the module's.
    """

    def __init__(self, ui: Any, pages: Mapping[Any, str], widget: Any) -> None:
        self._ui, self._pages, self._widget = ui, dict(pages), widget
        ui.tasksTab.connect("currentChanged(int)", self._onTab)

    def follow(self, task: Enum) -> None:
        """Open a task's tab, and let the tabs be as high as it needs, not as high as the highest one."""
        place = list(self._pages).index(task)
        if self._ui.tasksTab.currentIndex != place:
            self._ui.tasksTab.currentIndex = place
        for one, name in self._pages.items():
            policy = qt.QSizePolicy.Preferred if one == task else qt.QSizePolicy.Ignored
            getattr(self._ui, name).setSizePolicy(qt.QSizePolicy.Preferred, policy)
            getattr(self._ui, name).adjustSize()

    def _onTab(self, index: int) -> None:
        choices = self._widget._parameterNode
        if choices is not None and 0 <= index < len(self._pages):
            choices.task = list(self._pages)[index]
