"""Downloading a model: acceptance check 4 (a download that was killed goes on; a corrupt file is detected), consent."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from manabi.cli.outcome import main
from manabi.errors import CancelledError, CorruptModelError, DownloadError, InvalidInputError
from manabi.store import BundleStore, download
from manabi.store.store import STALE_DOWNLOAD_S


class Server:
    """A server of one file on this computer, with the habits that servers have.

    Attributes:
        content: the file.
        ranges: whether it sends parts.
        stop_at: breaks off after so many bytes of each answer.
        pause_s: before each 16 KB.
        part: sends at most so many bytes in each answer, and says so; in whole answers too.
        tells_total: whether its parts say how large the whole is.
        length: what it says for Content-Length.
        asked: what was asked for, as (path, Range).
    """

    def __init__(self):
        self.content, self.ranges, self.stop_at, self.pause_s = b"", True, None, 0.0
        self.redirect, self.part, self.tells_total, self.length = None, None, True, None
        self.asked = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.answer(self)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/tiny.zip"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    @property
    def sha256(self):
        return hashlib.sha256(self.content).hexdigest()

    def answer(self, handler):
        self.asked.append((handler.path, handler.headers.get("Range")))
        if self.redirect:
            handler.send_response(302)
            handler.send_header("Location", self.redirect)
            handler.end_headers()
            return
        start = int(re.findall(r"bytes=(\d+)-", handler.headers.get("Range") or "bytes=0-")[0]) if self.ranges else 0
        if start > len(self.content) or (start == len(self.content) and start):
            handler.send_error(416)
            return
        body = self.content[start:][: self.part]
        handler.send_response(206 if start or self.part else 200)
        if start or self.part:
            total = len(self.content) if self.tells_total else "*"
            handler.send_header("Content-Range", f"bytes {start}-{start + len(body) - 1}/{total}")
        handler.send_header("Content-Length", self.length or str(len(body)))
        handler.end_headers()
        self.send(handler, body[: self.stop_at])

    def send(self, handler, body):
        for first in range(0, len(body), 16384):
            time.sleep(self.pause_s)
            try:
                handler.wfile.write(body[first : first + 16384])
                handler.wfile.flush()
            except OSError:  # the client was killed
                return


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()


@pytest.fixture
def served(server, make, store, tmp_path):
    """A server of a sound bundle of some size."""
    source = make(card="# Tiny\n" + os.urandom(200_000).hex())
    zipped = BundleStore(tmp_path / "other", tmp_path / "none").export(source.folder, tmp_path / "tiny.zip")
    server.content = zipped.read_bytes()
    return server


def left_over(store):
    return sorted(path.suffix for path in store.user_folder.glob(f"{download.PARTIAL}*"))


def test_a_bundle_is_downloaded_checked_and_installed(served, store):
    told = []
    bundle = store.install_from_url(served.url, served.sha256, progress=lambda *step: told.append(step))
    assert (bundle.name, bundle.origin) == ("tiny", "user")
    assert store.get("tiny").verify().version == "1.0.0"
    assert told[-1][0] == 1.0 and [f for f, _ in told] == sorted(f for f, _ in told)
    assert left_over(store) == []


def test_a_download_that_broke_off_goes_on_where_it_stopped(served, store):
    served.stop_at = 100_000
    with pytest.raises(DownloadError, match=r"broke off.*are kept: the same command continues"):
        store.install_from_url(served.url, served.sha256)
    assert store.list() == []
    served.stop_at = None
    assert store.install_from_url(served.url, served.sha256).name == "tiny"
    assert [asked for _, asked in served.asked] == [None, "bytes=100000-"]


def test_a_process_that_was_killed_half_way_is_continued(served, store):
    """Acceptance check 4, with SIGKILL."""
    served.pause_s = 0.1
    code = (
        "import sys; from manabi.store import BundleStore\n"
        "BundleStore(sys.argv[3]).install_from_url(sys.argv[1], sys.argv[2])"
    )
    process = subprocess.Popen([sys.executable, "-c", code, served.url, served.sha256, str(store.user_folder)])
    deadline = time.monotonic() + 40
    while not any(p.stat().st_size > 40_000 for p in store.user_folder.glob("*.part")):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.wait()
    (part,) = store.user_folder.glob("*.part")
    have = part.stat().st_size
    assert 40_000 < have < len(served.content) and store.list() == []
    served.pause_s = 0.0
    assert store.install_from_url(served.url, served.sha256).verify().name == "tiny"
    assert served.asked[-1][1] == f"bytes={have}-"


def test_a_server_without_parts_is_asked_for_the_whole_again(served, store):
    served.stop_at = 50_000
    with pytest.raises(DownloadError):
        store.install_from_url(served.url, served.sha256)
    served.stop_at, served.ranges = None, False
    assert store.install_from_url(served.url, served.sha256).name == "tiny"


@pytest.mark.parametrize("tells_total", [True, False])
def test_a_server_that_sends_less_than_was_asked_for_is_asked_for_the_rest(served, store, tells_total):
    served.part, served.tells_total = 150_000, tells_total
    assert store.install_from_url(served.url, served.sha256).verify().name == "tiny"
    assert [asked for _, asked in served.asked][:3] == [None, "bytes=150000-", "bytes=300000-"]


def test_a_part_that_breaks_off_is_kept_and_continued(served, store):
    served.part, served.stop_at = 150_000, 100_000
    with pytest.raises(DownloadError, match="100000 of .* arrived"):
        store.install_from_url(served.url, served.sha256)
    served.stop_at = None
    assert store.install_from_url(served.url, served.sha256).name == "tiny"


@pytest.mark.parametrize("length", ["abc", "-5", " "])
def test_a_length_that_is_no_number_counts_as_unknown(served, store, length):
    served.length = length
    assert store.install_from_url(served.url, served.sha256).name == "tiny"


@pytest.mark.parametrize("name", ["モデル.zip", "my model.zip", "a%20b.zip?v=é#x"])
def test_an_address_may_be_written_in_any_letters(served, store, name):
    assert store.install_from_url(served.url.replace("tiny.zip", name), served.sha256).name == "tiny"
    asked = served.asked[0][0]
    assert asked.isascii() and " " not in asked and "%25" not in asked and "#" not in asked


@pytest.mark.parametrize(
    "url", ["https://[::1", "https://host:abc/x", "https://host:99999/x", "https://u:secret@host/x", "https://a..b/x"]
)
def test_what_is_no_address_is_refused(store, url):
    with pytest.raises(InvalidInputError, match="address") as caught:
        store.install_from_url(url, "0" * 64)
    assert "secret" not in str(caught.value)


def test_a_redirect_to_what_is_no_address_is_told(served, store):
    served.redirect = "https://[::1"
    with pytest.raises((InvalidInputError, DownloadError), match="address|broke off"):
        store.install_from_url(served.url, served.sha256)


def test_a_partial_file_that_is_longer_than_the_servers_is_begun_anew(served, store):
    store.user_folder.mkdir(parents=True)
    part = store.user_folder / f"{download.PARTIAL}{served.sha256[:32]}.part"
    part.write_bytes(b"x" * (len(served.content) + 5))
    assert store.install_from_url(served.url, served.sha256).name == "tiny"


def test_a_corrupt_file_is_detected_and_removed(served, store):
    wanted = served.sha256
    served.content = served.content[:1000] + b"!" + served.content[1001:]
    with pytest.raises(CorruptModelError, match="another checksum"):
        store.install_from_url(served.url, wanted)
    assert store.list() == [] and ".part" not in left_over(store)


def test_the_right_checksum_of_what_is_no_bundle_is_refused_and_removed(server, store):
    server.content = b"not a zip at all"
    with pytest.raises(InvalidInputError):
        store.install_from_url(server.url, server.sha256)
    assert store.list() == [] and left_over(store) == []


def test_more_than_a_model_may_hold_is_not_kept(served, tmp_path):
    from manabi.store import Limits

    store = BundleStore(tmp_path / "u", tmp_path / "s", Limits(total_bytes=1000))
    with pytest.raises(CorruptModelError, match="larger than a model"):
        store.install_from_url(served.url, served.sha256)
    assert ".part" not in left_over(store)


def test_what_is_installed_already_need_not_come_twice(served, store):
    store.install_from_url(served.url, served.sha256)
    with pytest.raises(InvalidInputError, match="installed already"):
        store.install_from_url(served.url, served.sha256)
    count = len(served.asked)
    assert store.install_from_url(served.url, served.sha256, replace=True).name == "tiny"
    assert len(served.asked) == count and left_over(store) == []


def test_stopping_keeps_what_has_arrived(served, store):
    def stop(fraction, text):
        if fraction > 0.3:
            raise CancelledError("Cancelled.")

    with pytest.raises(CancelledError):
        store.install_from_url(served.url, served.sha256, progress=stop)
    assert ".part" in left_over(store)
    assert store.install_from_url(served.url, served.sha256).name == "tiny"
    assert served.asked[-1][1] is not None


def test_what_nobody_continued_is_swept_away(served, store, make):
    served.stop_at = 50_000
    with pytest.raises(DownloadError):
        store.install_from_url(served.url, served.sha256)
    for path in store.user_folder.glob(f"{download.PARTIAL}*"):
        os.utime(path, (0, time.time() - STALE_DOWNLOAD_S - 60))
    store.install(make("another").folder)
    assert left_over(store) == []


# --- only what was asked for ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url", ["http://example.org/x.zip", "ftp://example.org/x.zip", "file:///etc/passwd", "https:///x", "http://[::2]/x"]
)
def test_only_https_is_asked(store, url):
    with pytest.raises(InvalidInputError, match="https://"):
        store.install_from_url(url, "0" * 64)


@pytest.mark.parametrize("sha256", ["", "abc", "g" * 64, "0" * 63])
def test_a_download_needs_a_checksum(store, sha256):
    with pytest.raises(InvalidInputError, match="64 hexadecimal digits"):
        store.install_from_url("https://example.org/x.zip", sha256)


def test_a_server_cannot_send_elsewhere_without_encryption(served, store):
    served.redirect = "http://example.org/x.zip"
    with pytest.raises(InvalidInputError, match="https://"):
        store.install_from_url(served.url, served.sha256)


def test_no_answer_and_a_refusal_are_told(server, store):
    with pytest.raises(DownloadError, match=r"refused the download: 404|broke off"):
        store.install_from_url("http://127.0.0.1:9/none.zip", "0" * 64)
    server.content, server.redirect = b"", server.url.replace("tiny", "again")
    with pytest.raises(DownloadError):
        store.install_from_url(server.url, "0" * 64)


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_downloads_with_a_checksum_only(served, capfd):
    assert main(["bundle", "install", served.url]) == 2
    assert "--sha256" in capfd.readouterr().err and served.asked == []
    assert main(["bundle", "install", served.url, "--sha256", served.sha256.upper()]) == 0
    assert "tiny 1.0.0 is installed" in capfd.readouterr().out
    assert main(["bundle", "list", "--json"]) == 0
    assert "tiny" in [b["name"] for b in json.loads(capfd.readouterr().out)["bundles"]]


def test_the_command_ends_with_3_when_the_network_fails(capfd):
    assert main(["bundle", "install", "http://127.0.0.1:9/x.zip", "--sha256", "0" * 64]) == 3
    assert "Check the network" in capfd.readouterr().err


def test_the_checksum_of_a_local_zip_is_checked_too(served, tmp_path, capfd):
    zipped = tmp_path / "tiny.zip"
    assert main(["bundle", "install", str(zipped), "--sha256", "0" * 64]) == 3
    assert "another checksum" in capfd.readouterr().err
    assert main(["bundle", "install", str(zipped), "--sha256", served.sha256]) == 0
