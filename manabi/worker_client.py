"""The other end of :mod:`manabi.worker`: starts it, sends it runs, ends it, and cleans up after it.

``WorkerClient.run`` blocks, for scripts. A program with an event loop of its own (Slicer) calls ``submit`` and then
``Job.poll`` from a timer. All files of the exchange, and the worker's own temporary files, lie in one private folder
that the client removes, however the worker ended.
"""

from __future__ import annotations

import itertools
import logging
import os
import queue
import shutil
import sys
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from manabi.context import ProgressCallback
from manabi.errors import CancelledError, ManabiError, WorkerError
from manabi.failure import Failure
from manabi.parameters import Parameters
from manabi.preflight import Preflight
from manabi.result import Result
from manabi.result_codec import decode_result, encode_inputs
from manabi.shared_arrays import private_folder
from manabi.volume import Volume
from manabi.worker_process import Message, Start, WorkerProcess, python_executable, start_process

COMMAND = (sys.executable, "-m", "manabi.worker")
"""How the worker is started with this process' Python; ``MANABI_PYTHON`` in the environment names another one."""
CANCEL_GRACE_S = 2.0
"""How long a cancelled run may take to stop by itself before its process is killed (our choice; 5 s in all)."""
SILENCE_S = 60.0
"""A worker that says nothing for so long during a run (30 heartbeats missed) is taken for hung (our choice)."""

_log = logging.getLogger(__name__)


class Job:
    """One request under way; made by :meth:`WorkerClient.submit`, :meth:`~WorkerClient.load` and the like."""

    def __init__(self, client: WorkerClient, job_id: int, folder: Path, on_progress: ProgressCallback | None) -> None:
        self.id = job_id
        self.folder = folder
        self.sources: dict[str, Any] = {}
        self.messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self.process: WorkerProcess | None = None
        self._client = client
        self._on_progress = on_progress
        self._reply: Message | None = None
        self._error: ManabiError | None = None
        self._result: Result | None = None
        self._kill_at: float | None = None

    @property
    def done(self) -> bool:
        """Whether the outcome is known."""
        return self._reply is not None or self._error is not None

    def cancel(self) -> None:
        """Ask the run to stop; :meth:`poll` kills the worker when it has not within the client's grace."""
        if self.done or self._kill_at is not None:
            return
        self._kill_at = time.monotonic() + self._client.cancel_grace_s
        if self.process is not None:
            try:
                self.process.send({"id": self.id, "op": "cancel"})
            except WorkerError:
                self._kill_at = time.monotonic()

    def poll(self, wait_s: float = 0.0) -> bool:
        """Take in what the worker said, waiting up to ``wait_s`` for a first message; True once the job is done."""
        try:
            message = self.messages.get(timeout=wait_s) if wait_s > 0 else self.messages.get_nowait()
            while not self.done:
                self._take(message)
                message = self.messages.get_nowait()
        except queue.Empty:
            self._check_alive()
        return self.done

    def result(self) -> Result:
        """The result of a run that is done.

        Raises:
            CancelledError: when the run was cancelled.
            WorkerError: when the worker died, hung, or the job is not done.
            ManabiError: whatever the method raised.
        """
        if self._error is not None:
            raise self._error
        if self._result is None:
            raise WorkerError("This job has no result: it is not done, or it was not a run.")
        return self._result

    def preflight(self) -> Preflight:
        """What a preflight that is done found.

        Raises:
            WorkerError: when the worker died, or the job is not a preflight that is done.
        """
        self.check()
        if self._reply is None or self._reply["event"] != "preflight":
            raise WorkerError("This job has found nothing: it is not done, or it was not a preflight.")
        return Preflight.from_dict(self._reply["preflight"])

    def check(self) -> None:
        """Raise the error that the job ended with, if it did."""
        if self._error is not None:
            raise self._error

    def _take(self, message: Message) -> None:
        event = message.get("event")
        if event == "progress" and self._on_progress is not None:
            self._on_progress(float(message["fraction"]), str(message["text"]))
        elif event == "error":
            self._finish(error=Failure.from_dict(message).to_error())
        elif event == "closed":
            self._died()
        elif event in ("result", "loaded", "pong", "preflight"):
            self._finish(reply=message)

    def _check_alive(self) -> None:
        """Called when nothing was said: is the process there, is it heard of, and should it have stopped by now?"""
        if self._kill_at is not None and time.monotonic() >= self._kill_at:
            self._client.kill_worker()
            self._finish(error=CancelledError("Cancelled; the worker had to be ended. Nothing was written."))
        elif self.process is not None and not self.process.alive and self.messages.empty():
            self._died()
        elif self.process is not None and self.process.silent_s > self._client.silence_s:
            self._client.kill_worker()
            self._finish(error=WorkerError(f"The worker fell silent for {self._client.silence_s:.0f} s and was ended."))

    def _died(self) -> None:
        if self._kill_at is not None:
            self._finish(error=CancelledError("Cancelled. Nothing was written."))
        else:
            words = "The worker was ended." if self.process is None else self.process.obituary()
            self._finish(error=WorkerError(words))
        self._client.kill_worker(self.process)

    def _finish(self, reply: Message | None = None, error: ManabiError | None = None) -> None:
        if self.done:
            return
        self._reply, self._error = reply, error
        try:
            if reply is not None and reply["event"] == "result":
                self._result = decode_result(reply["result"], self.folder, self.sources)
        except ManabiError as unreadable:
            self._error = unreadable
        finally:
            self._client.forget(self)


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

    def kill_worker(self, only: WorkerProcess | None = None) -> None:
        """End the worker with everything it started (only if it still is ``only``, where given)."""
        process = self._held.process
        if process is not None and only in (None, process):
            self._held.process = None
            process.kill()

    def close(self) -> None:
        """End the worker and remove the private folder; the client can be used again afterwards."""
        self._held.dispose()

    def forget(self, job: Job) -> None:
        """Drop a job and remove its files."""
        with self._lock:
            self._jobs.pop(job.id, None)
        shutil.rmtree(job.folder, ignore_errors=True)

    def _wait(self, job: Job, cancel_event: threading.Event | None) -> Job:
        try:
            while not job.poll(0.05):
                if cancel_event is not None and cancel_event.is_set():
                    job.cancel()
        except BaseException:
            self.kill_worker()
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
