"""The other end of :mod:`manabi.worker`: starts it, sends it runs, ends it, and cleans up after it.

``WorkerClient.run`` blocks, for scripts. A program with an event loop of its own (Slicer) calls ``submit`` and then
``Job.poll`` from a timer. All files of the exchange, and the worker's own temporary files, lie in one private folder
that the client removes, however the worker ended.
"""

from __future__ import annotations

import itertools
import logging
import os
import shutil
import sys
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from manabi.context import ProgressCallback
from manabi.parameters import Parameters
from manabi.result import Result
from manabi.result_codec import encode_inputs
from manabi.shared_arrays import private_folder
from manabi.volume import Volume
from manabi.worker_job import COLLATERAL, OUTCOMES, Job
from manabi.worker_process import Message, Start, WorkerProcess, python_executable, start_process

COMMAND = (sys.executable, "-m", "manabi.worker")
"""How the worker is started with this process' Python; ``MANABI_PYTHON`` in the environment names another one."""
CANCEL_GRACE_S = 2.0
"""How long a cancelled run may take to stop by itself before its process is killed (our choice; 5 s in all)."""
SILENCE_S = 60.0
"""A worker that says nothing for so long during a run (30 heartbeats missed) is taken for hung (our choice)."""

_log = logging.getLogger(__name__)


class WorkerClient:
    """Runs methods in a background process that keeps their models loaded.

    Args:
        command: how the worker is started; by default ``-m manabi.worker`` with the Python that ``MANABI_PYTHON`` in
            the environment names, or this process' own.
        start: starts a command under an environment with binary pipes, as ``subprocess.Popen`` does; for programs
            that need their own way.
        cancel_grace_s: time a cancelled run has to stop by itself before the worker is killed.
        silence_s: a run of which nothing, not even a heartbeat, is heard for so long is given up.

    The worker starts with the first request and again after it died or was killed. Killing it ends every run the
    client has under way. Use it in one thread, and close it, or use it as a context manager.
    """

    def __init__(
        self,
        command: Sequence[str] | None = None,
        start: Start | None = None,
        *,
        cancel_grace_s: float = CANCEL_GRACE_S,
        silence_s: float = SILENCE_S,
    ) -> None:
        self.cancel_grace_s = cancel_grace_s
        self.silence_s = silence_s
        self._command = tuple(command or (python_executable(), *COMMAND[1:]))
        self._start = start or start_process
        self._ids = itertools.count(1)
        self._jobs: dict[int, Job] = {}
        self._abandoned: set[int] = set()
        self._lock = threading.Lock()
        self._held = _Held()
        self._dispose = weakref.finalize(self, self._held.dispose)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The worker's process id, None where none runs."""
        process = self._held.process
        return process.pid if process is not None and process.alive else None

    def wait_ready(self, timeout_s: float = 60.0) -> bool:
        """Start the worker where none runs and wait until it has imported what it needs; False when it did not."""
        self._running().ready.wait(timeout_s)
        process = self._held.process
        return process is not None and process.ready.is_set() and process.alive

    def submit(
        self,
        method: str,
        inputs: Mapping[str, Volume],
        parameters: Parameters | Mapping[str, Any] | None = None,
        context_options: Mapping[str, Any] | None = None,
        on_progress: ProgressCallback | None = None,
    ) -> Job:
        """Send a run to the worker and return at once; see :meth:`run` for the arguments."""
        job = self._new_job(on_progress)
        try:
            job.sources = {name: volume.source for name, volume in inputs.items()}
            request = {
                "op": "run",
                "method": method,
                "inputs": encode_inputs(inputs, job.folder),
                "parameters": parameters.to_dict() if isinstance(parameters, Parameters) else parameters,
                "context": dict(context_options or {}),
                "folder": str(job.folder),
            }
            return self._send(job, request)
        except BaseException:
            self.forget(job)
            raise

    def run(
        self,
        method: str,
        inputs: Mapping[str, Volume],
        parameters: Parameters | Mapping[str, Any] | None = None,
        context_options: Mapping[str, Any] | None = None,
        on_progress: ProgressCallback | None = None,
        cancel_event: threading.Event | None = None,
    ) -> Result:
        """Run a method in the worker and wait for its result.

        Args:
            method: the method's name in the registry.
            inputs: volumes by input name; they are written once for the worker and not changed.
            parameters: the method's parameter class, or a mapping of its fields.
            context_options: any of ``device``, ``precision``, ``seed``, ``bundle``, ``memory_limit_mb``.
            on_progress: called in this thread with a fraction and a text.
            cancel_event: set it from another thread to stop the run, at the latest after the grace.

        Returns:
            The same result, bit for bit, that the method gives in this process.

        Raises:
            CancelledError: after ``cancel_event`` was set.
            WorkerError: when the worker died; the next run starts a new one.
            ManabiError: whatever the method raised.
        """
        job = self.submit(method, inputs, parameters, context_options, on_progress)
        return self._wait(job, cancel_event).result()

    def load(self, method: str, context_options: Mapping[str, Any] | None = None) -> Job:
        """Have a method imported and its model loaded ahead of the first run; returns at once."""
        request = {"op": "load", "method": method, "context": dict(context_options or {})}
        return self._send(self._new_job(None), request)

    def preflight(self, context_options: Mapping[str, Any] | None = None) -> Job:
        """Ask what there is to run on; returns at once, and :meth:`Job.preflight` has the answer once it is done.

        The answer comes without any model being loaded, and does not wait for runs under way.

        Args:
            context_options: ``device``, as for :meth:`run`; other options do not matter here.
        """
        request = {"op": "preflight", "context": dict(context_options or {}), "folder": str(self._held.root())}
        return self._send(self._new_job(None), request)

    def ping(self, timeout_s: float = 5.0) -> bool:
        """Whether the worker answers; it does so during runs, too. Starts it where none runs."""
        job = self._send(self._new_job(None), {"op": "ping"})
        deadline = time.monotonic() + timeout_s
        while not job.poll(0.05) and time.monotonic() < deadline:
            pass
        self.forget(job)
        return job.done

    def kill_worker(self, only: WorkerProcess | None = None, because: str = "The worker was ended.") -> None:
        """End the worker with everything it started.

        Args:
            only: do so only if it still is this process.
            because: what its other runs are told.
        """
        process = self._held.process
        if process is not None and only in (None, process):
            self._held.process = None
            if process.alive:
                process.fate = because
            process.kill()

    def close(self) -> None:
        """End the worker and remove the private folder; the client can be used again afterwards."""
        self._held.dispose()

    def forget(self, job: Job) -> None:
        """Drop a job and remove its files."""
        with self._lock:
            self._jobs.pop(job.id, None)
            self._abandoned.discard(job.id)
        shutil.rmtree(job.folder, ignore_errors=True)

    def abandon(self, job: Job) -> None:
        """Forget a job as soon as it has ended; see :meth:`Job.abandon`."""
        with self._lock:
            self._abandoned.add(job.id)
        ended = job.process is None
        while not job.messages.empty():
            ended = job.messages.get_nowait()["event"] in OUTCOMES or ended
        if ended:
            self.forget(job)

    def is_wanted_beside(self, job: Job) -> bool:
        """Whether the same worker has another job that somebody still waits for."""
        with self._lock:
            others = [other for other in self._jobs.values() if other is not job and other.process is job.process]
        return any(not (other.done or other.cancelled) for other in others)

    def _wait(self, job: Job, cancel_event: threading.Event | None) -> Job:
        try:
            while not job.poll(0.05):
                if cancel_event is not None and cancel_event.is_set():
                    job.cancel()
        except BaseException:
            self.kill_worker(because=COLLATERAL)
            self.forget(job)
            raise
        return job

    def _new_job(self, on_progress: ProgressCallback | None) -> Job:
        job_id = next(self._ids)
        folder = self._held.root() / f"run-{job_id}"
        folder.mkdir(mode=0o700)
        return Job(self, job_id, folder, on_progress)

    def _send(self, job: Job, request: Message) -> Job:
        job.process = self._running()
        with self._lock:
            self._jobs[job.id] = job
        job.process.send({"id": job.id, **request})
        return job

    def _running(self) -> WorkerProcess:
        """The worker, started where none runs."""
        process = self._held.process
        if process is not None and process.alive:
            return process
        self.kill_worker()
        root = self._held.root()
        scratch = root / "tmp"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(mode=0o700)
        environment = {**os.environ, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(scratch))}
        started = self._start([*self._command, "--folder", str(root)], environment)
        self._held.process = WorkerProcess(started, self._route)
        return self._held.process

    def _route(self, process: WorkerProcess, message: Message) -> None:
        """Called by the process's reader thread: hand a message to the job it is for."""
        with self._lock:
            if message["event"] == "closed":
                receivers = [job for job in self._jobs.values() if job.process is process]
            else:
                job = self._jobs.get(message["id"])
                receivers = [] if job is None else [job]
            for job in receivers:
                job.messages.put(message)
            given_up = [job for job in receivers if job.id in self._abandoned and message["event"] in OUTCOMES]
        for job in given_up:
            self.forget(job)
        if not receivers and message["event"] == "error":
            _log.warning("the worker refused a request: %s", message.get("type"))


class _Held:
    """What must be given back however the client ends: the process and the private folder."""

    def __init__(self) -> None:
        self.process: WorkerProcess | None = None
        self._folder: Path | None = None
        self._owner = os.getpid()

    def root(self) -> Path:
        """The private folder, made on first use."""
        if self._folder is None:
            self._folder = private_folder()
        return self._folder

    def dispose(self) -> None:
        """End the process and remove the folder; does nothing in a forked child."""
        if os.getpid() != self._owner:
            return
        process, self.process = self.process, None
        folder, self._folder = self._folder, None
        if process is not None:
            process.shut_down()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


__all__ = ["CANCEL_GRACE_S", "COMMAND", "SILENCE_S", "Job", "WorkerClient"]
