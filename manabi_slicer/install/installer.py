"""Installation on the first Apply: asked for once, torch through its extension, resumed after a restart."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Callable, Sequence
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from manabi.errors import CancelledError, DependencyError
from manabi_slicer import interaction
from manabi_slicer.install import extensions
from manabi_slicer.install import requirements as needs

RESUME_KEY = "Manabi/ResumeInstallFor"
"""Setting that holds the name of the module whose installation a restart interrupted."""
ABOUT_MB = 900
"""Size that is told when torch is among what is missing: a CPU build with what else is needed (our choice of words)."""

_log = logging.getLogger(__name__)


class Installer:
    """Installs what is missing; every collaborator can be given by a test.

    Args:
        ask: shows a question and says whether the user agreed; by default a dialog, or ``False`` where none may open.
        settings: where an interrupted installation is remembered; by default Slicer's settings.
    """

    def __init__(self, ask: Callable[[str], bool] | None = None, settings: Any = None) -> None:
        self._ask = ask or interaction.confirm
        self._settings = settings

    def ensure(self, module: str, consent: bool = False, radiomics: bool = False) -> list[str]:
        """Install what is missing.

        Args:
            module: name of the module that needs it; opened again if a restart interrupts the installation.
            consent: whether the user has agreed already (a command line that says so).
            radiomics: whether pyradiomics is needed, too; it comes through the Radiomics extension.

        Returns:
            The requirements that were installed; empty where nothing was missing.

        Raises:
            CancelledError: when the user declined; nothing was changed.
            DependencyError: when nobody can be asked, or the installation failed.
        """
        self._remember(None)  # whatever was interrupted goes on now, or has to be asked for again
        lacking = needs.missing(radiomics)
        if not lacking:
            return []
        if not (consent or self._agreed(lacking)):
            raise CancelledError(_("Nothing was installed. Manabi needs these Python packages to work."))
        try:
            self._install(lacking)
        except extensions.RestartNeededError as error:
            self._remember(module)
            if interaction.confirm(_("{what} Restart Slicer now?").format(what=error)):
                slicer.util.restart()
            raise
        return lacking

    def interrupted_module(self) -> str | None:
        """Name of the module whose installation was interrupted, or None."""
        return str(self._store().value(RESUME_KEY) or "") or None

    def _agreed(self, lacking: Sequence[str]) -> bool:
        if self._ask is interaction.confirm and not interaction.can_ask():
            raise DependencyError(
                _(
                    "These Python packages are missing in Slicer: {packages}. Nobody can be asked here. Install them "
                    "once from a Slicer with a window (press Apply in the module), or run with --install."
                ).format(packages=", ".join(lacking))
            )
        size = _(" (about {mb} MB)").format(mb=ABOUT_MB) if needs.TORCH in lacking else ""
        return self._ask(
            _(
                "Manabi needs these Python packages, which are not installed yet:\n\n{packages}\n\nThey are downloaded "
                "from the Python Package Index{size} and installed into Slicer's own Python. Slicer's numpy, SimpleITK "
                "and VTK stay as they are. No image leaves this computer.\n\nInstall them now?"
            ).format(packages="\n".join(lacking), size=size)
        )

    def _install(self, lacking: list[str]) -> None:
        if needs.TORCH in lacking:
            extensions.install_torch()
        rest = [line for line in lacking if line not in (needs.TORCH, needs.RADIOMICS)]
        if rest:
            self._pip(rest)
        if needs.RADIOMICS in lacking:
            extensions.require_radiomics()

    def _pip(self, lines: list[str]) -> None:
        from slicer import packaging

        shown = interaction.can_ask()
        try:
            with needs.constraints() as pins:
                packaging.pip_ensure(
                    lines, constraints=str(pins), skip_packages=needs.SKIPPED, prompt_install=False,
                    prompt_restart=shown, requester="Manabi", skip_in_testing=False, show_progress=shown,
                )  # fmt: skip
        except (RuntimeError, subprocess.CalledProcessError) as error:
            raise DependencyError(
                _(
                    "The installation of {packages} failed: {reason} The log above tells more. Behind a firewall, ask "
                    "for access to the Python Package Index or set PIP_INDEX_URL to your site's copy; then press Apply "
                    "again: what is installed already is kept."
                ).format(packages=", ".join(lines), reason=_reason(error))
            ) from error

    def _remember(self, module: str | None) -> None:
        if module is not None or self.interrupted_module() is not None:
            self._store().setValue(RESUME_KEY, module or "")

    def _store(self) -> Any:
        return self._settings if self._settings is not None else qt.QSettings()


def resume_after_restart(module: str, installer: Installer | None = None) -> bool:
    """Open a module again whose installation a restart interrupted; for the module's start-up.

    The panel, once open, goes on with the installation; the user agreed to it before.

    Returns:
        Whether it was this module's.
    """
    if (installer or Installer()).interrupted_module() != module or not interaction.can_ask():
        return False
    slicer.util.selectModule(module)
    _log.info("the installation for %s goes on", module)
    return True


def _reason(error: BaseException) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        return _("pip ended with status {status}.").format(status=error.returncode)
    return f"{error}"
