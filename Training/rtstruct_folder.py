"""The structure sets of a folder matched with its CTs, and their structures with organs, as a table to correct."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from manabi import log
from manabi.archive.index import Index
from manabi.archive.scan import index_folder
from manabi.archive.series import ArchivedSeries, archived_series
from manabi.errors import InvalidInputError
from manabi.pelvis.structures import PELVIS
from manabi.structures.structure_set import StructureSet
from Training import rtstruct_table as tables
from Training.rtstruct_match import STRUCTURES, FoundCt, FoundStructures, Pair, pair, structure_files
from Training.rtstruct_names import Match, NameRules, match

logger = logging.getLogger(__name__)

SUFFIX = ".sqlite"


@dataclass(frozen=True)
class Matching:
    """What was found in a folder.

    Attributes:
        rows: of the table, one per structure set.
        notes: what else its reader should know, without names.
    """

    rows: tuple[tables.TableRow, ...]
    notes: tuple[str, ...]


def match_folder(
    source: Path, table: Path, known: StructureSet = PELVIS, rules: NameRules | None = None, *, overwrite: bool = False
) -> Matching:  # fmt: skip
    """Match the structure sets of a folder with its CTs and their structures with organs, and write the table.

    The folder is indexed beside the table (``.sqlite`` in place of ``.csv``); a second call reads only what is new. Of
    several sets on one CT, the one with the most organs is used, and of equals the latest (our choice).

    Args:
        source: the folder.
        table: CSV to write.
        known: the organs.
        rules: how names are matched; by default :meth:`Training.rtstruct_names.NameRules.of` the organs.
        overwrite: whether a table that is there may be replaced.

    Raises:
        InvalidInputError: where there is no structure set, or the table is there already.
    """
    if table.exists() and not overwrite:
        raise InvalidInputError(f"{table.name} is there already and may hold corrections. Name another, or overwrite.")
    log.hide_paths([source], keep=[table.name])
    index = table.with_suffix(SUFFIX)
    report = index_folder(source, index)
    with Index.opened(index) as opened:
        files = list(opened.files())
    cts = [FoundCt(series) for series in archived_series(files) if _is_ct(series)]
    sets = [FoundStructures.read(file.path, item, file.facts.patient) for item, file in structure_files(files).items()]
    if not sets:
        raise InvalidInputError("The folder holds no RTSTRUCT. Export the structure sets beside their CT series.")
    rows = _rows(sets, cts, rules or NameRules.of(known))
    tables.write(rows, known.names, index, table, overwrite=overwrite)
    notes = (*report.notes, *_notes(rows, cts))
    for note in notes:
        logger.warning(note)
    return Matching(tuple(rows), notes)


def _is_ct(series: ArchivedSeries) -> bool:
    return series.is_image and series.facts.modality == "CT" and "LOCALIZER" not in series.image_type


def _rows(sets: Sequence[FoundStructures], cts: Sequence[FoundCt], rules: NameRules) -> list[tables.TableRow]:
    """A row per structure set, by patient."""
    pairs = [pair(one, cts) for one in sets]
    organs = [match(one.content.rois, rules) for one in sets]
    best = _best_of_each_ct(sets, pairs, organs)
    rows = [_row(*one, k in best) for k, one in enumerate(zip(sets, pairs, organs, strict=True))]
    return sorted(rows, key=lambda row: (row.group, row.case))


def _best_of_each_ct(
    sets: Sequence[FoundStructures], pairs: Sequence[Pair], organs: Sequence[Mapping[str, Match]]
) -> set[int]:  # fmt: skip
    """Which structure set of each CT is used: most organs first, then the latest."""
    best: dict[int, tuple[tuple[object, ...], int]] = {}
    for k, (one, found, matches) in enumerate(zip(sets, pairs, organs, strict=True)):
        count = sum(bool(m.numbers) for m in matches.values())
        if found.usable and count:
            rank = (count, *one.content.drawn, -k)
            best[id(found.ct)] = max(best.get(id(found.ct), (rank, k)), (rank, k))
    return {k for _, k in best.values()}


def _row(one: FoundStructures, found: Pair, matches: Mapping[str, Match], best: bool) -> tables.TableRow:
    rois = one.content.rois
    why = found.why
    if found.usable and not best:
        any_organ = any(m.numbers for m in matches.values())
        why = "another set on this CT has more organs, or is later" if any_organ else "none of the organs was found"
    series = None if found.ct is None else found.ct.series
    return tables.TableRow(
        use=best, case=f"C{one.item.removeprefix(STRUCTURES)}", group=one.patient,
        ct="" if series is None else series.item, rtstruct=one.item,
        organs={organ: tables.cell_of(m.numbers, rois) for organ, m in matches.items()},
        missing=f"{tables.PARTED} ".join(f"{organ}: {m.why}" for organ, m in matches.items() if m.why),
        why=why, structures=[roi.name for roi in rois], slices=None if series is None else series.n_slices,
        spacing_mm=None if series is None else series.spacing_mm,
    )  # fmt: skip


def _notes(rows: Sequence[tables.TableRow], cts: Sequence[FoundCt]) -> list[str]:
    """Counts of what was left out."""
    paired = {row.ct for row in rows}
    alone = sum(ct.series.item not in paired for ct in cts)
    unused = sum(not row.use for row in rows)
    partly = sum(row.use and bool(row.missing) for row in rows)
    found = [
        (alone, f"of {len(cts)} CT series have no structure set."),
        (unused, f"of {len(rows)} structure sets are not used; the column 'why' says why."),
        (partly, f"of {len(rows) - unused} used structure sets lack organs; the column 'missing' says which and why."),
    ]
    return [f"{count} {text}" for count, text in found if count]
