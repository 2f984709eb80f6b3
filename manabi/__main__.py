"""``python -m manabi`` and the ``manabi`` command."""

from __future__ import annotations

import sys

from manabi.cli.outcome import main as run_main


def main() -> None:
    """Run the command line and end the process with its exit code."""
    sys.exit(run_main())


if __name__ == "__main__":
    main()
