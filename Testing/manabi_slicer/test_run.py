"""A run as the panel follows it, and the session it runs in, with a worker and a clock of the test's own."""

from __future__ import annotations

import numpy as np
import pytest

from manabi.errors import CancelledError, DependencyError, InvalidInputError
from manabi.result import Result


@pytest.fixture(autouse=True)
def _app(slicer_app):
    """Slicer's texts and settings."""


class Job:
    """A job of a worker that does what the test says."""

    def __init__(self):
        self.ends, self.cancelled, self.outcome = False, False, Result()

    def poll(self):
        return self.ends

    def cancel(self):
        self.cancelled = True

    def result(self):
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def started(expected_s=None):
    from manabi_slicer.request import Request
    from manabi_slicer.run import Run

    job, clock, said = Job(), Clock(), []
    run = Run(lambda progress: said.append(progress) or job, Request(nodes={}), None, 0, expected_s, clock)
    return run, job, clock, said[0]


def test_without_history_the_time_left_is_unknown_until_a_tenth_is_done():
    run, _, clock, progress = started()
    clock.now += 2
    progress(0.05, "Beginning")
    run.poll()
    assert (run.progress.elapsed_s, run.progress.remaining_s) == (2, None)
    clock.now += 8
    progress(0.25, "Going on")
    run.poll()
    assert run.progress.remaining_s == pytest.approx(30)


def test_history_gives_the_time_left_at_once_and_progress_takes_over():
    run, _, clock, progress = started(expected_s=20)
    run.poll()
    assert run.progress.remaining_s == 20
    clock.now += 10
    progress(0.9, "Nearly there")
    run.poll()
    by_progress, by_history = 10 * 0.1 / 0.9, 10
    assert run.progress.remaining_s == pytest.approx(0.9 * by_progress + 0.1 * by_history)
    clock.now += 60
    run.poll()
    assert run.progress.remaining_s >= 0


@pytest.mark.parametrize(
    ("outcome", "state"),
    [(Result(), "DONE"), (CancelledError("x"), "CANCELLED"), (InvalidInputError("x"), "FAILED")],
)  # fmt: skip
def test_a_run_ends_as_its_job_does(outcome, state):
    run, job, _, progress = started()
    assert not run.poll()
    job.ends, job.outcome = True, outcome
    assert run.poll()
    assert run.state.name == state
    assert run.ended
    progress(0.1, "too late")
    assert run.progress.text != "too late"


def test_cancel_is_passed_on_once_and_counted_texts_are_logged_once():
    run, job, _, progress = started()
    for n in range(3):
        progress(0.1 * n, f"Slice {n} of 64")
    progress(0.5, "Measuring")
    assert run.progress.said == ["Slice 0 of 64", "Measuring"]
    run.cancel()
    assert job.cancelled
    progress(0.9, "Still at it")
    assert run.progress.text == "Cancelling"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (7.4, "0:07"), (125, "2:05"), (3725, "1:02:05"), (-1, "0:00")]
)
def test_times_read_as_a_clock(seconds, text):
    from manabi_slicer.run import clock_text

    assert clock_text(seconds) == text


def test_run_times_are_kept_per_kind_and_scale_with_the_image():
    from manabi_slicer.times import KEPT, RunTimes

    times = RunTimes()
    assert times.expected_s("spect|cpu", 1_000_000) is None
    for seconds in (4.0, 100.0, 5.0):
        times.add("spect|cpu", 1_000_000, seconds)
    again = RunTimes()
    assert again.expected_s("spect|cpu", 2_000_000) == pytest.approx(10.0)
    assert again.expected_s("spect|cuda", 2_000_000) is None
    for _ in range(2 * KEPT):
        times.add("spect|cpu", 1_000_000, 1.0)
    assert RunTimes().expected_s("spect|cpu", 1_000_000) == pytest.approx(1.0)


def test_damaged_settings_are_no_trouble():
    import qt

    from manabi_slicer.times import KEY, RunTimes

    qt.QSettings().setValue(KEY, "{not json")
    assert RunTimes().expected_s("spect", 1000) is None
    RunTimes().add("spect", 1000, 1.0)
    assert RunTimes().expected_s("spect", 1000) == pytest.approx(1.0)


def test_a_worker_that_cannot_be_started_is_told_in_the_panel(slicer_app, monkeypatch):
    import slicer

    def start(command, environment):
        raise DependencyError("python could not be started: no such file.")

    widget = slicer_app.open_widget("SPECTDenoise")
    monkeypatch.setattr(widget.logic.session, "_start", start)
    node = slicer.util.addVolumeFromArray(np.random.default_rng(0).poisson(60, (8, 24, 26)).astype(np.float32))
    widget.ui.inputSelector.setCurrentNode(node)
    widget.runPanel.ui.applyButton.click()
    assert "could not be started" in widget.runPanel.ui.errorLabel.text
    assert widget.run is None
    assert widget.runPanel.ui.applyButton.text == "Apply"


def test_without_a_python_beside_slicer_the_message_says_what_to_do(slicer_app, monkeypatch):
    import slicer

    from manabi_slicer import process

    monkeypatch.setattr(process.shutil, "which", lambda name: None)
    monkeypatch.setattr(process.sys, "executable", "/opt/Slicer/bin/SlicerApp-real")
    monkeypatch.setattr(type(slicer.app), "slicerHome", "/nowhere", raising=False)
    with pytest.raises(DependencyError, match="PythonSlicer"):
        process.python_executable()


def test_the_worker_s_environment_is_slicer_s_start_with_the_packages_of_the_extension(slicer_app, monkeypatch):
    import os

    from manabi_slicer import process

    monkeypatch.setenv("MANABI_HOME", "/models")
    found = process.worker_environment({**os.environ, "TMPDIR": "/scratch"})
    assert found["TMPDIR"] == "/scratch"
    assert found["MANABI_HOME"] == "/models"
    assert found["PYTHONPATH"].split(os.pathsep)[0] == str(process.PACKAGES)
    assert found["PYTHONUTF8"] == "1"
