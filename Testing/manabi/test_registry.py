"""The registry: a site's own methods stand beside the project's, and cannot take their names."""

from __future__ import annotations

import pytest
from worker_fixtures import use_site_methods

from manabi import registry
from manabi.errors import InvalidInputError


def test_site_methods_are_known_beside_the_projects_own(monkeypatch):
    use_site_methods(monkeypatch)
    assert registry.method("echo").title == "Echo"
    assert set(registry.METHODS) < set(registry.all_methods())


@pytest.mark.parametrize("text", ["spect=worker_methods:Echo", "echo", "echo=worker_methods"])
def test_malformed_or_shadowing_site_methods_are_refused(monkeypatch, text):
    monkeypatch.setenv(registry.SITE_METHODS, text)
    with pytest.raises(InvalidInputError, match=registry.SITE_METHODS):
        registry.all_methods()


def test_unknown_names_list_the_known(monkeypatch):
    with pytest.raises(InvalidInputError, match="spect"):
        registry.method("nosuch")
    with pytest.raises(InvalidInputError, match="striatum"):
        registry.phantom("nosuch")


def test_every_entry_loads_and_agrees_with_its_name():
    for entry in registry.METHODS.values():
        assert entry.load().name == entry.name
        assert entry.load().phantom in registry.PHANTOMS
    for entry in registry.PHANTOMS.values():
        assert entry.load().name == entry.name
        assert entry.load().method in (*registry.METHODS, "")
