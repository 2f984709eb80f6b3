"""What benchmarks share: the machine in words, and fair races between processes.

Each contestant lives in a process of its own, so that its memory peak is its own, and all take turns, so that other
work on the computer slows them all alike.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any


def machine() -> dict[str, Any]:
    """Processor, threads, memory, versions and the load at this moment."""
    import psutil
    import torch

    from manabi.device import choose_device, has_fast_bfloat16

    return {
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "device": choose_device("auto").device,
        "fast_bfloat16": has_fast_bfloat16("cpu"),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in ("torch", "monai", "numpy")},
        "load_average": load(),
    }


def processor_name() -> str:
    """The processor's name, as the system gives it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "") or (
        platform.processor() or platform.machine()
    )


def load() -> float | None:
    """Processes that wanted to run over the last minute; None where the system does not tell."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def current_mb() -> float:
    """Resident memory of this process, MB."""
    import psutil

    return psutil.Process().memory_info().rss / 2**20


def peak_mb() -> float:
    """Largest resident memory of this process so far, MB.

    On Linux from VmHWM: ``ru_maxrss`` of a new process begins with what its parent had.
    """
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    high_water = next((line.split()[1] for line in lines if line.startswith("VmHWM")), None)
    if high_water is not None:
        return int(high_water) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def summary(seconds: Sequence[float]) -> dict[str, Any]:
    """Best and median of several runs."""
    return {
        "best_s": round(min(seconds), 4),
        "median_s": round(statistics.median(seconds), 4),
        "runs": len(seconds),
    }


def serve(work: Callable[[], Any], finish: Callable[[], dict[str, Any]]) -> None:
    """A contestant's side: run ``work`` once for every line read, then answer ``finish`` and end."""
    work()
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        if line.strip() == "finish":
            print(json.dumps({"peak_mb": round(peak_mb()), **finish()}), flush=True)
            return
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        times = {"s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
        print(json.dumps(times), flush=True)


class Contestant:
    """The organiser's side of :func:`serve`."""

    def __init__(self, script: str, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        self.seconds: list[float] = []
        self.cpu_seconds: list[float] = []
        self._process = subprocess.Popen(
            [sys.executable, script, *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment},
        )  # fmt: skip
        self._answer()

    def run(self) -> None:
        """One timed run."""
        times = self._ask("run")
        self.seconds.append(times["s"])
        self.cpu_seconds.append(times["cpu_s"])

    def finish(self) -> dict[str, Any]:
        """End the process; returns its times, its memory peak and what else it tells."""
        told = self._ask("finish")
        self._process.wait()
        return {**summary(self.seconds), "best_cpu_s": round(min(self.cpu_seconds), 4), **told}

    def _ask(self, word: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise RuntimeError(f"A contestant ended early with status {self._process.wait()}; see its messages above.")


def race(
    script: str, names: Sequence[str], arguments: Sequence[str], environments: Mapping[str, Mapping[str, str]],
    rounds: int,
) -> dict[str, dict[str, Any]]:
    """Run contestants in turn, each ``rounds`` times after a warm-up.

    Args:
        script: run as ``script --contestant NAME *arguments``; it calls :func:`serve`.
        names: the contestants.
        arguments: for every contestant.
        environments: additional environment variables by name.
        rounds: timed runs of each.
    """
    contestants = {n: Contestant(script, ["--contestant", n, *arguments], environments.get(n, {})) for n in names}
    for _ in range(rounds):
        for contestant in contestants.values():
            contestant.run()
    return {name: contestant.finish() for name, contestant in contestants.items()}


def add_ratios(results: dict[str, dict[str, Any]], baseline: str) -> None:
    """How many times faster than the baseline each is, by best and by median time."""
    base = results[baseline]
    for record in results.values():
        record["ratio_best"] = round(base["best_s"] / record["best_s"], 2)
        record["ratio_median"] = round(base["median_s"] / record["median_s"], 2)


def print_table(title: str, results: Mapping[str, Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Rows of results under the named columns."""
    width = max(len(name) for name in results) + 2
    print(f"\n{title}")
    print(" " * width + "".join(f"{column:>20}" for column in columns))
    for name, record in results.items():
        print(f"{name:<{width}}" + "".join(f"{record.get(column, '')!s:>20}" for column in columns))


def print_machine(described: Mapping[str, Any]) -> None:
    """The machine on one line, and a word where other work makes the times unreliable."""
    print("; ".join(f"{key} {value}" for key, value in described.items()))
    busy = described["load_average"]
    if busy is not None and busy > 0.5:
        print(f"Other work was running (load {busy}): read the ratios, not the seconds, and repeat on a quiet machine.")


def print_cases(found: Mapping[str, Any], baseline: str, columns: Sequence[str]) -> None:
    """What a benchmark's ``run`` found: the machine, and a table per case."""
    print_machine(found["machine"])
    for case, results in found["cases"].items():
        print_table(f"{case}, against {baseline}", results, columns)


def quick_or_contestant(description: str | None) -> tuple[bool, str | None]:
    """The command line of a benchmark that races with itself: whether it is quick, and which contestant it is."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--contestant")
    arguments = parser.parse_args()
    return arguments.quick, arguments.contestant
