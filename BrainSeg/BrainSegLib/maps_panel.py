"""The sections Missing contrast and Feature maps of the panel: their buttons, and the maps to click through."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from manabi_slicer import bridge

if TYPE_CHECKING:
    from slicer import vtkMRMLNode

PREFIX = "volumes/feature_"


class MapsPanel:
    """Layers to choose from, maps to look at.

    Args:
        ui: the module's widgets.
        on_layer: called with a layer's name when the user chose it.
        on_map: called with a map's node when the user chose it.
    """

    def __init__(self, ui: Any, on_layer: Callable[[str], None], on_map: Callable[[Any], None]) -> None:
        self._ui, self._on_layer, self._on_map = ui, on_layer, on_map
        self._layers: list[str] = []
        self._maps: list[Any] = []
        self._filling = False
        ui.layerComboBox.connect("currentIndexChanged(int)", self._onLayer)
        ui.featuresList.connect("currentRowChanged(int)", self._onMap)

    def fill(self, layers: Mapping[str, vtkMRMLNode], features: Mapping[str, vtkMRMLNode], chosen: str) -> None:
        """Show the layers that are known and the maps that were made.

        Args:
            layers: outputs of the list of layers.
            features: outputs of the maps.
            chosen: name of the chosen layer.
        """
        rows = bridge.table_rows(layers.get("tables/layers"))
        names = [str(row["layer"]) for row in rows]
        self._filling = True
        if names != self._layers:
            self._layers = names
            self._ui.layerComboBox.clear()
            for row in rows:
                self._ui.layerComboBox.addItem(layer_text(row))
        self._ui.layerComboBox.currentIndex = names.index(chosen) if chosen in names else -1
        maps = [(features[key], text) for key, text in map_texts(features)]
        if [node for node, _text in maps] != self._maps:
            self._maps = [node for node, _text in maps]
            self._ui.featuresList.clear()
            for _node, text in maps:
                self._ui.featuresList.addItem(text)
        self._filling = False

    def say(self, reason: str, layer: str, contrast: Mapping[str, vtkMRMLNode], busy: bool) -> None:
        """Enable the buttons, or say what they wait for.

        Args:
            reason: why nothing can be run yet; empty where it can.
            layer: the chosen one; empty for none.
            contrast: outputs of the missing contrast.
            busy: whether something runs.
        """
        ui, free = self._ui, not reason and not busy
        missing = reason or ("" if layer else _("Press List layers, and choose one."))
        ui.layersButton.enabled = free
        ui.layersButton.toolTip = reason or _("Ask the model which layers it has")
        ui.featuresButton.enabled = not missing and not busy
        ui.featuresButton.toolTip = missing or _("Make the maps of this layer that count most for the structure")
        ui.contrastButton.enabled = free
        ui.contrastButton.toolTip = reason or _(
            "Compute what an MR angiography might look like. It was not acquired: never read vessels from it alone."
        )
        ui.contrastShowButton.enabled = "volumes/synthetic_mra" in contrast
        ui.unknowableCheckBox.enabled = "volumes/unknowable" in contrast

    def _onLayer(self, index: int) -> None:
        if not self._filling and 0 <= index < len(self._layers):
            self._on_layer(self._layers[index])

    def _onMap(self, row: int) -> None:
        if not self._filling and 0 <= row < len(self._maps):
            self._on_map(self._maps[row])


def layer_text(row: Mapping[str, Any]) -> str:
    """A layer as the combo box lists it."""
    return _("{layer}   {channels} maps, scale {scale}").format(
        layer=row["layer"], channels=f"{float(row['channels']):g}", scale=_scale(row.get("scale"))
    )


def map_texts(features: Mapping[str, vtkMRMLNode]) -> list[tuple[str, str]]:
    """The maps by key of their volume, in the order of their contribution, as the list shows them."""
    rows = bridge.table_rows(features.get("tables/features"))
    keys = sorted(key for key in features if key.startswith(PREFIX))
    found = []
    for number, key in enumerate(keys):
        row = rows[number] if number < len(rows) else {}
        words = [_("{n}.").format(n=number + 1)]
        if row.get("channel") is not None:
            words.append(_("channel {n}").format(n=f"{float(row['channel']):g}"))
        if row.get("contribution") is not None:
            words.append(_("contributes {n}").format(n=f"{float(row['contribution']):.3g}"))
        found.append((key, "   ".join(words)))
    return found


def _scale(cell: Any) -> str:
    try:
        return f"{float(cell):g}"
    except (TypeError, ValueError):
        return str(cell or "")
