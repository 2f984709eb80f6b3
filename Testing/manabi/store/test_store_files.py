"""Archives and folders that try to do harm."""

from __future__ import annotations

import os
import random
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from manabi.bundle import METADATA, Bundle
from manabi.errors import CorruptModelError, ManabiError
from manabi.store import BundleStore, Limits

Make = Callable[..., Bundle]
Entry = tuple[zipfile.ZipInfo | str, bytes]


@pytest.fixture
def pack(make: Make, tmp_path: Path) -> Callable[..., Path]:
    """Zips a good bundle below ``top`` together with other entries, which come first."""

    def write(*others: Entry, top: str = "", compression: int = zipfile.ZIP_DEFLATED) -> Path:
        source = make().folder
        target = tmp_path / "Modell für José.zip"
        with zipfile.ZipFile(target, "w", compression) as archive:
            for name, content in others:
                archive.writestr(name, content)
            for path in sorted(source.rglob("*")):
                if path.is_file():
                    archive.write(path, top + path.relative_to(source).as_posix())
        return target

    return write


def special(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = mode << 16
    return info


def refused(store: BundleStore, source: Path, message: str, tmp_path: Path) -> bool:
    """Whether the install is refused with the message, and nothing is changed anywhere."""

    def files() -> set[Path]:
        return {path for path in tmp_path.rglob("*") if path != store.user_folder}

    before = files()
    with pytest.raises(CorruptModelError, match=message):
        store.install(source)
    return files() == before


@pytest.mark.parametrize("top", ["", "my model/"])
@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_good_zip_is_installed(store: BundleStore, pack, top: str, compression: int) -> None:
    assert store.install(pack(top=top, compression=compression)).verify().name == "tiny"


def test_what_operating_systems_add_to_a_zip_is_left_out(store: BundleStore, pack) -> None:
    litter = [("__MACOSX/bundle/._x", b"x"), ("bundle/.DS_Store", b"x"), ("bundle/configs/Thumbs.db", b"x")]
    folder = store.install(pack(*litter, ("bundle/docs/", b""), top="bundle/")).folder
    names = {path.name for path in folder.rglob("*") if path.is_file()}
    assert names == {"metadata.json", "inference.json", "model.pt", "README.md"}


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "configs/../../evil",
        "/tmp/evil",
        "//server/share/evil",
        "C:/evil",
        "C:evil",
        "..\\evil",
        "configs\\..\\..\\evil",
        "./evil",
        "docs//evil",
        "docs/file:stream",
        "docs/con",
        "docs/NUL.txt",
        "docs/evil.",
        "docs/evil ",
        "docs/a\nb",
        "/",
        "x" * 201,
    ],
)
@pytest.mark.parametrize("top", ["", "bundle/"])
def test_paths_that_escape_or_change_are_refused(store: BundleStore, pack, tmp_path: Path, name: str, top: str) -> None:
    assert refused(store, pack((name, b"evil"), top=top), "Not installed", tmp_path)


def test_a_name_cut_by_a_null_byte_is_refused(store: BundleStore, pack, tmp_path: Path) -> None:
    path = pack(("docs/aaa", b"evil"))
    path.write_bytes(path.read_bytes().replace(b"docs/aaa", b"docs/a\0a"))
    assert refused(store, path, "not allowed|damaged", tmp_path)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK])
def test_links_and_devices_in_a_zip_are_refused(store: BundleStore, pack, tmp_path: Path, kind: int) -> None:
    assert refused(store, pack((special("docs/link", kind | 0o777), b"/etc/passwd")), "link or a device", tmp_path)


def test_writing_through_a_linked_folder_is_refused(store: BundleStore, pack, tmp_path: Path) -> None:
    link = (special("docs", stat.S_IFLNK | 0o777), str(tmp_path).encode())
    assert refused(store, pack(link, ("docs/evil", b"evil")), "link or a device", tmp_path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    "name",
    [METADATA, "configs/METADATA.JSON", "Configs/metadata.json", "models/model.PT", "configs/metadata.json/x"],
)
def test_names_that_are_one_on_some_systems_are_refused(store: BundleStore, pack, tmp_path: Path, name: str) -> None:
    assert refused(store, pack((name, b"{}")), "twice|also a file", tmp_path)


def test_names_that_differ_only_in_unicode_form_are_refused(store: BundleStore, pack, tmp_path: Path) -> None:
    assert refused(store, pack(("docs/\u00e9", b"1"), ("docs/e\u0301", b"2")), "twice", tmp_path)


def test_a_zip_bomb_is_refused_by_its_ratio(store: BundleStore, pack, tmp_path: Path) -> None:
    assert refused(store, pack(("docs/bomb", bytes(20_000_000))), "more than 100 times its size", tmp_path)


def test_a_bomb_whose_header_lies_is_stopped_while_unpacking(store: BundleStore, pack, tmp_path: Path) -> None:
    path = pack(("docs/bomb", bytes(20_000_000)))
    path.write_bytes(path.read_bytes().replace(struct.pack("<L", 20_000_000), struct.pack("<L", 1000)))
    assert refused(store, path, "damaged zip|larger than", tmp_path)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(members=3), "entries|more than 3 files"),
        (Limits(file_bytes=100), "allowed are"),
        (Limits(total_bytes=1000), "allowed are"),
    ],
)
def test_limits_hold_for_zips_and_folders(store: BundleStore, pack, make: Make, tmp_path: Path, limits, message):
    limited = BundleStore(store.user_folder, store.shipped_folder, limits)
    assert refused(limited, pack(), message, tmp_path)
    assert refused(limited, make("again").folder, message, tmp_path)


def test_oddly_packed_members_are_refused(store: BundleStore, pack, tmp_path: Path) -> None:
    assert refused(store, pack(compression=zipfile.ZIP_BZIP2), "other than store or deflate", tmp_path)


def test_an_encrypted_member_is_refused(store: BundleStore, tmp_path: Path) -> None:
    path = tmp_path / "locked.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(METADATA, b"{}")
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    assert refused(store, path, "encrypted", tmp_path)


@pytest.mark.parametrize("keep", [0.3, 0.9, 0.999])
def test_a_truncated_zip_is_refused(store: BundleStore, pack, tmp_path: Path, keep: float) -> None:
    path = pack()
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data))] + data[data.rindex(b"PK\x05\x06") :])
    assert refused(store, path, "damaged zip", tmp_path)


def test_a_zip_with_a_flipped_bit_is_refused(store: BundleStore, pack, tmp_path: Path) -> None:
    path = pack(compression=zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[data.index(b"Tiny")] ^= 1
    path.write_bytes(data)
    assert refused(store, path, "damaged zip", tmp_path)


def test_random_damage_to_a_zip_never_gives_another_error(store: BundleStore, pack) -> None:
    path = pack(compression=zipfile.ZIP_STORED)
    good = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        directory = archive.start_dir
    rng = random.Random(0)
    refused = 0
    for _ in range(400):
        data = bytearray(good)
        data[rng.randrange(directory, len(data))] = rng.randrange(256)
        path.write_bytes(data)
        try:
            store.install(path, replace=True).verify()
        except ManabiError:
            refused += 1
    assert refused > 100
    assert len(list(store.user_folder.iterdir())) <= 1


@pytest.mark.parametrize("entries", [[], [("readme.txt", b"")], [("a/configs/metadata.json", b"{}"), ("b/x", b"")]])
def test_a_zip_without_a_bundle_is_refused(store: BundleStore, tmp_path: Path, entries: list[Entry]) -> None:
    path = tmp_path / "other.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries:
            archive.writestr(name, content)
    assert refused(store, path, "not a bundle", tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="links need rights that Windows users lack")
@pytest.mark.parametrize("part", ["models/model.pt", "models", "LICENSE", "docs/extra"])
def test_links_in_a_folder_are_refused(store: BundleStore, make: Make, tmp_path: Path, part: str) -> None:
    folder = make().folder
    path = folder / part
    elsewhere = tmp_path / "elsewhere"
    if path.exists():
        path.rename(elsewhere)
    else:
        elsewhere.write_text("secret")
    path.symlink_to(elsewhere)
    assert refused(store, folder, "is a link", tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_in_a_folder_is_refused_and_not_read(store: BundleStore, make: Make, tmp_path: Path) -> None:
    folder = make().folder
    os.mkfifo(folder / "docs" / "pipe")
    assert refused(store, folder, "is a link or a device", tmp_path)
