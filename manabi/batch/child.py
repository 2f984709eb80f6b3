"""A worker of a batch: ``python -m manabi.batch.child``, one case per line on stdin, one event per line on stdout.

The first line is the batch's request with the lock to hold, every further one a case: ``{"id", "inputs", "settings",
"folder", "overwrite"}``. Events: ``ready``, ``progress`` (``fraction``, ``text``), ``heartbeat``, ``done``, ``failed``
(``type``, ``message``, ``exit_code``, ``details``), and ``broken`` with the same fields, after which the process ends.
One method instance serves all cases, so that its model is loaded once. When stdin ends, or the line is
``{"op": "shutdown"}``, the case under way is cancelled and its half-written folder removed.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from manabi import log, registry
from manabi.batch.folder import RUNNING
from manabi.context import Context
from manabi.failure import Failure
from manabi.io.lock import locked
from manabi.method import Method
from manabi.process_tree import kill_tree, lead_group
from manabi.volume import Volume
from manabi.worker import CANCEL_GRACE_S, Heartbeat, Replies, Throttled

LOCK_WAIT_S = 10.0
"""How long to wait for a former process in the same place, which is just ending."""


class Child:
    """Works on cases in a thread of its own, while the main thread listens for the end."""

    def __init__(self, replies: Replies) -> None:
        self.cancel = threading.Event()
        self.jobs: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._replies = replies
        self._thread = threading.Thread(target=self._work, name="manabi-run", daemon=True)

    def serve(self) -> None:
        """Take lines until stdin ends or asks for the end."""
        self._thread.start()
        for line in sys.stdin.buffer:
            message = json.loads(line)
            if message.get("op") == "shutdown":
                break
            self.jobs.put(message)
        self.cancel.set()
        self.jobs.put(None)
        self._thread.join(CANCEL_GRACE_S)

    def _work(self) -> None:
        request = self.jobs.get()
        if request is None:
            return
        self._replies.send(None, "ready", pid=os.getpid())
        try:
            with locked(Path(request["lock"]), RUNNING, LOCK_WAIT_S):
                self._serve_cases(request)
        except Exception as error:  # the process edge: nobody but this thread works, so the process must not live on
            self._replies.send(None, "broken", seconds=None, **described(error))
            logging.shutdown()
            os._exit(1)

    def _serve_cases(self, request: Mapping[str, Any]) -> None:
        method: Method[Any] | None = None
        while (job := self.jobs.get()) is not None and not self.cancel.is_set():
            started = time.perf_counter()
            with Heartbeat(job["id"], self._replies):
                try:
                    method = method or registry.method(request["method"])
                    run_case(method, request, job, self.cancel, Throttled(job["id"], self._replies))
                    self._replies.send(job["id"], "done")
                except (Exception, SystemExit) as error:  # the process edge: reported, and the next case is served
                    seconds = round(time.perf_counter() - started, 3)
                    self._replies.send(job["id"], "failed", seconds=seconds, **described(error))


def run_case(
    method: Method[Any],
    request: Mapping[str, Any],
    job: Mapping[str, Any],
    cancel: threading.Event,
    on_progress: Throttled | None = None,
) -> None:
    """Read, run and write one case, as ``manabi run`` does; its folder appears whole or not at all."""
    from manabi.io import write_result

    log.hide_paths(job["inputs"].values(), keep=[job["id"]])
    parameters = method.parameters_type.parse(list(job["settings"]))
    context = Context(**request["context"], cancel=cancel, on_progress=on_progress)
    inputs: dict[str, Volume] = {}
    for name in (spec.name for spec in method.inputs if spec.name in job["inputs"]):
        image = inputs.get(method.inputs[0].name)
        inputs[name] = read_input(name, job["inputs"][name], request["series"].get(name), image)
    result = method.run(inputs, parameters, context)
    context.check_cancelled()
    write_result(
        result, job["folder"], image_format=request["image_format"], method=method, inputs=inputs,
        overwrite=job["overwrite"],
    )  # fmt: skip


def read_input(name: str, text: str, series: str | None, image: Volume | None = None) -> Volume:
    """One input of a case: a file, a folder, or a series of an archive's index.

    Args:
        name: of the input.
        text: its path or reference.
        series: which series of a folder.
        image: on whose grid structures of an archive are drawn.
    """
    from manabi.archive.reading import is_reference, read_reference
    from manabi.io import read_volume

    if is_reference(text):
        return read_reference(text, name, image)
    path = Path(text)
    return read_volume(path, series=series if path.is_dir() else None, name=name)


def described(error: BaseException) -> dict[str, Any]:
    """An error as it is reported: without names and paths; with its traceback where nobody foresaw it."""
    failure = Failure.of(error)
    details = "".join(traceback.format_exception(error)) if failure.exit_code == 1 else ""
    return {
        **failure.to_dict(),
        "message": log.REDACTOR.redact(failure.message),
        "details": log.REDACTOR.redact(details),
    }


def main() -> NoReturn:
    """Serve one parent until it asks for the end or dies."""
    lead_group()
    with log.reserved_stdout() as stdout:
        log.set_up(to_file=False)
        Child(Replies(stdout)).serve()
        kill_tree(os.getpid(), wait_s=0.2)
        logging.shutdown()
        os._exit(0)


if __name__ == "__main__":
    main()
