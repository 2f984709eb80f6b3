"""The user's folders are the same before and after platformdirs is installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from platformdirs import macos, unix, windows

from manabi import places

SYSTEMS = {"linux": unix.Unix, "darwin": macos.MacOS, "win32": windows.Windows}


@pytest.mark.parametrize("platform", ["linux", "darwin"])
@pytest.mark.parametrize("xdg", [None, "", "/elsewhere"])
def test_without_platformdirs_the_places_are_the_same(platform, xdg, monkeypatch):
    for variable in ("XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(variable, raising=False)
        if xdg is not None and platform == "linux":
            monkeypatch.setenv(variable, xdg)
    known = SYSTEMS[platform]("manabi", appauthor=False)
    assert places.plain_data_folder(platform) == Path(known.user_data_dir)
    assert places.plain_log_folder(platform) == Path(known.user_log_dir)


def test_on_windows_the_places_are_below_the_local_application_data(monkeypatch):
    monkeypatch.setenv("LOCALAPPDATA", "/C/Users/a/AppData/Local")
    assert places.plain_data_folder("win32") == Path("/C/Users/a/AppData/Local/manabi")
    assert places.plain_log_folder("win32") == Path("/C/Users/a/AppData/Local/manabi/Logs")


def test_manabi_home_is_heard_and_platformdirs_may_be_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("MANABI_HOME", str(tmp_path))
    assert (places.data_folder(), places.log_folder()) == (tmp_path, tmp_path / "logs")
    monkeypatch.delenv("MANABI_HOME")
    with_it = (places.data_folder(), places.log_folder())
    monkeypatch.setitem(sys.modules, "platformdirs", None)
    assert (places.data_folder(), places.log_folder()) == with_it
