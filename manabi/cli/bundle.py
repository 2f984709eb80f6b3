"""``manabi bundle``: the store of models at the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from manabi.bundle import Bundle
from manabi.cli import console, interrupt
from manabi.cli.outcome import print_json
from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.store import BundleStore


def show_all(as_json: bool) -> None:
    """List the models, newest versions first."""
    found = BundleStore().list()
    if as_json:
        print_json({"bundles": [_record(bundle) for bundle in found]})
        return
    if not found:
        console.line("No models. Install one with: manabi bundle install FOLDER_OR_ZIP")
        return
    rows = [(b.name, b.version, b.method, b.origin, b.notice) for b in found]
    console.table("Models", ("name", "version", "method", "origin", "notice"), rows)


def show(name: str, as_json: bool) -> None:
    """Print a model's card, or its record and metadata."""
    bundle = BundleStore().get(name)
    if as_json:
        print_json({**_record(bundle), "metadata": bundle.metadata})
        return
    console.line(bundle.card)


def verify(name: str) -> None:
    """Check a model; raises CorruptModelError when anything is wrong."""
    _say("is complete and unaltered", BundleStore().verify(name))


def install(source: str, sha256: str | None, replace: bool) -> None:
    """Install a model from a folder, a zip or an address; a checksum that is given is checked first."""
    from manabi.store.download import check_sha256, is_url, verify_file

    if is_url(source):
        bundle = _download(source, sha256, replace)
    else:
        if sha256 is not None and Path(source).is_file():
            verify_file(Path(source), check_sha256(sha256))
        elif sha256 is not None:
            raise InvalidInputError("A checksum is that of a zip; a folder has none. Leave --sha256 out.")
        bundle = BundleStore().install(source, replace=replace)
    _say("is installed", bundle)
    if bundle.shadows is not None:
        console.warnings([f"It takes the place of {bundle.name} {bundle.shadows}, which comes with Manabi."])


def _download(url: str, sha256: str | None, replace: bool) -> Bundle:
    """Install from an address, with a progress bar; Ctrl-C keeps what has arrived."""
    if sha256 is None:
        raise InvalidInputError("A download needs the zip's checksum, as its publisher states it: --sha256 HEX")
    context = Context()
    with console.progress("Downloading") as context.on_progress:
        return interrupt.in_thread(
            lambda: BundleStore().install_from_url(url, sha256, replace=replace, progress=context.progress),
            context.cancel,
        )


def remove(name: str) -> None:
    """Remove an installed model."""
    BundleStore().remove(name)
    console.line(f"{name} is removed.")


def export(name: str, target: Path) -> None:
    """Write a model as a zip."""
    console.line(f"Written: {BundleStore().export(name, target)}")


def _say(what: str, bundle: Bundle) -> None:
    console.line(f"{bundle.name} {bundle.version} {what} ({bundle.notice}).")


def _record(bundle: Bundle) -> dict[str, Any]:
    return {
        "name": bundle.name,
        "version": bundle.version,
        "method": bundle.method,
        "origin": bundle.origin,
        "shadows": bundle.shadows,
        "notice": bundle.notice,
        "weights_sha256": bundle.weights_sha256,
    }
