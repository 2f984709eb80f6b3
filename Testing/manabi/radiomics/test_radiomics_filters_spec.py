"""FilterSpec: what it accepts, its short text, its JSON, and what others read from it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from radiomics_filters_cases import EVERY, FEATURES, MAPS

from manabi.errors import InvalidInputError
from manabi.radiomics.filters import KINDS, FilterSpec, reach_mm
from manabi.radiomics.filters.bank import MODULES
from manabi.radiomics.filters.reach import WHOLE_IMAGE_MM
from manabi.radiomics.filters.spec import PARAMETERS

TEXTS = (*EVERY, *FEATURES.values(), *(text for _, text in MAPS.values()))


@pytest.mark.parametrize("text", sorted(set(TEXTS)))
def test_text_and_json_give_the_same_filter_again(text: str):
    spec = FilterSpec.parse(text)
    assert FilterSpec.parse(str(spec)) == spec
    assert FilterSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec
    assert len({spec, FilterSpec.parse(text)}) == 1


def test_every_kind_has_a_module_and_a_case():
    assert set(MODULES) == set(PARAMETERS)
    assert {FilterSpec.parse(text).kind for text in EVERY} | {"log"} == set(KINDS)


def test_a_bare_value_is_the_main_parameter_and_the_convention_is_filled_in():
    assert FilterSpec.parse("log:3") == FilterSpec("log", mode="pyradiomics", sigma_mm=3.0)
    assert FilterSpec.parse("laws:l5e5e5").kernels == "L5E5E5"
    assert FilterSpec("laws", kernels="L5E5").mode == "ibsi"
    assert FilterSpec("wavelet").mode == "pyradiomics"
    assert FilterSpec.parse(" Wavelet : db3 , mode = ibsi, bands=lhl+hhh ").bands == ("LHL", "HHH")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("blur:3", "begins with one of"),
        ("log", "sigma_mm"),
        ("log:-1", "sigma_mm"),
        ("log:nan", "sigma_mm"),
        ("log:3,sigma_mm=4", "twice"),
        ("log:3,boundary=zero", "boundary does not count"),
        ("log:3,mode=ibsi,boundary=wrap", "boundary"),
        ("wavelet:coif1,mode=mirp", "pyradiomics or ibsi"),
        ("wavelet:gauss", "PyWavelets"),
        ("wavelet:level=0", "level"),
        ("wavelet:bands=LLX", "bands"),
        ("wavelet:mode=ibsi,planar=true,bands=LLH", "bands"),
        ("wavelet:level=two", "level"),
        ("laws:L5E4", "kernels"),
        ("laws:L5", "kernels"),
        ("laws", "kernels"),
        ("mean:4", "support"),
        ("gabor:5", "wavelength_mm"),
        ("gabor:5,wavelength_mm=2,theta_step_deg=50", "theta_step_deg"),
        ("simoncelli:1,riesz=0+0+0", "riesz"),
        ("simoncelli:1,riesz=1+0", "riesz"),
        ("square:3", "takes no value"),
        ("mean:5,colour=red", "colour"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(text: str, what: str):
    with pytest.raises(InvalidInputError, match=what):
        FilterSpec.parse(text)


def test_pyradiomics_gets_its_own_names():
    assert FilterSpec.parse("wavelet:db3,level=2").to_pyradiomics() == (
        "Wavelet",
        {"wavelet": "db3", "level": 2, "start_level": 0},
    )
    assert FilterSpec.parse("log:2.5").to_pyradiomics() == ("LoG", {"sigma": [2.5]})
    for text in ("laws:L5E5", "wavelet:bands=LLH"):
        with pytest.raises(InvalidInputError, match="pyradiomics"):
            FilterSpec.parse(text).to_pyradiomics()


def test_reach_counts_voxels_of_the_given_size():
    assert reach_mm(FilterSpec.parse("mean:5"), (3.0, 1.0, 1.0)) == 6.0
    assert reach_mm(FilterSpec.parse("laws:L5E5E5,energy_distance=7"), (2.0, 2.0, 2.0)) == 18.0
    assert reach_mm(FilterSpec.parse("log:3,mode=ibsi")) == 12.0
    assert reach_mm(FilterSpec("original")) == 0
    for text in ("mean:5", "simoncelli:1", "wavelet", "mean:3,boundary=periodize"):
        assert reach_mm(FilterSpec.parse(text)) == WHOLE_IMAGE_MM


def test_specifications_cost_no_heavy_import():
    code = (
        "import sys; from manabi.radiomics.filters import FilterSpec; FilterSpec.parse('gabor:5,wavelength_mm=2');"
        "heavy = {'scipy', 'pywt', 'SimpleITK', 'skimage', 'torch', 'numba'} & set(sys.modules);"
        "sys.exit(str(heavy or ''))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr.strip() == ""
