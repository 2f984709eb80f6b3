#!/usr/bin/env python3
"""Make a virtual environment in which Manabi runs, is tested and is trained.

Usage: bootstrap.py [VENV_FOLDER]

Order matters: torch first (the CPU build where there is no NVIDIA GPU, since the default wheel drags in
gigabytes of CUDA libraries), then numpy and setuptools, then pyradiomics, whose build needs numpy but does not
say so, then this package. Environment variables: MANABI_TORCH (requirement, default below),
MANABI_TORCH_INDEX (package index with CPU builds).
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import venv
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]
TORCH = os.environ.get("MANABI_TORCH", "torch==2.13.0")
CPU_INDEX = os.environ.get("MANABI_TORCH_INDEX", "https://download.pytorch.org/whl/cpu")


def pip(python: Path, *arguments: str) -> None:
    """Install with pip, quietly; raises CalledProcessError when pip fails."""
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments]
    print("+", "pip install", *arguments, flush=True)
    subprocess.run(command, check=True, cwd=ROOT)


def torch_arguments() -> list[str]:
    """The requirement for torch, with the index of CPU builds where there is no NVIDIA GPU."""
    if shutil.which("nvidia-smi") or sys.platform == "darwin" or not resolves(CPU_INDEX):
        return [TORCH]
    return [TORCH, "--extra-index-url", CPU_INDEX]


def resolves(url: str) -> bool:
    """Whether the index's host is known here; behind a firewall pip's own configuration must do."""
    try:
        socket.getaddrinfo(urlsplit(url).hostname, 443)
    except OSError:
        return False
    return True


def has(python: Path, module: str) -> bool:
    """Whether the environment can import a module."""
    return subprocess.run([str(python), "-c", f"import {module}"], capture_output=True).returncode == 0


def main() -> int:
    """Build or complete the environment; returns the exit status."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".venv")
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        venv.create(folder, with_pip=True)
    python = python.absolute()
    if not has(python, "torch"):
        pip(python, *torch_arguments())
    pip(python, "numpy", "setuptools>=77,<85", "wheel")
    if not has(python, "radiomics"):
        try:
            pip(python, "--no-build-isolation", "pyradiomics>=3.0.1")
        except subprocess.CalledProcessError:
            print("pyradiomics could not be built (is there a C compiler?); Manabi works without it.", file=sys.stderr)
    pip(python, "-e", ".[test,survival]")
    return 0


if __name__ == "__main__":
    sys.exit(main())
