"""Logging at the process edges, and a stdout that only the program itself writes to.

Libraries log through ``logging.getLogger(__name__)``. Here the records get their way to stderr and to a file, and
lose on that way whatever may name a patient: the paths of inputs, and any path outside the installation.
"""

from __future__ import annotations

import logging
import logging.handlers
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

from manabi import places

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
FILE_ONLY = "manabi_file_only"
"""``extra={FILE_ONLY: True}`` keeps a record off the screen."""
INSTALLATION = tuple(
    {sys.prefix, sys.base_prefix, str(Path(os.__file__).parent), str(Path(__file__).resolve().parents[1])}
)
"""Below these a path says nothing about a patient: they hold programs."""
_PATH = re.compile(
    r"""(?P<quote>['"])(?:[A-Za-z]:[\\/]|/|\\\\)(?:(?!(?P=quote)).)*(?P=quote)|(?<![\w.:/\\<])(?:[A-Za-z]:[\\/]|/)[^\s'",;()]+"""
)


class Redactor(logging.Formatter):
    """Formats records without the private texts it was told of, and without paths outside the installation."""

    def __init__(self) -> None:
        super().__init__(FORMAT)
        self._private: list[str] = []

    def hide(self, texts: Iterable[str]) -> None:
        """Never write these texts: paths and names that may identify a patient."""
        found = {str(text) for text in texts if len(str(text)) > 1}
        self._private = sorted({*self._private, *found}, key=len, reverse=True)

    def format(self, record: logging.LogRecord) -> str:
        """The record with its traceback, redacted."""
        return self.redact(super().format(record))

    def redact(self, text: str) -> str:
        """The text with ``<input>``, ``<path>`` and ``<value>`` in place of what it must not hold."""
        for private in self._private:
            text = text.replace(private, "<input>")
        return _PATH.sub(_without_path, _DICOM_VALUE.sub(r"\g<what><value>", text))


_DICOM_VALUE = re.compile(r"""(?P<what>[Vv]alue (?:for|in|of) [^:'"\n]*:? ?)(?P<quote>['"]).*?(?P=quote)""")
"""How pydicom quotes a value that it cannot make out; it may be a name, a number or a date of the patient."""


def _without_path(match: re.Match[str]) -> str:
    text = match.group()
    quote = match.group("quote") or ""
    path = text.strip(quote) if quote else text
    return text if path.startswith(INSTALLATION) else f"{quote}<path>{quote}"


REDACTOR = Redactor()


def hide_paths(paths: Iterable[str | Path], keep: Iterable[str] = ()) -> None:
    """Keep these paths, and the names of their last two parts, out of every log.

    Args:
        paths: of inputs.
        keep: words that stay readable, such as a case's neutral name, even where a part of a path is called so.
    """
    words = (*INSTALLATION, *keep)
    for path in paths:
        given = Path(path)
        names = {given.stem, *given.absolute().parts[-2:]}
        telling = [n for n in names if len(n) > 3 and not any(n in word for word in words)]
        REDACTOR.hide([str(given), str(given.absolute()), *telling])


class _LazyFile(logging.handlers.RotatingFileHandler):
    """Makes its folder when the first record arrives, so that a run without trouble leaves nothing."""

    def _open(self) -> TextIOWrapper:
        Path(self.baseFilename).parent.mkdir(parents=True, exist_ok=True)
        return super()._open()


def log_file() -> Path:
    """Where unexpected errors are written: ``logs/manabi.log`` below ``MANABI_HOME`` or the user's log folder."""
    return places.log_folder() / "manabi.log"


def set_up(level: int = logging.WARNING, to_file: bool = True) -> None:
    """Send every record to stderr, and errors to :func:`log_file`; calling it again replaces the handlers.

    Other packages' records and Python's warnings pass the same redaction: they may quote what a DICOM file holds.

    Args:
        level: from which level on Manabi's own records are shown; other packages' from WARNING on.
        to_file: whether errors go to the file, too.
    """
    root = logging.getLogger()
    for former in [handler for handler in root.handlers if handler.formatter is REDACTOR]:
        root.removeHandler(former)
        former.close()
    logging.captureWarnings(True)
    logging.getLogger("manabi").setLevel(level)
    screen = logging.StreamHandler(sys.stderr)
    screen.addFilter(lambda record: not getattr(record, FILE_ONLY, False))
    handlers: list[logging.Handler] = [screen]
    if to_file:
        file = _LazyFile(log_file(), maxBytes=1_000_000, backupCount=2, encoding="utf-8", delay=True)
        file.setLevel(logging.ERROR)
        handlers.append(file)
    for handler in handlers:
        handler.setFormatter(REDACTOR)
        root.addHandler(handler)


@contextmanager
def reserved_stdout(reserve: bool = True) -> Iterator[TextIO]:
    """``with reserved_stdout() as out:`` everyone else's prints, C libraries' included, go to stderr.

    Yields a text stream (UTF-8, one line at a time) on the real stdout; child processes do not inherit it. With
    ``reserve`` false nothing changes.
    """
    if not reserve:
        yield sys.stdout
        return
    sys.stdout.flush()
    private, former = os.dup(1), sys.stdout
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    try:
        with open(private, "w", encoding="utf-8", buffering=1, newline="\n", closefd=False) as stream:
            yield stream
    finally:
        sys.stderr.flush()
        os.dup2(private, 1)
        os.close(private)
        sys.stdout = former
