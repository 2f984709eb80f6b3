"""Ending a process with everything it started.

psutil finds the descendants; where it is not installed (a bare Slicer), the process group on POSIX and ``taskkill``
on Windows do, which reach all but what left the group on purpose.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil


def lead_group() -> None:
    """Make this process the head of a process group, so that what it starts can be ended with it.

    Left alone on a terminal, where a new group could not read any more.
    """
    if sys.platform != "win32" and os.getpgrp() != os.getpid() and not sys.stdin.isatty():
        os.setpgid(0, 0)


def kill_tree(pid: int, wait_s: float = 1.0) -> None:
    """Kill a process, its descendants, and those of its group whose parents have died already.

    The group is only touched when the process leads it (see :func:`lead_group`) and is not this process's own. Waits
    up to ``wait_s`` for all but the process itself to be gone; that one is left for its parent to reap. Called with
    this process's own id, it kills the descendants only.
    """
    try:
        import psutil
    except ImportError:
        _kill_group(pid)
        return
    family = {member for member in psutil.process_iter() if _leads(pid, member.pid)}
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        family.update(process.children(recursive=True))
        if pid != os.getpid():
            process.kill()
    for member in family:
        with suppress(psutil.NoSuchProcess):
            member.kill()
    _kill_group(pid)
    deadline = time.monotonic() + wait_s
    while any(_lives(member) for member in family) and time.monotonic() < deadline:
        time.sleep(0.01)


def _lives(process: psutil.Process) -> bool:
    """Whether a process still runs; one that only waits to be reaped does not."""
    import psutil

    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _leads(pid: int, other: int) -> bool:
    """Whether ``other`` is in the group that ``pid`` leads; never in this process's own group."""
    if sys.platform == "win32" or pid in (other, os.getpgrp()):
        return False
    try:
        return os.getpgid(other) == pid
    except (ProcessLookupError, PermissionError):
        return False


def _kill_group(pid: int) -> None:
    if sys.platform == "win32":
        command = ["taskkill", "/F", "/T", "/PID", str(pid)]
        subprocess.run(command, capture_output=True, check=False)
    elif pid != os.getpgrp():
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
