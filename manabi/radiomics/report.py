"""The report of a result: one HTML file with its pictures within, and a PDF of the same pages."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from pathlib import Path

from manabi.io.atomic import atomic_file
from manabi.plotting.report_page import SIMULATED, alerts, notes
from manabi.radiomics.figure_page import ALERTS, made_by, number_text
from manabi.result import Result, Table
from manabi.volume import Volume

HTML, PDF = "report.html", "report.pdf"
MOST_ROWS = 60
"""Rows of a table that a report shows; the rest is in the CSV."""
SHOWN = (
    "risk", "survival", "contributions", "key_features", "scores", "differences", "calibration", "risk_groups",
    "selected_features", "checklist",
)  # fmt: skip
"""Tables of a report, in order; the others have hundreds of rows or columns and are files of their own."""
TITLES = {
    "risk": "Risk", "survival": "Survival: predicted, and seen in the cohort's group", "scores": "Scores out of fold",
    "contributions": "What drove the risk", "key_features": "Key features",
    "differences": "What one model adds to another",
    "calibration": "Calibration", "risk_groups": "Risk groups", "selected_features": "Selected inputs",
    "checklist": "Reporting checklist",
}  # fmt: skip
STYLE = """
body { font: 15px/1.5 system-ui, "Noto Sans", "Noto Sans CJK JP", sans-serif; color: #1b1f24; margin: 2rem auto;
  max-width: 1100px; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; border-bottom: 1px solid #d0d7de; margin-top: 2rem; }
table { border-collapse: collapse; font-size: 0.86rem; width: 100%; }
th, td { padding: 0.25rem 0.5rem; border-bottom: 1px solid #d0d7de; text-align: left; vertical-align: top; }
.alert { background: #fdecea; border: 2px solid #b3261e; border-radius: 6px; padding: 0.5rem 1rem; }
.notice { background: #fff1cc; border: 2px solid #7a4f00; border-radius: 6px; padding: 0.5rem 1rem; }
img { max-width: 100%; border: 1px solid #d0d7de; } .wide { overflow-x: auto; }
footer { color: #57606a; margin: 2rem 0; }
@media print { body { margin: 0; max-width: none; } h2 { break-after: avoid; } tr { break-inside: avoid; } }
"""


def write_reports(inputs: Mapping[str, Volume], result: Result, folder: Path) -> list[Path]:
    """Write ``report.html`` and ``report.pdf`` into a folder, which is made; returns both.

    Figures that lie beside the folder already, in ``figures``, are taken; else they are drawn anew.
    """
    folder.mkdir(parents=True, exist_ok=True)
    drawn = sorted((folder.parent / "figures").glob("*.png"))
    own = not drawn
    if own:
        from manabi.radiomics.figure import draw_result

        drawn = draw_result(inputs, result, folder)
    try:
        pages = [write_html(result, drawn, folder / HTML), write_pdf(result, drawn, folder / PDF)]
    finally:
        for path in drawn if own else []:
            path.unlink(missing_ok=True)
    return pages


def write_html(result: Result, figures: Sequence[Path], path: Path) -> Path:
    """Write the report as HTML; it holds no script and no link, and every text is escaped."""
    title = title_of(result)
    parts = [
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{STYLE}</style></head><body><h1>{html.escape(title)}</h1>",
        _simulated(result),
        _list(alerts(result, ALERTS), "alert"),
        *(_picture(figure) for figure in figures),
    ]
    for name in SHOWN:
        if name in result.tables:
            parts.append(_table(TITLES[name], result.tables[name]))
    parts += [_notes(result), f"<footer>{html.escape(made_by(result))}</footer></body></html>"]
    with atomic_file(path, overwrite=True) as aside:
        aside.write_text("\n".join(filter(None, parts)), encoding="utf-8")
    return path


def title_of(result: Result) -> str:
    """What a report is of."""
    if "risk" in result.tables:
        return "RadiomicsSurvival: risk against the cohort"
    return "RadiomicsSurvival: " + ("a model of a cohort" if "scores" in result.tables else "radiomic features")


def _simulated(result: Result) -> str:
    """The notice of a model that was trained on simulated patients."""
    found = [w for w in result.warnings if SIMULATED in w]
    return _list(found, "notice")


def _list(texts: Sequence[str], kind: str) -> str:
    if not texts:
        return ""
    items = "".join(f"<p>{html.escape(text)}</p>" for text in texts)
    return f'<div class="{kind}">{items}</div>'


def _picture(path: Path) -> str:
    """A PNG within the text."""
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    return f'<p><img alt="{html.escape(path.stem)}" src="data:image/png;base64,{data}"></p>'


def _table(title: str, table: Table) -> str:
    head = "".join(f"<th>{html.escape(name.replace('_', ' '))}</th>" for name in table.columns)
    rows = "".join(
        "<tr>" + "".join(f"<td>{html.escape(number_text(cell))}</td>" for cell in row) + "</tr>"
        for row in table.rows[:MOST_ROWS]
    )
    more = len(table.rows) - MOST_ROWS
    rest = f"<p>{more} further rows are in the CSV beside this report.</p>" if more > 0 else ""
    return f'<h2>{html.escape(title)}</h2><div class="wide"><table><tr>{head}</tr>{rows}</table></div>{rest}'


def _notes(result: Result) -> str:
    said = notes(result, ALERTS)
    if not said:
        return ""
    return "<h2>Notes</h2><ul>" + "".join(f"<li>{html.escape(text)}</li>" for text in said) + "</ul>"


def write_pdf(result: Result, figures: Sequence[Path], path: Path) -> Path:
    """Write the figures, and the tables after them, as a PDF in A4."""
    from manabi.radiomics.report_pdf import write_pages

    tables = {TITLES[name]: result.tables[name] for name in SHOWN if name in result.tables}
    with atomic_file(path, overwrite=True) as aside:
        write_pages(aside, title_of(result), figures, tables)
    return path
