"""Downloading a bundle: the only place where Manabi uses the network, and only when it was told to.

What arrives is kept beside the store until it is whole, so that a download that broke off, or whose process was killed,
goes on where it stopped. Nothing of it is looked at before its SHA-256 is the one that was asked for.
"""

from __future__ import annotations

import errno
import hashlib
import http.client
import logging
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import manabi
from manabi.errors import CorruptModelError, DownloadError, InvalidInputError, ManabiError
from manabi.io.lock import locked

Progress = Callable[[float, str], None]

PARTIAL = ".download-"
TIMEOUT_S = 30.0
"""Without a word from the server for so long the download has broken off (our choice)."""
CHUNK = 256 * 1024
LOCAL = ("localhost", "127.0.0.1", "::1")
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")

logger = logging.getLogger(__name__)


def is_url(text: str) -> bool:
    """Whether a source is meant to be downloaded."""
    return re.match(r"[a-z][a-z0-9+.-]+://", text.strip(), re.IGNORECASE) is not None


def check_url(url: str) -> None:
    """Refuse what is not encrypted, unless it comes from this computer; raises InvalidInputError."""
    parts = urlsplit(url)
    if parts.scheme.lower() == "https" and parts.hostname:
        return
    if parts.scheme.lower() != "http" or parts.hostname not in LOCAL:
        raise InvalidInputError(
            f"A model is downloaded from an https:// address; got {parts.scheme}://{parts.hostname}."
        )


def check_sha256(text: str) -> str:
    """The checksum in small letters; raises InvalidInputError where it is none."""
    given = text.strip().lower().removeprefix("sha256:")
    if not re.fullmatch(r"[0-9a-f]{64}", given):
        raise InvalidInputError("The SHA-256 must be 64 hexadecimal digits, as the publisher of the model states it.")
    return given


def sha256_of(path: Path) -> str:
    """SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK * 4):
            digest.update(chunk)
    return digest.hexdigest()


def verify_file(path: Path, sha256: str) -> None:
    """Raise CorruptModelError where a file has another checksum."""
    found = sha256_of(path)
    if found != sha256:
        raise CorruptModelError(
            f"The file has another checksum (SHA-256 {found[:12]}...) than was asked for ({sha256[:12]}...): it is "
            "damaged or not that model. Nothing was installed. Download it again, and check the address and checksum."
        )


def download(url: str, sha256: str, folder: Path, limit_bytes: int, progress: Progress | None = None) -> Path:
    """Download a file, or what is missing of it, and check it.

    Proxies are taken from the environment (``HTTPS_PROXY``, ``NO_PROXY``) or the system's settings.

    Args:
        url: https address; http only from this computer.
        sha256: that the whole file must have.
        folder: where it is kept; the same checksum finds its beginning again.
        limit_bytes: a larger file is refused.
        progress: called with a fraction and a text; an exception that it raises stops the download, which can be
            continued.

    Returns:
        The whole, checked file; the caller removes it.

    Raises:
        InvalidInputError: for an address or a checksum that is none.
        DownloadError: when the server does not answer, refuses, or breaks off; what has arrived is kept.
        CorruptModelError: when the whole file has another checksum, or is too large; it is removed.
    """
    check_url(url)
    sha256 = check_sha256(sha256)
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{PARTIAL}{sha256[:32]}.part"
    with locked(partial.with_suffix(".lock"), "The same model is being downloaded"):
        if not _is_whole(partial, sha256):
            _fetch(url, partial, limit_bytes, progress or (lambda fraction, text: None))
        try:
            verify_file(partial, sha256)
        except CorruptModelError:
            partial.unlink()
            raise
    return partial


def discard(partial: Path) -> None:
    """Remove what was downloaded, and its lock."""
    for path in (partial, partial.with_suffix(".lock")):
        path.unlink(missing_ok=True)


def _is_whole(partial: Path, sha256: str) -> bool:
    """Whether all of it arrived before, as when it could not be installed then."""
    return partial.is_file() and sha256_of(partial) == sha256


def _fetch(url: str, partial: Path, limit_bytes: int, progress: Progress) -> None:
    """Append what is missing to the partial file."""
    have = partial.stat().st_size if partial.is_file() else 0
    host = urlsplit(url).hostname
    progress(0.0, f"Asking {host}")
    try:
        with _open(url, have) as response:
            start, total = _place(response, have)
            _check_room(partial, total, total - start if total else 0, limit_bytes)
            arrived = _write(response, partial, start, total, limit_bytes, progress)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # longer than the server's file: begin anew
            partial.unlink()
            _fetch(url, partial, limit_bytes, progress)
            return
        raise DownloadError(f"{host} refused the download: {error.code} {error.reason}. Check the address.") from error
    except (OSError, http.client.HTTPException) as error:
        raise _broken(str(host), partial, error) from error
    if total and arrived < total:
        raise _broken(str(host), partial, f"{arrived} of {total} bytes arrived")
    logger.info("downloaded a bundle of %d bytes", arrived)


def _broken(host: str, partial: Path, why: Any) -> DownloadError:
    kept = partial.stat().st_size if partial.is_file() else 0
    text = f" {kept / 2**20:.1f} MB have arrived and are kept: the same command continues." if kept else ""
    return DownloadError(f"The download from {host} broke off ({why}). Check the network and try again.{text}")


class _CheckedRedirects(urllib.request.HTTPRedirectHandler):
    """Follows a server to another address only where that one could have been asked for."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        check_url(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _open(url: str, have: int) -> Any:
    headers = {"User-Agent": f"manabi/{manabi.__version__}", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    request = urllib.request.Request(url, headers=headers)
    return urllib.request.build_opener(_CheckedRedirects()).open(request, timeout=TIMEOUT_S)


def _place(response: Any, have: int) -> tuple[int, int]:
    """First byte that comes, and bytes in all (0 where the server does not say)."""
    length = int(response.headers.get("Content-Length") or 0)
    if response.status != 206:
        return 0, length
    found = _RANGE.match(response.headers.get("Content-Range", ""))
    if found is None or int(found.group(1)) != have:
        raise http.client.HTTPException("the server sent another part than was asked for")
    return have, have + length


def _check_room(partial: Path, total: int, missing: int, limit_bytes: int) -> None:
    """Refuse, before anything is written, what is no model or does not fit on the disk."""
    if total > limit_bytes:
        raise _too_large(limit_bytes)
    free = shutil.disk_usage(partial.parent).free
    if missing > free:
        raise ManabiError(
            f"The download needs {missing / 2**20:.0f} MB, and {free / 2**20:.0f} MB are free where models are kept. "
            "Free some space, or set MANABI_HOME to a folder on another disk."
        ) from OSError(errno.ENOSPC, "too little space")


def _write(response: Any, partial: Path, start: int, total: int, limit_bytes: int, progress: Progress) -> int:
    """Write what comes from byte ``start`` on; returns the size of the partial file."""
    size = start
    with partial.open("ab" if start else "wb") as file:
        while chunk := _read(response, file):
            size += len(chunk)
            if size > limit_bytes:
                file.close()
                partial.unlink()
                raise _too_large(limit_bytes)
            file.write(chunk)
            progress(size / total if total else 0.0, f"{size / 2**20:.1f} MB")
    return size


def _read(response: Any, file: IO[bytes]) -> bytes:
    """The next bytes; what came before is on its way to the disk should the server break off."""
    file.flush()
    return response.read1(CHUNK)


def _too_large(limit_bytes: int) -> CorruptModelError:
    return CorruptModelError(f"The file is larger than a model may be ({limit_bytes // 2**20} MB); it was not kept.")
