"""The models on this computer: choose, read the card, install from a file, remove, open the folder."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import qt
import slicer
from slicer.i18n import tr as _

from manabi.errors import ManabiError
from manabi_slicer import interaction
from manabi_slicer.command import Command

if TYPE_CHECKING:
    from manabi.bundle import Bundle
    from manabi.store import BundleStore

COLUMNS = (_("Model"), _("Version"), _("Trained on"), _("From"))


class ModelsPanel:
    """The same in every module.

    Args:
        chooser: ui with ``modelComboBox``, ``modelDetailsButton``, ``modelCardLabel`` and ``noticeLabel``.
        manager: ui with the widgets whose names begin with ``models``.
        method: name of the method the models must be made for.
        on_chosen: called with a model's name when the user chose it.
        store: by default the user's.
    """

    def __init__(
        self, chooser: Any, manager: Any, method: str, on_chosen: Callable[[str], None],
        store: Callable[[], BundleStore] | None = None,
    ) -> None:  # fmt: skip
        self._chooser, self._manager = chooser, manager
        self._method, self._on_chosen = method, on_chosen
        self._store = store or _user_store
        self._bundles: list[Bundle] = []
        self._command: Command | None = None
        self._filling = False
        manager.modelsTable.setColumnCount(len(COLUMNS))
        manager.modelsTable.setHorizontalHeaderLabels(list(COLUMNS))
        manager.modelsTable.horizontalHeader().setStretchLastSection(True)
        manager.modelsTable.verticalHeader().setVisible(False)
        chooser.modelComboBox.connect("currentIndexChanged(int)", self._onChosen)
        chooser.modelDetailsButton.connect("toggled(bool)", self._onDetails)
        manager.modelsTable.connect("itemSelectionChanged()", self._onSelected)
        manager.modelsInstallButton.connect("clicked(bool)", self.onInstall)
        manager.modelsRemoveButton.connect("clicked(bool)", self.onRemove)
        manager.modelsFolderButton.connect("clicked(bool)", self.onOpenFolder)

    @property
    def bundles(self) -> list[Bundle]:
        """The models that are listed."""
        return list(self._bundles)

    def refresh(self, chosen: str) -> None:
        """Read the models anew and choose one by name; the first one where there is none of that name."""
        self._bundles = [bundle for bundle in self._store().list() if bundle.method == self._method]
        self._filling = True
        self._chooser.modelComboBox.clear()
        for bundle in self._bundles:
            self._chooser.modelComboBox.addItem(_("{name} {version}").format(name=bundle.name, version=bundle.version))
        self._fill_table()
        self._filling = False
        self.choose(chosen)

    def choose(self, name: str) -> None:
        """Show the model of this name as the chosen one, and its notice and card."""
        names = [bundle.name for bundle in self._bundles]
        index = names.index(name) if name in names else min(0, len(names) - 1)
        self._filling = True
        self._chooser.modelComboBox.currentIndex = index
        self._filling = False
        self._describe()

    def current(self) -> Bundle | None:
        """The chosen model."""
        index = self._chooser.modelComboBox.currentIndex
        return self._bundles[index] if 0 <= index < len(self._bundles) else None

    # --- actions ----------------------------------------------------------------------------------

    def onInstall(self) -> None:
        """Ask for a zip and install it; the checks, which load the model, run beside Slicer."""
        if not interaction.can_ask() or self._command is not None:
            return
        path = qt.QFileDialog.getOpenFileName(
            slicer.util.mainWindow(), _("Install a model"), "", _("Manabi models (*.zip)")
        )
        if path:
            self.install(str(path))

    def install(self, path: str, replace: bool = False) -> None:
        """Install the model in a zip or folder, without asking; the panel says how it ended."""
        self._manager.modelsStatusLabel.text = _("Checking the model...")
        self._manager.modelsInstallButton.enabled = False
        arguments = ["bundle", "install", path, *(["--replace"] if replace else [])]
        self._command = Command(arguments, self._onInstalled)

    def onRemove(self) -> None:
        """Remove the selected model after asking."""
        bundle = self._selected()
        if bundle is None:
            return
        question = _("Remove the model {name} {version} from this computer?")
        if interaction.confirm(question.format(name=bundle.name, version=bundle.version)):
            self.remove(bundle.name, bundle.version)

    def remove(self, name: str, version: str) -> None:
        """Remove a model, without asking."""
        current = self.current()
        try:
            self._store().remove(f"{name}@{version}")
            self._say(_("Removed {name}.").format(name=name))
        except (ManabiError, OSError) as error:
            self._say(f"{error}")
        self.refresh(current.name if current else "")
        self._tell()

    def onOpenFolder(self) -> None:
        """Show where installed models are kept."""
        folder = self._store().user_folder
        folder.mkdir(parents=True, exist_ok=True)
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(folder)))

    # --- what happens -----------------------------------------------------------------------------

    def _onInstalled(self, status: int, output: str) -> None:
        self._command = None
        self._manager.modelsInstallButton.enabled = True
        current = self.current()
        self.refresh(current.name if current else "")
        self._say(output.strip() or _("The installation ended with status {status}.").format(status=status))

    def _onChosen(self, index: int) -> None:
        if not self._filling and 0 <= index < len(self._bundles):
            self._describe()
            self._tell()

    def _tell(self) -> None:
        current = self.current()
        if current is not None:
            self._on_chosen(current.name)

    def _onDetails(self, shown: bool) -> None:
        self._chooser.modelCardLabel.visible = shown

    def _onSelected(self) -> None:
        from manabi.store.cards import card

        bundle = self._selected()
        self._manager.modelsDetailsLabel.text = "" if bundle is None else card(bundle)
        self._manager.modelsRemoveButton.enabled = bundle is not None and bundle.origin == "user"

    def _selected(self) -> Bundle | None:
        row = self._manager.modelsTable.currentRow()
        return self._bundles[row] if 0 <= row < len(self._bundles) else None

    def _describe(self) -> None:
        from manabi.store.cards import card

        bundle = self.current()
        self._chooser.modelCardLabel.text = "" if bundle is None else card(bundle)
        if bundle is None:
            text = _("No model for this method is on this computer. Install one under Models.")
        else:
            text = _("This model: {notice}. Not a medical device.").format(notice=bundle.notice)
        self._chooser.noticeLabel.text = text

    def _fill_table(self) -> None:
        table = self._manager.modelsTable
        table.setRowCount(len(self._bundles))
        origins = {"shipped": _("Manabi"), "user": _("you")}
        for row, bundle in enumerate(self._bundles):
            cells = (bundle.name, bundle.version, bundle.trained_on, origins.get(bundle.origin, bundle.origin))
            for column, text in enumerate(cells):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(text)
                table.setItem(row, column, item)
        self._onSelected()

    def _say(self, text: str) -> None:
        self._manager.modelsStatusLabel.text = text


def _user_store() -> BundleStore:
    from manabi.store import BundleStore

    return BundleStore()
