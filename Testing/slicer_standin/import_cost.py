"""What opening a module adds to Slicer's own start, as a ratio to a yardstick, and packages; in fresh processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HEAVY = frozenset(
    {"torch", "monai", "scipy", "SimpleITK", "matplotlib", "pydicom", "skimage", "pandas", "psutil", "typer"}
)
"""Packages that no module may load before it is used."""
MOST = 2.5
"""Times the yardstick that a module may cost; the yardstick takes about 35 ms on a quiet processor of 2025."""
CODE = """
import sys, time
sys.path.insert(0, {testing!r})
import slicer_standin
slicer_standin.boot()
import logging, subprocess, queue, html, json, tempfile, threading, dataclasses, uuid, hashlib  # Slicer's own
import pydoc, unittest, shutil, importlib.metadata, xml.etree.ElementTree
{already}
sys.path.insert(0, {folder!r})
start = time.process_time()
import asyncio, http.server, sqlite3, unittest.mock, xmlrpc.client, ctypes.util, cProfile, tarfile, difflib
yardstick = time.process_time() - start
before = set(sys.modules)
start = time.process_time()
import {module}
taken = time.process_time() - start
print(taken / yardstick, *sorted({{name.partition(".")[0] for name in set(sys.modules) - before}}))
"""


def import_cost(module: str, already: str = "", tries: int = 6) -> tuple[list[float], set[str]]:
    """Processor time of each try, and the packages that were loaded in any.

    The time is a ratio to that of a few larger modules of the standard library, imported just before in the same
    process: a slow or busy machine is slow for both.

    Args:
        module: of the extension.
        already: import statement of what else Slicer has loaded by itself.
        tries: fresh processes.
    """
    code = CODE.format(testing=str(ROOT / "Testing"), folder=str(ROOT / module), module=module, already=already)
    costs: list[float] = []
    loaded: set[str] = set()
    for _ in range(tries):
        out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
        first, *names = out.stdout.split()
        costs.append(float(first))
        loaded |= set(names)
    return costs, loaded
