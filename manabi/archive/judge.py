"""Holding a series against a rule: why it is left out, or what speaks for it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

from manabi.archive.series import ArchivedSeries
from manabi.archive.words import SCOUT, regions_in
from manabi.method import InputSpec
from manabi.series_rule import SeriesRule

LATERAL = ("LL", "RL", "LLD", "RLD", "LLO", "RLO", "LATERAL", "LAT")
"""Values of ViewPosition that are not frontal."""
LATERAL_WORDS = re.compile(r"\blat(?:eral)?\b|側面")
SECONDARY = ("REFORMATTED", "MPR", "MIP", "MINIP", "PROJECTION IMAGE", "CSA MPR", "ADC")
"""Values of ImageType that images computed from others have. ``SECONDARY`` is none of them: planning systems and
anonymisers write ``ORIGINAL SECONDARY`` for slices as they were measured."""


@dataclass(frozen=True)
class Merit:
    """Something by which two series that fit are compared.

    Attributes:
        name: what is compared, as the end of "taken for its ...".
        value: the less, the better.
        shown: the value in words.
    """

    name: str
    value: float
    shown: str


@dataclass(frozen=True)
class Judgement:
    """What a rule says of a series.

    Attributes:
        against: why it is left out; empty where it fits.
        merits: by which it is compared with others, most important first.
        speaks: what speaks for it, in words.
    """

    against: tuple[str, ...]
    merits: tuple[Merit, ...] = ()
    speaks: str = ""

    @property
    def fits(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.against

    @property
    def rank(self) -> tuple[float, ...]:
        """For sorting; the least is the best."""
        return tuple(merit.value for merit in self.merits)


def judge(series: ArchivedSeries, spec: InputSpec, rule: SeriesRule) -> Judgement:
    """Hold a series against the rule of an input."""
    wanted = rule.modalities or spec.modalities
    if series.facts.modality not in wanted:
        return Judgement((f"{series.facts.modality or 'no modality'}, not {' or '.join(wanted)}",))
    checks = OBJECT_CHECKS if rule.refers_to else IMAGE_CHECKS
    against = tuple(text for check in checks for text in check(series, spec, rule))
    if against:
        return Judgement(against)
    return Judgement((), tuple(_merits(series, rule)), _speaks(series, rule))


# --- against ----------------------------------------------------------------------------------------------------------


def _kind(series: ArchivedSeries, spec: InputSpec, rule: SeriesRule) -> Iterator[str]:
    if not series.is_image:
        yield "no images"
    if "LOCALIZER" in series.image_type or SCOUT.search(series.own_words):
        yield "a localizer (scout view)"
    if series.facts.made_here:
        yield "written by Manabi"


def _derived(series: ArchivedSeries, spec: InputSpec, rule: SeriesRule) -> Iterator[str]:
    kinds = series.facts.image_type
    if not rule.derived and (kinds[:1] == ("DERIVED",) or any(kind in SECONDARY for kind in kinds)):
        yield f"computed from other images (ImageType {' '.join(kinds)})"
    if rule.image_types and not any(part in kind for kind in series.image_type for part in rule.image_types):
        yield f"ImageType {' '.join(kinds) or 'missing'}, expected {' or '.join(rule.image_types)}"


def _region(series: ArchivedSeries, spec: InputSpec, rule: SeriesRule) -> Iterator[str]:
    found = _regions(series)
    if rule.regions and found and not found & {*rule.regions, "whole body"}:
        yield f"shows {', '.join(sorted(found))}, not {' or '.join(rule.regions)}"


def _words(series: ArchivedSeries, spec: InputSpec, rule: SeriesRule) -> Iterator[str]:
    found = next((match.group() for match in map(_search(series.words), rule.without) if match), None)
    if found is not None:
        yield f"its description says '{found.strip()}'"
    if rule.needs and not any(map(_search(series.words), rule.needs)):
        yield f"nothing in its header says that it is {spec.description}"


def _contrast(series: ArchivedSeries, spec: InputSpec, rule: SeriesRule) -> Iterator[str]:
    if rule.contrasts and series.facts.modality == "MR" and series.contrast not in rule.contrasts:
        yield f"{series.contrast} contrast, not {' or '.join(rule.contrasts)}"


def _view(series: ArchivedSeries, spec: InputSpec, rule: SeriesRule) -> Iterator[str]:
    facts = series.facts
    if rule.frontal and facts.view in LATERAL:
        yield f"a lateral view (ViewPosition {facts.view})"
    elif rule.frontal and not facts.view and LATERAL_WORDS.search(series.own_words):
        yield "a lateral view, as its description says"


def _geometry(series: ArchivedSeries, spec: InputSpec, rule: SeriesRule) -> Iterator[str]:
    least = max(rule.least_slices, spec.min_shape[0])
    if series.is_radiograph:
        return
    if series.n_slices < least:
        yield f"{series.n_slices} slice{'' if series.n_slices == 1 else 's'}, at least {least} are needed"
        return
    if series.problem:
        yield series.problem
        return
    yield from _extent(series, rule)


def _extent(series: ArchivedSeries, rule: SeriesRule) -> Iterator[str]:
    """What speaks against the slices of a series that forms a volume."""
    if rule.orientations and series.orientation not in rule.orientations:
        yield f"{series.orientation} slices, not {' or '.join(rule.orientations)}"
    extent, spacing = series.extent_mm or 0.0, series.spacing_mm or 0.0
    if extent < rule.least_extent_mm:
        yield f"covers {extent:.0f} mm, at least {rule.least_extent_mm:.0f} mm are needed"
    if spacing > rule.most_spacing_mm:
        yield f"{spacing:.1f} mm between slices, at most {rule.most_spacing_mm:.1f} mm are useful"


def _references(series: ArchivedSeries, spec: InputSpec, rule: SeriesRule) -> Iterator[str]:
    if not series.facts.refers_to:
        yield "it does not say to which series it belongs"


Check = Callable[[ArchivedSeries, InputSpec, SeriesRule], Iterator[str]]
IMAGE_CHECKS: tuple[Check, ...] = (_kind, _derived, _region, _words, _contrast, _view, _geometry)
OBJECT_CHECKS: tuple[Check, ...] = (_words, _references)


# --- for --------------------------------------------------------------------------------------------------------------


def _merits(series: ArchivedSeries, rule: SeriesRule) -> Iterator[Merit]:
    if rule.contrasts and series.facts.modality == "MR":
        yield Merit("contrast", rule.contrasts.index(series.contrast), series.contrast)
    if rule.prefers:
        matches = [_search(series.words)(pattern) for pattern in rule.prefers]
        first = next((k for k, match in enumerate(matches) if match), len(matches))
        found = matches[first] if first < len(matches) else None
        yield Merit("description", first, "no such word" if found is None else f"'{found.group().strip()}'")
    if not series.is_radiograph and series.is_image:
        yield from _slice_merits(series, rule)


def _slice_merits(series: ArchivedSeries, rule: SeriesRule) -> Iterator[Merit]:
    """By which two series of slices are compared."""
    orientation = series.orientation
    yield Merit("orientation", float(orientation != "axial"), orientation)
    spacing, (low, high) = series.spacing_mm or math.inf, rule.best_spacing_mm
    beyond = abs(math.log(spacing / min(max(spacing, low), high))) if 0 < spacing < math.inf else math.inf
    yield Merit("slice spacing", round(beyond, 2), f"{spacing:.1f} mm")
    yield Merit("coverage", -round((series.extent_mm or 0.0) / 10), f"{series.extent_mm or 0.0:.0f} mm")
    yield Merit("slice spacing", round(spacing, 1), f"{spacing:.1f} mm")


def _speaks(series: ArchivedSeries, rule: SeriesRule) -> str:
    """What a reader would look at: modality, part of the body, contrast, slices."""
    facts = series.facts
    texts = [facts.modality or ""]
    if rule.regions:
        texts.append(", ".join(sorted(_regions(series))) or "part of the body not stated")
    if series.contrast:
        texts.append(f"{series.contrast} contrast")
    texts.append(_slices(series))
    if series.is_radiograph:
        texts.append(f"view {facts.view or 'not stated'}")
    if not series.is_image and facts.parts:
        texts.append(f"{len(facts.parts)} structure{'' if len(facts.parts) == 1 else 's'}")
    return "; ".join(filter(None, texts))


def _slices(series: ArchivedSeries) -> str:
    """How many slices a volume has, and how they lie; empty for what is none."""
    if series.stack is None:
        return ""
    spacing = f" {series.spacing_mm:.1f} mm apart" if series.spacing_mm else ""
    return f"{series.n_slices} {series.orientation} slices{spacing}, {series.extent_mm or 0:.0f} mm"


def _regions(series: ArchivedSeries) -> set[str]:
    """The parts of the body that it is of, by its own words, else by those of the study."""
    return regions_in(series.own_words) or regions_in(series.words)


def _search(words: str) -> Callable[[str], re.Match[str] | None]:
    return lambda pattern: _compiled(pattern).search(words)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
