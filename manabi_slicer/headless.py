"""Manabi in Slicer without its window: the commands of ``manabi``, with the same exit codes.

::

    Slicer --no-splash --no-main-window --python-script manabi_slicer/headless.py METHOD INPUT... --output DIR
    Slicer --no-splash --no-main-window --python-script manabi_slicer/headless.py batch METHOD SOURCE --output DIR

``METHOD INPUT...`` is short for ``run METHOD INPUT...``; every other command of ``manabi`` may stand there too.
``--install`` first installs what is missing into Slicer's Python, without asking. Slicer always ends with the
command's exit code: 0 done, 1 unexpected, 2 bad input or usage, 3 model or installation, 4 out of resources,
130 cancelled. Slicer keeps ``--help`` and ``--version`` to itself; ``help`` shows ours.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

COMMANDS = ("run", "batch", "phantom", "demo", "list", "bundle", "preflight")
INSTALL = "--install"


def arguments_of(given: Sequence[str]) -> list[str]:
    """The arguments of ``manabi`` for those of the script.

    Args:
        given: after the script's name.
    """
    rest = [text for text in given if text != INSTALL]
    if not rest or rest[0] == "help":
        return [*rest[1:], "--help"]
    return rest if rest[0] in COMMANDS else ["run", *rest]


def main(given: Sequence[str]) -> int:
    """Run one command in this Slicer; returns its exit code.

    Args:
        given: after the script's name.
    """
    _use_real_streams()
    status = _prepare(INSTALL in given)
    if status:
        return status
    from manabi.cli import outcome

    return outcome.main(arguments_of(given))


def _prepare(install: bool) -> int:
    """Install what is missing where that was asked for; else say what is missing. Returns an exit code."""
    from manabi.errors import ManabiError
    from manabi_slicer import process
    from manabi_slicer.install import Installer

    try:
        os.environ.setdefault("MANABI_PYTHON", process.python_executable())
        Installer().ensure("", consent=install)
    except ManabiError as error:
        sys.stderr.write(f"Error: {error}\n")
        return error.exit_code
    return 0


def _use_real_streams() -> None:
    """Write to the process' own stdout and stderr: Slicer's Python console is not there to be read."""
    for name, number in (("stdout", 1), ("stderr", 2)):
        try:
            stream = os.fdopen(os.dup(number), "w", encoding="utf-8", errors="replace", buffering=1)
        except OSError:  # a program without a console, as on Windows
            continue
        setattr(sys, name, stream)


def _find_packages(script: str) -> None:
    """Let Python find Manabi beside this script, and none of this folder's files under a bare name."""
    folder = Path(script).resolve().parent
    sys.path[:] = [path for path in sys.path if not path or Path(path).resolve() != folder]
    if str(folder.parent) not in sys.path:
        sys.path.append(str(folder.parent))


def leave() -> None:
    """Run the command of this process, and leave Slicer with its exit code, whatever happens."""
    import slicer

    status = 1
    try:
        _find_packages(str(globals().get("__file__", sys.argv[0])))
        status = main(sys.argv[1:])
    except BaseException as error:  # the process edge: an exception here would leave Slicer open for ever
        traceback.print_exc()
        code = getattr(error, "code", None)
        status = code if isinstance(error, SystemExit) and isinstance(code, int) else 1
    finally:
        slicer.util.exit(status)


if __name__ == "__main__":
    leave()
