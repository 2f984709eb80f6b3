#!/usr/bin/env python3
"""Make a virtual environment in which Manabi runs, is tested and is trained.

Usage: bootstrap.py [VENV_FOLDER]

Order matters: torch first (the CPU build where there is no NVIDIA GPU, since the default wheel drags in
gigabytes of CUDA libraries), then numpy and setuptools, then pyradiomics, whose build needs numpy but does not
say so and predates Python 3.12, then this package. Running it again completes an environment that was interrupted.

Environment variables: MANABI_TORCH (requirement, default below), MANABI_TORCH_INDEX (package index with CPU builds);
pip's own (PIP_INDEX_URL, HTTPS_PROXY, ...) hold as well.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]
TORCH = os.environ.get("MANABI_TORCH", "torch==2.13.0")
CPU_INDEX = os.environ.get("MANABI_TORCH_INDEX", "https://download.pytorch.org/whl/cpu")
PYRADIOMICS = "pyradiomics==3.0.1"
"""The source archive of 3.1.0 calls itself 3.0.1 inside, which pip refuses; neither has a wheel for Python 3.11."""
NUMPY = "numpy>=1.26,<2.5"
"""Manabi runs with newer ones. Type hints differ between NumPy's versions (2.5 is for Python 3.12 and newer, and its
hints refuse ``argmax()`` without an axis), and `make lint` has to mean the same on 3.11 and 3.12."""
OLD_CONFIGPARSER = """
import configparser

if not hasattr(configparser, "SafeConfigParser"):
    configparser.SafeConfigParser = configparser.ConfigParser
    configparser.RawConfigParser.readfp = configparser.RawConfigParser.read_file
"""
"""What the set-up script of pyradiomics expects of Python; both names went with 3.12."""
PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
CONNECT_S = 5.0


def pip(python: Path, *arguments: str, **environment: str) -> None:
    """Install with pip, quietly and under more environment variables; raises CalledProcessError when pip fails."""
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments]
    print("+", "pip install", *arguments, flush=True)
    subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, **environment})


def torch_arguments() -> list[str]:
    """The requirement for torch, with the index of CPU builds where there is no NVIDIA GPU."""
    if shutil.which("nvidia-smi") or sys.platform == "darwin" or not reachable(CPU_INDEX):
        return [TORCH]
    return [TORCH, "--extra-index-url", CPU_INDEX]


def reachable(url: str) -> bool:
    """Whether pip can get to the index: a connection is tried, unless a proxy does the connecting.

    Behind a firewall pip's own configuration must do; naming an index that does not answer would make pip wait for it.
    """
    if any(os.environ.get(name) for name in PROXIES):
        return True
    address = urlsplit(url)
    try:
        socket.create_connection((address.hostname, address.port or 443), timeout=CONNECT_S).close()
    except OSError:
        return False
    return True


def has(python: Path, module: str) -> bool:
    """Whether the environment can import a module."""
    command = [str(python), "-c", f"import {module}"]
    return python.exists() and subprocess.run(command, capture_output=True).returncode == 0


def install(python: Path) -> None:
    """Everything that Manabi, its tests and its training need; raises CalledProcessError when pip fails."""
    if not has(python, "torch"):
        pip(python, *torch_arguments())
    pip(python, NUMPY, "setuptools>=77,<85", "wheel")
    if not has(python, "radiomics"):
        install_pyradiomics(python)
    pip(python, NUMPY, "-e", ".[test,survival]")


def install_pyradiomics(python: Path) -> None:
    """Build pyradiomics from its source; where that fails, say so and go on without it."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "sitecustomize.py").write_text(OLD_CONFIGPARSER, encoding="utf-8")
        try:
            pip(python, "--no-build-isolation", PYRADIOMICS, PYTHONPATH=folder)
        except subprocess.CalledProcessError:
            print("pyradiomics could not be built (is there a C compiler?); Manabi works without it.", file=sys.stderr)


def main() -> int:
    """Build or complete the environment; returns the exit status."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".venv").absolute()
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    try:
        if not has(python, "pip"):
            venv.create(folder, with_pip=True)
        install(python)
    except subprocess.CalledProcessError as error:
        print(
            f"The set-up stopped: {' '.join(map(str, error.cmd))} ended with status {error.returncode}; the reason is "
            "above. Without a way to the package index, set PIP_INDEX_URL or HTTPS_PROXY as your site does, then run "
            "the same command again: it goes on where it stopped.",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
