"""Names for patients, studies and series that say nothing about them and cannot be traced back without the key.

A pseudonym is a keyed hash (HMAC-SHA-256): the same patient has the same one wherever this key is used, and nobody who
lacks the key can find out by trying numbers or names whose it is. The key is made once for a user and lies in
:func:`key_file`, readable by its owner alone. Machines that share the folder ``MANABI_HOME`` share their pseudonyms;
whoever deletes the key cuts the connection for ever.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
from pathlib import Path

from manabi import places
from manabi.errors import InvalidInputError
from manabi.io.atomic import ASIDE_PREFIX

KEY_BYTES = 32
CHARACTERS = 12
"""Of a pseudonym, 5 bits each: two of a million are the same with a probability of 4e-7 (n²/2 of 2^60)."""


def key_file() -> Path:
    """Where this user's key is, or will be."""
    return places.data_folder() / "pseudonym.key"


class Pseudonyms:
    """Gives pseudonyms under one key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def of_this_user(cls) -> Pseudonyms:
        """With the user's own key, which is made where there is none yet.

        Raises:
            InvalidInputError: where the key cannot be read or made, or is damaged.
        """
        file = key_file()
        try:
            if not file.is_file():
                _make(file)
            key = file.read_bytes()
        except OSError as error:
            raise InvalidInputError(
                f"The key for pseudonyms, {file}, cannot be read or made ({error.strerror}). Check its rights, or set "
                "MANABI_HOME to a folder of your own."
            ) from error
        if len(key) != KEY_BYTES:
            raise InvalidInputError(
                f"The key for pseudonyms, {file}, is damaged ({len(key)} bytes, expected {KEY_BYTES}). Put back a "
                "copy, or delete it: all pseudonyms then change."
            )
        return cls(key)

    def __call__(self, kind: str, *texts: str) -> str:
        """The pseudonym of what these texts identify together.

        Args:
            kind: what it is, as a prefix: ``P`` for a patient. The same texts of another kind have another pseudonym.
            texts: what identifies it, such as a patient's number.
        """
        message = "\x1f".join((kind, *texts)).encode("utf-8", "surrogatepass")
        digest = hmac.new(self._key, message, hashlib.sha256).digest()
        return f"{kind}-{base64.b32encode(digest).decode('ascii')[:CHARACTERS]}"


def _make(file: Path) -> None:
    """Make the key as a whole or not at all; where two processes try, the first one's stays."""
    file.parent.mkdir(parents=True, exist_ok=True)
    aside = file.with_name(f"{ASIDE_PREFIX}{secrets.token_hex(6)}-{file.name}")
    descriptor = os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(secrets.token_bytes(KEY_BYTES))
            stream.flush()
            os.fsync(stream.fileno())
        try:
            os.link(aside, file)
        except FileExistsError:
            pass
        except OSError:  # a file system without links
            aside.replace(file)
    finally:
        aside.unlink(missing_ok=True)
