#!/usr/bin/env python3
"""Write into each CMakeLists.txt of the extension the files that its folder holds, so that all are installed.

Usage: list_cmake_files.py [--check]

Slicer installs what is named and nothing else: a file that is not named works from source and vanishes when installed.
Run this after adding, moving or removing a file below a folder that the extension's CMakeLists.txt adds. With
``--check`` nothing is written, and the exit status is 1 where a list is out of date.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BEGIN, END = "# --- files: written by Testing/tools/list_cmake_files.py ---", "# --- end of files ---"
LEFT_OUT = {"__pycache__", "CMakeLists.txt"}
"""What the folders hold besides: byte code, and the lists themselves."""


def folders(root: Path) -> list[Path]:
    """The folders that the extension's CMakeLists.txt adds, in its order."""
    text = (root / "CMakeLists.txt").read_text(encoding="utf-8")
    return [root / name for name in re.findall(r"^add_subdirectory\(([^)\s]+)\)", text, re.MULTILINE)]


def files(folder: Path) -> list[str]:
    """What has to be installed of a folder: paths relative to it, sorted, hidden files left out."""
    relative = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    kept = [p for p in relative if p.suffix != ".pyc" and not any(q in LEFT_OUT or q[0] == "." for q in p.parts)]
    return sorted(path.as_posix() for path in kept)


def lists(names: list[str]) -> str:
    """The two variables as CMake's text, between the markers."""
    scripts = [name for name in names if name.endswith(".py")]
    resources = [name for name in names if not name.endswith(".py")]
    variables = (("MODULE_PYTHON_SCRIPTS", scripts), ("MODULE_PYTHON_RESOURCES", resources))
    blocks = [f"set({variable}\n" + "".join(f"  {name}\n" for name in values) + "  )" for variable, values in variables]
    return "\n".join([BEGIN, *blocks, END])


def wanted(folder: Path) -> str:
    """The folder's CMakeLists.txt as it has to be.

    Raises:
        ValueError: when a marker is missing, or a name would need CMake's quoting.
    """
    names, text = files(folder), (folder / "CMakeLists.txt").read_text(encoding="utf-8")
    odd = [name for name in names if re.search(r"[^\w./+-]", name)]
    if odd:
        raise ValueError(f"{folder.name}: rename {odd}; letters, digits and . _ + - are safe in CMake's lists")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{folder.name}/CMakeLists.txt has to hold the lines '{BEGIN}' and '{END}'")
    return before + lists(names) + after


def out_of_date(root: Path = ROOT, write: bool = False) -> list[Path]:
    """The lists that differ from what is on disk; with ``write`` they are mended.

    Raises:
        ValueError: as :func:`wanted`.
    """
    found = []
    for folder in folders(root):
        path, text = folder / "CMakeLists.txt", wanted(folder)
        if path.read_text(encoding="utf-8") != text:
            found.append(path)
            if write:
                path.write_text(text, encoding="utf-8", newline="\n")
    return found


def main(arguments: list[str] | None = None) -> int:
    """Write or check the lists; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit status 1 where a list is out of date")
    check = parser.parse_args(arguments).check
    stale = out_of_date(write=not check)
    for path in stale:
        sys.stdout.write(f"{path.relative_to(ROOT)}: {'out of date' if check else 'written'}\n")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
