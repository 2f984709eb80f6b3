"""How a command ends: the exit code, the message, the JSON object.

Exit codes: 0 done; 1 unexpected; 2 bad input or usage; 3 model trouble; 4 out of resources; 130 cancelled.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from typing import Any

from manabi import log
from manabi.cli import interrupt
from manabi.errors import ManabiError
from manabi.failure import Failure

_log = logging.getLogger("manabi.cli")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code.

    Args:
        arguments: without the program's name; by default those of the process. ``--debug`` may stand anywhere.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    given = [text for text in given if text != "--debug"]
    log.set_up(logging.DEBUG if debug else logging.WARNING)
    try:
        with interrupt.ctrl_c():
            return _invoke(given, as_json="--json" in given)
    except (Exception, KeyboardInterrupt) as error:  # the process edge
        return _report(error, as_json="--json" in given, debug=debug)


def _invoke(arguments: list[str], as_json: bool) -> int:
    """Typer's part; its own errors are printed by it, or raised where they have to become JSON."""
    from manabi.cli.app import app

    try:
        status: Any = app(args=arguments, prog_name="manabi", standalone_mode=not as_json)
    except SystemExit as end:
        status = end.code
    return status if isinstance(status, int) else 0


def _report(error: BaseException, as_json: bool, debug: bool) -> int:
    failure = _failure(error)
    if failure.exit_code == 1 and not isinstance(error, ManabiError):
        _log.error("unexpected error", exc_info=error, extra={log.FILE_ONLY: not debug})
        where = "The details are above." if debug else f"The details are in {log.log_file()}; --debug shows them here."
        failure = Failure(failure.type, f"Unexpected {failure.type}: {failure.message}. {where}", 1)
    elif debug:
        _log.debug("the command ended with an error", exc_info=error)
    if as_json:
        print_json({"error": failure.to_dict()})
    else:
        sys.stderr.write(f"{'' if failure.exit_code == 130 else 'Error: '}{failure.message}\n")
    return failure.exit_code


def _failure(error: BaseException) -> Failure:
    """Typer's usage errors are bad usage; everything else speaks for itself."""
    import typer

    # The root of Typer's own errors, whether Typer brings Click along (newer) or depends on it (older).
    usage_error = typer.BadParameter.__mro__[2]
    if isinstance(error, usage_error):
        return Failure("UsageError", error.format_message(), 2)  # type: ignore[attr-defined]
    if isinstance(error, (KeyboardInterrupt, typer.Abort)):
        return Failure("CancelledError", "Cancelled. Nothing was written.", 130)
    return Failure.of(error)


def print_json(record: dict[str, Any]) -> None:
    """One JSON object on stdout, on one line."""
    from manabi.result_codec import json_value

    sys.stdout.write(json.dumps(record, default=json_value) + "\n")
    sys.stdout.flush()
