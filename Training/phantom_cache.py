"""Phantom cases on disk: rendered once, found again by their parameters, and safe to interrupt."""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import logging
import os
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from manabi import registry
from manabi.context import Context
from manabi.errors import CorruptModelError
from manabi.io.atomic import atomic_folder
from manabi.phantoms.base import Case, Phantom, case_rng
from manabi.result import Result
from manabi.result_codec import decode_result, encode_result, json_value

logger = logging.getLogger(__name__)

POLL_S = 0.2


def phantom_cases(
    name: str,
    seed: int,
    count: int,
    cache: Path,
    *,
    choices: Mapping[str, Any] | None = None,
    keep: Collection[str] | None = None,
    context: Context | None = None,
    batch: int = 8,
) -> list[Path]:
    """Render the cases of a simulated cohort that are not in the cache yet.

    Several processes (``torchrun``) share the work. A cached case is found by the hash of its parameters, of what is
    kept and of the simulator's code (comments and docstrings aside), so that a change of any renders anew.

    Args:
        name: phantom in the registry.
        seed: of the cohort; case i is drawn with ``case_rng(seed, i)``.
        count: number of cases.
        cache: folder for the cases.
        choices: parameters to fix, as ``sample_parameters`` takes them.
        keep: names of the volumes to keep; None keeps all. Label maps and truth are always kept.
        context: device, progress and cancellation of the rendering.
        batch: cases rendered at once.

    Returns:
        One folder per case, for :func:`load_case`, in the cohort's order.
    """
    phantom = registry.phantom(name)
    context = context or Context()
    drawn = [phantom.sample_parameters(case_rng(seed, index), **(choices or {})) for index in range(count)]
    code = code_hash(Path(inspect.getfile(type(phantom))).parent)
    folders = [cache / f"{name}-{_key(phantom, parameters, keep, code)}" for parameters in drawn]
    rank, world = _share()
    missing = [i for i in range(rank, count, world) if not _is_there(folders[i])]
    for start in range(0, len(missing), batch):
        chosen = missing[start : start + batch]
        context.progress(start / len(missing), f"Rendering phantom {start + 1} of {len(missing)}")
        cases = phantom.render_batch([drawn[i] for i in chosen], context)
        for index, case in zip(chosen, cases, strict=True):
            _save(folders[index], case, json.loads(phantom.to_json(drawn[index])), keep)
        logger.info("rendered %d of %d phantoms", start + len(chosen), len(missing))
    _wait(folders, context)
    return folders


def load_case(folder: Path) -> Case:
    """A cached case, its arrays in memory; raises CorruptModelError for a damaged one."""
    try:
        record = json.loads((folder / "case.json").read_text(encoding="utf-8"))
        result = decode_result(record["result"], folder)
    except (OSError, ValueError, KeyError) as error:
        raise CorruptModelError(f"The cached case {folder} is damaged. Delete the folder and run again.") from error
    return Case(result.volumes, result.labelmaps, result.measurements, record["parameters"])


class _Undocumented(ast.NodeTransformer):
    """A program without its docstrings."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        """Leave out texts that stand alone."""
        return None if isinstance(node.value, ast.Constant) else node


def code_hash(folder: Path) -> str:
    """SHA-256 of what the Python files of a folder do; comments and docstrings do not count."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        tree = _Undocumented().visit(ast.parse(path.read_text(encoding="utf-8")))
        digest.update(f"{path.name}:{ast.dump(tree)}".encode())
    return digest.hexdigest()


def _key(phantom: Phantom[Any], parameters: Any, keep: Collection[str] | None, code: str) -> str:
    kept = None if keep is None else sorted(keep)
    return hashlib.sha256(f"{phantom.to_json(parameters)}{kept}{code}".encode()).hexdigest()[:24]


def _share() -> tuple[int, int]:
    """Which of how many processes this is, under ``torchrun``; elsewhere the first of one."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    return 0, 1


def _is_there(folder: Path) -> bool:
    return (folder / "case.json").is_file()


def _save(folder: Path, case: Case, parameters: dict[str, Any], keep: Collection[str] | None) -> None:
    volumes = {name: volume for name, volume in case.volumes.items() if keep is None or name in keep}
    result = Result(volumes=volumes, labelmaps=case.labelmaps, measurements=case.truth)
    with atomic_folder(folder, overwrite=True) as aside:
        record = {"parameters": parameters, "result": encode_result(result, aside)}
        (aside / "case.json").write_text(json.dumps(record, default=json_value), encoding="utf-8")


def _wait(folders: Sequence[Path], context: Context) -> None:
    """Until the other processes have rendered their share."""
    while not all(_is_there(folder) for folder in folders):
        context.check_cancelled()
        time.sleep(POLL_S)
