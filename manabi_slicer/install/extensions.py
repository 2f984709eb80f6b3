"""What comes through other Slicer extensions: torch through PyTorch, pyradiomics through Radiomics."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module, invalidate_caches, util
from typing import Any

import slicer
from slicer.i18n import tr as _

from manabi.errors import DependencyError
from manabi_slicer import interaction
from manabi_slicer.install import requirements as needs
from manabi_slicer.session import session

NOT_INSTALLED = _(
    "PyTorch was not installed. Open the module PyTorch Util, press Install PyTorch there, then Apply here."
)


@contextmanager
def _failures() -> Iterator[None]:
    """What goes wrong in pip, or when the new torch is loaded, as an error that says what to do."""
    try:
        yield
    except (subprocess.CalledProcessError, RuntimeError, OSError, ImportError) as error:
        raise DependencyError(f"{NOT_INSTALLED} ({type(error).__name__})") from error


def install_torch() -> None:
    """Install torch through the PyTorch extension, which knows the graphics card.

    Raises:
        DependencyError: when the extension is not there yet, or did not succeed.
    """
    logic = torch_logic()
    with _failures():
        logic.installTorch(askConfirmation=False, torchVersionRequirement=needs.TORCH.removeprefix("torch"))
    invalidate_caches()
    if not needs.torch_is_installed():
        raise DependencyError(NOT_INSTALLED)


def reinstall_torch_for_the_graphics_card() -> bool:
    """Replace a torch that cannot use the graphics card, after asking; takes effect after a restart of Slicer.

    Returns:
        Whether it was done.

    Raises:
        DependencyError: when the PyTorch extension is not there.
    """
    question = _(
        "PyTorch is removed, and its build for your graphics card (some gigabytes) is downloaded and installed. Other "
        "extensions that use PyTorch get the same one. Slicer has to be restarted afterwards.\n\nDo it now?"
    )
    if not interaction.confirm(question):
        return False
    logic = torch_logic()
    session().close()  # the worker holds torch's files
    with _failures():
        logic.uninstallTorch()
    install_torch()
    return True


def require_radiomics() -> None:
    """Make sure that pyradiomics is there: the Radiomics extension brings it, compiled.

    There is no wheel of pyradiomics for the Python of Slicer, and a user's computer has no compiler: pip cannot do it.

    Raises:
        DependencyError: when the extension is not there yet.
    """
    if util.find_spec("radiomics") is None:
        install_extension("Radiomics")


def torch_logic() -> Any:
    """The logic of the PyTorch extension.

    Raises:
        DependencyError: when the extension is not there yet.
    """
    try:
        return import_module("PyTorchUtils").PyTorchUtilsLogic()
    except ImportError:
        install_extension("PyTorch")
        raise


class RestartNeededError(DependencyError):
    """Slicer has to be restarted, then the installation goes on."""


def install_extension(name: str) -> None:
    """Install an extension from Slicer's server; it is there after a restart.

    Raises:
        RestartNeededError: when it was installed.
        DependencyError: when it could not be.
    """
    if _install(name):
        raise RestartNeededError(
            _("The extension {name} was installed. After a restart of Slicer the installation goes on.").format(
                name=name
            )
        )
    raise DependencyError(
        _(
            "The Slicer extension {name} is needed and could not be installed. Open View > Extensions Manager, install "
            "{name}, restart Slicer, then press Apply again."
        ).format(name=name)
    )


def _install(name: str) -> bool:
    """Whether the extension is installed now; nothing is tried in tests, which must not change Slicer."""
    if slicer.app.testingEnabled():
        return False
    model = slicer.app.extensionsManagerModel()
    if model is None:
        return False
    model.interactive = False
    return bool(model.isExtensionInstalled(name) or model.installExtensionFromServer(name, False))
