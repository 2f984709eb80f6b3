"""How the stand-ins of CTK's and Slicer's widgets declare their properties, as the C++ headers have them."""

from __future__ import annotations

from typing import Any

from PySide6 import QtCore

from slicer_standin.pythonqt import STATIC_CONNECT, emit, trimmed
from slicer_standin.recorder import guarded


class Stored:
    """A Qt property of a stand-in: checked by the type of its default, kept, and told of by calling ``after``.

    Args:
        default: value at first; its type is what may be assigned, None takes anything.
        after: name of the object's method that is called when the value changed.
        writable: whether it may be assigned.
        fit: name of the object's method that turns an assigned value into the one that is kept.
    """

    def __init__(
        self, default: Any = None, after: str | None = None, writable: bool = True, fit: str | None = None
    ) -> None:
        self._default, self._after, self._writable, self._fit = default, after, writable, fit

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, obj: Any, owner: type | None = None) -> Any:
        return self if obj is None else obj.__dict__.get(f"_stored_{self._name}", self._default)

    def __set__(self, obj: Any, value: Any) -> None:
        if not self._writable:
            raise AttributeError(f"property '{self._name}' of {type(obj).__name__} is not writable")
        value = self._converted(obj, value)
        if self._fit is not None:
            value = getattr(obj, self._fit)(value)
        if value != self.__get__(obj):
            obj.__dict__[f"_stored_{self._name}"] = value
            if self._after is not None:
                getattr(obj, self._after)()

    def _converted(self, obj: Any, value: Any) -> Any:
        kind = type(self._default)
        if kind is bool:
            return bool(value)
        if kind in (int, float) and isinstance(value, (int, float)):
            return kind(value)
        if kind is tuple and isinstance(value, (list, tuple)) and all(isinstance(part, str) for part in value):
            return tuple(value)
        if self._default is None or (kind is str and isinstance(value, str)):
            return value
        raise TypeError(f"property '{self._name}' of {type(obj).__name__} takes {kind.__name__}, not {value!r}")


class Declared:
    """Mixed into the stand-ins; a class lists its own signals' signatures in ``signals`` and slots in ``slots``."""

    signals: tuple[str, ...] = ()
    slots: tuple[str, ...] = ()

    def property(self, name: str) -> Any:
        """As QObject's."""
        return getattr(self, name) if isinstance(stored(type(self), name), Stored) else _QT.property(self, name)

    def setProperty(self, name: str, value: Any) -> bool:
        """As QObject's."""
        if not isinstance(stored(type(self), name), Stored):
            return _QT.setProperty(self, name, value)
        setattr(self, name, value)
        return True

    def _emit(self, signature: str, *args: Any) -> None:
        emit(self, signature, *args)


_QT = QtCore.QObject


def stored(cls: type, name: str) -> Any:
    """The declaration of a property of a stand-in, None where there is none."""
    return next((base.__dict__[name] for base in cls.__mro__ if name in base.__dict__), None)


def declared_slots(cls: type) -> set[str]:
    """Slot signatures that a stand-in and its bases declare."""
    return {slot for base in cls.__mro__ for slot in base.__dict__.get("slots", ())}


def watch(sender: Any, signature: str, slot: Any) -> None:
    """Connect a native signal of a part inside a stand-in, without PythonQt's connect."""
    STATIC_CONNECT(sender, QtCore.SIGNAL(signature), lambda *args: guarded(signature, slot, *trimmed(slot, args)))
