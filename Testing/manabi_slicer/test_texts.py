"""Texts for users: each can be translated, and none is built where a translator cannot reach it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(path.parent for path in ROOT.glob("*/*.py") if path.stem == path.parent.name)
FILES = sorted(p for folder in (ROOT / "manabi_slicer", *MODULES) for p in folder.rglob("*.py"))
SHOWN = {"text", "toolTip", "windowTitle", "title"}
"""Attributes whose texts users read."""
SENTENCE = re.compile(r"[A-Za-z]{3,}.* [a-z]+")


def literals(node):
    """Texts with at least two words directly in an expression, but not those that are translated."""
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("_", "translate"):
        return
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and SENTENCE.search(node.value):
        yield node
    for child in ast.iter_child_nodes(node):
        yield from literals(child)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_text_of_the_panels_can_be_translated(path):
    bad = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Assign):
            names = {t.attr for t in node.targets if isinstance(t, ast.Attribute)}
            bad += [f"line {x.lineno}" for x in literals(node.value) if names & SHOWN]
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "_":
            text = node.args[0]
            plain = isinstance(text, ast.Constant) and isinstance(text.value, str)
            bad += [] if plain else [f"line {node.lineno}: not a plain text"]
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("setStatus", "showError", "confirm"):
            bad += [f"line {x.lineno}" for argument in node.args for x in literals(argument)]
    assert bad == []


def test_an_untranslated_text_would_be_found():
    tree = ast.parse('label.text = "Choose a scan"')
    assert [x.value for x in literals(tree)] == ["Choose a scan"]
    assert list(literals(ast.parse('label.text = _("Choose a scan")'))) == []
