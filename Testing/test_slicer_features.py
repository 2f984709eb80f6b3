"""The table of what the modules offer in Slicer names tests that exist; our code is held against Slicer's own API."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "slicer.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| ([^|]+) \|.*?((?: ?`[^`|]+::\w+`)+) \|$", PAGE, re.MULTILINE)
TESTS = [(feature, *test.split("::")) for feature, cell in ROWS for test in re.findall(r"`([^`]+)`", cell)]
CHECKER = Path(os.environ.get("MANABI_CHECKS", ROOT.parent / "shared" / "checks")) / "slicer_api_check.py"


def test_every_row_of_the_tables_names_tests():
    tables = PAGE[PAGE.index("## Features") : PAGE.index("## Speed")]
    lines = [line for line in tables.splitlines() if line.startswith("| ") and not line.startswith("| feature ")]
    assert len(ROWS) == len(lines) > 35
    assert len(TESTS) > len(ROWS)


@pytest.mark.parametrize(("feature", "file", "test"), TESTS, ids=[f"{row[0]}-{row[2]}" for row in TESTS])
def test_each_feature_names_tests_that_exist(feature, file, test):
    tree = ast.parse((ROOT / "Testing" / file).read_text(encoding="utf-8"))
    assert test in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_our_code_and_panels_are_held_against_slicer_s_api():
    if not CHECKER.is_file():
        pytest.skip(f"{CHECKER.name} is not here (set MANABI_CHECKS to its folder)")
    ended = subprocess.run([sys.executable, str(CHECKER), str(ROOT)], capture_output=True, text=True, check=False)
    assert ended.stdout.strip().splitlines()[-1] == "0 findings", ended.stdout


def test_enums_are_written_as_pythonqt_has_them():
    """``qt.Qt.WaitCursor``; the stand-in would take ``qt.Qt.CursorShape.WaitCursor`` as well, and Slicer would not."""
    files = [p for folder in ("manabi_slicer", "SPECTDenoise") for p in (ROOT / folder).rglob("*.py")]
    scoped = [p.name for p in files if re.search(r"\bqt\.[A-Z]\w*\.[A-Z]\w*\.[A-Z]", p.read_text(encoding="utf-8"))]
    assert len(files) > 30
    assert scoped == []
