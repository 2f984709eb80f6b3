"""What there is to run on, said before a long run: device, memory, disk, and what could be better."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from manabi.errors import ManabiError
from manabi_slicer.install.extensions import reinstall_torch_for_the_graphics_card

if TYPE_CHECKING:
    from manabi_slicer.panels.log_panel import LogPanel
    from manabi_slicer.panels.run_panel import RunPanel
    from manabi_slicer.session import Session


class Preflight:
    """Asks the worker what it has, and tells the user; torch is not imported into Slicer for it.

    Args:
        run_panel: shows the device under Apply, and the button that mends it.
        log_panel: gets the details.
    """

    def __init__(self, run_panel: RunPanel, log_panel: LogPanel) -> None:
        self._run_panel, self._log_panel = run_panel, log_panel
        self._job: Any = None
        run_panel.ui.remedyButton.connect("clicked(bool)", self._onRemedy)
        self.found: Any = None

    @property
    def waiting(self) -> bool:
        """Whether the answer is still to come."""
        return self._job is not None

    def start(self, session: Session, device: str) -> None:
        """Ask; the worker answers at once, also while a run is under way.

        Args:
            session: whose worker is asked.
            device: that the user chose.
        """
        if self._job is None:
            self._job = session.client().preflight({"device": device})

    def forget(self) -> None:
        """Nobody waits for the answer any more."""
        job, self._job = self._job, None
        if job is not None:
            job.abandon()

    def poll(self) -> None:
        """Take in the answer once it is there."""
        if self._job is None or not self._job.poll():
            return
        job, self._job = self._job, None
        try:
            self.found = job.preflight()
        except ManabiError:  # the run itself will say it better
            return
        for line in self.found.lines():
            self._log_panel.add(line)
        self._run_panel.setDevice("\n".join([self.found.lines()[0], *self.found.warnings]))
        self._offer()

    def _offer(self) -> None:
        text = _("Use the graphics card: install the CUDA build of PyTorch...")
        self._run_panel.offer(text if self.found.remedy == "cuda_build" else "", self.found.reason)

    def _onRemedy(self) -> None:
        try:
            if reinstall_torch_for_the_graphics_card():
                self._run_panel.setStatus(_("Restart Slicer to use the graphics card."))
        except ManabiError as error:
            self._run_panel.messages.showError(str(error))
