"""The verdict on a result at the top of the panel: usable, look first, or do not use, and why."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from slicer.i18n import tr as _

from manabi_slicer.panels.messages import ALERT, BOX, WARNING

OK, FLAG, REFUSE = "ok", "flag", "refuse"
"""Levels of :class:`manabi.mvct.gate.Verdict`."""
GOOD = BOX.format(fill="#e2f2e4", edge="#2e7d32", ink="#123d16")
STYLES = {OK: GOOD, FLAG: WARNING, REFUSE: ALERT}


@dataclass(frozen=True)
class Verdict:
    """What the checks said of a result.

    Attributes:
        level: ``ok``, ``flag`` or ``refuse``.
        reasons: sentences; none where everything was as expected.
    """

    level: str
    reasons: Sequence[str] = ()

    @property
    def title(self) -> str:
        """The verdict in a few words."""
        return {
            OK: _("Checks passed. Synthetic: for contouring, not for dose."),
            FLAG: _("Look before you use it: the checks found something."),
            REFUSE: _("Do not use this result."),
        }.get(self.level, _("The checks were not run."))


class VerdictBox:
    """The box; it is hidden where there is no result.

    Args:
        ui: has ``verdictFrame`` and ``verdictLabel``.
    """

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        self.allows = True
        """Whether what is shown may be used."""

    def show(self, verdict: Verdict | None) -> None:
        """Show a verdict, or nothing."""
        self.allows = verdict is None or verdict.level != REFUSE
        self._ui.verdictFrame.visible = verdict is not None
        if verdict is None:
            self._ui.verdictLabel.text = ""
            return
        self._ui.verdictFrame.setStyleSheet(STYLES.get(verdict.level, WARNING))
        bullet = "• " if len(verdict.reasons) > 1 else ""
        lines = [f"<b>{html.escape(verdict.title)}</b>", *(bullet + html.escape(one) for one in verdict.reasons)]
        self._ui.verdictLabel.text = "<br>".join(lines)
