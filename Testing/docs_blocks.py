"""The examples of README and the documentation, and a runner for them.

A fenced block of ``bash``, ``console`` or ``python`` is an example. ``<!-- slow -->`` on the line before it says that
it takes minutes. In a ``console`` block the lines after ``$ command`` are what it must print; a line ``...`` stands for
any lines.
"""

from __future__ import annotations

import fnmatch
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FENCE = re.compile(
    r"(?P<mark>^<!-- slow -->\n)?^```(?P<language>bash|console|python)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
PREAMBLE = f"""
set -euo pipefail
manabi() {{ {shlex.quote(sys.executable)} -m manabi "$@"; }}
python() {{ {shlex.quote(sys.executable)} "$@"; }}
Slicer() {{ PYTHONPATH={shlex.quote(str(ROOT / "Testing"))} QT_QPA_PLATFORM=offscreen \
  {shlex.quote(sys.executable)} -m slicer_standin.command_line \
  "${{@/#manabi_slicer\\//{str(ROOT)}/manabi_slicer/}}"; }}
make() {{ command make --dry-run --no-print-directory -C {shlex.quote(str(ROOT))} "$@" > /dev/null; }}
"""
"""``make`` would build an environment: what its targets call is tested, here only that they exist. ``Slicer`` is the
stand-in for it, and scripts are those of the source."""
LIMIT_S = 1800


@dataclass(frozen=True)
class Block:
    """One example: its page, line, language, text, and whether it takes minutes."""

    page: str
    line: int
    language: str
    text: str
    slow: bool

    @property
    def place(self) -> str:
        """For messages."""
        return f"{self.page}:{self.line}"


def blocks(page: str) -> list[Block]:
    """The examples of a page, in order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [
        Block(page, text.count("\n", 0, m.start("language")) + 1, m["language"], m["text"], bool(m["mark"]))
        for m in FENCE.finditer(text)
    ]


OUTSIDE_QUOTES = r"""(?:&&|\|\||[;|])(?=(?:[^"]*"[^"]*")*[^"]*$)"""
"""What parts commands of a line, unless it stands within double quotes."""


def commands(block: Block, program: str) -> Iterator[list[str]]:
    """The words of each call of ``program`` in a shell example, without what is only shell."""
    joined = block.text.replace("\\\n", " ")
    for line in joined.splitlines():
        for part in re.split(OUTSIDE_QUOTES, line.removeprefix("$ ")):
            words = shlex.split(part.split(" > ")[0], comments=True)
            if words[: program.count(" ") + 1] == program.split():
                yield words[program.count(" ") + 1 :]


def run(block: Block, folder: Path, session: dict[str, Any]) -> None:
    """Run an example in a folder; the Python examples of a page share ``session``. Raises AssertionError on failure."""
    if block.language == "python":
        code = compile("\n" * block.line + block.text, block.page, "exec")
        exec(code, session)  # the example itself
    elif block.language == "bash":
        done = shell(block.text, folder)
        assert done.returncode == 0, f"{block.place} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    else:
        _console(block, folder)


def shell(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run shell lines with this interpreter's ``manabi`` and ``python``."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "160", "NO_COLOR": "1"}
    return subprocess.run(
        ["bash", "-c", PREAMBLE + text], cwd=folder, env=environment, capture_output=True, text=True, timeout=LIMIT_S
    )


def _console(block: Block, folder: Path) -> None:
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        done = shell(command, folder)
        printed = "\n".join(line.rstrip() for line in (done.stdout + done.stderr).strip().splitlines())
        pattern = re.sub(r"(?m)^\.\.\.$", "*", expected.strip().replace("[", "[[]"))
        assert fnmatch.fnmatchcase(printed, pattern), f"{block.place}: expected\n{expected}\ngot\n{printed}"
