"""From Apply to the result in the scene: the warm worker against a process per run, as other extensions do it.

SPECTDenoise's panel is used on the stand-in for Slicer with the sample patient and the model that ships. The other way
is what extensions that start a process do: write the scan as NIfTI, start Python with a script that runs the method and
writes its result, read the images back into the scene. Measured from the press of Apply, and from the call, until
the denoised volume is in the scene. ``same_process`` is the logic's ``process``, without a worker, from its second call
on. ``warmed`` is the first Apply after the panel has loaded the model in the background, as it does with a main window
once a scan is chosen.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
sys.path.append(str(Path(__file__).resolve().parents[1]))

from common import machine

REPEATS = 5
SCRIPT = """
import sys
from manabi import registry
from manabi.io import read_volume, write_result
result = registry.method("spect").run(read_volume(sys.argv[1]))
write_result(result, sys.argv[2], draw=False)
"""
"""Nothing but what the panel does: no figure is drawn."""
LIMIT_S = 300


def timed(work: Callable[..., Any], *arguments: Any) -> float:
    """Seconds that it takes."""
    started = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - started


def apply(standin: Any, widget: Any) -> None:
    """Press Apply and wait for the result."""
    widget.runPanel.ui.applyButton.click()
    standin.wait_until(lambda: widget.run is None, LIMIT_S)
    boxes = widget.runPanel.ui.errorLabel.text
    if boxes:
        raise SystemExit(boxes)


def process_per_run(node: Any) -> None:
    """Write the scan, run a process, read the images back."""
    import slicer

    from manabi.io import read_volume, write_volume
    from manabi_slicer import bridge

    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        write_volume(bridge.volume_from_node(node, modality="NM"), base / "scan.nii.gz")
        command = [sys.executable, "-c", SCRIPT, str(base / "scan.nii.gz"), str(base / "out")]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for path in sorted((base / "out").glob("*.nii.gz")):
            slicer.mrmlScene.RemoveNode(bridge.volume_to_node(read_volume(path), path.stem))


def opened(standin: Any) -> tuple[Any, Any]:
    """A panel with the sample's short scan chosen, and that scan."""
    import SPECTDenoise

    standin.reset()
    widget = standin.open_widget("SPECTDenoise")
    node, _ = SPECTDenoise.loadSampleData()
    widget.ui.inputSelector.setCurrentNode(node)
    return widget, node


def run() -> dict[str, Any]:
    """Measure; seconds (medians) and ratios by name."""
    import slicer_standin as standin

    standin.boot()
    standin.module("SPECTDenoise")
    first, warmed, second, here, fresh = [], [], [], [], []
    for _ in range(REPEATS):
        widget, node = opened(standin)
        first.append(timed(apply, standin, widget))
        second.append(timed(apply, standin, widget))
        widget.logic.process(node)
        here.append(timed(widget.logic.process, node))
        fresh.append(timed(process_per_run, node))
        widget, node = opened(standin)
        widget.logic.session.warm_up("spect", None)
        standin.process_events(8.0)
        warmed.append(timed(apply, standin, widget))
    standin.reset()
    median = statistics.median
    return {
        **machine(),
        "repeats": REPEATS,
        "first_apply_s": median(first),
        "warmed_first_apply_s": median(warmed),
        "second_apply_s": median(second),
        "same_process_s": median(here),
        "process_per_run_s": median(fresh),
        "process_per_run_over_first": median(fresh) / median(first),
        "process_per_run_over_second": median(fresh) / median(second),
        "range_s": {
            name: [round(min(values), 2), round(max(values), 2)]
            for name, values in (
                ("first", first),
                ("warmed", warmed),
                ("second", second),
                ("here", here),
                ("process", fresh),
            )
        },
    }


if __name__ == "__main__":
    for name, value in run().items():
        print(f"{name:32} {value:.3f}" if isinstance(value, float) else f"{name:32} {value}")
