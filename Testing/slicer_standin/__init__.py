"""Slicer's application, stood in for: our modules run on real MRML (slicer-core) and real Qt (PySide6, offscreen).

What a pass here does not prove:

* that PythonQt, Qt 5 or Slicer's own C++ widgets behave so: only the habits that :mod:`slicer_standin.pythonqt` names
  are imitated (properties are attributes, signals go by signature, ``exec_``, tuples, arguments trimmed, no new
  attributes on C++ objects, exceptions in slots are printed and fail a run); enums are PySide's, not integers, and
  ``isinstance`` works where PythonQt's does not;
* anything about Slicer's own views: :mod:`slicer_standin.views` draws real slices, surfaces and plots, but arranges
  them, and draws tables and letters, on its own; segment and subject hierarchy widgets are placeholders;
* anything about Slicer's other modules, extensions, dialogs of its own, translations, DICOM database or installers:
  ``slicer.packaging`` only records;
* that parameter nodes are cached as in Slicer, or that parameter packs, dictionaries and colours can be kept;
* speed.

It fails where Slicer would: an unknown property or class, in code or in a ``.ui``; a wrong signal signature; a property
called as a method; ``exec()``; a MRML widget without a scene; a slider without bounds; a reserved parameter name; a
dialog that no test has answered; an exception in a slot. Run ``slicer.testing`` in a real Slicer as well.

Use the fixture ``slicer_app``; it is this package. Nothing heavy is imported before :func:`boot`.
"""

from __future__ import annotations

from typing import Any

from slicer_standin.driver import (
    boot,
    check_scenes,
    close_modules,
    grab,
    module,
    open_main_window,
    open_widget,
    problems,
    process_events,
    reset,
    run_module_test,
    start_up,
    use_settings,
    wait_until,
)
from slicer_standin.recorder import StandInError, recorder

__all__ = [
    "StandInError", "answer", "asked", "boot", "check_scenes", "click_sample", "close_modules", "grab", "module",
    "open_main_window", "open_widget", "problems", "process_events", "recorder", "reset", "run_module_test", "start_up",
    "use_settings", "wait_until",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in ("answer", "asked"):
        from slicer_standin import dialogs

        return getattr(dialogs, name)
    if name == "click_sample":
        from slicer_standin.services import click_sample

        return click_sample
    raise AttributeError(f"module 'slicer_standin' has no attribute '{name}'")
