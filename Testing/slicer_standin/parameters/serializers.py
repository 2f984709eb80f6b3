"""How typed values are kept in a parameter node: as texts and node references, so that a scene restores them."""

from __future__ import annotations

import enum
import pathlib
import types
import typing
from collections.abc import Iterable
from typing import Annotated, Any

import slicer

from slicer_standin.parameters.validators import Default, IsInstance, NotNone, Validator

PATHS = (pathlib.Path, pathlib.PurePath, pathlib.PosixPath, pathlib.PurePosixPath)


def split(annotated: Any) -> tuple[Any, tuple[Any, ...]]:
    """A type and what stands beside it."""
    if typing.get_origin(annotated) is Annotated:
        kind, *beside = typing.get_args(annotated)
        return kind, tuple(beside)
    return annotated, ()


def is_node(kind: Any) -> bool:
    """Whether a type is a MRML node class."""
    return isinstance(kind, type) and issubclass(kind, slicer.vtkMRMLNode)


class Serializer:
    """Keeps one value under a name; ``to_text`` and ``from_text`` where one text is enough."""

    def __init__(self, kind: Any, default: Any, to_text: Any = str, from_text: Any = str) -> None:
        self.kind, self._default, self._to, self._from = kind, default, to_text, from_text
        self.validators: list[Validator] = []

    def default(self) -> Any:
        return self._default

    def validate(self, value: Any) -> None:
        for validator in self.validators:
            validator.validate(value)

    def has(self, node: Any, name: str) -> bool:
        return bool(node.HasParameter(name))

    def write(self, node: Any, name: str, value: Any) -> None:
        self.validate(value)
        node.SetParameter(name, self._to(value))

    def read(self, node: Any, name: str) -> Any:
        return self._from(node.GetParameter(name))

    def remove(self, node: Any, name: str) -> None:
        node.UnsetParameter(name)


class NodeSerializer(Serializer):
    """A reference to a node, with an empty text of the same name beside it."""

    def write(self, node: Any, name: str, value: Any) -> None:
        self.validate(value)
        node.SetParameter(name, "")
        node.SetNodeReferenceID(name, value.GetID() if value is not None else None)

    def read(self, node: Any, name: str) -> Any:
        return node.GetNodeReference(name)

    def remove(self, node: Any, name: str) -> None:
        node.UnsetParameter(name)
        node.RemoveNodeReferenceIDs(name)


class SequenceSerializer(Serializer):
    """A list or a tuple; what is read is a copy, and changing it changes nothing: assign it anew."""

    def __init__(self, kind: type, parts: list[Serializer]) -> None:
        super().__init__(kind, [] if kind is list else tuple(part.default() for part in parts))
        self._parts = parts
        self._length = Serializer(int, 0, str, int)

    def default(self) -> Any:
        return self.kind(self._default)

    def has(self, node: Any, name: str) -> bool:
        return bool(node.HasParameter(f"{name}.len" if self.kind is list else f"{name}.0"))

    def write(self, node: Any, name: str, value: Iterable[Any]) -> None:
        self.validate(value)
        values = self.kind(value)
        if self.kind is tuple and len(values) != len(self._parts):
            raise ValueError(f"{len(self._parts)} values are needed, not {len(values)}")
        with slicer.util.NodeModify(node):
            self.remove(node, name)
            for index, (part, one) in enumerate(zip(self._each(len(values)), values, strict=True)):
                part.write(node, f"{name}.{index}", one)
            if self.kind is list:
                self._length.write(node, f"{name}.len", len(values))

    def read(self, node: Any, name: str) -> Any:
        count = self._count(node, name)
        return self.kind(part.read(node, f"{name}.{index}") for index, part in enumerate(self._each(count)))

    def remove(self, node: Any, name: str) -> None:
        for index, part in enumerate(self._each(self._count(node, name))):
            part.remove(node, f"{name}.{index}")
        node.UnsetParameter(f"{name}.len")

    def _each(self, count: int) -> list[Serializer]:
        return self._parts * count if self.kind is list else self._parts

    def _count(self, node: Any, name: str) -> int:
        if self.kind is tuple:
            return len(self._parts)
        return self._length.read(node, f"{name}.len") if self.has(node, name) else 0


class UnionSerializer(Serializer):
    """One of several types, each under a name of its own."""

    def __init__(self, parts: list[Serializer]) -> None:
        none_last = len(parts) == 2 and parts[1].kind is type(None)
        super().__init__(None, None if none_last else parts[0].default())
        self._parts = parts

    def has(self, node: Any, name: str) -> bool:
        return any(part.has(node, f"{name}.{index}") for index, part in enumerate(self._parts))

    def write(self, node: Any, name: str, value: Any) -> None:
        self.validate(value)
        for index, part in enumerate(self._parts):
            if value is None if part.kind is type(None) else isinstance(value, part.kind):
                with slicer.util.NodeModify(node):
                    self.remove(node, name)
                    part.write(node, f"{name}.{index}", value)
                return
        raise TypeError(f"{value!r} is of none of the parameter's types")

    def read(self, node: Any, name: str) -> Any:
        for index, part in enumerate(self._parts):
            if part.has(node, f"{name}.{index}"):
                return part.read(node, f"{name}.{index}")
        raise KeyError(name)

    def remove(self, node: Any, name: str) -> None:
        for index, part in enumerate(self._parts):
            part.remove(node, f"{name}.{index}")


def serializer_for(annotated: Any) -> Serializer:
    """The serializer of a type; raises TypeError for one that Slicer (or the stand-in) cannot keep."""
    kind, beside = split(annotated)
    made = _scalar(kind) or _compound(kind)
    if made is None:
        raise TypeError(f"no serializer for {kind}")
    made.validators += [one for one in beside if isinstance(one, Validator)]
    return made


def default_of(annotated: Any, serializer: Serializer) -> Default:
    """The default that stands beside a type, else the type's own."""
    given = [one for one in split(annotated)[1] if isinstance(one, Default)]
    return given[0] if given else Default(generator=serializer.default)


def _scalar(kind: Any) -> Serializer | None:
    simple = {
        int: (0, str, int, int), float: (0, str, float, (int, float)), str: ("", str, str, str),
        bool: (False, lambda v: "True" if v else "False", lambda t: t == "True", bool),
    }  # fmt: skip
    if kind in simple:
        default, to_text, from_text, allowed = simple[kind]
        made = Serializer(kind, default, to_text, from_text)
        made.validators = [NotNone(), IsInstance(allowed)]
    elif kind in PATHS:
        made = Serializer(kind, kind(), str, kind)
        made.validators = [NotNone(), IsInstance(kind)]
    elif kind is type(None):
        made = Serializer(kind, None, lambda _: "True", lambda _: None)
    elif is_node(kind):
        made = NodeSerializer(kind, None)
        made.validators = [IsInstance(kind)]
    elif isinstance(kind, type) and issubclass(kind, enum.Enum):
        made = Serializer(kind, next(iter(kind)), lambda v: v.name, lambda t: kind[t])
        made.validators = [IsInstance(kind)]
    else:
        return None
    return made


def _compound(kind: Any) -> Serializer | None:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (list, tuple) and args:
        return SequenceSerializer(origin, [serializer_for(arg) for arg in args])
    if origin in (typing.Union, types.UnionType):
        return UnionSerializer([serializer_for(arg) for arg in args])
    return None
