"""What is on disk is in the wheel: a file that packaging does not name works from source, and not when installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from docs_blocks import ROOT

PACKAGES = ("manabi", "Training")
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names in a wheel that is built offline from a copy, so that the source folder stays clean."""
    pytest.importorskip("setuptools", minversion="77")
    copy, out = tmp_path_factory.mktemp("source") / "manabi", tmp_path_factory.mktemp("wheel")
    copy.mkdir()
    for name in PACKAGES:
        shutil.copytree(ROOT / name, copy / name, ignore=LEFT_OUT)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy / name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    done = subprocess.run([*command, "--wheel-dir", str(out), str(copy)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(next(out.glob("*.whl"))) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_every_file_of_the_packages(wheel):
    on_disk = {p.relative_to(ROOT).as_posix() for name in PACKAGES for p in (ROOT / name).rglob("*") if p.is_file()}
    skipped = ("CMakeLists.txt",)  # for Slicer's own build
    wanted = {
        name for name in on_disk
        if "__pycache__" not in name and not Path(name).name.startswith(".") and Path(name).name not in skipped
    }  # fmt: skip
    assert {"manabi/py.typed", "manabi/spect/norms.json", "Training/configs/spect.json"} <= wanted
    assert wanted - wheel == set()


def test_the_wheel_holds_the_licence_and_nothing_but_the_packages(wheel):
    tops = {name.split("/")[0] for name in wheel}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in wheel)


def test_the_default_bundles_of_the_methods_are_in_the_wheel(wheel):
    from manabi import registry
    from manabi.bundle import REQUIRED_FILES

    for entry in registry.METHODS.values():
        name = entry.load().default_bundle
        assert name is None or {f"manabi/bundles/{name}/{file}" for file in REQUIRED_FILES} <= wheel
