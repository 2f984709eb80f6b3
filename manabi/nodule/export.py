"""What NoduleSynth hands over besides its result: a Chest CAD report, and pairs of films for training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from manabi.errors import InvalidInputError
from manabi.io.dicom.cad_sr import CadMark, write_chest_cad_sr
from manabi.io.tables import write_table
from manabi.nodule.prepare import film_of_volume
from manabi.result import Cell, Result
from manabi.volume import Volume

CAD_FILE = "chest-cad-sr.dcm"
GREY = 4095
"""Highest value of the films of further pairs."""
MARKER = {"Comment": "Synthetic film with simulated nodules: for training and testing only, not for diagnosis."}


def export_cad(volume: Volume, result: Result, folder: Path) -> Mapping[str, list[Path]]:
    """The Chest CAD report of a searched film; nothing where the film did not come from a DICOM file.

    Marks at the operating point are to be shown, other candidates may be.
    """
    if volume.source is None:
        return {}
    folder.mkdir(parents=True, exist_ok=True)
    return {"chest_cad_sr": [write_cad(volume, result, folder / CAD_FILE)]}


def write_cad(volume: Volume, result: Result, path: Path) -> Path:
    """Write the Chest CAD report of a searched film, at the operating point of ``result``; see :func:`export_cad`.

    Raises:
        InvalidInputError: for a result of another task, or a film that did not come from one DICOM file.
    """
    if "candidates" not in result.tables:
        raise InvalidInputError("Only a searched film has marks to report. Choose a result of task detect.")
    film = film_of_volume(volume)
    shown = set(result.tables["marks"].column("number"))
    marks = []
    for row in result.tables["candidates"].rows:
        cell = dict(zip(result.tables["candidates"].columns, row, strict=True))
        at = film.place((_number(cell["r_mm"]), _number(cell["a_mm"]), _number(cell["s_mm"])))
        diameter = _number(cell["diameter_mm"]) / film.spacing_mm[1] if cell["diameter_mm"] is not None else 0.0
        where = ", ".join(str(cell[key]) for key in ("lung", "zone", "location") if cell[key])
        text = f"Mark {cell['number']}: {where}"
        marks.append(CadMark(*at, _number(cell["score"]), diameter, text, cell["number"] in shown))
    cells = result.measurements
    words = f"{cells.get('false_positives')} false positives per film, score of at least {cells.get('threshold')}"
    return write_chest_cad_sr(volume.source, marks, path, provenance=result.provenance, operating_point=words)


def export_pairs(result: Result, folder: Path) -> Mapping[str, list[Path]]:
    """Further pairs, for training: a store that ``python -m Training nodule --data`` reads, and the same as pictures.

    The pictures, ``negative``, ``positive`` and ``mask``, have 8 bits; the table names every nodule.
    """
    before, after = (np.asarray(result.volumes[f"pairs_{name}"].array) for name in ("before", "after"))
    mask = np.asarray(result.labelmaps["pairs_mask"].volume.array)
    written = {"store": _store(result, before, after, mask, folder / "store")}
    for name, films in (("negative", before), ("positive", after), ("mask", GREY * (mask > 0))):
        (folder / name).mkdir(parents=True)
        written[name] = [_picture(film, folder / name / f"{n:06d}.png") for n, film in enumerate(films, start=1)]
    table = result.tables["pairs"]
    written["table"] = [write_table(table.columns, table.rows, folder / "pairs.csv")]
    return written


def _store(result: Result, before: np.ndarray, after: np.ndarray, mask: np.ndarray, folder: Path) -> list[Path]:
    """The pairs as :class:`manabi.nodule.pairs_store.PairStore` reads them; all of one chest."""
    from manabi.nodule import pairs_store
    from manabi.nodule.pairs import Pair
    from manabi.nodule.pairs_recipe import PairRecipe
    from manabi.nodule.truth import NoduleTruth

    table, seed = result.tables["pairs"], int(result.provenance.get("seed", 0))
    truth: dict[int, list[NoduleTruth]] = {}
    for row in table.rows:
        cells = dict(zip(table.columns, row, strict=True))
        truth.setdefault(int(_number(cells.pop("pair"))), []).append(NoduleTruth.from_dict(cells))
    pairs = [
        Pair(after[n] / np.float32(GREY), before[n] / np.float32(GREY), mask[n], tuple(truth.get(n + 1, ())), n, 0,
             (seed, n, 0))
        for n in range(len(before))
    ]  # fmt: skip
    most = max(len(pair.nodules) for pair in pairs)
    recipe = PairRecipe(size=before.shape[1], nodules=(1, most))
    record = {
        "format": "manabi nodule pairs", "version": pairs_store.VERSION, "synthetic": pairs_store.SYNTHETIC,
        "seed": seed, "shard_pairs": len(pairs), "flow": None, "chests": 1,
        "recipe": recipe.to_dict(),
        "films": result.measurements.get("base") == "input",
    }  # fmt: skip
    folder.mkdir(parents=True)
    pairs_store.begin(folder, record)
    pairs_store.write_shard(folder, 0, pairs, recipe.bits)
    pairs_store.write_manifest(folder)
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _picture(film: np.ndarray, path: Path) -> Path:
    """A PNG whose text says that it is synthetic."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    for key, text in MARKER.items():
        info.add_text(key, text)
    Image.fromarray(np.rint(np.asarray(film, float) * (255.0 / GREY)).astype(np.uint8)).save(path, pnginfo=info)
    return path


def _number(value: Cell) -> float:
    return float(value)  # type: ignore[arg-type]
