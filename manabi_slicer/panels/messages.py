"""Errors, alerts and warnings as coloured boxes that stay until the next run, readable in light and dark themes."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

from slicer.i18n import tr as _

BOX = "QFrame {{ background-color: {fill}; border: 1px solid {edge}; border-radius: 4px; }} QLabel {{ border: none; color: {ink}; }}"  # noqa: E501
ERROR = BOX.format(fill="#fbe3e4", edge="#b3261e", ink="#5c0f0b")
ALERT = BOX.format(fill="#b3261e", edge="#7a130d", ink="#ffffff")
WARNING = BOX.format(fill="#fff4d6", edge="#c69214", ink="#4a3600")


def split(warnings: Sequence[str], alert_prefixes: Sequence[str]) -> tuple[list[str], list[str]]:
    """Alerts, which a reader must not overlook, and the other warnings."""
    alerts = [text for text in warnings if text.startswith(tuple(alert_prefixes))] if alert_prefixes else []
    return alerts, [text for text in warnings if text not in alerts]


class Messages:
    """The three boxes of a panel.

    Args:
        ui: has ``errorFrame``, ``errorLabel``, ``alertFrame``, ``alertLabel``, ``warningFrame``, ``warningLabel``.
    """

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        ui.errorFrame.setStyleSheet(ERROR)
        ui.alertFrame.setStyleSheet(ALERT)
        ui.warningFrame.setStyleSheet(WARNING)

    def clear(self) -> None:
        """Hide all of them."""
        for frame in (self._ui.errorFrame, self._ui.alertFrame, self._ui.warningFrame):
            frame.visible = False

    def showError(self, text: str) -> None:
        """Why nothing came of it, and what to do."""
        self._show(self._ui.errorFrame, self._ui.errorLabel, _("It did not work"), [text])

    def showWarnings(self, alerts: Sequence[str], warnings: Sequence[str]) -> None:
        """What a reader has to know before using the result."""
        self._show(self._ui.alertFrame, self._ui.alertLabel, _("Alert: read the original images"), alerts)
        self._show(self._ui.warningFrame, self._ui.warningLabel, _("Please note"), warnings)

    @staticmethod
    def _show(frame: Any, label: Any, title: str, texts: Sequence[str]) -> None:
        frame.visible = bool(texts)
        bullet = "• " if len(texts) > 1 else ""
        body = "<br>".join(bullet + html.escape(text) for text in texts)
        label.text = f"<b>{html.escape(title)}</b><br>{body}" if texts else ""
