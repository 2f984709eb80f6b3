"""Finding, installing, replacing, removing and exporting bundles."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from manabi.bundle import METADATA, WEIGHTS, Bundle
from manabi.errors import CorruptModelError, InvalidInputError, ModelNotFoundError
from manabi.store import BundleStore, card
from manabi.store import store as store_module

Make = Callable[..., Bundle]


def labels(store: BundleStore) -> list[str]:
    return [f"{b.name}@{b.version} {b.origin}" for b in store.list()]


def checksums(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture
def shipped(store: BundleStore, make: Make) -> Bundle:
    return Bundle(make("shipped 学び/tiny").folder, "shipped")


def test_default_places_are_the_users_folder_and_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MANABI_HOME", str(tmp_path / "home"))
    assert BundleStore().user_folder == tmp_path / "home" / "bundles"
    assert BundleStore().shipped_folder.parent.name == "manabi"
    monkeypatch.delenv("MANABI_HOME")
    assert "manabi" in BundleStore().user_folder.parts


def test_an_empty_store_lists_nothing_and_says_how_to_install(store: BundleStore) -> None:
    assert store.list() == []
    with pytest.raises(ModelNotFoundError, match="'tiny'.*Installed: none.*manabi bundle install"):
        store.get("tiny")
    assert not store.user_folder.exists()


def test_a_missing_name_lists_those_there_are(store: BundleStore, shipped: Bundle) -> None:
    with pytest.raises(ModelNotFoundError, match="Installed: tiny@1.0.0"):
        store.get("another")


def test_install_and_get_by_name_version_and_path(store: BundleStore, make: Make) -> None:
    source = make()
    installed = store.install(source.folder)
    assert installed.folder.parent == store.user_folder
    assert labels(store) == ["tiny@1.0.0 user"]
    assert store.get("tiny", method="spect") == store.get("tiny@1.0.0") == installed
    assert store.get(source.folder).origin == "path"
    assert checksums(installed.folder) == checksums(source.folder)
    with pytest.raises(CorruptModelError, match="not for 'brain'"):
        store.get("tiny", method="brain")
    with pytest.raises(ModelNotFoundError):
        store.get("tiny@9.9.9")


def test_the_newest_version_is_taken(store: BundleStore, make: Make) -> None:
    for version in ("1.9.0", "1.10.0", "1.10.0-rc1"):
        store.install(make(version, version=version).folder)
    assert [b.version for b in store.list()] == ["1.10.0", "1.10.0-rc1", "1.9.0"]
    assert store.get("tiny").version == "1.10.0"
    assert store.get("tiny@1.9.0").version == "1.9.0"


def test_an_installed_bundle_takes_the_place_of_a_shipped_one_and_says_so(
    store: BundleStore, make: Make, shipped: Bundle
) -> None:
    assert store.get("tiny") == shipped
    assert store.get("tiny").shadows is None
    installed = store.install(make(version="0.9.0").folder)
    assert labels(store) == ["tiny@0.9.0 user"]
    assert installed.shadows == store.get("tiny").shadows == "1.0.0"
    assert "takes the place of version 1.0.0" in card(store.get("tiny"))
    assert store.get("tiny@1.0.0") == shipped


def test_the_same_name_and_version_is_refused_unless_replaced(store: BundleStore, make: Make) -> None:
    store.install(make().folder)
    other = make("other", card="# Another card\n")
    with pytest.raises(InvalidInputError, match="tiny@1.0.0 is installed already"):
        store.install(other.folder)
    assert "Another" not in store.get("tiny").card
    store.install(other.folder, replace=True)
    assert "Another" in store.get("tiny").card
    assert len(list(store.user_folder.iterdir())) == 1


def test_remove(store: BundleStore, make: Make, shipped: Bundle) -> None:
    for version in ("1.1.0", "1.2.0"):
        store.install(make(version, version=version).folder)
    with pytest.raises(InvalidInputError, match="tiny@1.2.0, tiny@1.1.0"):
        store.remove("tiny")
    store.remove("tiny@1.2.0")
    assert labels(store) == ["tiny@1.1.0 user"]
    store.remove("tiny")
    assert list(store.user_folder.iterdir()) == []
    with pytest.raises(InvalidInputError, match="comes with Manabi"):
        store.remove("tiny")
    assert store.get("tiny").verify() == shipped
    with pytest.raises(ModelNotFoundError):
        store.remove("another")


def test_export_and_install_give_the_same_bundle(store: BundleStore, make: Make, tmp_path: Path) -> None:
    installed = store.install(make(license_text="Apache-2.0").folder)
    first = store.export("tiny", tmp_path / "Übergabe zip" / "tiny.zip")
    second = store.export("tiny", tmp_path)
    assert second.name == "tiny-1.0.0.zip"
    assert first.read_bytes() == second.read_bytes()
    elsewhere = BundleStore(tmp_path / "elsewhere", tmp_path / "none")
    assert checksums(elsewhere.install(first).folder) == checksums(installed.folder)
    assert "LICENSE" in checksums(installed.folder)
    assert not list(first.parent.glob(".*"))


def test_outputs_of_a_run_are_neither_installed_nor_exported(store: BundleStore, make: Make, tmp_path: Path) -> None:
    source = make()
    (source.folder / "output").mkdir()
    (source.folder / "output" / "patient.nii.gz").write_bytes(b"private")
    exported = BundleStore(tmp_path / "x", tmp_path / "y").export(source.folder, tmp_path / "tiny.zip")
    for origin in (source.folder, exported):
        folder = store.install(origin, replace=True).folder
        assert not [path for path in checksums(folder) if "patient" in path]


def test_an_altered_bundle_is_neither_installed_nor_exported(store: BundleStore, make: Make, tmp_path: Path) -> None:
    source = make()
    data = (source.folder / WEIGHTS).read_bytes()
    (source.folder / WEIGHTS).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(CorruptModelError, match="altered"):
        store.install(source.folder)
    with pytest.raises(CorruptModelError, match="altered"):
        store.export(source.folder, tmp_path / "tiny.zip")
    assert list(store.user_folder.iterdir()) == []
    assert not (tmp_path / "tiny.zip").exists()


def test_a_broken_bundle_is_not_listed_but_verify_says_why(store: BundleStore, make: Make) -> None:
    installed = store.install(make().folder)
    (installed.folder / METADATA).write_text("{")
    assert store.list() == []
    with pytest.raises(CorruptModelError, match="not valid JSON"):
        store.verify("tiny")


@pytest.mark.parametrize("name", ["../escape", "Tiny", "con", "a/b", "a\\b", "", ".", "a" * 65, "tiny@2", "é"])
def test_names_that_could_leave_the_store_are_refused(store: BundleStore, make: Make, name: str) -> None:
    source = make()
    metadata = json.loads((source.folder / METADATA).read_text())
    (source.folder / METADATA).write_text(json.dumps({**metadata, "name": name}))
    with pytest.raises(CorruptModelError, match="name .* must be"):
        store.install(source.folder)
    assert list(store.user_folder.iterdir()) == []


@pytest.mark.parametrize("version", ["1", "1.0.0/../..", "1.0.0~2", "v1.0.0", "1.0.0-", "1.0.0-a."])
def test_versions_that_could_leave_the_store_are_refused(store: BundleStore, make: Make, version: str) -> None:
    source = make()
    metadata = json.loads((source.folder / METADATA).read_text())
    (source.folder / METADATA).write_text(json.dumps({**metadata, "version": version}))
    with pytest.raises(CorruptModelError, match="version .* must look like"):
        store.install(source.folder)


def test_neither_folder_nor_zip_is_an_input_error(store: BundleStore, tmp_path: Path) -> None:
    (tmp_path / "text.zip").write_text("no zip")
    with pytest.raises(InvalidInputError, match="text.zip is neither"):
        store.install(tmp_path / "text.zip")
    with pytest.raises(InvalidInputError, match="gone.zip does not exist"):
        store.install(tmp_path / "gone.zip")
    with pytest.raises(CorruptModelError, match="not a bundle"):
        store.install(tmp_path)
    with pytest.raises(InvalidInputError, match="Install it first"):
        store.get(tmp_path / "text.zip")


@pytest.mark.parametrize("step", ["copy_bundle", "Bundle"])
def test_an_install_that_dies_half_way_leaves_nothing(
    store: BundleStore, make: Make, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    source = make()
    kept = store.install(make("kept", version="0.1.0").folder)
    original = getattr(store_module, step)

    def dies(*arguments: object) -> None:
        original(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(store_module, step, dies)
        with pytest.raises(KeyboardInterrupt):
            store.install(source.folder)
    assert list(store.user_folder.iterdir()) == [kept.folder]


def test_what_a_killed_install_left_is_invisible_and_swept_later(
    store: BundleStore, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = store.user_folder / ".staging-0123" / "tiny"
    shutil.copytree(make().folder, left)
    assert store.list() == []
    store.install(make("first").folder)
    assert left.exists(), "it may belong to an install that still runs"
    monkeypatch.setattr(store_module, "STALE_S", -1)
    store.install(make("second", version="2.0.0").folder)
    assert not left.parent.exists()


def test_of_many_installs_at_once_one_wins(store: BundleStore, make: Make) -> None:
    source = make()
    barrier = threading.Barrier(6)

    def install(_: int) -> str:
        barrier.wait()
        try:
            return store.install(source.folder).name
        except InvalidInputError as error:
            return str(error)

    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(install, range(6)))
    assert outcomes.count("tiny") == 1
    assert all("installed already" in text for text in outcomes if text != "tiny")
    assert [path.name for path in store.user_folder.iterdir()] == ["tiny@1.0.0~1"]
    store.verify("tiny")


def test_readers_see_a_whole_bundle_while_it_is_replaced(store: BundleStore, make: Make) -> None:
    source = make()
    store.install(source.folder)
    done = threading.Event()

    def replace() -> None:
        for _ in range(30):
            store.install(source.folder, replace=True)
        done.set()

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(replace)
        seen = 0
        while not done.is_set() and not running.done():
            assert labels(store) == ["tiny@1.0.0 user"]
            seen += 1
        running.result()
    assert seen > 0
    assert len(list(store.user_folder.iterdir())) == 1


def test_card_tells_use_training_and_figures(store: BundleStore, make: Make) -> None:
    extra = {
        "trained_on": "120 phantoms",
        "simulated": True,
        "intended_use": "Research",
        "metrics": {"SSIM": {"mean": 0.84, "ci95": [0.82, 0.86]}, "kappa": {"value": 0.7}, "n": 50},
    }
    text = card(make(metadata_extra=extra))
    for part in ("tiny 1.0.0 (trained on simulated data; for research use)", "For: spect.", "120 phantoms", "Research",
                 "SSIM: 0.84 (95 % 0.82 to 0.86)", "kappa: 0.7", "n: 50"):  # fmt: skip
        assert part in text
