"""The worker's protocol, spoken by hand: what a bad client sends must not end it."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest
from worker_fixtures import image, is_running, use_site_methods

from manabi.result_codec import encode_inputs
from manabi.shared_arrays import FOLDER_PREFIX


class Talk:
    """A worker process and its lines."""

    def __init__(self, *options, **popen):
        command = [sys.executable, "-m", "manabi.worker", "--lazy", *map(str, options)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.process = subprocess.Popen(command, **pipes, **popen)

    def say(self, line):
        text = line if isinstance(line, bytes) else json.dumps(line).encode()
        self.process.stdin.write(text + b"\n")
        self.process.stdin.flush()

    def hear(self, *events):
        """The next message whose event is one of these."""
        while True:
            message = json.loads(self.process.stdout.readline())
            if message["event"] in events:
                return message

    def ended(self, timeout=10):
        self.process.stdin.close()
        return self.process.wait(timeout)


@pytest.fixture
def talk(monkeypatch):
    use_site_methods(monkeypatch)
    talk = Talk()
    assert talk.hear("ready", "error")["event"] == "ready"
    yield talk
    talk.process.stdin.close()
    talk.process.wait(10)
    talk.process.stdout.close()
    talk.process.stderr.close()


def request(folder, method="echo", request_id="r", **changes):
    record = {"id": request_id, "op": "run", "method": method, "folder": str(folder), "context": {"device": "cpu"}}
    return {**record, "inputs": encode_inputs({"image": image()}, folder), **changes}


BAD_LINES = [
    b"this is not JSON",
    b'{"id": 1, "op": "run", "method": "echo"',
    b"[1, 2]",
    b'{"id": 1, "op": "dance"}',
    b'{"id": 1}',
    b'{"id": null, "op": "run", "method": "echo", "folder": "x"}',
    b'{"id": 1, "op": "run", "folder": "x"}',
    b'{"id": 1, "op": "run", "method": "echo"}',
    b'{"id": 1, "op": "run", "method": ["echo"], "folder": "x"}',
    b'{"id": 1, "op": "run", "method": "nosuch", "folder": "x"}',
    b'{"id": 1, "op": "run", "method": "echo", "folder": "x", "inputs": 3}',
    b'{"id": 1, "op": "run", "method": "echo", "folder": "x", "inputs": {"image": {"path": "gone.npy"}}}',
    b'{"id": 1, "op": "run", "method": "echo", "folder": "x", "context": {"device": 5, "volume": 11}}',
    b"\xff\xfe",
]


@pytest.mark.parametrize("line", BAD_LINES, ids=range(len(BAD_LINES)))
def test_bad_request_gets_an_error_and_the_worker_goes_on(talk, line):
    talk.say(line)
    error = talk.hear("error")
    assert error["message"]
    talk.say({"id": "after", "op": "ping"})
    assert talk.hear("pong")["id"] == "after"


@pytest.mark.parametrize("name", ["../input-0.npy", "/etc/hostname", "sub/input-0.npy"])
def test_array_outside_the_request_folder_is_refused(talk, tmp_path, name):
    asked = request(tmp_path)
    asked["inputs"]["image"]["path"] = name
    talk.say(asked)
    assert "own folder" in talk.hear("error", "result")["message"]


def test_truncated_array_is_refused(talk, tmp_path):
    asked = request(tmp_path)
    (tmp_path / "input-0.npy").write_bytes((tmp_path / "input-0.npy").read_bytes()[:150])
    talk.say(asked)
    assert "cannot be read" in talk.hear("error", "result")["message"]


def test_what_a_library_prints_does_not_reach_the_protocol(talk, tmp_path):
    talk.say(request(tmp_path, parameters={"mode": "noisy"}))
    assert talk.hear("result")["duration_s"] > 0
    talk.ended()
    assert b"a library that prints" in talk.process.stderr.read()


def test_unforeseen_error_is_logged_without_private_paths(talk, tmp_path):
    talk.say(request(tmp_path, "breaks"))
    assert talk.hear("error")["type"] == "RuntimeError"
    talk.ended()
    words = talk.process.stderr.read().decode()
    assert "worker_methods.py" in words
    assert "Tanaka" not in words


def test_runs_wait_for_one_another_and_a_waiting_one_can_be_cancelled(talk, tmp_path):
    talk.say(request(tmp_path, "slow", "first"))
    assert talk.hear("started", "progress") == {"id": "first", "event": "started"}
    talk.hear("progress")
    talk.say({**request(tmp_path, "echo", "second"), "inputs": {}})
    talk.say(request(tmp_path, "echo", "first"))
    assert "id of its own" in talk.hear("error")["message"]
    talk.say({"id": "p", "op": "ping"})
    assert talk.hear("pong")["running"] == ["first", "second"]
    talk.say({"id": "second", "op": "cancel"})
    end = talk.hear("error")
    assert (end["id"], end["type"], end["exit_code"]) == ("second", "CancelledError", 130)
    talk.say({"id": "p", "op": "ping"})
    assert talk.hear("pong")["running"] == ["first"]
    talk.say({"id": "first", "op": "cancel"})
    assert talk.hear("error")["id"] == "first"
    talk.say(request(tmp_path, "echo", "second"))
    assert talk.hear("started", "result")["id"] == "second"


def test_a_run_beats_while_it_lasts(talk, tmp_path):
    talk.say(request(tmp_path, "slow"))
    assert talk.hear("heartbeat")["elapsed_s"] >= 2


def test_shutdown_ends_it_at_once(talk):
    talk.say({"op": "shutdown"})
    assert talk.process.wait(5) == 0


@pytest.mark.parametrize("method", ["slow", "deaf"])
def test_end_of_stdin_ends_the_run_its_children_and_the_dead_parents_folder(monkeypatch, tmp_path, method):
    use_site_methods(monkeypatch)
    private = tmp_path / f"{FOLDER_PREFIX}é 検"
    private.mkdir()
    marker = tmp_path / "child.pid"
    parameters = {"marker": str(marker)}
    talk = Talk("--folder", private, start_new_session=True)
    talk.say(request(private, method, parameters=parameters))
    talk.hear("progress")
    started = time.monotonic()
    assert talk.ended() == 0
    assert time.monotonic() - started < 5
    assert not private.exists()
    assert method == "slow" or not is_running(int(marker.read_text()))


def test_only_a_folder_of_the_clients_making_is_removed(monkeypatch, tmp_path):
    precious = tmp_path / "patients"
    precious.mkdir()
    assert Talk("--folder", precious).ended() == 0
    assert precious.exists()


def test_start_imports_neither_monai_nor_simpleitk():
    code = "import sys, manabi.worker; print([m for m in ('monai', 'torch', 'SimpleITK', 'scipy') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout.strip() == b"[]"
