"""Which packages Manabi needs in Slicer's Python, which of them are missing, and which must stay as they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata, util
from pathlib import Path
from tempfile import TemporaryDirectory

REQUIREMENTS = Path(__file__).resolve().parents[1] / "Resources" / "requirements.txt"
TORCH = "torch>=2.4"
RADIOMICS = "pyradiomics>=3.0.1"
PROTECTED = (
    "numpy", "scipy", "SimpleITK", "vtk", "torch", "torchvision", "pydicom", "highdicom", "requests", "pip",
    "setuptools",
)  # fmt: skip
"""Packages that an installation must leave at the version that is there: Slicer's own, and torch."""
SKIPPED = ["torch", "torchvision", "SimpleITK", "vtk", "numpy"]
"""Packages that are never installed as a dependency of another one."""


def requirements() -> list[str]:
    """The requirements besides torch, as pip writes them."""
    lines = (line.partition("#")[0].strip() for line in REQUIREMENTS.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


def missing(radiomics: bool = False) -> list[str]:
    """What has to be installed, torch first; empty where everything is there. Nothing is imported for it.

    Args:
        radiomics: whether pyradiomics is needed, too.
    """
    from slicer.packaging import pip_check

    lacking = [] if torch_is_installed() else [TORCH]
    if radiomics and util.find_spec("radiomics") is None:
        lacking.append(RADIOMICS)
    return [*lacking, *(line for line in requirements() if not pip_check(line))]


def torch_is_installed() -> bool:
    """Whether torch is there; it is not imported, and one that was removed while it is in memory is not there."""
    try:
        metadata.version("torch")
    except metadata.PackageNotFoundError:
        return False
    return True


@contextmanager
def constraints() -> Iterator[Path]:
    """A pip constraints file that holds every protected package at the version that is installed."""
    with TemporaryDirectory(prefix="manabi-install-") as folder:
        path = Path(folder) / "constraints.txt"
        path.write_text("".join(f"{name}=={version}\n" for name, version in _installed()), encoding="utf-8")
        yield path


def _installed() -> Iterator[tuple[str, str]]:
    for name in PROTECTED:
        try:
            yield name, metadata.version(name).partition("+")[0]
        except metadata.PackageNotFoundError:
            continue
