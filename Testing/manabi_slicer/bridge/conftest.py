"""A fresh scene of real MRML for every test of the bridge, without Qt."""

from __future__ import annotations

import pytest
import slicer
from bridge_scene import boot


@pytest.fixture(scope="session")
def booted():
    """The scene and the logics that make its node classes known; both live while the tests run."""
    return boot()


@pytest.fixture
def scene(booted, monkeypatch):
    world, _ = booted
    monkeypatch.setattr(slicer, "mrmlScene", world, raising=False)
    world.Clear(False)
    slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(world)
    yield world
    world.Clear(False)
