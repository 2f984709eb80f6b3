"""Real planning CTs scanned again at megavoltage energies: maps, kinds, HU check, gate and dose on real anatomy."""

from __future__ import annotations

import numpy as np
import pytest

from manabi.mvct.corrupt import corrupted
from manabi.mvct.density import kv_table, mv_table
from manabi.mvct.dose import even_beams
from manabi.mvct.dose_compare import Image, no_harm
from manabi.mvct.gate import OK, OUT_OF_RANGE, REFUSE, Evidence, judge
from manabi.mvct.hu_check import check_hu, expected_hu, failing
from manabi.mvct.metrics import cnr, tissue_masks, tissue_stats
from manabi.mvct.ood import fit_reference, oddities
from manabi.mvct.signature import likely_kind, signature
from manabi.mvct.tissue_map import tissue_map
from manabi.phantoms.ct.convert import simulate
from manabi.volume import Volume

CT = "ct_headneck/head_neck_ex1_20may03_shrink221.nii.gz"
SLABS = (30, 37, 44, 51)
DEEP = 7


@pytest.fixture(scope="module")
def slabs(data_folder):
    """Pieces of one real head and neck CT and their simulated MVCT."""
    import SimpleITK as sitk

    path = str(data_folder(CT))
    whole = Volume.from_sitk(sitk.ReadImage(path), modality="CT", units="HU").reoriented()
    pieces = [whole.crop((k, 0, 0), (k + DEEP, *whole.shape[1:])) for k in SLABS]
    return [(piece, simulate(piece, "mvct", seed)) for seed, piece in enumerate(pieces)]


def mapped(volume, kind):
    return tissue_map(np.asarray(volume.array, np.float32), volume.spacing_mm, kind)


def test_the_tissues_of_a_noisy_megavoltage_scan_are_those_of_the_planning_ct(slabs):
    for planning, megavoltage in slabs:
        known, found = mapped(planning, "kvct"), mapped(megavoltage, "mvct")
        overlap = 2 * (known.body & found.body).sum() / (known.body.sum() + found.body.sum())
        assert overlap > 0.97
        assert (known.labels == found.labels)[known.body].mean() > 0.85


def test_the_kind_is_recognised(slabs):
    for planning, megavoltage in slabs:
        kinds = [
            likely_kind(signature(np.asarray(v.array, np.float32), v.spacing_mm, mapped(v, "mvct")))
            for v in (planning, megavoltage)
        ]
        assert kinds[0] != "mvct" and kinds[1] == "mvct"


def test_hu_checks_pass_and_noise_lowers_cnr(slabs):
    planning, megavoltage = slabs[1]
    tissues = mapped(planning, "kvct")
    masks = tissue_masks(tissues.labels, planning.spacing_mm)
    values = {}
    for name, volume in (("kvct", planning), ("mvct", megavoltage)):
        hu = np.asarray(volume.array, np.float32)
        lines = check_hu(hu, tissues, volume.spacing_mm, expected_hu(name))
        assert {line.tissue for line in lines} >= {"air", "fat", "muscle", "bone"}
        assert [line.tissue for line in failing(lines)] == []
        stats = tissue_stats(hu, masks, volume.spacing_mm)
        values[name] = cnr(stats["muscle"], stats["fat"])
    assert values["kvct"] > 1.4 * values["mvct"] > 2.0


def judged(volume, reference):
    hu = np.asarray(volume.array, np.float32)
    tissues = tissue_map(hu, volume.spacing_mm, "mvct")
    found = signature(hu, volume.spacing_mm, tissues)
    return judge(Evidence(oddities=oddities(found, reference), kind="mvct", seems=likely_kind(found)))


def test_the_gate_passes_one_of_its_own_and_refuses_damage(slabs):
    images = [megavoltage for _, megavoltage in slabs]
    signatures = [signature(np.asarray(v.array), v.spacing_mm, mapped(v, "mvct")) for v in images]
    reference = fit_reference(signatures)
    assert judged(images[1], reference).level == OK
    for name in ("noise", "offset", "mirrored", "block"):
        verdict = judged(corrupted(images[1], name, 1), reference)
        assert verdict.level == REFUSE and OUT_OF_RANGE in {r.prefix for r in verdict.reasons}, name


def test_a_megavoltage_scan_with_its_own_table_gives_the_dose_of_the_planning_ct(slabs):
    planning, megavoltage = slabs[2]
    body = mapped(planning, "kvct").body
    centre = np.argwhere(body).mean(0)
    k, j, i = np.mgrid[tuple(slice(0, n) for n in body.shape)]
    ball = body & (np.hypot((j - centre[1]) * 2.0, (i - centre[2]) * 2.0) < 20)
    true, target = Image(planning, kv_table()), planning.like(ball.astype(np.uint8))
    found = no_harm(Image(megavoltage, mv_table()), true, true, target, beams=even_beams(3))
    mean = next(row for row in found.table.rows if row[:2] == ("target", "Dmean"))
    assert mean[3] == pytest.approx(100.0) and abs(mean[4]) < 2.0 and mean[5] == 0.0
    assert found.worse == ()
