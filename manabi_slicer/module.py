"""What every module's class derives from: who made it, its icon, and what happens once Slicer has started."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModule

from manabi import registry
from manabi_slicer import icons, sample_data
from manabi_slicer.install import resume_after_restart

if TYPE_CHECKING:
    from manabi_slicer.sample_data import Sample


class ManabiModule(ScriptedLoadableModule):
    """What Slicer shows of a module before it is opened.

    A module names its sample, and in its ``__init__`` its title, categories, help and acknowledgement. It is hidden,
    and its sample is not offered, as long as the registry does not know the phantom of its sample: its method is still
    in the making.
    """

    sample: Sample

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.dependencies = []
        self.parent.contributors = ["The Manabi contributors"]
        self.parent.icon = icons.module_icon(self.parent.path)
        self.parent.hidden = not self.isReady()
        slicer.app.connect("startupCompleted()", self.onStartup)

    def onStartup(self) -> None:
        """Slicer has started: list the sample, and go on with an installation that a restart interrupted."""
        if self.isReady():
            sample_data.register(self.sample, self.parent.path)
        resume_after_restart(self.moduleName)

    def isReady(self) -> bool:
        """Whether the module's method can be used."""
        return self.sample.phantom in registry.PHANTOMS
