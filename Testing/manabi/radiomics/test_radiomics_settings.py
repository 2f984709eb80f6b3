"""Settings: they check themselves, survive being written, and cost nothing to import."""

from __future__ import annotations

import subprocess
import sys

import pytest

from manabi.errors import InvalidInputError
from manabi.radiomics import PRESETS, ExtractionSettings, preset
from manabi.radiomics.filters.spec import FilterSpec

WRONG = [
    ({"mode": "mirp"}, "mode must be one of"),
    ({"engine": "fast"}, "engine must be one of"),
    ({"interpolator": "sinc"}, "interpolator must be one of"),
    ({"bin_width": 0.0}, "bin_width must be a positive number"),
    ({"bin_width": float("nan")}, "bin_width must be a positive number"),
    ({"bin_count": 1}, "bin_count must be a whole number of at least 2"),
    ({"bin_width": 25.0, "bin_count": 32}, "either bin_width or bin_count"),
    ({"ivh_bin_width": 1.0, "ivh_bin_count": 9}, "either ivh_bin_width or ivh_bin_count"),
    ({"resample_mm": (1.0, 2.0)}, "resample_mm must be one positive number or three"),
    ({"resample_mm": -1.0}, "resample_mm must be one positive number or three"),
    ({"resegment_hu": (400, -500)}, "from a lower to a higher intensity"),
    ({"resegment_hu": (0,)}, "must be two numbers"),
    ({"outlier_sigma": 0}, "outlier_sigma must be a positive number"),
    ({"families": ("gldm",)}, "Families of mode ibsi are"),
    ({"mode": "pyradiomics", "families": ("ivh",)}, "Families of mode pyradiomics are"),
    ({"aggregation": "4d"}, "aggregation must be one of"),
    ({"mode": "pyradiomics", "aggregation": "2d_avg"}, "3d_avg only"),
    ({"mode": "pyradiomics", "round_hu": True}, "belong to mode ibsi"),
    ({"mode": "pyradiomics", "outlier_sigma": 3.0, "resegment_hu": (0, 1)}, "re-segments once"),
    ({"energy_shift": 1.0}, "belong to mode pyradiomics"),
    ({"engine": "pyradiomics"}, "in mode pyradiomics only"),
    ({"original": False}, "Nothing to extract from"),
    ({"distance": 0}, "distance"),
    ({"alpha": -1}, "alpha"),
]


@pytest.mark.parametrize(("values", "words"), WRONG)
def test_wrong_settings_are_refused_by_name(values: dict, words: str):
    with pytest.raises(InvalidInputError, match=words):
        ExtractionSettings(**values)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_survives_being_written(name: str):
    settings = preset(name)
    again = ExtractionSettings.from_dict(settings.to_dict())
    assert again == settings and hash(again) == hash(settings) and again.digest() == settings.digest()


def test_different_settings_have_different_digests():
    assert len({preset(name).digest() for name in PRESETS}) == len(PRESETS)


def test_equal_settings_are_equal_however_they_were_written():
    first = ExtractionSettings(resample_mm=2, resegment_hu=[-500, 400], bin_width=25.0)
    assert first == ExtractionSettings(resample_mm=(2.0, 2.0, 2.0), resegment_hu=(-500.0, 400.0))
    assert ExtractionSettings(resample_mm=(None, None, None), resegment_hu=(None, None)) == ExtractionSettings()


def test_filters_are_written_too():
    settings = ExtractionSettings(filters=(FilterSpec("log", mode="ibsi", sigma_mm=3.0), FilterSpec("wavelet")))
    assert ExtractionSettings.from_dict(settings.to_dict()).filters == settings.filters


def test_paper_preset_asks_for_eight_wavelet_bands_and_nothing_else():
    settings = preset("paper-744")
    assert settings.mode == "pyradiomics" and settings.bin_width == 25 and not settings.original
    assert [spec.kind for spec in settings.filters] == ["wavelet"]
    assert "shape" not in settings.families


def test_unknown_names_are_refused():
    with pytest.raises(InvalidInputError, match="Unknown preset 'ibsi-f'"):
        preset("ibsi-f")
    with pytest.raises(InvalidInputError, match="Unknown setting: binWidth"):
        ExtractionSettings.from_dict({"binWidth": 25})


def test_importing_settings_imports_nothing_heavy():
    heavy = ("scipy", "SimpleITK", "numba", "torch", "pywt", "skimage", "pandas")
    code = (
        "import sys, manabi.radiomics.presets as p; [p.preset(n) for n in p.PRESETS]; "
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert out.stdout.strip() == "[]"
