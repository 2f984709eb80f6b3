"""Tasks over processes, with progress and cancellation; the answers do not depend on how many processes there are."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from manabi.context import Context
from manabi.errors import WorkerError

Task = TypeVar("Task")
Answer = TypeVar("Answer")
FEW = 8
"""Fewer tasks are done in this process: starting others takes seconds."""
POLL_S = 0.2
_shared: tuple[Callable[..., Any], Any] | None = None


def run_tasks(function: Callable[[Any, Task], Answer], job: object, tasks: Sequence[Task], context: Context,
              workers: int | None = None) -> list[Answer]:  # fmt: skip
    """``[function(job, task) for task in tasks]``, in any order.

    Args:
        function: at the top level of a module.
        job: what all tasks share; sent to each process once.
        tasks: small.
        context: progress and cancellation.
        workers: processes; None for as many as there are processors.

    Raises:
        CancelledError: on request; running tasks are ended first.
        WorkerError: a process died.
    """
    workers = min(workers or _processors(), len(tasks))
    if workers <= 1 or len(tasks) < FEW:
        return _here(function, job, tasks, context)
    start = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, start, _begin, (function, job)) as pool:
        try:
            return _collect(pool, tasks, context)
        except BrokenProcessPool as error:
            raise WorkerError(
                "A process of the cross-validation died, most likely for lack of memory. Try fewer (workers=1)."
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _here(
    function: Callable[[Any, Task], Answer], job: object, tasks: Sequence[Task], context: Context
) -> list[Answer]:
    from threadpoolctl import threadpool_limits

    out = []
    with threadpool_limits(1):
        for number, task in enumerate(tasks):
            context.progress(number / len(tasks), f"training set {number + 1} of {len(tasks)}")
            out.append(function(job, task))
    return out


def _collect(pool: ProcessPoolExecutor, tasks: Sequence[Any], context: Context) -> list[Any]:
    waiting = {pool.submit(_do, task) for task in tasks}
    out: list[Any] = []
    while waiting:
        context.progress(len(out) / len(tasks), f"training set {len(out) + 1} of {len(tasks)}")
        done, waiting = wait(waiting, POLL_S, FIRST_COMPLETED)
        out += [future.result() for future in done]
    return out


def _begin(function: Callable[..., Any], job: object) -> None:
    """In a new process: keep what the tasks share, and one thread for linear algebra (matrices are small)."""
    global _shared
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)
    _shared = (function, job)


def _do(task: object) -> Any:
    if _shared is None:
        raise WorkerError("The process was not prepared.")
    function, job = _shared
    return function(job, task)


def _processors() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1
