"""Where this user's files go, as platformdirs has it; and where platformdirs is not installed yet, the same places.

A fresh Slicer has no platformdirs until the first Apply installed it, and its panel lists models before.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

APPLICATION = "manabi"


def data_folder() -> Path:
    """``$MANABI_HOME``, or the place for user data of this system."""
    home = os.environ.get("MANABI_HOME")
    if home:
        return Path(home)
    try:
        from platformdirs import user_data_dir
    except ImportError:
        return plain_data_folder()
    return Path(user_data_dir(APPLICATION, appauthor=False))


def log_folder() -> Path:
    """``logs`` in ``$MANABI_HOME``, or the place for logs of this system."""
    home = os.environ.get("MANABI_HOME")
    if home:
        return Path(home) / "logs"
    try:
        from platformdirs import user_log_dir
    except ImportError:
        return plain_log_folder()
    return Path(user_log_dir(APPLICATION, appauthor=False))


def plain_data_folder(platform: str = sys.platform) -> Path:
    """What platformdirs gives for user data, without it."""
    if platform == "win32":
        return _local_app_data() / APPLICATION
    if platform == "darwin":
        return Path.home() / "Library" / "Application Support" / APPLICATION
    return _xdg("XDG_DATA_HOME", ".local/share") / APPLICATION


def plain_log_folder(platform: str = sys.platform) -> Path:
    """What platformdirs gives for logs, without it."""
    if platform == "win32":
        return _local_app_data() / APPLICATION / "Logs"
    if platform == "darwin":
        return Path.home() / "Library" / "Logs" / APPLICATION
    return _xdg("XDG_STATE_HOME", ".local/state") / APPLICATION / "log"


def _local_app_data() -> Path:
    return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")


def _xdg(variable: str, default: str) -> Path:
    return Path(os.environ.get(variable, "").strip() or Path.home() / default)
