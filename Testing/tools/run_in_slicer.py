#!/usr/bin/env python3
"""Run the extension's tests in a real Slicer, which has to have what Manabi needs installed in its Python.

Usage: run_in_slicer.py SLICER [--folder FOLDER] [--logs FOLDER] [--no-panels]

SLICER is Slicer's program. ``--folder`` holds the modules as they are installed, side by side with the packages;
without it they are taken from this source tree. Each check starts Slicer once: every module's self-test without a main
window, every module's panel in the main window, and the headless script with good and with bad input. A check passes
when Slicer ends in time, with the expected status, and has left what it should. The exit status is 1 where one fails.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 900
BAD_INPUT = 2
"""The exit status of ``manabi`` for it."""
HEADLESS = ("--no-splash", "--no-main-window", "--ignore-slicerrc", "--python-script")
SELF_TEST = (
    "import unittest, slicer.testing; slicer.testing.runUnitTest([{folder!r}], {module!r}); "
    "unittest.TestLoader().loadTestsFromName({module!r}).countTestCases() and open({done!r}, 'w').close()"
)
PANEL = (
    "slicer.util.selectModule({module!r}); slicer.app.processEvents(); "
    "slicer.util.selectedModule() == {module!r} and open({done!r}, 'w').close()"
)
KINDS = {"self-test": (SELF_TEST, ("--no-main-window",)), "panel": (PANEL, ())}
"""A code's last act is to leave a file: a Slicer that ends early, or tests nothing, may well end with status 0."""


@dataclass(frozen=True)
class Check:
    """One start of Slicer: its arguments, how it has to end, and the file or folder that it has to leave."""

    name: str
    arguments: tuple[str, ...]
    status: int = 0
    leaves: Path | None = None


def module_files(folder: Path | None) -> list[Path]:
    """The files of the modules: those of a folder as it is installed, or of the source tree."""
    if folder is not None:
        return sorted(folder.glob("*.py"))
    return sorted(path for path in ROOT.glob("*/*.py") if path.stem == path.parent.name)


def module_checks(file: Path, paths: list[str], scratch: Path) -> list[Check]:
    """The self-test and the panel of a module."""
    checks = []
    for kind, (code, window) in KINDS.items():
        done = scratch / f"{file.stem}-{kind}"
        text = code.format(folder=str(file.parent), module=file.stem, done=str(done))
        arguments = ("--testing", "--no-splash", *window, "--additional-module-paths", *paths, "--python-code", text)
        checks.append(Check(f"{file.stem} {kind}", arguments, leaves=done))
    return checks


def headless_checks(script: Path, scratch: Path) -> list[Check]:
    """A simulated patient is made and denoised; a file that is not there is refused."""
    cohort, result = scratch / "cohort", scratch / "result"
    run = (*HEADLESS, str(script))
    scan = str(cohort / "case-0000" / "spect_5min.nii.gz")
    missing = str(scratch / "missing.nii.gz")
    return [
        Check("headless phantom", (*run, "phantom", "striatum", "--output", str(cohort)), leaves=Path(scan)),
        Check("headless run", (*run, "spect", scan, "--output", str(result)), leaves=result),
        Check("headless bad input", (*run, "spect", missing, "--output", str(scratch / "no")), BAD_INPUT),
    ]


def all_checks(folder: Path | None, scratch: Path, panels: bool = True) -> list[Check]:
    """Every check, in order; those of the panels need a window.

    Raises:
        FileNotFoundError: when there are no modules where they should be.
    """
    files = module_files(folder)
    if not files:
        raise FileNotFoundError(f"No module is in {folder or ROOT}; give the folder that holds SPECTDenoise.py.")
    paths = sorted({str(file.parent) for file in files})
    checks = [check for file in files for check in module_checks(file, paths, scratch)]
    checks = [check for check in checks if panels or "--no-main-window" in check.arguments]
    return [*checks, *headless_checks((folder or ROOT) / "manabi_slicer" / "headless.py", scratch)]


def problem(check: Check, slicer: str, log: Path) -> str:
    """Run a check, with Slicer's output in a file; what is wrong, or an empty text."""
    with log.open("w", encoding="utf-8") as stream:
        try:
            done = subprocess.run([slicer, *check.arguments], stdout=stream, stderr=subprocess.STDOUT, timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            return f"did not end within {LIMIT_S} s"
    if done.returncode != check.status:
        return f"ended with status {done.returncode}, expected {check.status}"
    if check.leaves is not None and not check.leaves.exists():
        return f"ended with status {check.status}, but did not do what it should ({check.leaves.name} is missing)"
    return ""


def main(given: list[str] | None = None) -> int:
    """Run every check; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("slicer", help="Slicer's program")
    parser.add_argument("--folder", type=Path, help="the modules as they are installed")
    parser.add_argument("--logs", type=Path, default=Path("slicer-logs"), help="where Slicer's output goes")
    parser.add_argument("--no-panels", action="store_true", help="leave out what needs a window")
    options = parser.parse_args(given)
    options.logs.mkdir(parents=True, exist_ok=True)
    failed = 0
    with tempfile.TemporaryDirectory(prefix="manabi-in-slicer-") as scratch:
        for check in all_checks(options.folder and options.folder.resolve(), Path(scratch), not options.no_panels):
            log = options.logs / f"{check.name.replace(' ', '-')}.log"
            found = problem(check, options.slicer, log)
            failed += bool(found)
            sys.stdout.write(f"{'FAILED' if found else 'passed'}  {check.name}  {found}\n".rstrip() + "\n")
            if found:
                sys.stdout.write(log.read_text(encoding="utf-8", errors="replace"))
            sys.stdout.flush()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
