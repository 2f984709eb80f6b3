"""Small modules of Slicer's Python: ``slicer.i18n``, ``slicer.packaging``, ``slicer.testing``, ``SampleData``."""


from __future__ import annotations

import sys
import unittest
from importlib import metadata
from types import ModuleType
from typing import Any

import slicer

from slicer_standin.recorder import recorder

# --- slicer.i18n --------------------------------------------------------------------------------------


def tr(text: str) -> str:
    """Nothing is translated; an f-string cannot be told from a text here."""
    return text


def translate(context: str, text: str) -> str:
    """Nothing is translated."""
    return text


# --- slicer.packaging: what would be installed is recorded ---------------------------------------------


def pip_check(req: Any) -> bool:
    """Whether requirements are met by what is installed; markers count, extras do not."""
    from packaging.requirements import Requirement

    for line in [req] if isinstance(req, (str, Requirement)) else req:
        wanted = line if isinstance(line, Requirement) else Requirement(line)
        if wanted.marker is not None and not wanted.marker.evaluate():
            continue
        try:
            if not wanted.specifier.contains(metadata.version(wanted.name), prereleases=True):
                return False
        except metadata.PackageNotFoundError:
            return False
    return True


def pip_install(
    requirements: Any, constraints: Any = None, no_deps_requirements: Any = None, skip_packages: Any = None,
    blocking: bool = True, show_progress: bool = True, requester: str | None = None, logCallback: Any = None,
    completedCallback: Any = None,
) -> Any:  # fmt: skip
    """Recorded; ``recorder.installer`` is called in pip's place and may raise what pip would."""
    return _install("pip_install", {k: v for k, v in locals().items() if v is not None})


def pip_ensure(
    requirements: Any, constraints: Any = None, skip_packages: Any = None, prompt_install: bool = True,
    prompt_restart: bool = True, requester: str | None = None, skip_in_testing: bool = True, show_progress: bool = True,
) -> Any:  # fmt: skip
    """As in Slicer up to the installation itself, which is recorded."""
    call = {k: v for k, v in locals().items() if v is not None}
    lines = [requirements] if isinstance(requirements, str) else list(requirements)
    missing = [line for line in lines if not pip_check(line)]
    if not missing or (skip_in_testing and slicer.app.testingEnabled()):
        return None
    if prompt_install and not slicer.util.confirmOkCancelDisplay("Install Python packages?", requester):
        raise RuntimeError("User declined package installation")
    return _install("pip_ensure", {**call, "missing": missing})


def pip_uninstall(requirements: Any, **kwargs: Any) -> None:
    """Recorded."""
    _install("pip_uninstall", {"requirements": requirements, **kwargs})


def isPipInstallInProgress() -> bool:
    """Installations here take no time."""
    return False


def _install(name: str, call: dict[str, Any]) -> Any:
    if not call.get("show_progress", True) or slicer.util.mainWindow() is not None or name == "pip_uninstall":
        recorder.installed.append((name, call))
        return recorder.installer(call) if recorder.installer is not None else None
    raise recorder.fail(f"{name} would show a progress dialog without a main window; pass show_progress=False")


# --- slicer.testing -----------------------------------------------------------------------------------


def exitSuccess() -> None:
    """The test passed."""


def exitFailure(message: str = "") -> None:
    """The test failed."""
    raise Exception(message)


def runUnitTest(path: Any, testname: str) -> None:
    """Run the tests of a module's file; raises where one failed."""
    sys.path.extend([path] if isinstance(path, str) else path)
    suite = unittest.TestLoader().loadTestsFromName(testname)
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    if not result.wasSuccessful():
        exitFailure("".join(text for _, text in [*result.failures, *result.errors]))


# --- SampleData ---------------------------------------------------------------------------------------


class SampleDataSource:
    """One sample. With ``uris`` as a list, all lists are of its length."""

    def __init__(
        self, sampleName: Any = None, sampleDescription: Any = None, uris: Any = None, fileNames: Any = None,
        nodeNames: Any = None, checksums: Any = None, loadFiles: Any = None, customDownloader: Any = None,
        thumbnailFileName: Any = None, loadFileTypes: Any = None, loadFileProperties: Any = None,
    ) -> None:  # fmt: skip
        if isinstance(uris, str):
            uris, fileNames, nodeNames = [uris], [fileNames], [nodeNames]
            checksums, loadFiles, loadFileTypes = [checksums], [loadFiles], [loadFileTypes]
        elif isinstance(uris, (list, tuple)):
            if isinstance(loadFileTypes, str) or loadFileTypes is None:
                loadFileTypes = [loadFileTypes] * len(uris)
            nodeNames, loadFiles, checksums = (
                [None] * len(uris) if one is None else one for one in (nodeNames, loadFiles, checksums)
            )
        self.sampleName, self.sampleDescription = sampleName, sampleDescription or sampleName
        self.uris, self.fileNames, self.nodeNames, self.checksums = uris, fileNames, nodeNames, checksums
        self.loadFiles, self.loadFileTypes = loadFiles, loadFileTypes
        self.customDownloader, self.thumbnailFileName = customDownloader, thumbnailFileName
        self.loadFileProperties = loadFileProperties or {}
        lengths = [len(one) for one in (uris, fileNames, nodeNames, loadFiles, loadFileTypes, checksums)]
        if len(set(lengths)) > 1:
            raise ValueError(f"uris, fileNames, nodeNames, loadFiles, loadFileTypes, checksums differ: {lengths}")


class SampleDataLogic:
    """Samples by category, in ``slicer.modules.sampleDataSources``."""

    @staticmethod
    def registerCustomSampleDataCategory(category: str, title: str) -> None:
        known = vars(slicer.modules).setdefault("sampleDataSourceCategories", {})
        known.setdefault(category, {})["title"] = title

    @staticmethod
    def registerCustomSampleDataSource(
        category: str = "Custom", sampleName: Any = None, uris: Any = None, fileNames: Any = None,
        nodeNames: Any = None, customDownloader: Any = None, thumbnailFileName: Any = None, loadFileTypes: Any = None,
        loadFiles: Any = None, loadFileProperties: Any = None, checksums: Any = None, loadFileType: Any = None,
    ) -> None:  # fmt: skip
        source = SampleDataSource(
            sampleName, None, uris, fileNames, nodeNames, checksums, loadFiles, customDownloader, thumbnailFileName,
            loadFileTypes or loadFileType, loadFileProperties,
        )  # fmt: skip
        listed = vars(slicer.modules).setdefault("sampleDataSources", {}).setdefault(category, [])
        if all(known.sampleName != source.sampleName for known in listed):
            listed.append(source)

    @staticmethod
    def sampleDataSourcesByCategory(category: str | None = None) -> Any:
        known = vars(slicer.modules).setdefault("sampleDataSources", {})
        return known if category is None else known.get(category, [])

    def sourceForSampleName(self, sampleName: str) -> Any:
        every = [source for listed in self.sampleDataSourcesByCategory().values() for source in listed]
        return next((source for source in every if source.sampleName == sampleName), None)

    def downloadFromSource(self, source: Any, maximumAttemptsCount: int = 3, forceDownload: bool = False) -> list[Any]:
        """Nothing is downloaded here; in Slicer, too, only the button calls a custom downloader."""
        if source.uris:
            raise recorder.fail(f"{source.sampleName} would be downloaded from {source.uris}")
        return []

    def downloadSamples(self, sampleName: str) -> list[Any]:
        source = self.sourceForSampleName(sampleName)
        return self.downloadFromSource(source) if source else []


def click_sample(sampleName: str) -> Any:
    """Press the sample's button in the Sample Data module, as a user does."""
    source = SampleDataLogic().sourceForSampleName(sampleName)
    if source is None:
        raise recorder.fail(f"no sample {sampleName!r} is registered")
    return source.customDownloader(source) if source.customDownloader else SampleDataLogic().downloadFromSource(source)


MODULES = {
    "slicer.i18n": (tr, translate),
    "slicer.packaging": (pip_check, pip_ensure, pip_install, pip_uninstall, isPipInstallInProgress),
    "slicer.testing": (exitSuccess, exitFailure, runUnitTest),
    "SampleData": (SampleDataSource, SampleDataLogic),
}


def make_modules() -> dict[str, ModuleType]:
    """The modules by name."""
    made = {}
    for name, members in MODULES.items():
        made[name] = ModuleType(name, "A stand-in.")
        vars(made[name]).update({member.__name__: member for member in members})
    return made
