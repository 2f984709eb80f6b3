"""What start-up costs: ``manabi --help``, ``manabi list`` and ``import manabi`` against ``import monai``."""

from __future__ import annotations

import subprocess
import sys
import time

COMMANDS = {
    "python_alone_s": ("-c", "pass"),
    "import_manabi_s": ("-c", "import manabi"),
    "import_worker_client_s": ("-c", "import manabi.worker_client"),
    "manabi_help_s": ("-m", "manabi", "--help"),
    "manabi_list_s": ("-m", "manabi", "list"),
    "import_torch_s": ("-c", "import torch"),
    "import_monai_s": ("-c", "import monai"),
}


def best(arguments: tuple[str, ...], repeats: int = 5) -> float:
    """Best wall time of several, after one that fills the page cache."""
    seconds = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
        seconds.append(time.perf_counter() - started)
    return min(seconds[1:])


def run() -> dict[str, float]:
    """Measure; seconds and ratios by name."""
    found = {name: best(arguments) for name, arguments in COMMANDS.items()}
    found["monai_over_manabi_help"] = found["import_monai_s"] / found["manabi_help_s"]
    found["monai_over_import_manabi"] = found["import_monai_s"] / found["import_manabi_s"]
    return found


if __name__ == "__main__":
    for name, value in run().items():
        print(f"{name:28s} {value:.3f}" if name.endswith("_s") else f"{name:28s} {value:.0f}x")
