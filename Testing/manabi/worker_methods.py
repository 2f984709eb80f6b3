"""Methods of a made-up site, loaded by worker processes through MANABI_METHODS: one per way of behaving."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from manabi.errors import ModelNotFoundError
from manabi.method import InputSpec, Method
from manabi.parameters import Parameters
from manabi.result import LEFT, Code, Labelmap, Landmark, Plot, Result, Segment, Table

NAMES = {
    "echo": "Echo", "slow": "Slow", "deaf": "Deaf", "dies": "Dies", "spawns": "Spawns", "breaks": "Breaks",
    "pair": "Pair", "full": "Full", "nomodel": "NoModel", "pauses": "Pauses", "freezes": "Freezes",
}  # fmt: skip
REGISTERED = ",".join(f"{name}=worker_methods:{cls}" for name, cls in NAMES.items())


@dataclass(frozen=True)
class EchoParameters(Parameters):
    gain: float = field(default=1.0, metadata={"low": 0.0, "high": 10.0, "help": "factor"})
    mode: Literal["plain", "noisy"] = "plain"
    marker: str = ""


class Echo(Method[EchoParameters]):
    """Multiplies by the gain, and returns one of everything a Result can hold."""

    name, title, summary, source, phantom = "echo", "Echo", "for tests", "none", "none"
    inputs = (InputSpec("image", "any image", ("NM", "CT")),)
    parameters_type = EchoParameters

    def __init__(self):
        self.runs = 0

    def load(self, context):
        self.runs = 100

    def _run(self, inputs, parameters, context):
        self.runs += 1
        image = inputs["image"]
        rng = np.random.default_rng(context.seed)
        values = image.array * np.float32(parameters.gain)
        if parameters.mode == "noisy":
            os.write(1, b"a library that prints\n")
            values = values + rng.normal(size=image.shape)
        for step in range(5):
            context.progress(step / 5, f"step {step} é")
        context.warn("echo warns")
        label = image.like(np.ones(image.shape, np.uint8), source=None)
        segment = Segment(1, "all", (1.0, 0.5, 0.0), Code("1", "99X", "All"), laterality=LEFT)
        return Result(
            volumes={"echo": image.like(values), "half": image.like(values.astype(np.float16), name="half")},
            labelmaps={"all": Labelmap(label, (segment,))},
            landmarks={"peak": Landmark("peak", (1.0, 2.0, -3.5), 0.25, "highest")},
            tables={"values": Table(("region", "mean", "none"), (("all", float(values.mean()), None), ("b", 2, None)))},
            plots={"curve": Plot("c", "x", "y", {"a": ([0.1, 0.2], [1.0, float("nan")])})},
            measurements={"mean": float(values.mean()), "count": np.int64(values.size), "runs": self.runs},
        )


class Slow(Echo):
    """Works until it is cancelled, or three minutes."""

    name = "slow"

    def _run(self, inputs, parameters, context):
        (Path(tempfile.mkdtemp()) / "scratch").write_bytes(b"half done")
        for step in range(9000):
            context.progress(step / 9000, "working")
            time.sleep(0.02)
        return Result()


class Deaf(Echo):
    """Never looks at the cancel event, and has started a process of its own, whose id it writes to ``marker``."""

    name = "deaf"

    def _run(self, inputs, parameters, context):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(180)"])
        Path(parameters.marker).write_text(str(child.pid), encoding="utf-8")
        (Path(tempfile.mkdtemp()) / "scratch").write_bytes(b"half done")
        context.progress(0.1, "deaf from here on")
        time.sleep(180)
        return Result()


class Spawns(Deaf):
    """Starts a child, then dies as under the kernel's out-of-memory killer."""

    name = "spawns"

    def _run(self, inputs, parameters, context):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(180)"])
        Path(parameters.marker).write_text(str(child.pid), encoding="utf-8")
        os.kill(os.getpid(), 9)
        return Result()


class Dies(Echo):
    """Ends the process without a word of Python's, but with one on stderr."""

    name = "dies"

    def _run(self, inputs, parameters, context):
        os.write(2, b"last words: no more memory\n")
        os._exit(9)


class Breaks(Echo):
    """Raises what nobody foresaw."""

    name = "breaks"

    def _run(self, inputs, parameters, context):
        raise RuntimeError("the unforeseen, at /data/Tanaka_Taro/ct.dcm")


class Pair(Echo):
    """Adds its two inputs."""

    name = "pair"
    inputs = (InputSpec("ct", "a CT", ("CT", "NM")), InputSpec("mr", "an MR", ("MR", "NM"), optional=True))

    def _run(self, inputs, parameters, context):
        total = sum(np.asarray(volume.array, float) for volume in inputs.values())
        return Result(volumes={"sum": inputs["ct"].like(total)}, measurements={"mean": float(total.mean())})


class Full(Echo):
    """Finds the disk full."""

    name = "full"

    def _run(self, inputs, parameters, context):
        raise OSError(errno.ENOSPC, "No space left on device")


class NoModel(Echo):
    """Asks for a model that nobody installed."""

    name = "nomodel"

    def _run(self, inputs, parameters, context):
        raise ModelNotFoundError("No bundle 'x' is installed.")


class Pauses(Echo):
    """Stops while its figures are drawn, in the half-written folder that MANABI_TEST_PAUSE names."""

    name = "pauses"

    def draw(self, inputs, result, folder):
        waited_for = os.environ.get("MANABI_TEST_PAUSE")
        if waited_for and waited_for in str(folder):
            time.sleep(180)
        return []


class Freezes(Echo):
    """Stops the whole process, which then neither works nor ends."""

    name = "freezes"

    def _run(self, inputs, parameters, context):
        os.kill(os.getpid(), signal.SIGSTOP)
        return super()._run(inputs, parameters, context)
