"""What is loaded from a bundle, and above all what is not."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn

from manabi import networks
from manabi.bundle import CARD, INFERENCE, METADATA, WEIGHTS, Bundle
from manabi.errors import CorruptModelError
from manabi.store import write_bundle


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    monkeypatch.setattr(networks, "NETWORKS", {"line": nn.Linear})
    monkeypatch.setattr(networks, "build", lambda name, **arguments: networks.NETWORKS[name](**arguments))
    torch.manual_seed(0)
    return write_bundle(
        tmp_path / "mon modèle",
        name="line",
        version="1.0.0",
        method="spect",
        network={"name": "line", "arguments": {"in_features": 2, "out_features": 1}},
        state_dict=nn.Linear(2, 1).state_dict(),
        card="# Line\n",
        metadata_extra={"trained_on": "40 phantoms", "simulated": True, "precision": ["float32", "bfloat16"]},
    )


def with_weights(bundle: Bundle, data: bytes) -> Bundle:
    """The bundle of someone who can also write the checksum."""
    (bundle.folder / WEIGHTS).write_bytes(data)
    return with_metadata(bundle, weights_sha256=hashlib.sha256(data).hexdigest())


def with_metadata(bundle: Bundle, **section: object) -> Bundle:
    path = bundle.folder / METADATA
    metadata = json.loads(path.read_text())
    metadata["manabi"].update(section)
    path.write_text(json.dumps(metadata))
    return Bundle(bundle.folder)


def saved(content: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def test_says_what_it_is(bundle: Bundle) -> None:
    assert (bundle.name, bundle.version, bundle.method, bundle.simulated) == ("line", "1.0.0", "spect", True)
    assert bundle.precision == ("float32", "bfloat16")
    assert bundle.notice == "trained on simulated data; for research use"
    assert bundle.notice in bundle.card.lower()
    assert bundle.provenance() == {
        "name": "line",
        "version": "1.0.0",
        "weights_sha256": hashlib.sha256((bundle.folder / WEIGHTS).read_bytes()).hexdigest(),
        "trained_on": "40 phantoms",
    }


def test_network_has_the_weights_and_is_in_evaluation_mode(bundle: Bundle) -> None:
    torch.manual_seed(0)
    expected = nn.Linear(2, 1)
    network = bundle.build_network()
    assert not network.training
    for key, value in expected.state_dict().items():
        assert torch.equal(network.state_dict()[key], value)


def test_another_method_is_refused(bundle: Bundle) -> None:
    bundle.require_method("spect")
    with pytest.raises(CorruptModelError, match="'spect', not for 'brain'"):
        bundle.require_method("brain")


@pytest.mark.parametrize("position", [0, 0.5, -1])
def test_one_changed_byte_in_the_weights_is_refused(bundle: Bundle, position: float) -> None:
    path = bundle.folder / WEIGHTS
    data = bytearray(path.read_bytes())
    data[int(position * len(data)) if position > 0 else int(position)] ^= 1
    path.write_bytes(data)
    for check in (bundle.load_state, bundle.verify, bundle.build_network):
        with pytest.raises(CorruptModelError, match="altered or cut short"):
            check()


def test_altered_weights_are_not_interpreted(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    (bundle.folder / WEIGHTS).write_bytes(saved(nn.Linear(3, 1).state_dict()))
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("loaded before the checksum was compared"))
    with pytest.raises(CorruptModelError, match="not loaded"):
        bundle.load_state()


@pytest.mark.parametrize("keep", [0, 1, 100, 0.5, 0.99])
def test_truncated_weights_are_refused_even_with_a_fitting_checksum(bundle: Bundle, keep: float) -> None:
    data = (bundle.folder / WEIGHTS).read_bytes()
    kept = data[: int(keep * len(data)) if isinstance(keep, float) else keep]
    (bundle.folder / WEIGHTS).write_bytes(kept)
    with pytest.raises(CorruptModelError, match="cut short"):
        bundle.load_state()
    with pytest.raises(CorruptModelError, match="PyTorch|code or objects"):
        with_weights(bundle, kept).load_state()


class Malicious:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return (Path.write_text, (self.path, "executed"))


@pytest.mark.parametrize("save", [saved, pickle.dumps])
def test_code_in_the_weights_is_refused_and_never_runs(bundle: Bundle, tmp_path: Path, save) -> None:
    witness = tmp_path / "witness"
    evil = with_weights(bundle, save({"weight": Malicious(witness)}))
    for check in (evil.load_state, evil.verify, evil.build_network):
        with pytest.raises(CorruptModelError, match="code or objects|PyTorch"):
            check()
    assert not witness.exists()
    pickle.loads(pickle.dumps(Malicious(witness)))
    assert witness.read_text() == "executed", "the attack itself must be real"


def test_a_whole_pickled_network_is_refused(bundle: Bundle) -> None:
    with pytest.raises(CorruptModelError, match="code or objects"):
        with_weights(bundle, saved(nn.Linear(2, 1))).load_state()


@pytest.mark.parametrize("content", [[torch.zeros(1)], {"weight": 1.0}, {0: torch.zeros(1)}, torch.zeros(1)])
def test_anything_but_tensors_by_name_is_refused(bundle: Bundle, content: object) -> None:
    with pytest.raises(CorruptModelError, match="state dict"):
        with_weights(bundle, saved(content)).load_state()


def test_weights_that_unpack_to_more_than_their_size_are_refused(bundle: Bundle) -> None:
    source = zipfile.ZipFile(io.BytesIO(saved({"weight": torch.zeros(1_000_000)})))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
        for member in source.infolist():
            target.writestr(member.filename, source.read(member))
    assert len(packed.getvalue()) < 100_000
    with pytest.raises(CorruptModelError, match="PyTorch"):
        with_weights(bundle, packed.getvalue()).load_state()


def test_weights_that_do_not_fit_are_refused(bundle: Bundle) -> None:
    with pytest.raises(CorruptModelError, match="do not fit"):
        with_weights(bundle, saved(nn.Linear(3, 1).state_dict())).build_network()


def test_weights_that_are_not_numbers_are_refused(bundle: Bundle) -> None:
    state = {"weight": torch.full((1, 2), float("nan")), "bias": torch.zeros(1)}
    with pytest.raises(CorruptModelError, match="weight holds values that are not numbers"):
        with_weights(bundle, saved(state)).verify()


@pytest.mark.parametrize(
    "network",
    [
        {"name": "os.system", "arguments": {}},
        {"name": "line", "arguments": {"in_features": 2}},
        {"name": "line", "arguments": {"in_features": -2, "out_features": 1}},
        {"name": "line", "arguments": {"in_features": 2, "out_features": 1, "surprise": 1}},
    ],
)
def test_only_known_networks_with_right_arguments_are_built(bundle: Bundle, network: dict) -> None:
    with pytest.raises(CorruptModelError, match="network"):
        with_metadata(bundle, network=network).build_network()


@pytest.mark.parametrize("path", [METADATA, INFERENCE, WEIGHTS, CARD])
def test_verify_names_a_missing_file(bundle: Bundle, path: str) -> None:
    (bundle.folder / path).unlink()
    with pytest.raises(CorruptModelError, match=path):
        Bundle(bundle.folder).verify()


def test_verify_refuses_an_empty_card_and_a_stranger_beside_the_weights(bundle: Bundle) -> None:
    assert bundle.verify() is bundle
    stranger = bundle.folder / "models" / "other.pt"
    stranger.write_bytes(b"")
    with pytest.raises(CorruptModelError, match="no checksum is known for models/other.pt"):
        bundle.verify()
    stranger.unlink()
    (bundle.folder / CARD).write_text(" \n")
    with pytest.raises(CorruptModelError, match="empty"):
        bundle.verify()


@pytest.mark.parametrize("text", ["", "{", "[]", '"text"', "[" * 100_000, "\udcff"])
def test_metadata_that_are_no_json_object_are_refused(bundle: Bundle, text: str) -> None:
    (bundle.folder / METADATA).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(CorruptModelError, match=r"metadata\.json"):
        Bundle(bundle.folder).verify()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": 3}, "int under 'method'"),
        ({"simulated": "no"}, "str under 'simulated'"),
        ({"weights_sha256": "0" * 63}, "64 hexadecimal"),
        ({"network": {"name": "line"}}, "network must be"),
        ({"precision": ["float8"]}, "precision must list"),
        ({"precision": [{}]}, "precision must list"),
        ({"labels": [{"label": 1}]}, "labels"),
    ],
)
def test_metadata_of_the_wrong_form_are_refused(bundle: Bundle, change: dict, message: str) -> None:
    with pytest.raises(CorruptModelError, match=message):
        with_metadata(bundle, **change).verify()


@pytest.mark.parametrize("key", ["method", "network", "weights_sha256", "trained_on", "simulated"])
def test_missing_metadata_are_named(bundle: Bundle, key: str) -> None:
    metadata = json.loads((bundle.folder / METADATA).read_text())
    del metadata["manabi"][key]
    (bundle.folder / METADATA).write_text(json.dumps(metadata))
    with pytest.raises(CorruptModelError, match=f"lacks '{key}'"):
        Bundle(bundle.folder).verify()


def test_a_bundle_of_others_says_that_it_is_not_for_manabi(bundle: Bundle) -> None:
    (bundle.folder / METADATA).write_text('{"version": "1.0.0"}')
    with pytest.raises(CorruptModelError, match="not made for Manabi"):
        Bundle(bundle.folder).verify()


def test_labels_become_coded_segments(bundle: Bundle) -> None:
    label = {"label": 1, "name": "Left caudate", "color": [1, 0, 0], "type": ["11000004", "SCT", "Caudate nucleus"],
             "laterality": ["7771000", "SCT", "Left"]}  # fmt: skip
    (segment,) = with_metadata(bundle, labels=[label]).segments
    assert (segment.label, segment.type.value, segment.category.value) == (1, "11000004", "123037004")
    assert segment.laterality is not None
    assert segment.laterality.meaning == "Left"
