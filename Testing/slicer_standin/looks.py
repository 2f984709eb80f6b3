"""Fonts, style and palettes, so that pictures of panels look alike everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets

FONTS = ("DejaVu Sans", "Noto Sans", "Liberation Sans", "Arial", "Helvetica")


def install(app: Any) -> None:
    """Use Qt's own style, a font that is there, and the light palette."""
    app.setStyle("Fusion")
    app.setFont(QtGui.QFont(_family(), 9))
    use(app, False)


def _family() -> str:
    """The first font of :data:`FONTS` that is installed, else matplotlib's copy of DejaVu Sans."""
    here = QtGui.QFontDatabase.families()
    found = [name for name in FONTS if name in here]
    if not found:
        from matplotlib import get_data_path

        QtGui.QFontDatabase.addApplicationFont(str(Path(get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")))
    return found[0] if found else FONTS[0]


def use(app: Any, dark: bool) -> None:
    """Set the light or the dark palette."""
    app.setPalette(_palette(dark))


def _palette(dark: bool) -> Any:
    role = QtGui.QPalette.ColorRole
    colors = {
        role.Window: ("#efefef", "#2f2f2f"), role.WindowText: ("#000000", "#e6e6e6"), role.Base: ("#ffffff", "#232323"),
        role.AlternateBase: ("#f7f7f7", "#2a2a2a"), role.Text: ("#000000", "#e6e6e6"),
        role.Button: ("#efefef", "#3a3a3a"), role.ButtonText: ("#000000", "#e6e6e6"),
        role.BrightText: ("#ffffff", "#ffffff"), role.Highlight: ("#308cc6", "#2a82da"),
        role.HighlightedText: ("#ffffff", "#ffffff"), role.ToolTipBase: ("#ffffdc", "#3a3a3a"),
        role.ToolTipText: ("#000000", "#e6e6e6"), role.Link: ("#0000ff", "#6aaeff"), role.Mid: ("#b8b8b8", "#505050"),
        role.Light: ("#ffffff", "#505050"), role.Dark: ("#9f9f9f", "#1c1c1c"),
        role.PlaceholderText: ("#808080", "#8a8a8a"),
    }  # fmt: skip
    palette = QtGui.QPalette()
    for key, pair in colors.items():
        palette.setColor(key, QtGui.QColor(pair[int(dark)]))
    for key in (role.WindowText, role.Text, role.ButtonText):
        palette.setColor(QtGui.QPalette.ColorGroup.Disabled, key, QtGui.QColor("#7d7d7d" if dark else "#9a9a9a"))
    return palette


def picture(widget: Any, path: Path, width: int, height: int | None, settle: Any) -> Path:
    """Draw a widget into a PNG; without a height it is as high as it wants to be."""
    widget.show()
    settle()
    wanted = widget.heightForWidth(width) if widget.hasHeightForWidth() else -1
    high = height or max(wanted, QtWidgets.QWidget.sizeHint(widget).height())
    widget.resize(width, high)
    settle(0.05)
    image = QtGui.QImage(QtCore.QSize(width, high), QtGui.QImage.Format.Format_RGB32)
    image.fill(widget.palette.color(QtGui.QPalette.ColorRole.Window))
    widget.render(image)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(str(path))
    return path
