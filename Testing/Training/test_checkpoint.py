"""Checkpoints: whole or not at all, no code in them, and generators that go on."""

from __future__ import annotations

import random
import zipfile

import numpy as np
import pytest
import torch

from manabi.errors import CorruptModelError, InvalidInputError
from Training.checkpoint import (
    generator_states,
    identity_hash,
    load_checkpoint,
    remove_strays,
    require_same_run,
    restore_generators,
    save_checkpoint,
    seed_all,
)


def draws():
    return [random.random(), random.gauss(0, 1), np.random.rand(), np.random.randn(), torch.rand(2).tolist()]


def test_generators_go_on_where_they_were(tmp_path):
    seed_all(4)
    np.random.randn(), random.gauss(0, 1)  # leaves the second normal draw waiting inside both
    save_checkpoint(tmp_path / "c.pt", {"generators": generator_states()})
    expected = draws()
    seed_all(99)
    restore_generators(load_checkpoint(tmp_path / "c.pt")["generators"])
    assert draws() == expected


def test_seeds_of_two_epochs_differ():
    seed_all(4, 1)
    one = draws()
    seed_all(4, 2)
    assert draws() != one
    seed_all(4, 1)
    assert draws() == one


class Unwritable:
    def __reduce__(self):
        raise RuntimeError("cannot be written")


def test_a_write_that_fails_leaves_the_former_checkpoint(tmp_path):
    save_checkpoint(tmp_path / "c.pt", {"epoch": 1})
    with pytest.raises(RuntimeError, match="cannot be written"):
        save_checkpoint(tmp_path / "c.pt", {"epoch": 2, "x": Unwritable()})
    assert load_checkpoint(tmp_path / "c.pt")["epoch"] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["c.pt"]


def test_what_a_kill_left_is_removed(tmp_path):
    save_checkpoint(tmp_path / "c.pt", {})
    (tmp_path / ".manabi-0123-c.pt").write_bytes(b"half")
    remove_strays(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["c.pt"]


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    torch.save({"format": 1, "evil": random.Random(3)}, tmp_path / "c.pt")
    with pytest.raises(CorruptModelError, match="cannot be read"):
        load_checkpoint(tmp_path / "c.pt")


NOT_THERE, NOT_A_LIST, NOT_A_TUPLE = b"h\x09", b"K\x01)R", b"K\x01Q"
"""Pickled: something kept as number 9, a call of the number 1, and tensor data by the number 1."""


@pytest.mark.parametrize("damage", [NOT_THERE, NOT_A_LIST, NOT_A_TUPLE, b"", b"ccollections\nOrderedDict\nK\x01R"])
@pytest.mark.parametrize("zipped", [True, False])
def test_whatever_is_damaged_is_told_in_the_same_way(tmp_path, damage, zipped):
    path, altered = tmp_path / "c.pt", b"\x80\x02" + damage + b"."
    save_checkpoint(path, {"epoch": 1})
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, altered if name.endswith("data.pkl") else content)
    if not zipped:
        path.write_bytes(altered)
    with pytest.raises(CorruptModelError, match="cannot be read .*Delete it, or train with --fresh"):
        load_checkpoint(path)


def test_another_file_is_no_checkpoint(tmp_path):
    torch.save({"weights": torch.ones(2)}, tmp_path / "c.pt")
    with pytest.raises(CorruptModelError, match="not a checkpoint"):
        load_checkpoint(tmp_path / "c.pt")


def test_the_identity_says_what_differs(tmp_path):
    before = {"training": {"lr": 1.0, "sizes": (1, 2)}, "data": "x"}
    require_same_run(before, {"training": {"lr": 1.0, "sizes": [1, 2]}, "data": "x"}, tmp_path)
    with pytest.raises(InvalidInputError, match="data: 'x' there, 'y' here; training.new: 'absent' there, 3 here"):
        require_same_run(before, {"training": {"lr": 1.0, "sizes": [1, 2], "new": 3}, "data": "y"}, tmp_path)
    assert identity_hash(before) != identity_hash({"data": "x"})
