"""A trained model on disk: a MONAI Bundle folder whose weights are checked before they are loaded.

Layout (MONAI Bundle Specification)::

    configs/metadata.json    what the model is; the section ``manabi`` holds what Manabi needs
    configs/inference.json   how ``python -m monai.bundle run`` applies it; Manabi itself never evaluates it
    models/model.pt          a state dict; loaded with ``weights_only=True`` after its SHA-256 was compared
    docs/README.md           the model card
    LICENSE                  optional

Nothing of a bundle is ever executed here: the network is built from a name and plain arguments through
``manabi.networks.build``, and a weights file that holds anything but tensors is refused.
"""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from manabi.errors import CorruptModelError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from manabi.result import Segment

METADATA = "configs/metadata.json"
INFERENCE = "configs/inference.json"
WEIGHTS = "models/model.pt"
CARD = "docs/README.md"
REQUIRED_FILES = (METADATA, INFERENCE, WEIGHTS, CARD)
"""Files without which a folder is not a bundle."""

SIMULATED_NOTICE = "trained on simulated data; for research use"
REAL_NOTICE = "for research use"
MAX_JSON_BYTES = 4 * 1024 * 1024
REMEDY = "Get the bundle again from where it came."

MALFORMED = (
    RuntimeError, EOFError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, AssertionError,
    zipfile.BadZipFile,
)  # fmt: skip
"""What torch and the networks raise on a damaged file or wrong arguments."""

Origin = Literal["shipped", "user", "path"]


@dataclass(frozen=True)
class Bundle:
    """One model folder.

    Creating a Bundle reads nothing; the first property does, and raises CorruptModelError when ``metadata.json`` is
    missing or is not what Manabi needs. :meth:`verify` checks everything.

    Attributes:
        folder: the bundle's folder.
        origin: ``shipped`` inside the package, ``user`` for an installed one, ``path`` for a folder named directly.
        shadows: version of the shipped bundle of the same name that this one takes the place of, or None.
    """

    folder: Path
    origin: Origin = "path"
    shadows: str | None = None

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """``metadata.json``, checked for the keys that Manabi reads."""
        from manabi.store.check import metadata_problems

        metadata = read_json(self.folder / METADATA)
        self._refuse(metadata_problems(metadata))
        return metadata

    @property
    def facts(self) -> dict[str, Any]:
        """The section ``manabi`` of the metadata, flat.

        What it holds under ``inputs`` and under the method's own name is found beside the rest; of the same name, the
        method's own wins, then the section's.
        """
        section = self.metadata["manabi"]
        own = section.get(section["method"], {})
        return {**section.get("inputs", {}), **section, **(own if isinstance(own, dict) else {})}

    @property
    def name(self) -> str:
        """Name by which the bundle is asked for."""
        return self.metadata["name"]

    @property
    def version(self) -> str:
        """Version, as ``1.2.3``."""
        return self.metadata["version"]

    @property
    def method(self) -> str:
        """Name of the method the model was made for."""
        return self.metadata["manabi"]["method"]

    @property
    def network(self) -> dict[str, Any]:
        """``name`` and ``arguments`` of the network, as ``manabi.networks.build`` takes them."""
        return self.metadata["manabi"]["network"]

    @property
    def weights_sha256(self) -> str:
        """What the metadata says is the SHA-256 of ``models/model.pt``."""
        return self.metadata["manabi"]["weights_sha256"]

    @property
    def trained_on(self) -> str:
        """The training data in one sentence."""
        return self.metadata["manabi"]["trained_on"]

    @property
    def simulated(self) -> bool:
        """Whether any of the training data were simulated."""
        return self.metadata["manabi"]["simulated"]

    @property
    def notice(self) -> str:
        """What must be shown beside every result of this model."""
        return SIMULATED_NOTICE if self.simulated else REAL_NOTICE

    @property
    def inputs(self) -> dict[str, Any]:
        """Modality, units, ``context_slices``, ``spacing_mm``, ``intensity``: what the network expects."""
        return self.metadata["manabi"].get("inputs", {})

    @property
    def metrics(self) -> dict[str, Any]:
        """Figures of merit with their confidence intervals, as the training wrote them."""
        return self.metadata["manabi"].get("metrics", {})

    @property
    def precision(self) -> tuple[str, ...]:
        """Arithmetic for which the model was found good; ``float32`` where the metadata does not say."""
        return tuple(self.metadata["manabi"].get("precision", ("float32",)))

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The labels of a segmentation model with their codes; empty for other models."""
        from manabi.store.check import segments

        return segments(self.metadata["manabi"].get("labels", []))

    @property
    def card(self) -> str:
        """The model card (Markdown)."""
        try:
            return (self.folder / CARD).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CorruptModelError(f"The model card {CARD} of {self.folder.name} cannot be read. {REMEDY}") from error

    def shadowing(self, version: str | None) -> Bundle:
        """The same bundle, known to take the place of a shipped one; its metadata are not read again."""
        copy = Bundle(self.folder, self.origin, version)
        copy.__dict__["metadata"] = self.metadata
        return copy

    def provenance(self) -> dict[str, str]:
        """What a result says about the model: name, version, weights_sha256, trained_on."""
        return {
            "name": self.name,
            "version": self.version,
            "weights_sha256": self.weights_sha256,
            "trained_on": self.trained_on,
        }

    def require_method(self, name: str) -> None:
        """Raise CorruptModelError unless the model was made for the method ``name``."""
        if self.method != name:
            raise CorruptModelError(
                f"Bundle {self.name} {self.version} was made for the method {self.method!r}, not for {name!r}. "
                "Choose another bundle; manabi bundle list shows them."
            )

    def load_state(self) -> dict[str, Tensor]:
        """The weights, on the CPU.

        The file is read once; its SHA-256 is compared before anything in it is interpreted, and the bytes that were
        hashed are the bytes that are loaded.

        Raises:
            CorruptModelError: when the file is missing, altered, truncated, or holds anything but tensors.
        """
        import torch

        data = self._weights()
        try:
            _refuse_padding(data)
            state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            raise CorruptModelError(
                f"{WEIGHTS} of bundle {self.name} holds code or objects besides tensors; it was not loaded. "
                "Use only bundles whose weights are a plain state dict."
            ) from error
        except MALFORMED as error:
            raise CorruptModelError(f"{WEIGHTS} of bundle {self.name} is not a PyTorch file. {REMEDY}") from error
        if not isinstance(state, dict) or not all(
            isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in state.items()
        ):
            raise CorruptModelError(f"{WEIGHTS} of bundle {self.name} is not a state dict of tensors by name.")
        return state

    def build_network(self) -> nn.Module:
        """The network with its weights, on the CPU, in evaluation mode.

        Raises:
            CorruptModelError: when the network is not one of ``manabi.networks`` (``NETWORKS``, ``ENCODERS``), its
                arguments are wrong, or the weights do not fit it.
        """
        from manabi import networks

        name, arguments = self.network["name"], self.network["arguments"]
        known = networks.NETWORKS | networks.ENCODERS
        if name not in known:
            raise CorruptModelError(
                f"Bundle {self.name} asks for the network {name!r}; known: {', '.join(known)}. "
                "It may need a newer Manabi."
            )
        state = self.load_state()
        try:
            network = networks.build(name, **arguments)
            network.load_state_dict(state, strict=True)
        except MALFORMED as error:
            raise CorruptModelError(
                f"The weights of bundle {self.name} do not fit its network {name}: {error}"
            ) from error
        return network.eval()

    def verify(self) -> Bundle:
        """Check that everything is there, is what the metadata says, and can be loaded.

        Returns:
            The bundle itself.

        Raises:
            CorruptModelError: naming what is missing or altered.
        """
        from manabi.store.check import file_problems

        self._refuse(file_problems(self.folder))
        read_json(self.folder / INFERENCE)
        if not self.card.strip():
            raise CorruptModelError(f"The model card {CARD} of bundle {self.name} is empty. {REMEDY}")
        self._refuse(f"no checksum is known for {path}" for path in self._strangers())
        weights = self.build_network().state_dict()
        broken = (key for key, value in weights.items() if not value.isfinite().all())
        self._refuse(f"its weight {key} holds values that are not numbers" for key in broken)
        self.segments  # noqa: B018
        return self

    def _strangers(self) -> list[str]:
        """Files beside the weights, for which the metadata has no SHA-256."""
        files = (path.relative_to(self.folder).as_posix() for path in (self.folder / "models").rglob("*"))
        return sorted(path for path in files if path != WEIGHTS)

    def _weights(self) -> bytes:
        """The weights file, whose SHA-256 is what the metadata says."""
        expected = self.weights_sha256
        try:
            data = (self.folder / WEIGHTS).read_bytes()
        except OSError as error:
            raise CorruptModelError(f"{WEIGHTS} of bundle {self.name} cannot be read. {REMEDY}") from error
        found = hashlib.sha256(data).hexdigest()
        if found != expected:
            raise CorruptModelError(
                f"{WEIGHTS} of bundle {self.name} {self.version} was altered or cut short: "
                f"expected SHA-256 {expected}, found {found} in {len(data)} bytes. It was not loaded. {REMEDY}"
            )
        return data

    def _refuse(self, problems: Iterable[str]) -> None:
        text = "; ".join(problems)
        if text:
            raise CorruptModelError(f"The bundle in {self.folder.name} is not usable: {text}. {REMEDY}")


def _refuse_padding(data: bytes) -> None:
    """Refuse a weights file that unpacks to more than its own size; PyTorch writes none."""
    buffer = io.BytesIO(data)
    if zipfile.is_zipfile(buffer):
        with zipfile.ZipFile(buffer) as archive:
            if sum(member.file_size for member in archive.infolist()) > len(data):
                raise ValueError("the members of the file are larger than the file")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object of a bundle; raises CorruptModelError for anything else."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_JSON_BYTES + 1)
    except OSError as error:
        raise CorruptModelError(f"{path.name} is missing in {path.parent.parent.name}. {REMEDY}") from error
    if len(data) > MAX_JSON_BYTES:
        raise CorruptModelError(f"{path.name} is larger than {MAX_JSON_BYTES} bytes: not a bundle's. {REMEDY}")
    try:
        content = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise CorruptModelError(f"{path.name} in {path.parent.parent.name} is not valid JSON. {REMEDY}") from error
    if not isinstance(content, dict):
        raise CorruptModelError(f"{path.name} in {path.parent.parent.name} must be a JSON object. {REMEDY}")
    return content
