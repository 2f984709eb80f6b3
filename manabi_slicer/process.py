"""The worker's process as Slicer starts it: a QProcess in the main thread, plain byte streams for everyone else.

:class:`manabi.worker_client.WorkerClient` takes any ``start`` that gives something with the pipes and the few methods
of ``subprocess.Popen``. :func:`start` gives it a ``QProcess``: Qt is touched in the main thread only, and what the
process writes is handed on through queues, which the client's reader threads may wait on.
"""

from __future__ import annotations

import os
import queue
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import qt
import slicer

from manabi.errors import DependencyError

Start = Callable[[Sequence[str], Mapping[str, str]], Any]
"""Starts a command under an environment, as :func:`start` does, and gives what ``subprocess.Popen`` gives."""

STARTED_WITHIN_MS = 30_000
PACKAGES = Path(__file__).resolve().parents[1]
"""Where the packages of this extension lie; the worker's Python must find them."""


def python_executable() -> str:
    """The Python that runs beside Slicer: ``PythonSlicer``, or this process' own where it is a Python.

    Raises:
        DependencyError: when there is none.
    """
    suffix = ".exe" if os.name == "nt" else ""
    beside = Path(str(slicer.app.slicerHome), "bin", f"PythonSlicer{suffix}")
    found = shutil.which("PythonSlicer") or (str(beside) if beside.is_file() else None)
    if found is None and Path(sys.executable or "").stem.lower().startswith("python"):
        found = sys.executable
    if found is None:
        raise DependencyError(
            "Slicer's Python (PythonSlicer) was not found, so that nothing can run in the background. "
            "Install Slicer again, or use the module's logic from the Python console."
        )
    return found


def worker_command() -> tuple[str, ...]:
    """How the worker is started in Slicer; raises DependencyError where there is no Python for it."""
    return (python_executable(), "-m", "manabi.worker")


def worker_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process beside Slicer: the one Slicer was started in, with this extension's packages.

    Args:
        extra: variables that are needed as well; they win, but for ``PYTHONPATH``, which is built here.
    """
    from slicer.util import startupEnvironment

    kept = {key: value for key, value in extra.items() if os.environ.get(key) != value or key.startswith("MANABI_")}
    merged = {**startupEnvironment(), **kept}
    paths = [str(PACKAGES), *filter(None, merged.get("PYTHONPATH", "").split(os.pathsep))]
    return {**merged, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)), "PYTHONUTF8": "1"}


def start(command: Sequence[str], environment: Mapping[str, str]) -> Any:
    """Start a command with binary pipes; for ``WorkerClient(start=...)``.

    Raises:
        DependencyError: when the program cannot be started.
    """
    return QtProcess(command, worker_environment(environment))


class QtProcess:
    """The part of ``subprocess.Popen`` that the worker's client needs, on a ``QProcess``.

    Make it and call its methods in the main thread; its ``stdout`` and ``stderr`` may be read in any. They end when
    the process has ended.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.stdout = _Stream()
        self.stderr = _Stream()
        self._process = qt.QProcess()
        self._process.setProcessEnvironment(_qt_environment(environment))
        self._process.connect("readyReadStandardOutput()", self._onOutput)
        self._process.connect("readyReadStandardError()", self._onError)
        self._process.connect("finished(int,QProcess::ExitStatus)", self._onFinished)
        self._process.start(command[0], list(command[1:]))
        if not self._process.waitForStarted(STARTED_WITHIN_MS):
            raise DependencyError(f"{Path(command[0]).name} could not be started: {self._process.errorString()}.")
        self.pid = int(self._process.processId())
        self.stdin = _Input(self._process)

    def poll(self) -> int | None:
        """The exit status, negative after a signal, or None while the process runs."""
        try:
            running = self._process.state() != qt.QProcess.NotRunning
        except (RuntimeError, ValueError):  # Slicer ends, and Qt took the process with it
            return -9
        if running:
            return None
        code = int(self._process.exitCode())
        crashed = self._process.exitStatus() == qt.QProcess.CrashExit
        return -code if crashed else code

    def wait(self, timeout: float | None = None) -> int:
        """The exit status once the process has ended; raises TimeoutExpired after ``timeout`` seconds."""
        self._process.waitForFinished(-1 if timeout is None else int(1000 * timeout))
        status = self.poll()
        if status is None:
            raise subprocess.TimeoutExpired("the worker", timeout or 0.0)
        return status

    def _onOutput(self) -> None:
        self.stdout.feed(bytes(self._process.readAllStandardOutput().data()))

    def _onError(self) -> None:
        self.stderr.feed(bytes(self._process.readAllStandardError().data()))

    def _onFinished(self, *_: object) -> None:
        self._onOutput()
        self._onError()
        self.stdout.end()
        self.stderr.end()


class _Stream:
    """Bytes fed in the main thread, read line by line in another one."""

    def __init__(self) -> None:
        self._chunks: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()

    def feed(self, chunk: bytes) -> None:
        """More bytes came."""
        if chunk:
            self._chunks.put(chunk)

    def end(self) -> None:
        """No more will come."""
        self._chunks.put(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held that had to be closed."""

    def __iter__(self) -> Iterator[bytes]:
        rest = b""
        while (chunk := self._chunks.get()) is not None:
            *lines, rest = (rest + chunk).split(b"\n")
            yield from (line + b"\n" for line in lines)
        if rest:
            yield rest


class _Input:
    """The process' standard input; for the main thread."""

    def __init__(self, process: qt.QProcess) -> None:
        self._process = process

    def write(self, data: bytes) -> int:
        """Write all of it; raises OSError where the process takes no more."""
        try:
            taken = self._process.write(data) if self._process.state() != qt.QProcess.NotRunning else 0
        except (RuntimeError, ValueError) as error:  # Slicer ends, and Qt took the process with it
            raise OSError("the process is gone") from error
        if taken != len(data):
            raise OSError("the process has ended")
        return len(data)

    def flush(self) -> None:
        """Hand what was written to the system now, whether or not the event loop comes to run."""
        self._process.waitForBytesWritten(100)

    def close(self) -> None:
        """Nothing more will be written."""
        self._process.closeWriteChannel()


def _qt_environment(environment: Mapping[str, str]) -> qt.QProcessEnvironment:
    found = qt.QProcessEnvironment()
    for key, value in environment.items():
        found.insert(key, value)
    return found
