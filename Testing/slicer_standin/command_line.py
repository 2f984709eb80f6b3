"""``Slicer`` as a command, stood in for: ``python -m slicer_standin.command_line [Slicer's options] [arguments]``.

Knows the options that scripts of ours are started with. Ends with the status that the script gave to
``slicer.util.exit``; with :data:`STAYS_OPEN` where Slicer would stay open, and :data:`PROBLEMS` where a dialog would
wait for somebody or an exception was printed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

STAYS_OPEN = 99
PROBLEMS = 98
SWALLOWED = ("--help", "-h", "--version")
"""Slicer answers these itself."""


class PythonConsole:
    """What ``sys.stdout`` is in Slicer: it writes, and is no file."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """Text only, as in Slicer."""
        if not isinstance(text, str):
            raise TypeError(f"a string is needed, not {type(text).__name__}")
        self._stream.write(text)

    def flush(self) -> None:
        """Nothing is kept back."""


def parse(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Slicer's options, and what it does not know."""
    parser = argparse.ArgumentParser("Slicer", add_help=False, allow_abbrev=False)
    for flag in ("--no-splash", "--no-main-window", "--ignore-slicerrc", "--testing", *SWALLOWED):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("--additional-module-paths", nargs="*", default=[])
    parser.add_argument("--python-script")
    parser.add_argument("--python-code")
    return parser.parse_known_args(arguments)


def run(arguments: list[str]) -> int:
    """Start, run the script or code, and end as Slicer does."""
    import slicer_standin

    options, rest = parse(arguments)
    if options.help or options.h or options.version:
        return 0
    slicer = slicer_standin.boot()
    slicer.app.set_testing(options.testing)
    if not options.no_main_window:
        slicer_standin.open_main_window()
    sys.path[:0] = options.additional_module_paths
    sys.argv = [options.python_script or "", *rest]
    _execute(options)
    return _status(options.testing)


def _execute(options: argparse.Namespace) -> None:
    """The script in the place of ``__main__``; an exception is printed, and Slicer goes on."""
    from slicer_standin.recorder import guarded

    streams = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = PythonConsole(streams[0]), PythonConsole(streams[1])
    scope = vars(sys.modules["__main__"])
    try:
        if options.python_script:
            path = Path(options.python_script)
            sys.path.insert(0, str(path.resolve().parent))
            scope["__file__"] = str(path)
            code = compile(path.read_text(encoding="utf-8"), str(path), "exec")
            guarded("the script", exec, code, scope)
        if options.python_code:
            guarded("the code", exec, options.python_code, scope)
    finally:
        sys.stdout, sys.stderr = streams


def _status(testing: bool) -> int:
    from slicer_standin.recorder import recorder

    for failure in recorder.failures:
        sys.stderr.write(f"{failure}\n")
    if recorder.failures:
        return 1 if testing else PROBLEMS
    if recorder.exits:
        return recorder.exits[0]
    return 0 if testing else STAYS_OPEN


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
