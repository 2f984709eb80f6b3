"""Imports flow one way: Training imports manabi; neither needs Slicer, and manabi never needs Training."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SLICER = {"slicer", "qt", "ctk", "vtk", "mrml", "vtkmodules", "PythonQt"}
HEAVY = {"torch", "numpy", "monai", "SimpleITK", "pydicom", "skimage", "scipy", "matplotlib", "psutil"}
LIGHT_MODULES = ("manabi", "manabi.errors", "manabi.log", "manabi.registry", "manabi.cli", "manabi.cli.app",
                 "manabi.cli.outcome", "Training.cli")  # fmt: skip

BLOCK = """
import importlib, pkgutil, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ImportError("blocked: " + name)

sys.meta_path.insert(0, Blocked())
failed = []
for package in PACKAGES:
    root = importlib.import_module(package)
    for module in pkgutil.walk_packages(root.__path__, package + "."):
        if module.name.endswith("__main__"):
            continue
        try:
            importlib.import_module(module.name)
        except ImportError as error:
            failed.append(f"{module.name}: {error}")
sys.exit("; ".join(failed) or 0)
"""


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=240)


def imported(path):
    """Top-level packages that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def offenders(package, forbidden):
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    return [f"{path.relative_to(ROOT)} imports {name}" for path in files for name in set(imported(path)) & forbidden]


def test_manabi_names_neither_slicer_nor_training():
    assert offenders("manabi", SLICER | {"Training", "Testing"}) == []


def test_training_names_neither_slicer_nor_tests():
    assert offenders("Training", SLICER | {"Testing", "pytest"}) == []


@pytest.mark.parametrize(
    ("packages", "blocked"),
    [(["manabi", "Training"], SLICER), (["manabi"], SLICER | {"Training", "lightning_fabric", "sklearn", "pytest"})],
    ids=["no Slicer", "no Training"],
)
def test_every_module_can_be_imported_without(packages, blocked):
    done = python(f"PACKAGES = {packages!r}\nBLOCKED = {blocked!r}\n{BLOCK}")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("module", LIGHT_MODULES)
def test_what_starts_first_imports_nothing_heavy(module):
    done = python(f"import sys, {module}\nsys.exit(' '.join(sorted({HEAVY!r} & set(sys.modules))) or 0)")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "module", ["manabi.volume", "manabi.method", "manabi.context", "manabi.result", "manabi.provenance",
               "manabi.spect.method", "manabi.worker"]
)  # fmt: skip
def test_the_core_does_without_torch(module):
    heavy = HEAVY - {"numpy", "psutil"}
    done = python(f"import sys, {module}\nsys.exit(' '.join(sorted({heavy!r} & set(sys.modules))) or 0)")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_run_of_the_default_method_does_not_import_the_whole_of_monai():
    """``import monai`` takes three seconds; single modules of it do not."""
    code = (
        "import sys\nfrom manabi import networks\n"
        "networks.build('unet', in_channels=5, out_channels=2, filters=[4, 8], residual=True)\n"
        "import manabi.inference, manabi.spect.report, manabi.spect.denoise\n"
        "sys.exit('monai' if 'monai' in sys.modules else 0)"
    )
    done = python(code)
    assert (done.returncode, done.stderr) == (0, "")
