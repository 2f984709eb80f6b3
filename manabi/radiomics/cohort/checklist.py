"""A reporting checklist filled in from what was run: what is known is answered, what is not is left to the authors.

It gives no score. A share of "yes" would reward reporting over being right, and the Radiomics Quality Score counts what
software cannot know.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from manabi.errors import InvalidInputError
from manabi.radiomics.cohort.checklist_items import FACTS, ITEMS, Item
from manabi.result import Table

YES, PARTLY, NO, AUTHORS = "yes", "partly", "no", "for the authors"
STATUSES = (YES, PARTLY, NO, AUTHORS)
COLUMNS = ("section", "question", "answer", "status", "source")
PER_CANDIDATE = 10.0
"""Events per candidate predictor below which overfitting is expected (P. Peduzzi et al., 1995, a rule of thumb)."""
_COLORS = {YES: "#2d7d46", PARTLY: "#7a4f00", NO: "#b3261e", AUTHORS: "#57606a"}
_SIGNS = {YES: "●", PARTLY: "◐", NO: "○", AUTHORS: "✎"}


@dataclass(frozen=True)
class Answer:
    """An item with its answer.

    Attributes:
        item: the question.
        answer: in words; "" where the authors must write it.
        status: ``yes``, ``partly``, ``no`` or ``for the authors``.
    """

    item: Item
    answer: str
    status: str


@dataclass(frozen=True)
class Checklist:
    """All items in order."""

    answers: tuple[Answer, ...]

    def count(self, status: str) -> int:
        """Items of a status."""
        return sum(one.status == status for one in self.answers)

    def of(self, key: str) -> Answer:
        """The answer of one item.

        Raises:
            InvalidInputError: where there is no such item.
        """
        for one in self.answers:
            if one.item.key == key:
                return one
        raise InvalidInputError(f"No item {key!r} in the checklist.")

    def table(self) -> Table:
        """A row per item."""
        rows = tuple((a.item.section, a.item.question, a.answer, a.status, a.item.source) for a in self.answers)
        return Table(COLUMNS, rows)

    def markdown(self) -> str:
        """Tables under the headings of the sections."""
        lines = [INTRODUCTION, "", self.summary(), ""]
        for section in dict.fromkeys(a.item.section for a in self.answers):
            lines += [f"### {section}", "", "| asked | answer | status | source |", "|---|---|---|---|"]
            for a in self.answers:
                if a.item.section == section:
                    cells = (a.item.question, a.answer, a.status, a.item.source)
                    lines.append("| " + " | ".join(_cell(text) for text in cells) + " |")
            lines.append("")
        return "\n".join(lines)

    def html(self) -> str:
        """The same as a fragment of HTML without scripts or links; every text is escaped."""
        parts = [f'<div class="checklist"><p>{html.escape(INTRODUCTION)}</p><p>{html.escape(self.summary())}</p>']
        for section in dict.fromkeys(a.item.section for a in self.answers):
            parts.append(f"<h3>{html.escape(section)}</h3><table><thead><tr><th>asked</th><th>answer</th>"
                         "<th>status</th><th>source</th></tr></thead><tbody>")  # fmt: skip
            parts += [_row(a) for a in self.answers if a.item.section == section]
            parts.append("</tbody></table>")
        return "\n".join([*parts, "</div>"])

    def summary(self) -> str:
        """How many items have which status."""
        return ", ".join(f"{self.count(status)} {status}" for status in STATUSES) + f", of {len(self.answers)} items"


INTRODUCTION = (
    "Filled in by the software from what was run, after TRIPOD+AI, METRICS and CLEAR. "
    "It is no score, and does not replace the guidelines' own forms."
)


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def _row(one: Answer) -> str:
    cells = "".join(f"<td>{html.escape(text)}</td>" for text in (one.item.question, one.answer))
    sign = f'<td style="color:{_COLORS[one.status]};white-space:nowrap">{_SIGNS[one.status]} {one.status}</td>'
    return f"<tr>{cells}{sign}<td>{html.escape(one.item.source)}</td></tr>"


def fill_in(facts: Mapping[str, Any]) -> Checklist:
    """Fill in the checklist.

    Args:
        facts: of the run, by the names of :data:`checklist_items.FACTS`; an absent fact or None is unknown, False was
            not done. An entry under an item's own key, a text, is the authors' answer and stands as it is.

    Raises:
        InvalidInputError: where a fact has a name that no item asks for.
    """
    unknown = sorted(set(facts) - set(FACTS) - {item.key for item in ITEMS})
    if unknown:
        raise InvalidInputError(f"Facts that no item asks for: {', '.join(unknown)}. See checklist_items.FACTS.")
    return Checklist(tuple(_answer(item, facts) for item in ITEMS))


def _answer(item: Item, facts: Mapping[str, Any]) -> Answer:
    own = facts.get(item.key)
    if isinstance(own, str) and own.strip() and item.key not in item.facts:
        return Answer(item, own.strip(), YES)
    if item.for_authors:
        return Answer(item, "", AUTHORS)
    known = {name: facts[name] for name in item.facts if not _unknown(facts.get(name))}
    if item.judge and len(known) == len(item.facts):
        status, text = RULES[item.judge](facts)
        return Answer(item, text, status)
    done = [name for name in item.facts if name in known and known[name] is not False]
    status = YES if len(done) == len(item.facts) else PARTLY if done else NO
    text = "; ".join(_said(name, value, len(item.facts)) for name, value in known.items())
    missing = [name for name in item.facts if name not in known]
    if missing and known:
        text += f"; not recorded: {', '.join(_words(name) for name in missing)}"
    return Answer(item, text or "not recorded", status)


def _unknown(value: Any) -> bool:
    return value is None or (isinstance(value, (str, list, tuple, dict, set)) and len(value) == 0)


def _said(name: str, value: Any, asked: int) -> str:
    if isinstance(value, bool):
        text = "yes" if value else "not done"
    elif isinstance(value, Mapping):
        text = ", ".join(f"{_words(str(k))} {v}" for k, v in value.items())
    elif isinstance(value, (list, tuple, set)):
        text = ", ".join(str(v) for v in value)
    else:
        text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if asked == 1 else f"{_words(name)}: {text}"


def _words(name: str) -> str:
    return name.replace("_", " ")


# --- items for which having the fact is not enough -------------------------------------------------------------------


def _events_per_candidate(facts: Mapping[str, Any]) -> tuple[str, str]:
    events, candidates = float(facts["events"]), float(facts["candidates"])
    ratio = events / max(candidates, 1.0)
    text = f"{events:g} events for {candidates:g} candidate features, {ratio:.2g} each"
    if ratio >= PER_CANDIDATE:
        return YES, text
    return (PARTLY if ratio >= 1 else NO), text + f"; below {PER_CANDIDATE:g}, only validation can show what holds"


def _harmonised(facts: Mapping[str, Any]) -> tuple[str, str]:
    centres, how = facts["centres"], facts["harmonisation"]
    if int(centres) <= 1:
        return YES, "one centre or scanner"
    if how is False:
        return NO, f"{centres} centres or scanners, not harmonised"
    return YES, f"{centres} centres or scanners; {'harmonised' if how is True else how}"


def _leak_free(facts: Mapping[str, Any]) -> tuple[str, str]:
    together, clean = facts["split_by_patient"] is True, facts["leak_free"] is True
    text = f"{facts['validation']}; rows of a patient {'stay together' if together else 'may be parted'}; "
    text += "every step is learnt on training patients only" if clean else "some steps have seen the test patients"
    return (YES if together and clean else NO), text


def _simple_blocks(facts: Mapping[str, Any]) -> tuple[str, str]:
    blocks = [str(name) for name in facts["blocks"]]
    wanted = [name for name in ("clinical", "volume") if name in blocks]
    missing = [name for name in ("clinical", "volume") if name not in blocks]
    text = "compared: " + ", ".join(blocks) + (f"; without {' and '.join(missing)}" if missing else "")
    return {2: YES, 1: PARTLY, 0: NO}[len(wanted)], text


def _training_cut(facts: Mapping[str, Any]) -> tuple[str, str]:
    text = str(facts["threshold"])
    words = set(re.findall(r"[a-z]+", text.lower()))
    if words & {"optimal", "optimised", "optimized", "test"}:
        return NO, f"{text}: a cut from the patients who are compared makes small p by itself"
    return (YES if words & {"training", "none"} else PARTLY), text


def _adjusted(facts: Mapping[str, Any]) -> tuple[str, str]:
    if facts["multiple_testing"] is False:
        return NO, "not done"
    text = str(facts["multiple_testing"])
    return (PARTLY if "not adjusted" in text else YES), text


RULES: dict[str, Callable[[Mapping[str, Any]], tuple[str, str]]] = {
    "events_per_candidate": _events_per_candidate,
    "harmonised": _harmonised,
    "leak_free": _leak_free,
    "simple_blocks": _simple_blocks,
    "training_cut": _training_cut,
    "adjusted": _adjusted,
}
