"""The worker through its client: the same results, sure cancellation, nothing left behind."""

from __future__ import annotations

import dataclasses
import os
import signal
import stat
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from worker_fixtures import AWKWARD, image, is_running, use_site_methods

from manabi import registry
from manabi.context import Context
from manabi.errors import CancelledError, InvalidInputError, ManabiError, WorkerError
from manabi.worker_client import COMMAND, WorkerClient

LAZY = (*COMMAND, "--lazy")


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The system's temporary folder, with a name that breaks careless code; must be empty after each test."""
    folder = tmp_path / AWKWARD
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    use_site_methods(monkeypatch)
    yield folder
    tempfile.tempdir = None


@pytest.fixture
def client(temporary):
    with WorkerClient(LAZY) as client:
        yield client
    assert list(temporary.iterdir()) == []


def assert_same(ours, theirs):
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours, theirs)


def test_result_equals_the_run_in_this_process_bit_for_bit(client):
    source = object()
    volume = image(source=source).with_warning("read with a doubt")
    settings = {"gain": 0.3, "mode": "noisy"}
    theirs = client.run("echo", {"image": volume}, settings, {"seed": 7, "device": "cpu"})
    ours = registry.method("echo").run(volume, settings, Context(seed=7, device="cpu"))
    for name in ours.volumes:
        assert_same(ours.volumes[name].array, theirs.volumes[name].array)
        assert_same(ours.volumes[name].ijk_to_ras, theirs.volumes[name].ijk_to_ras)
        assert theirs.volumes[name].source is source
    assert_same(ours.labelmaps["all"].volume.array, theirs.labelmaps["all"].volume.array)
    assert ours.labelmaps["all"].segments == theirs.labelmaps["all"].segments
    assert theirs.labelmaps["all"].volume.source is None
    assert (ours.landmarks, ours.tables, ours.warnings) == (theirs.landmarks, theirs.tables, theirs.warnings)
    assert ours.measurements == theirs.measurements
    assert repr(ours.plots) == repr(theirs.plots)
    changing = {"duration_s", "started_utc", "versions"}
    same = {key: value for key, value in ours.provenance.items() if key not in changing}
    assert same == {key: value for key, value in theirs.provenance.items() if key not in changing}


def test_result_array_stays_after_the_worker_has_gone(temporary):
    with WorkerClient(LAZY) as client:
        result = client.run("echo", {"image": image()})
    assert not isinstance(result.volumes["echo"].array.base, np.memmap)
    assert result.volumes["echo"].array.sum() == pytest.approx(image().array.sum(), rel=1e-6)


def test_method_and_its_model_are_kept_between_requests(client):
    runs = [client.run("echo", {"image": image()}).measurements["runs"] for _ in range(3)]
    assert runs == [1, 2, 3]


def test_load_warms_up_the_instance_that_runs_later(client):
    job = client.load("echo")
    while not job.poll(0.1):
        pass
    job.check()
    assert client.run("echo", {"image": image()}).measurements["runs"] == 101


def test_progress_arrives_in_order_and_ends_at_one(client):
    seen = []
    client.run("echo", {"image": image()}, on_progress=lambda fraction, text: seen.append((fraction, text)))
    fractions = [fraction for fraction, _ in seen]
    assert fractions == sorted(fractions)
    assert seen[0] == (0.0, "step 0 é")
    assert seen[-1] == (1.0, "Done")


def test_errors_keep_their_class_and_message(client):
    with pytest.raises(InvalidInputError, match="gain must lie between"):
        client.run("echo", {"image": image()}, {"gain": 11})
    with pytest.raises(InvalidInputError, match="Unknown method 'nosuch'"):
        client.run("nosuch", {"image": image()})
    with pytest.raises(InvalidInputError, match="Unknown context option colour"):
        client.run("echo", {"image": image()}, None, {"colour": "blue"})
    with pytest.raises(ManabiError, match="RuntimeError: the unforeseen") as caught:
        client.run("breaks", {"image": image()})
    assert caught.value.exit_code == 1
    assert client.run("echo", {"image": image()}).measurements["runs"] == 1


def test_cancelled_run_stops_and_leaves_no_file(client, temporary):
    cancel = threading.Event()
    with pytest.raises(CancelledError):
        client.run("slow", {"image": image()}, on_progress=lambda *_: cancel.set(), cancel_event=cancel)
    pid = client.pid
    assert not list(temporary.glob("*/run-*"))
    assert client.run("echo", {"image": image()}).measurements["runs"] == 1
    assert client.pid == pid


def test_run_deaf_to_cancel_is_killed_with_its_children_within_five_seconds(client, tmp_path, temporary):
    cancel = threading.Event()
    marker = tmp_path / "child.pid"
    asked = []

    def on_progress(fraction, text):
        cancel.set()
        asked.append(time.monotonic())

    with pytest.raises(CancelledError):
        client.run("deaf", {"image": image()}, {"marker": str(marker)}, on_progress=on_progress, cancel_event=cancel)
    assert time.monotonic() - asked[0] < 5
    assert not is_running(int(marker.read_text()))
    assert client.pid is None
    assert not list(temporary.glob("*/run-*"))
    assert client.run("echo", {"image": image()}).measurements["runs"] == 1


def begun(job):
    """Poll until the worker works on the job."""
    seen = threading.Event()
    job._on_progress = lambda *_: seen.set()
    while not seen.is_set():
        assert not job.poll(0.1)
    return job


def ended(job, seconds=15):
    deadline = time.monotonic() + seconds
    while not job.poll(0.05):
        assert time.monotonic() < deadline
    return job


def test_cancelling_a_run_that_waits_leaves_the_running_one_alone(temporary, tmp_path):
    """Two panels of one program: one's run is deaf to everything, the other one cancels what it had queued behind."""
    with WorkerClient(LAZY, cancel_grace_s=0.3) as client:
        running = begun(client.submit("deaf", {"image": image()}, {"marker": str(tmp_path / "pid")}))
        pid = client.pid
        waiting = client.submit("echo", {"image": image()})
        waiting.cancel()
        with pytest.raises(CancelledError):
            ended(waiting, 5).result()
        time.sleep(0.5)
        assert not waiting.folder.exists()
        assert not running.poll(0.2) and client.pid == pid


def test_runs_that_die_with_anothers_cancellation_are_told_so(temporary, tmp_path):
    with WorkerClient(LAZY, cancel_grace_s=0.3) as client:
        deaf = begun(client.submit("deaf", {"image": image()}, {"marker": str(tmp_path / "pid")}))
        waiting = client.submit("echo", {"image": image()})
        deaf.cancel()
        with pytest.raises(CancelledError):
            ended(deaf).result()
        with pytest.raises(WorkerError, match="because another run was cancelled and did not stop.*Apply again"):
            ended(waiting).result()
        assert client.run("echo", {"image": image()}).measurements["runs"] == 1


def test_asking_again_after_a_cancelled_run_has_ended_kills_nothing(client):
    client.cancel_grace_s = 0.2
    job = begun(client.submit("slow", {"image": image()}))
    pid = client.pid
    job.cancel()
    ended(job)
    time.sleep(0.3)
    assert job.poll() and client.pid == pid


def gone(folder, seconds=5):
    deadline = time.monotonic() + seconds
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    return not folder.exists()


def test_a_job_that_was_given_up_takes_its_files_along_without_being_polled(client):
    job = begun(client.submit("slow", {"image": image()}))
    waiting = client.submit("echo", {"image": image()})
    for given_up in (waiting, job):
        given_up.abandon()
        assert given_up.done and gone(given_up.folder)
        with pytest.raises(CancelledError, match="given up"):
            given_up.result()
    assert client.run("echo", {"image": image()}).measurements["runs"] == 1


def test_giving_up_a_job_whose_outcome_has_come_removes_its_files_at_once(client):
    job = client.submit("echo", {"image": image()})
    client.run("echo", {"image": image()})
    assert job.folder.exists()
    job.abandon()
    assert not job.folder.exists()


def test_death_is_reported_with_last_words_and_the_next_run_works(client):
    with pytest.raises(WorkerError, match=r"(?s)status 9.*last words: no more memory"):
        client.run("dies", {"image": image()})
    assert client.run("echo", {"image": image()}).measurements["runs"] == 1


def test_worker_killed_from_outside_takes_its_children_along(client, tmp_path):
    marker = tmp_path / "child.pid"
    with pytest.raises(WorkerError, match="signal 9"):
        client.run("spawns", {"image": image()}, {"marker": str(marker)})
    assert not is_running(int(marker.read_text()))


def test_nothing_is_left_when_the_worker_is_killed_in_a_run(temporary):
    client = WorkerClient(LAZY)
    job = client.submit("slow", {"image": image()}, on_progress=lambda *_: os.kill(client.pid, signal.SIGKILL))
    while not job.poll(0.1):
        pass
    with pytest.raises(WorkerError):
        job.result()
    client.close()
    assert list(temporary.iterdir()) == []


def test_private_folder_is_closed_to_others_and_goes_with_the_client(temporary):
    with WorkerClient(LAZY) as client:
        assert client.wait_ready(30)
        assert client.ping(30)
        (folder,) = temporary.iterdir()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        pid = client.pid
    assert not folder.exists()
    assert not is_running(pid)


def test_worker_answers_ping_and_beats_during_a_run(client):
    job = client.submit("slow", {"image": image()})
    while not client.ping(30):
        pass
    assert not job.poll(2.5)
    job.cancel()
    while not job.poll(0.1):
        pass
    with pytest.raises(CancelledError):
        job.result()


def test_silent_worker_is_given_up(temporary):
    with WorkerClient(LAZY, silence_s=0.5) as client:
        assert client.ping(30)
        job = client.submit("slow", {"image": image()})
        os.kill(client.pid, signal.SIGSTOP)
        while not job.poll(0.1):
            pass
        with pytest.raises(WorkerError, match="fell silent"):
            job.result()
        assert client.pid is None


def test_silence_is_counted_only_while_somebody_listens(temporary):
    """A program that was busy itself took nothing in; stopping the worker stands for that here."""
    with WorkerClient(LAZY, silence_s=1.2) as client:
        job = begun(client.submit("slow", {"image": image()}))
        os.kill(client.pid, signal.SIGSTOP)
        time.sleep(2)
        assert not job.poll()
        os.kill(client.pid, signal.SIGCONT)
        assert not job.poll(0.5) and not job.poll(0.5)


def test_injected_start_gets_command_and_private_environment(temporary):
    calls = []

    def start(command, environment):
        calls.append((list(command), environment["TMPDIR"]))
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, env=environment, **pipes)

    with WorkerClient(LAZY, start=start) as client:
        client.run("echo", {"image": image()})
    command, scratch = calls[0]
    assert command[: len(LAZY)] == list(LAZY)
    assert Path(scratch).is_relative_to(temporary)


def test_input_is_untouched(client):
    volume = image()
    before = dataclasses.replace(volume, array=volume.array.copy())
    client.run("echo", {"image": volume}, {"gain": 3})
    assert_same(volume.array, before.array)
