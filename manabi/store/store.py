"""The models on this computer: those that come with Manabi and those the user installed."""

from __future__ import annotations

import logging
import shutil
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import manabi
from manabi import places
from manabi.bundle import METADATA, Bundle, Origin
from manabi.errors import CorruptModelError, InvalidInputError, ModelNotFoundError
from manabi.store.check import version_key
from manabi.store.files import Limits, bundle_files, copy_bundle

logger = logging.getLogger(__name__)

STAGING = ".staging-"
STALE_S = 24 * 3600
STALE_DOWNLOAD_S = 30 * STALE_S
SCANS = 10
ZIP_DATE = (1980, 1, 1, 0, 0, 0)

Bundles = list[Bundle]
Progress = Callable[[float, str], None]


def default_user_folder() -> Path:
    """``$MANABI_HOME/bundles``, or the place for user data of this system."""
    return places.data_folder() / "bundles"


class BundleStore:
    """Finds and keeps bundles.

    An installed bundle lies in ``<user folder>/<name>@<version>~<n>``. It gets there by one rename of a folder that was
    filled and verified aside, so a reader sees all of it or nothing, and a kill at any moment leaves the store as it
    was. Replacing puts ``~<n+1>`` beside ``~<n>`` and then deletes the older; no lock is needed.

    Attributes:
        user_folder: where bundles are installed.
        shipped_folder: the bundles inside the package; never written to.
        limits: the most an installed bundle may hold.
    """

    def __init__(
        self, user_folder: Path | None = None, shipped_folder: Path | None = None, limits: Limits | None = None
    ) -> None:
        self.user_folder = Path(user_folder) if user_folder else default_user_folder()
        self.shipped_folder = Path(shipped_folder) if shipped_folder else Path(manabi.__file__).parent / "bundles"
        self.limits = limits or Limits()

    def list(self) -> Bundles:
        """All readable bundles by name, the newest version first.

        A shipped bundle whose name was also installed by the user is left out; the user's says so in ``shadows``.
        Folders that cannot be read are left out and logged; :meth:`verify` tells what is wrong with one.
        """
        found = self._all()
        taken = {bundle.name for bundle in found if bundle.origin == "user"}
        return [bundle for bundle in found if bundle.origin == "user" or bundle.name not in taken]

    def get(self, name_or_path: str | Path, method: str | None = None) -> Bundle:
        """A bundle by name (its newest version), by ``name@version``, or by the path of a folder.

        Args:
            name_or_path: what to find; a name is looked up before a folder.
            method: name of the method it must have been made for.

        Raises:
            ModelNotFoundError: when there is none; the message lists those there are.
            CorruptModelError: when it is unreadable or was made for another method.
        """
        bundle = next(iter(self._named(str(name_or_path))), None)
        if bundle is None:
            bundle = self._at_path(Path(name_or_path))
        if method is not None:
            bundle.require_method(method)
        return bundle

    def verify(self, name_or_path: str | Path) -> Bundle:
        """Check everything about a bundle (see :meth:`Bundle.verify`); also one that :meth:`list` leaves out."""
        return self.get(name_or_path).verify()

    def install(self, source: str | Path, replace: bool = False) -> Bundle:
        """Install the bundle in a folder or zip.

        Args:
            source: bundle folder, or zip with the bundle at its top or in one folder.
            replace: whether a bundle of the same name and version is replaced.

        Returns:
            The installed bundle, verified.

        Raises:
            InvalidInputError: when there is nothing at ``source``, or the same name and version is installed.
            CorruptModelError: when it is unsafe, incomplete or altered; nothing was installed.
        """
        source = Path(source).resolve()
        self.user_folder.mkdir(parents=True, exist_ok=True)
        self._sweep()
        with self._staging() as staged:
            inner = staged / (source.name or "bundle")
            inner.mkdir()
            copy_bundle(source, inner, self.limits)
            bundle = Bundle(inner).verify()
            target = self._place(inner, _label(bundle), replace)
        logger.info("Installed bundle %s", _label(bundle))
        return Bundle(target, "user", self._shadowed(bundle.name))

    def install_from_url(
        self, url: str, sha256: str, *, replace: bool = False, progress: Progress | None = None
    ) -> Bundle:
        """Download a bundle's zip and install it; one that broke off before goes on where it stopped.

        This is the only thing in Manabi that uses the network, and nothing calls it but who asks for it.

        Args:
            url: https address of the zip; http only from this computer.
            sha256: of the zip, as its publisher states it.
            replace: whether a bundle of the same name and version is replaced.
            progress: called with a fraction and a text; an exception that it raises stops the download.

        Returns:
            The installed bundle, verified.

        Raises:
            InvalidInputError: for a bad address or checksum, or when the same name and version is installed.
            DownloadError: when the server cannot be reached or breaks off; the same call continues.
            CorruptModelError: when what arrived is not what was asked for, or no sound bundle; it is removed.
        """
        from manabi.store.download import discard, download

        zipped = download(url, sha256, self.user_folder, self.limits.total_bytes, progress)
        is_sound = zipfile.is_zipfile(zipped)
        try:
            bundle = self.install(zipped, replace)
        except InvalidInputError:
            if not is_sound:  # a sound one is installed already: with ``replace`` it need not come again
                discard(zipped)
            raise
        except CorruptModelError:
            discard(zipped)
            raise
        discard(zipped)
        return bundle

    def remove(self, name: str) -> None:
        """Remove an installed bundle, by name or ``name@version``.

        Raises:
            ModelNotFoundError: when it is not installed.
            InvalidInputError: when it came with Manabi, or several versions are installed and none was named.
        """
        found = self._named(name)
        if not found:
            raise self._not_found(name)
        if found[0].origin != "user":
            raise InvalidInputError(f"Bundle {name} comes with Manabi and cannot be removed; only installed ones can.")
        if len(found) > 1:
            labels = ", ".join(_label(bundle) for bundle in found)
            raise InvalidInputError(f"Several versions of {name} are installed; name one of {labels}.")
        for bundle in self._scan(self.user_folder, "user"):
            if _label(bundle) == _label(found[0]):
                self._discard(bundle.folder)

    def export(self, name: str | Path, zip_path: str | Path) -> Path:
        """Write a bundle as a zip that :meth:`install` takes; the same bundle gives the same bytes.

        The zip appears at once when it is complete; a file of that name is replaced. In a folder it is called
        ``<name>-<version>.zip``.

        Returns:
            The path of the zip.

        Raises:
            CorruptModelError: when the bundle is not intact.
        """
        bundle = self.verify(name)
        target = Path(zip_path)
        if target.is_dir():
            target = target / f"{bundle.name}-{bundle.version}.zip"
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{uuid.uuid4().hex}.part")
        try:
            # Stored, not deflated: weights hardly shrink, and zlib's output differs between builds.
            with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
                for path, member in bundle_files(bundle.folder, self.limits):
                    info = zipfile.ZipInfo(f"{bundle.name}/{member}", ZIP_DATE)
                    info.external_attr = 0o100644 << 16
                    info.create_system = 3
                    info.file_size = path.stat().st_size
                    with path.open("rb") as file, archive.open(info, "w") as output:
                        shutil.copyfileobj(file, output)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
        return target

    def _all(self) -> Bundles:
        """The user's bundles, then the shipped ones of other versions too; by name, the newest version first."""
        shipped = self._scan(self.shipped_folder, "shipped")
        versions = {bundle.name: bundle.version for bundle in shipped}
        user = _latest_generation(self._scan(self.user_folder, "user"))
        found = [bundle.shadowing(versions.get(bundle.name)) for bundle in user] + shipped
        found.sort(key=lambda b: version_key(b.version), reverse=True)
        return sorted(found, key=lambda b: (b.name, b.origin != "user"))

    def _named(self, name: str) -> Bundles:
        """Bundles called ``name`` or ``name@version``, the one to take first."""
        wanted, _, version = name.partition("@")
        if version:
            return [b for b in self._all() if b.name == wanted and b.version == version][:1]
        return [b for b in self.list() if b.name == wanted]

    def _shadowed(self, name: str) -> str | None:
        return next((b.version for b in self._scan(self.shipped_folder, "shipped") if b.name == name), None)

    def _at_path(self, path: Path) -> Bundle:
        """A bundle folder anywhere, or an installed one that is too broken to be listed."""
        if path.is_dir() and (len(path.parts) > 1 or (path / METADATA).exists()):
            return Bundle(path.resolve())
        if path.is_file():
            raise InvalidInputError(f"{path.name} is a file. Install it first: manabi bundle install {path.name}")
        folders = [*_folders(self.user_folder), *_folders(self.shipped_folder)]
        for folder in folders:
            if str(path) in (_split(folder)[0], _split(folder)[0].partition("@")[0]):
                return Bundle(folder, "user" if folder.parent == self.user_folder else "shipped")
        raise self._not_found(str(path))

    def _not_found(self, name: str) -> ModelNotFoundError:
        known = ", ".join(_label(bundle) for bundle in self.list()) or "none"
        return ModelNotFoundError(
            f"No bundle {name!r} is installed. Installed: {known}. "
            "Install one with: manabi bundle install FOLDER_OR_ZIP."
        )

    def _scan(self, base: Path, origin: Origin) -> Bundles:
        """The readable bundles in a folder; looked at again when one came or went meanwhile, as in a replacement."""
        readable: Bundles = []
        for _ in range(SCANS):
            folders = _folders(base)
            readable = [bundle for folder in folders if _is_readable(bundle := Bundle(folder, origin))]
            if _folders(base) == folders:
                break
        return readable

    @contextmanager
    def _staging(self) -> Iterator[Path]:
        """An empty folder on the store's disk, gone afterwards unless it was renamed."""
        folder = self.user_folder / f"{STAGING}{uuid.uuid4().hex}"
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _place(self, staged: Path, label: str, replace: bool) -> Path:
        """Rename the staged folder into the store; of two at once, one wins and the other is told."""
        older = [f for f in _folders(self.user_folder) if _split(f)[0] == label]
        if older and not replace:
            raise _installed_already(label)
        number = max((_split(f)[1] for f in older), default=0) + 1
        target = self.user_folder / f"{label}~{number}"
        try:
            staged.rename(target)
        except OSError as error:
            if target.exists():
                raise _installed_already(label) from error
            raise
        for folder in older:
            with suppress(PermissionError):  # Windows, while another process reads it; the newer number wins
                self._discard(folder)
        return target

    def _discard(self, folder: Path) -> None:
        """Delete a bundle; it is out of the readers' sight before its first file goes."""
        hidden = folder.with_name(f"{STAGING}{uuid.uuid4().hex}")
        try:
            folder.rename(hidden)
        except FileNotFoundError:
            return
        shutil.rmtree(hidden, ignore_errors=True)

    def _sweep(self) -> None:
        """Delete what a killed install left behind a day or more ago, and downloads that nobody continued."""
        for pattern, stale_s in ((f"{STAGING}*", STALE_S), (".download-*", STALE_DOWNLOAD_S)):
            for path in self.user_folder.glob(pattern):
                with suppress(FileNotFoundError):
                    if time.time() - path.stat().st_mtime > stale_s:
                        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()


def _folders(base: Path) -> list[Path]:
    """What may be bundles in a folder, by name alone."""
    paths = sorted(base.iterdir()) if base.is_dir() else []
    return [path for path in paths if not path.name.startswith((".", "__"))]


def _is_readable(bundle: Bundle) -> bool:
    try:
        return bool(bundle.metadata)
    except CorruptModelError as error:
        if bundle.folder.is_dir():
            logger.warning("Left out: %s", error)
        return False


def _label(bundle: Bundle) -> str:
    return f"{bundle.name}@{bundle.version}"


def _split(folder: Path) -> tuple[str, int]:
    """Label and number of an installed folder's name."""
    label, _, number = folder.name.partition("~")
    return label, int(number) if number.isdecimal() else 0


def _latest_generation(bundles: Bundles) -> Bundles:
    latest: dict[tuple[str, str], Bundle] = {}
    for bundle in sorted(bundles, key=lambda b: _split(b.folder)[1]):
        latest[bundle.name, bundle.version] = bundle
    return Bundles(latest.values())


def _installed_already(label: str) -> InvalidInputError:
    return InvalidInputError(f"Bundle {label} is installed already. To overwrite it, install with replace (--replace).")
