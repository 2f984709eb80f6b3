"""Getting a bundle's files from a folder or a zip into a folder of ours, trusting neither.

Everything is refused before anything is written: paths that leave the folder, links, devices, names that some system
would change, names that differ only in case, encrypted members, and more or larger files than a bundle has. Sizes are
counted again while unpacking, because a zip's headers can lie.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from manabi.bundle import METADATA
from manabi.errors import CorruptModelError, InvalidInputError
from manabi.store.check import WINDOWS_DEVICES

logger = logging.getLogger(__name__)

PARTS = ("configs", "models", "docs", "LICENSE")
"""What belongs to a bundle; the rest of a folder (outputs of a run, for one) is neither installed nor exported."""

LITTER = ("__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini")
FORBIDDEN = re.compile(r'[\x00-\x1f\x7f\\:*?"<>|]')
MAX_PATH = 200
CHUNK = 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """The most that a bundle may hold (our choice: far above any model here, far below a full disk).

    Attributes:
        members: files and folders.
        file_bytes: one file, unpacked.
        total_bytes: all files, unpacked.
        ratio: unpacked to packed size of one member; of members above 1 MiB, because small text packs well.
    """

    members: int = 512
    file_bytes: int = 2 * 1024**3
    total_bytes: int = 4 * 1024**3
    ratio: float = 100.0


def copy_bundle(source: Path, target: Path, limits: Limits) -> None:
    """Copy the bundle in a folder or zip into the empty folder ``target``.

    Raises:
        InvalidInputError: when ``source`` is neither.
        CorruptModelError: when it holds no bundle or anything unsafe.
    """
    if source.is_dir():
        _copy_folder(source, target, limits)
    elif source.is_file() and zipfile.is_zipfile(source):
        try:
            _unpack(source, target, limits)
        except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, ValueError) as error:
            raise _damaged(source, error) from error
        except OSError as error:
            if error.errno == errno.EINVAL:  # a seek to where the zip's directory wrongly points
                raise _damaged(source, error) from error
            raise
    else:
        kind = "is neither" if source.exists() else "does not exist"
        raise InvalidInputError(f"Expected a bundle folder or a zip of one; {source.name} {kind}.")


def bundle_files(folder: Path, limits: Limits) -> list[tuple[Path, str]]:
    """The bundle's files in a folder with their names relative to it, sorted; links and devices are refused."""
    found: list[tuple[Path, str]] = []
    for part in PARTS:
        path = folder / part
        if path.is_symlink():
            raise _unsafe(part, "is a link")
        if path.exists():
            found.extend(_walk(path, part))
        if len(found) > limits.members:
            raise CorruptModelError(f"{folder.name} holds more than {limits.members} files; that is not a bundle.")
    _check_names([name for _, name in found])
    sizes = [path.stat().st_size for path, _ in found]
    _check_sizes(sizes, limits)
    return sorted(found, key=lambda item: item[1])


def _walk(path: Path, name: str) -> Iterator[tuple[Path, str]]:
    mode = path.lstat().st_mode
    if stat.S_ISDIR(mode):
        for entry in sorted(os.scandir(path), key=lambda e: e.name):
            if entry.name not in LITTER:
                yield from _walk(Path(entry.path), f"{name}/{entry.name}")
    elif stat.S_ISREG(mode):
        yield path, name
    else:
        raise _unsafe(name, "is a link or a device")


def _copy_folder(source: Path, target: Path, limits: Limits) -> None:
    if not (source / METADATA).is_file():
        raise CorruptModelError(f"{source.name} holds no {METADATA}: not a bundle. Choose the folder above configs.")
    budget = limits.total_bytes
    for path, name in bundle_files(source, limits):
        with _open_regular(path, name) as file:
            budget -= _write(file, target / name, min(limits.file_bytes, budget), name)


def _open_regular(path: Path, name: str) -> IO[bytes]:
    """Open without following a link that was put there since the folder was looked at."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise _unsafe(name, "is a link or cannot be read") from error
    return os.fdopen(descriptor, "rb")


def _unpack(source: Path, target: Path, limits: Limits) -> None:
    with zipfile.ZipFile(source) as archive:
        members = archive.infolist()
        if len(members) > limits.members:
            raise CorruptModelError(f"{source.name} holds {len(members)} entries; allowed are {limits.members}.")
        for member in members:
            _check_member(member, limits)
        files = [m for m in members if not m.is_dir() and not set(LITTER) & set(m.filename.split("/"))]
        _check_names([m.filename for m in files])
        _check_sizes([m.file_size for m in files], limits)
        top = _top_folder([m.filename for m in files], source.name)
        budget = limits.total_bytes
        for member in files:
            name = member.filename[len(top) :]
            if name.split("/")[0] not in PARTS:
                logger.info("Left out of the bundle: %s", name)
                continue
            with archive.open(member) as file:
                budget -= _write(file, target / name, min(limits.file_bytes, budget), name)


def _top_folder(names: list[str], archive: str) -> str:
    """The prefix before ``configs/metadata.json``: nothing, or the one folder that holds everything."""
    if METADATA in names:
        return ""
    tops = {name.split("/")[0] + "/" for name in names}
    top = tops.pop() if len(tops) == 1 else ""
    if top + METADATA not in names:
        raise CorruptModelError(f"{archive} holds no {METADATA}, at its top or in one folder: it is not a bundle.")
    return top


def _check_member(member: zipfile.ZipInfo, limits: Limits) -> None:
    """Refuse what cannot be unpacked safely; names are checked again together by :func:`_check_names`."""
    name = member.orig_filename
    _check_name(name.removesuffix("/"))
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise _unsafe(name, "is a link or a device")
    if member.flag_bits & 0x1:
        raise _unsafe(name, "is encrypted")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise _unsafe(name, "is packed by a method other than store or deflate")
    if member.file_size > CHUNK and member.file_size > limits.ratio * max(member.compress_size, 1):
        raise _unsafe(name, f"unpacks to more than {limits.ratio:g} times its size")


def _check_name(name: str) -> None:
    if FORBIDDEN.search(name) or len(name) > MAX_PATH:
        raise _unsafe(name, "has a name that is too long or not allowed on every system")
    if name.startswith("/"):
        raise _unsafe(name, "is an absolute path")
    for part in name.split("/"):
        if part in ("", ".", ".."):
            raise _unsafe(name, "leaves or repeats its folder")
        if part != part.strip() or part.endswith(".") or part.split(".")[0].lower() in WINDOWS_DEVICES:
            raise _unsafe(name, "has a name that Windows would change")


def _check_names(names: list[str]) -> None:
    """Refuse names that are one and the same on a file system that ignores case or normalises accents."""
    for name in names:
        _check_name(name)
    folded = [unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()) for name in names]
    seen = set(folded)
    if len(seen) != len(folded):
        twice = next(name for name, key in zip(names, folded, strict=True) if folded.count(key) > 1)
        raise _unsafe(twice, "is there twice")
    for name, key in zip(names, folded, strict=True):
        parts = key.split("/")
        if any("/".join(parts[:n]) in seen for n in range(1, len(parts))):
            raise _unsafe(name, "lies in a folder that is also a file")


def _check_sizes(sizes: list[int], limits: Limits) -> None:
    if sizes and (max(sizes) > limits.file_bytes or sum(sizes) > limits.total_bytes):
        raise CorruptModelError(
            f"The files take {sum(sizes)} bytes, the largest {max(sizes)}; allowed are {limits.total_bytes} "
            f"and {limits.file_bytes}. This is not a bundle of Manabi."
        )


def _write(file: IO[bytes], target: Path, allowed: int, name: str) -> int:
    """Write a new file; returns its size; refuses one that turns out larger than allowed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with target.open("xb") as output:
        while chunk := file.read(CHUNK):
            written += len(chunk)
            if written > allowed:
                raise _unsafe(name, f"is larger than the {allowed} bytes that are left for it")
            output.write(chunk)
    return written


def _damaged(source: Path, error: Exception) -> CorruptModelError:
    return CorruptModelError(f"{source.name} is a damaged zip ({error}). Download or copy it again.")


def _unsafe(name: str, reason: str) -> CorruptModelError:
    return CorruptModelError(f"Not installed: {name[:MAX_PATH]!r} in the bundle {reason}. Nothing was written.")
