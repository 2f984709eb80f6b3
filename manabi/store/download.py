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
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

import manabi
from manabi.errors import CorruptModelError, DownloadError, InvalidInputError, ManabiError
from manabi.io.lock import locked

Progress = Callable[[float, str], None]

PARTIAL = ".download-"
TIMEOUT_S = 30.0
"""Without a word from the server for so long the download has broken off (our choice)."""
CHUNK = 256 * 1024
LOCAL = ("localhost", "127.0.0.1", "::1")
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_SAFE = "/%:@!$&'()*+,;=?~-._"
"""What stays as it is in the path and the query of an address; everything else is written with ``%``."""

logger = logging.getLogger(__name__)


def is_url(text: str) -> bool:
    """Whether a source is meant to be downloaded."""
    return re.match(r"[a-z][a-z0-9+.-]+://", text.strip(), re.IGNORECASE) is not None


def check_url(url: str) -> None:
    """Refuse what is not encrypted, unless it comes from this computer; raises InvalidInputError."""
    parts = _parts(url)
    if parts.scheme.lower() == "https" and parts.hostname:
        return
    if parts.scheme.lower() != "http" or parts.hostname not in LOCAL:
        raise InvalidInputError(
            f"A model is downloaded from an https:// address; got {parts.scheme}://{parts.hostname or ''}."
        )


def _parts(url: str) -> SplitResult:
    """The parts of an address; raises InvalidInputError where it is none, or holds a password."""
    try:
        parts = urlsplit(url.strip())
        valid = parts.port is None or parts.port > 0
        (parts.hostname or "").encode("idna")
    except ValueError as error:
        raise InvalidInputError(f"This is no valid address ({error}). A model's begins with https://.") from error
    if not valid or "@" in parts.netloc:
        raise InvalidInputError("An address of a model has no user name, password or port 0 in it. Leave them out.")
    return parts


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
    """Append what is missing to the partial file, in as many parts as the server sends it in."""
    host = str(_parts(url).hostname)
    progress(0.0, f"Asking {host}")
    open_end = False
    while True:
        have = partial.stat().st_size if partial.is_file() else 0
        part = _take_part(url, partial, have, limit_bytes, progress)
        if part is None and not open_end:  # longer than the server's file: begin anew
            partial.unlink()
            continue
        arrived = partial.stat().st_size
        if part is None or part.is_last(arrived):
            logger.info("downloaded a bundle of %d bytes", arrived)
            return
        if arrived < part.end or arrived == have:
            raise _broken(host, partial, f"{arrived} of {part.total or part.end} bytes arrived")
        open_end = not part.total


def _take_part(url: str, partial: Path, have: int, limit_bytes: int, progress: Progress) -> _Part | None:
    """Ask for what follows ``have`` bytes and append what comes; None where nothing follows."""
    host = str(_parts(url).hostname)
    try:
        with _open(url, have) as response:
            part = _Part.of(response, have)
            _check_room(partial, part.total, part.total - part.start if part.total else 0, limit_bytes)
            _write(response, partial, part, limit_bytes, progress)
    except ManabiError:
        raise
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:
            return None
        raise DownloadError(f"{host} refused the download: {error.code} {error.reason}. Check the address.") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _broken(host, partial, error) from error
    return part


@dataclass(frozen=True)
class _Part:
    """What a server is about to send.

    Attributes:
        start: its first byte.
        end: behind its last one; 0 where the server does not say.
        total: bytes of the whole file; 0 where the server does not say.
        whole: whether nothing follows, so that it is the rest of the file.
    """

    start: int
    end: int
    total: int
    whole: bool

    @classmethod
    def of(cls, response: Any, have: int) -> _Part:
        """The part that an answer holds, when ``have`` bytes are there."""
        if response.status != 206:
            length = _number(response.headers.get("Content-Length"))
            return cls(0, length, length, True)
        found = _RANGE.match(response.headers.get("Content-Range", ""))
        if found is None or int(found.group(1)) != have or int(found.group(2)) < have:
            raise http.client.HTTPException("the server sent another part than was asked for")
        total = _number(found.group(3))
        return cls(have, int(found.group(2)) + 1, total, False)

    def is_last(self, arrived: int) -> bool:
        """Whether the file is complete with it."""
        return arrived >= self.total if self.total or self.whole else False


def _number(text: str | None) -> int:
    """A whole number as a server writes it; 0 where it is none."""
    return int(text) if text and re.fullmatch(r"[0-9]{1,18}", text.strip()) else 0


def _broken(host: str, partial: Path, why: Any) -> DownloadError:
    kept = partial.stat().st_size if partial.is_file() else 0
    text = f" {kept / 2**20:.1f} MB have arrived and are kept: the same command continues." if kept else ""
    return DownloadError(f"The download from {host} broke off ({why}). Check the network and try again.{text}")


def _quoted(url: str) -> str:
    """An address with everything in ASCII that a person may have written in other letters."""
    parts = _parts(url)
    place = parts.netloc
    if not place.isascii():
        place = str(parts.hostname).encode("idna").decode("ascii") + (f":{parts.port}" if parts.port else "")
    return urlunsplit((parts.scheme, place, quote(parts.path, _SAFE), quote(parts.query, _SAFE), ""))


class _CheckedRedirects(urllib.request.HTTPRedirectHandler):
    """Follows a server to another address only where that one could have been asked for."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        check_url(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _open(url: str, have: int) -> Any:
    headers = {"User-Agent": f"manabi/{manabi.__version__}", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    request = urllib.request.Request(_quoted(url), headers=headers)
    return urllib.request.build_opener(_CheckedRedirects()).open(request, timeout=TIMEOUT_S)


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


def _write(response: Any, partial: Path, part: _Part, limit_bytes: int, progress: Progress) -> None:
    """Write a part to its place at the end of the partial file."""
    size = part.start
    with partial.open("ab" if part.start else "wb") as file:
        while chunk := _read(response, file):
            size += len(chunk)
            if size > limit_bytes:
                file.close()
                partial.unlink()
                raise _too_large(limit_bytes)
            file.write(chunk)
            progress(size / part.total if part.total else 0.0, f"{size / 2**20:.1f} MB")


def _read(response: Any, file: IO[bytes]) -> bytes:
    """The next bytes; what came before is on its way to the disk should the server break off."""
    file.flush()
    return response.read1(CHUNK)


def _too_large(limit_bytes: int) -> CorruptModelError:
    return CorruptModelError(f"The file is larger than a model may be ({limit_bytes // 2**20} MB); it was not kept.")
