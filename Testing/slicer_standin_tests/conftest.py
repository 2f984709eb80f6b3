"""A tiny module, written into a temporary folder."""

from __future__ import annotations

import pytest
from tiny_module import CODE, ui_text


@pytest.fixture
def tiny(tmp_path):
    """Writes the module into a folder, the .ui or the code replaced where given; returns the folder."""

    def write(ui=None, code=CODE):
        folder = tmp_path / "Tiny"
        (folder / "Resources" / "UI").mkdir(parents=True, exist_ok=True)
        (folder / "Tiny.py").write_text(code, encoding="utf-8")
        (folder / "Resources" / "UI" / "Tiny.ui").write_text(ui or ui_text(), encoding="utf-8")
        return folder

    return write


@pytest.fixture
def load_ui(tmp_path, slicer_app):
    """Loads a .ui text."""
    import slicer

    def load(text):
        path = tmp_path / "one.ui"
        path.write_text(text, encoding="utf-8")
        return slicer.util.loadUI(str(path))

    return load
