"""The background process: ``python -m manabi.worker``, one JSON object per line on stdin and stdout.

Requests:
    ``{"id", "op": "run", "method", "inputs", "parameters", "context", "folder"}`` with inputs as
    :func:`manabi.result_codec.encode_inputs` writes them into ``folder``, and ``context`` any of ``device``, ``seed``,
    ``precision``, ``bundle``, ``memory_limit_mb``;
    ``{"id", "op": "load", "method", "context"}`` imports a method and loads its model ahead of the first run;
    ``{"id", "op": "preflight", "context": {"device"}, "folder"}`` tells device, memory and disk, without any model;
    ``{"id", "op": "cancel"}`` stops the run or load of that id, and drops one that waits; ``{"id", "op": "ping"}``;
    ``{"op": "shutdown"}``.

Replies:
    ``{"id", "event", ...}`` with the events ``ready`` (once, when requests will be worked on), ``started`` (a run or
    load no longer waits), ``progress`` (``fraction``, ``text``), ``heartbeat`` (``elapsed_s``, every 2 s of a run),
    ``result`` (``result``, ``duration_s``), ``loaded``, ``preflight`` (``preflight``), ``pong`` and ``error``
    (``type``, ``message``, ``exit_code``).

Runs are worked on one after another in one thread, while the main thread reads stdin, so that cancel and ping are
answered during a run; a preflight has a thread of its own and does not wait for runs. Method instances, and with them
their loaded models, stay from run to run. When stdin ends, the parent has died: the worker cancels, removes the
parent's private folder and ends with everything it started.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import queue
import shutil
import sys
import threading
import time
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import IO, Any, NoReturn, TextIO

import manabi
from manabi import log, registry
from manabi.context import Context
from manabi.errors import CancelledError, InvalidInputError
from manabi.failure import Failure
from manabi.method import Method
from manabi.preflight import preflight
from manabi.process_tree import kill_tree, lead_group
from manabi.result_codec import decode_inputs, encode_result, json_value
from manabi.shared_arrays import FOLDER_PREFIX

HEARTBEAT_S = 2.0
PROGRESS_INTERVAL_S = 0.05
CANCEL_GRACE_S = 2.0
"""How long a cancelled run may go on after the parent died, before the process ends under it."""
CONTEXT_OPTIONS = ("device", "precision", "seed", "bundle", "memory_limit_mb")

_log = logging.getLogger("manabi.worker")


class Replies:
    """Writes events to the parent, whole lines from any thread."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def send(self, request_id: Any, event: str, **fields: Any) -> None:
        """Write one event; a parent that no longer listens is noticed on stdin, not here."""
        line = json.dumps({"id": request_id, "event": event, **fields}, default=json_value)
        with self._lock:
            try:
                self._stream.write(line + "\n")
                self._stream.flush()
            except OSError:
                _log.info("the parent no longer listens")

    def fail(self, request_id: Any, error: BaseException) -> None:
        """Report an error; one that nobody foresaw is logged with its traceback."""
        failure = Failure.of(error)
        if failure.exit_code == 1:
            _log.error("unexpected error", exc_info=error)
        self.send(request_id, "error", **failure.to_dict())


class Job:
    """One run or load: the request, its cancel event, and what it does."""

    def __init__(self, request: Mapping[str, Any]) -> None:
        self.id = request.get("id")
        self.request = request
        self.cancel = threading.Event()
        self.folder = Path(_text(request, "folder")) if request["op"] == "run" else None
        self._lock = threading.Lock()
        self._taken = ""

    def take(self, who: str) -> bool:
        """Decide once who has the job: the run thread that starts it, or the cancellation that drops it."""
        with self._lock:
            first = not self._taken
            self._taken = self._taken or who
        return first

    def context(self, replies: Replies) -> Context:
        """The context that the request asks for, reporting to the parent."""
        options = self.request.get("context") or {}
        unknown = sorted(set(options) - set(CONTEXT_OPTIONS))
        if unknown:
            known = ", ".join(CONTEXT_OPTIONS)
            raise InvalidInputError(f"Unknown context option {', '.join(unknown)}. Known: {known}.")
        return Context(**options, cancel=self.cancel, on_progress=Throttled(self.id, replies))

    def run(self, method: Method[Any], replies: Replies) -> None:
        """Do the work and report its outcome."""
        context = self.context(replies)
        context.check_cancelled()
        started = time.perf_counter()
        if self.folder is None:
            method.load(context)
            replies.send(self.id, "loaded", duration_s=time.perf_counter() - started)
            return
        inputs = decode_inputs(self.request.get("inputs") or {}, self.folder)
        result = method.run(inputs, self.request.get("parameters"), context)
        duration_s = time.perf_counter() - started
        replies.send(self.id, "result", result=encode_result(result, self.folder), duration_s=duration_s)


class Throttled:
    """A progress callback that sends at most 20 events a second, and always the last one."""

    def __init__(self, job_id: Any, replies: Replies) -> None:
        self._job_id, self._replies = job_id, replies
        self._sent = -PROGRESS_INTERVAL_S

    def __call__(self, fraction: float, text: str) -> None:
        """Send an event, if it is time for one."""
        now = time.monotonic()
        if fraction >= 1.0 or now - self._sent >= PROGRESS_INTERVAL_S:
            self._sent = now
            self._replies.send(self._job_id, "progress", fraction=fraction, text=text)


class Worker:
    """The state of the process: what waits, what runs, and the methods kept loaded."""

    def __init__(self, replies: Replies, lazy: bool = False) -> None:
        self._replies = replies
        self._lazy = lazy
        self._methods: dict[str, Method[Any]] = {}
        self._jobs: dict[Any, Job] = {}
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="manabi-run", daemon=True)

    def serve(self, requests: IO[bytes]) -> bool:
        """Answer requests until ``shutdown`` (returns True) or the end of the stream (False)."""
        self._thread.start()
        for line in requests:
            if not line.strip():
                continue
            request: Any = None
            try:
                request = json.loads(line)
                if self._accept(request):
                    return True
            except json.JSONDecodeError as error:
                self._replies.fail(None, InvalidInputError(f"A request is one JSON object per line: {error}."))
            except Exception as error:  # the process edge: whatever one request does, the next one is served
                self._replies.fail(request.get("id") if isinstance(request, dict) else None, error)
        return False

    def stop(self, grace_s: float = CANCEL_GRACE_S) -> None:
        """Cancel what runs and waits, and give it a moment to end."""
        for job in list(self._jobs.values()):
            job.cancel.set()
        self._queue.put(None)
        self._thread.join(grace_s)

    def _accept(self, request: Any) -> bool:
        """Take one request; True for shutdown."""
        if not isinstance(request, dict):
            raise InvalidInputError(f"A request is a JSON object; got {type(request).__name__}.")
        op, request_id = request.get("op"), request.get("id")
        if op == "ping":
            self._replies.send(request_id, "pong", running=list(self._jobs))
        elif op == "cancel":
            self._cancel(request_id)
        elif op in ("run", "load"):
            self._enqueue(request)
        elif op == "preflight":
            threading.Thread(target=self._preflight, args=(request,), name="manabi-preflight", daemon=True).start()
        elif op != "shutdown":
            raise InvalidInputError(f"Unknown op {op!r}. Known: run, load, preflight, cancel, ping, shutdown.")
        return op == "shutdown"

    def _cancel(self, request_id: Any) -> None:
        """Stop a run at its next step; one that waits for its turn is dropped, and that is said at once."""
        job = self._jobs.get(request_id)
        if job is None:
            return
        job.cancel.set()
        if job.take("cancelled"):
            self._jobs.pop(job.id, None)
            self._replies.fail(job.id, CancelledError("Cancelled before it began. Nothing was written."))

    def _preflight(self, request: Mapping[str, Any]) -> None:
        """Say what there is to run on."""
        try:
            device = (request.get("context") or {}).get("device", "auto")
            folder = request.get("folder")
            found = preflight(str(device), None if folder is None else Path(folder))
            self._replies.send(request.get("id"), "preflight", preflight=found.to_dict())
        except Exception as error:  # the process edge: reported, and the next request is served
            self._replies.fail(request.get("id"), error)

    def _enqueue(self, request: dict[str, Any]) -> None:
        request_id = request.get("id")
        if not isinstance(request_id, (str, int)) or request_id in self._jobs:
            raise InvalidInputError(f"A run needs an id of its own (text or whole number); got {request_id!r}.")
        _text(request, "method")
        job = Job(request)
        self._jobs[job.id] = job
        self._queue.put(job)

    def _work(self) -> None:
        """The run thread: everything heavy happens here, always in this one thread."""
        versions = {} if self._lazy else _import_torch()
        self._replies.send(None, "ready", pid=os.getpid(), manabi=manabi.__version__, **versions)
        while (job := self._queue.get()) is not None:
            if not job.take("started"):
                continue
            self._replies.send(job.id, "started")
            with Heartbeat(job.id, self._replies):
                try:
                    job.run(self._method(job.request["method"]), self._replies)
                except (Exception, SystemExit) as error:  # the process edge: reported, and the next run is served
                    self._replies.fail(job.id, error)
                finally:
                    self._jobs.pop(job.id, None)

    def _method(self, name: str) -> Method[Any]:
        """The kept instance of a method, so that its loaded models stay."""
        if name not in self._methods:
            self._methods[name] = registry.method(name)
        return self._methods[name]


class Heartbeat:
    """Tells the parent every :data:`HEARTBEAT_S` seconds that the run goes on."""

    def __init__(self, job_id: Any, replies: Replies) -> None:
        self._job_id, self._replies = job_id, replies
        self._done = threading.Event()
        self._started = time.monotonic()

    def __enter__(self) -> None:
        threading.Thread(target=self._beat, name="manabi-heartbeat", daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self._done.set()

    def _beat(self) -> None:
        while not self._done.wait(HEARTBEAT_S):
            self._replies.send(self._job_id, "heartbeat", elapsed_s=round(time.monotonic() - self._started, 1))


def _text(request: Mapping[str, Any], key: str) -> str:
    value = request.get(key)
    if not isinstance(value, str) or not value:
        raise InvalidInputError(f"The request needs {key!r} as text; got {value!r}.")
    return value


def _import_torch() -> dict[str, str]:
    """Import torch ahead of the first run; its absence is reported by the method that needs it."""
    try:
        return {"torch": str(import_module("torch").__version__)}
    except (ImportError, OSError):
        return {}


def _end(private_folder: Path | None, orphaned: bool) -> NoReturn:
    """End the process at once, with everything it started; an orphan first removes its dead parent's folder."""
    kill_tree(os.getpid(), wait_s=0.2)
    if orphaned and private_folder is not None and private_folder.name.startswith(FOLDER_PREFIX):
        shutil.rmtree(private_folder, ignore_errors=True)
    logging.shutdown()
    os._exit(0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m manabi.worker", description="Manabi's background process.")
    parser.add_argument("--lazy", action="store_true", help="import torch only when a method needs it")
    parser.add_argument("--folder", type=Path, help="the parent's private folder, removed if the parent dies")
    return parser.parse_args()


def main() -> NoReturn:
    """Serve one parent until it says shutdown or dies."""
    options = _options()
    lead_group()
    with log.reserved_stdout() as stdout:
        log.set_up(to_file=False)
        worker = Worker(Replies(stdout), lazy=options.lazy)
        orderly = worker.serve(sys.stdin.buffer)
        worker.stop()
        _end(options.folder, not orderly)


if __name__ == "__main__":
    main()
