"""Choosing the series of an archive that a method runs on, with the reason for every one that is taken or not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from manabi.archive.judge import Judgement, judge
from manabi.archive.series import ArchivedSeries
from manabi.method import InputSpec, Method
from manabi.series_rule import SeriesRule

STUDY_CHARACTERS = 6
"""Of a study's pseudonym, in the name of its case: enough within one patient."""
SEVERAL = "; "
"""Between the names of cases that share a series."""


@dataclass(frozen=True)
class Choice:
    """What becomes of one series.

    Attributes:
        series: the series.
        use: whether the method runs on it.
        input: name of the method's input that it is, or may be, taken for.
        case: name of the case that it belongs to, made of pseudonyms, several with :data:`SEVERAL` between them; a
            series that is not used has that of its study.
        why: in words.
    """

    series: ArchivedSeries
    use: bool
    input: str
    case: str
    why: str


def rules_of(method: Method[Any]) -> dict[str, SeriesRule]:
    """The rule of every input: the method's own; for the others, one that takes nothing by itself."""
    own = method.series_rules
    return {
        spec.name: own.get(spec.name, SeriesRule(automatic=spec is method.inputs[0] or not spec.optional))
        for spec in method.inputs
    }


def choose(series: Iterable[ArchivedSeries], method: Method[Any]) -> list[Choice]:
    """Choose among all series of an archive.

    Args:
        series: as :func:`manabi.archive.series.archived_series` has them.
        method: whose rules count.

    Returns:
        One choice per series, by study.
    """
    found: list[Choice] = []
    for _, group in groupby(series, lambda one: (one.facts.patient, one.facts.study)):
        found += _Study(list(group), method).choices()
    return found


@dataclass(frozen=True)
class _Candidate:
    """A series with what the rules of all inputs say of it, and the input that it comes nearest to."""

    series: ArchivedSeries
    judgements: Mapping[str, Judgement]
    input: str

    @property
    def judgement(self) -> Judgement:
        return self.judgements[self.input]


class _Study:
    """The choice within one study; a case never takes its series from two."""

    def __init__(self, series: Sequence[ArchivedSeries], method: Method[Any]) -> None:
        self._rules = rules_of(method)
        self._specs = {spec.name: spec for spec in method.inputs}
        self._first = method.inputs[0].name
        self._candidates = [self._candidate(one) for one in series]
        self._title = f"{series[0].facts.patient}.{series[0].facts.study[-STUDY_CHARACTERS:]}"
        self._masks = next((name for name, rule in self._rules.items() if rule.refers_to == self._first), "")
        self._done: dict[int, Choice] = {}

    def choices(self) -> list[Choice]:
        """One per series, in order."""
        if self._masks:
            self._by_masks()
        else:
            self._by_first()
        return [self._done.get(id(c.series)) or self._left_out(c) for c in self._candidates]

    # --- cases --------------------------------------------------------------------------------------------------------

    def _by_first(self) -> None:
        """A case of every series that fits the first input, or of the best one."""
        fitting = self._fitting(self._first)
        if not fitting:
            return
        rule = self._rules[self._first]
        if rule.every:
            for k, one in enumerate(fitting, 1):
                self._take(one, self._first, f"{self._title}-{k}" if len(fitting) > 1 else self._title, "")
            return
        best, others = fitting[0], fitting[1:]
        self._take(best, self._first, self._title, _better(best, others, self._first))
        for name in self._rules:
            if name != self._first and self._rules[name].automatic and not self._rules[name].refers_to:
                self._take_best(name)

    def _take_best(self, name: str) -> None:
        """The best series for a further input, among those that are not taken yet."""
        left = [one for one in self._fitting(name) if id(one.series) not in self._done]
        if left:
            self._take(left[0], name, self._title, _better(left[0], left[1:], name))

    def _by_masks(self) -> None:
        """A case of every segmentation, with the series that it refers to."""
        masks = [one for one in self._candidates if one.judgements[self._masks].fits]
        images = {one.series.facts.series_uid: one for one in self._candidates if one.series.is_image}
        for k, mask in enumerate(masks, 1):
            case = f"{self._title}-{k}" if len(masks) > 1 else self._title
            image = next((images[uid] for uid in mask.series.facts.refers_to if uid in images), None)
            reason = self._why_not(image)
            if reason or image is None:
                self._note(mask, False, self._masks, case, reason)
                continue
            self._take(mask, self._masks, case, f"belongs to {_called(image.series)}")
            before = self._done.get(id(image.series))
            cases = case if before is None else SEVERAL.join((before.case, case))
            self._take(image, self._first, cases, f"{_called(mask.series)} belongs to it")

    def _why_not(self, image: _Candidate | None) -> str:
        if image is None:
            return "the series that it belongs to is not in the archive, or in another study"
        against = image.judgements[self._first].against
        return f"{_called(image.series)}, to which it belongs, is left out: {'; '.join(against)}" if against else ""

    # --- the others ---------------------------------------------------------------------------------------------------

    def _left_out(self, one: _Candidate) -> Choice:
        """Why a series is not used."""
        name, judgement = one.input, one.judgement
        if not judgement.fits:
            return Choice(one.series, False, name, self._title, "; ".join(judgement.against))
        rule = self._rules[name]
        if not rule.automatic:
            why = f"may serve as {name} ({judgement.speaks}); nothing is taken for that by itself: say yes to use it"
        elif self._masks:
            why = f"no segmentation belongs to it ({judgement.speaks})"
        else:
            taken = next(c for c in self._done.values() if c.use and c.input == name)
            why = f"{_called(taken.series)} fits better: {self._difference(taken.series, one, name)}"
        return Choice(one.series, False, name, self._title, why)

    def _difference(self, taken: ArchivedSeries, one: _Candidate, name: str) -> str:
        best = next(c for c in self._candidates if c.series is taken)
        return _differs(best.judgements[name], one.judgements[name])

    # --- helpers ------------------------------------------------------------------------------------------------------

    def _candidate(self, series: ArchivedSeries) -> _Candidate:
        found = {name: judge(series, self._specs[name], rule) for name, rule in self._rules.items()}
        return _Candidate(series, found, self._nearest(series, found))

    def _nearest(self, series: ArchivedSeries, found: Mapping[str, Judgement]) -> str:
        """The input that a series fits, that of its modality, or the first."""
        fitting = [name for name, judgement in found.items() if judgement.fits]
        modality = [n for n, rule in self._rules.items() if series.facts.modality in _modalities(self._specs[n], rule)]
        return (fitting or modality or [self._first])[0]

    def _fitting(self, name: str) -> list[_Candidate]:
        """The series that fit an input, best first."""
        fitting = [one for one in self._candidates if one.judgements[name].fits]
        return sorted(fitting, key=lambda one: one.judgements[name].rank)

    def _take(self, one: _Candidate, name: str, case: str, more: str) -> None:
        why = "; ".join(text for text in (one.judgements[name].speaks, more) if text)
        self._note(one, True, name, case, why)

    def _note(self, one: _Candidate, use: bool, name: str, case: str, why: str) -> None:
        self._done[id(one.series)] = Choice(one.series, use, name, case, why)


def _modalities(spec: InputSpec, rule: SeriesRule) -> tuple[str, ...]:
    return rule.modalities or spec.modalities


def _called(series: ArchivedSeries) -> str:
    """What a reason calls another series."""
    number = series.facts.number
    return f"series {number}" if number is not None else f"series {series.item}"


def _better(best: _Candidate, others: Sequence[_Candidate], name: str) -> str:
    """Why the best is better than the next."""
    if not others:
        return "the only one of the study that fits"
    second = others[0]
    return f"before {_called(second.series)}: {_differs(best.judgements[name], second.judgements[name])}"


def _differs(better: Judgement, worse: Judgement) -> str:
    """The first thing by which one is better than another."""
    for one, other in zip(better.merits, worse.merits, strict=False):
        if one.value != other.value:
            return f"{one.name} {one.shown} against {other.shown}"
    return "they are alike, and the lower series number was taken"
