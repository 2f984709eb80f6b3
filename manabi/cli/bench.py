"""``manabi bench``: the scripts in ``Testing/benchmarks``, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import manabi
from manabi.cli import console
from manabi.errors import InvalidInputError, ManabiError

PREFIX = "bench_"


def bench(names: Sequence[str], folder: Path | None = None) -> None:
    """Run benchmarks one after another; what they measure is printed as they go.

    Args:
        names: without ``bench_``; all where empty.
        folder: where the scripts are; by default in the source checkout that Manabi runs from.

    Raises:
        InvalidInputError: for an unknown name, or where Manabi was installed without its benchmarks.
        ManabiError: when one of them failed; the others were run.
    """
    scripts = _scripts(folder or Path(manabi.__file__).resolve().parents[1] / "Testing" / "benchmarks")
    unknown = sorted(set(names) - set(scripts))
    if unknown:
        raise InvalidInputError(f"Unknown benchmark {', '.join(unknown)}. Known: {', '.join(scripts)}.")
    failed = []
    for name in names or scripts:
        console.out().rule(name)
        if subprocess.run([sys.executable, str(scripts[name])], check=False).returncode != 0:
            failed.append(name)
    if failed:
        raise ManabiError(f"{len(failed)} of {len(names or scripts)} benchmarks failed: {', '.join(failed)}.")


def _scripts(folder: Path) -> dict[str, Path]:
    scripts = {path.stem.removeprefix(PREFIX): path for path in sorted(folder.glob(f"{PREFIX}*.py"))}
    if not scripts:
        raise InvalidInputError(
            "The benchmarks are not part of the installed package. Get the source, and run manabi bench from there: "
            "pip install -e . && manabi bench"
        )
    return scripts
