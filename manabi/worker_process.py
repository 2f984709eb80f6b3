"""A worker process as its client sees it: lines in, lines out, last words, and a sure end."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import IO, Any, Protocol

from manabi.errors import InvalidInputError, WorkerError
from manabi.process_tree import kill_tree

LAST_LINES = 12
LOOK_S = 1.0
"""Of the time between two looks at a worker at most so much counts as its silence (our choice)."""
_log = logging.getLogger(__name__)

Message = dict[str, Any]


class Process(Protocol):
    """The part of ``subprocess.Popen`` (binary pipes) that a worker's process must offer."""

    pid: int
    stdin: IO[bytes] | None
    stdout: IO[bytes] | None
    stderr: IO[bytes] | None

    def poll(self) -> int | None:
        """The exit status, or None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """The exit status, once it has ended."""


Start = Callable[[Sequence[str], Mapping[str, str]], Process]
"""Starts a command under an environment, with binary pipes for stdin, stdout and stderr."""


PYTHON = "MANABI_PYTHON"
"""Environment variable with the Python that workers are started with, for programs that embed another one."""


def python_executable() -> str:
    """The Python for a worker: the one that :data:`PYTHON` names, or this process' own.

    Raises:
        InvalidInputError: where the one named is not there.
    """
    named = os.environ.get(PYTHON)
    if not named:
        return sys.executable
    found = shutil.which(named)
    if found is None:
        raise InvalidInputError(f"{PYTHON} names no program that can be started. Set it to a Python, or remove it.")
    return found


def start_process(command: Sequence[str], environment: Mapping[str, str]) -> Process:
    """Start a command in a session of its own, without a console window."""
    return subprocess.Popen(
        list(command),
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=os.name == "posix",
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )


class WorkerProcess:
    """A started worker.

    ``ready`` is set once it can work. Every message, and ``{"event": "closed"}`` once stdout ends, goes to
    ``on_message``.
    """

    def __init__(self, process: Process, on_message: Callable[[WorkerProcess, Message], None]) -> None:
        self.ready = threading.Event()
        self._process = process
        self._on_message = on_message
        self._lock = threading.Lock()
        self.fate = ""
        """Why it was ended from here, for the runs that went with it; empty where it was not."""
        self._heard: float | None = None
        self._looked = time.monotonic()
        self._silent_s = 0.0
        self._words: deque[str] = deque(maxlen=LAST_LINES)
        self._listener = threading.Thread(target=self._listen, name="manabi-worker-stderr", daemon=True)
        self._listener.start()
        threading.Thread(target=self._read, name="manabi-worker-stdout", daemon=True).start()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def silent_s(self, starting: bool = False) -> float:
        """Seconds since the last message or request, of those in which somebody looked.

        Before its first message it counts as silent only where ``starting`` is set.

        A program that was busy itself did not take in what the worker said, and a computer that slept did not let it
        speak: of a longer time between two calls only :data:`LOOK_S` count.
        """
        now = time.monotonic()
        silent = starting if self._heard is None else self._heard < self._looked
        self._silent_s = self._silent_s + min(now - self._looked, LOOK_S) if silent else 0.0
        self._looked = now
        return self._silent_s

    def send(self, message: Message) -> None:
        """Write one request; raises WorkerError when the process does not take it."""
        line = json.dumps(message).encode("ascii") + b"\n"
        try:
            with self._lock:
                if self._process.stdin is None:
                    raise WorkerError("The worker was started without a pipe for its requests.")
                self._process.stdin.write(line)
                self._process.stdin.flush()
            self._heard = None if self._heard is None else time.monotonic()
        except (OSError, ValueError) as error:
            raise WorkerError(self.obituary()) from error

    def kill(self, wait_s: float = 1.0) -> None:
        """End the process and everything it started, now."""
        kill_tree(self.pid, wait_s)
        self._reap(wait_s)

    def shut_down(self, grace_s: float = 1.0) -> None:
        """Ask the process to end, then make sure of it."""
        with suppress(WorkerError):
            self.send({"op": "shutdown"})
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(grace_s)
        self.kill()

    def obituary(self) -> str:
        """Why the process was ended from here, or how it ended, with its last lines on stderr."""
        if self.fate:
            return self.fate
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(0.5)
        self._listener.join(0.5)
        status = self._process.poll()
        if status is None:
            how = "stopped answering"
        elif status in (-9, 137):
            how = "was killed from outside (signal 9), often because memory ran out"
        else:
            how = f"ended by itself (signal {-status})" if status < 0 else f"ended by itself (status {status})"
        words = "\n".join(self._words)
        return f"The worker process {how}. " + (f"Its last lines:\n{words}" if words else "It left no message.")

    def _reap(self, wait_s: float) -> None:
        """Take the exit status and close the pipes, so that neither a zombie nor an open file stays."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(wait_s)
        self._listener.join(wait_s)
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()

    def _read(self) -> None:
        with self._process.stdout or open(os.devnull, "rb") as stream:  # noqa: PTH123
            for line in stream:
                try:
                    message = json.loads(line)
                except ValueError:
                    _log.warning("the worker wrote a line that is not JSON")
                    continue
                self._heard = time.monotonic()
                if message.get("event") == "ready":
                    self.ready.set()
                self._on_message(self, message)
        self._on_message(self, {"id": None, "event": "closed"})

    def _listen(self) -> None:
        with self._process.stderr or open(os.devnull, "rb") as stream:  # noqa: PTH123
            for line in stream:
                self._words.append(line.decode("utf-8", "replace").rstrip())
