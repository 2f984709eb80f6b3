"""Views of the stand-in: real slice logics and displayable managers, drawn into memory.

What a picture shows came from Slicer's own code for slices, segmentations, markups and 3-D; plots go through the same
VTK chart with Slicer's mapping rewritten, tables and the bars around the views are imitations. A pass proves what MRML
shows where; it does not prove Qt's layout, Slicer's fonts, or anything the mouse does.
"""

from __future__ import annotations

import atexit
from weakref import ref

import slicer

from .manager import LayoutManager
from .offscreen import why_not

__all__ = ["LayoutManager", "install", "why_not"]


def install(app, size: tuple[int, int] = (1200, 800)) -> LayoutManager:
    """Make a layout manager for the scene and hand it to the application.

    Args:
        app: the stand-in of ``slicer.app``; its ``applicationLogic()`` and ``set_layout_manager()`` are used where it
            has them.
        size: of the area of the views, pixels.
    """
    logic = app.applicationLogic() if hasattr(app, "applicationLogic") else slicer.vtkSlicerApplicationLogic()
    if logic.GetMRMLScene() is None:
        logic.SetMRMLScene(slicer.mrmlScene)
    manager = LayoutManager(slicer.mrmlScene, logic, size)
    held = ref(manager)
    atexit.register(lambda: held() and held().close())
    if hasattr(app, "set_layout_manager"):
        app.set_layout_manager(manager)
    return manager
