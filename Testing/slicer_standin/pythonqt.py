"""PythonQt's habits on PySide6: properties are attributes, signals are connected by signature, ``exec`` is missing.

Every Qt class gets one ``__getattribute__`` and one ``__setattr__``; the classes' own methods stay as they are, so that
Qt's virtual calls work. Known gaps: an enum is PySide's, not an int; ``isinstance`` works better than in PythonQt;
only the methods in :data:`AS_TUPLE` give a tuple instead of a list.
"""

from __future__ import annotations

import inspect
import weakref
from typing import Any

from PySide6 import QtCore, QtGui, QtNetwork, QtUiTools, QtWidgets

from slicer_standin.recorder import guarded, recorder

QObject = QtCore.QObject
SOURCES = (QtCore, QtGui, QtWidgets, QtNetwork, QtUiTools)
AS_TUPLE = {
    "actions", "arguments", "buttons", "children", "findChildren", "findItems", "selectedFiles", "selectedIndexes",
    "selectedItems", "selectedRanges", "topLevelWidgets",
}  # fmt: skip
STATIC_CONNECT, STATIC_DISCONNECT = QObject.connect, QObject.disconnect

_original: dict[type, Any] = {}
_members: dict[type, tuple[dict[str, Any], dict[str, list[str]]]] = {}
_active: set[tuple[int, str]] = set()
timers: weakref.WeakSet[Any] = weakref.WeakSet()
"""Timers that something is connected to."""
loading: list[bool] = []
"""Holds something while a .ui is loaded: PySide6 then sets each part as an attribute of the root; PythonQt does not."""


def install() -> None:
    """Give PySide6's classes PythonQt's habits; once per process."""
    if _original:
        return
    found = {value for source in SOURCES for value in vars(_loaded(source)).values() if _is_qobject(value)}
    for cls in found:
        _original[cls] = cls.__getattribute__
    for cls in found:
        cls.__getattribute__ = _get
        cls.__setattr__ = _set


def _loaded(source: Any) -> Any:
    for name in dir(source):  # the classes come into being when they are first asked for
        getattr(source, name, None)
    return source


def _is_qobject(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, QObject)


def qt_class(cls: type) -> type:
    """The class of Qt that a class is or derives from."""
    return next(base for base in cls.__mro__ if base in _original)


def members(cls: type) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Qt properties by name, and signal signatures by name, of a Qt class; PySide6 declares them."""
    cls = qt_class(cls)
    if cls not in _members:
        meta = cls.staticMetaObject
        properties = {meta.property(i).name(): meta.property(i) for i in range(meta.propertyCount())}
        signals: dict[str, list[str]] = {}
        for i in range(meta.methodCount()):
            method = meta.method(i)
            if method.methodType() == QtCore.QMetaMethod.MethodType.Signal:
                signature = bytes(method.methodSignature().data()).decode()
                signals.setdefault(signature.partition("(")[0], []).append(signature)
        _members[cls] = properties, signals
    return _members[cls]


def slots(cls: type) -> set[str]:
    """Signatures of a Qt class' slots."""
    meta, kind = qt_class(cls).staticMetaObject, QtCore.QMetaMethod.MethodType.Slot
    methods = (meta.method(i) for i in range(meta.methodCount()))
    return {bytes(method.methodSignature().data()).decode() for method in methods if method.methodType() == kind}


def signatures(cls: type) -> list[str]:
    """Every signal signature that objects of a class have, those that a stand-in declares in ``signals`` first."""
    own = [signature for base in cls.__mro__ for signature in base.__dict__.get("signals", ())]
    return own + [signature for group in members(cls)[1].values() for signature in group]


# --- attributes -------------------------------------------------------------------------------------


def _get(self: Any, name: str) -> Any:
    plain = _original[qt_class(type(self))]
    if name.startswith("__"):
        return plain(self, name)
    if _python_attribute(type(self), name) is not None:
        return plain(self, name)
    if name in SPECIAL:
        return SPECIAL[name](self)
    properties, signals = members(type(self))
    if name in properties and (id(self), name) not in _active:
        return _read(self, name)
    if name in signals or name in _declared(type(self)):
        return BoundSignal(self, name)
    try:
        value = plain(self, name)
    except AttributeError:
        return _read_dynamic(self, name)
    return _Tupled(value) if name in AS_TUPLE else value


def _python_attribute(cls: type, name: str) -> Any:
    """What a Python class between an object's and Qt's defines under a name."""
    for base in cls.__mro__:
        if base in _original:
            return None
        if name in base.__dict__:
            return base.__dict__[name]
    return None


def _declared(cls: type) -> set[str]:
    return {sig.partition("(")[0] for base in cls.__mro__ for sig in base.__dict__.get("signals", ())}


def _read(self: Any, name: str) -> Any:
    """A property's value. Qt may ask for a Python override of the getter meanwhile (sizeHint): it gets the method."""
    key = (id(self), name)
    _active.add(key)
    try:
        value = QObject.property(self, name)
    finally:
        _active.discard(key)
    return tuple(value) if isinstance(value, list) else value


def _read_dynamic(self: Any, name: str) -> Any:
    if name.encode() in [bytes(key.data()) for key in QObject.dynamicPropertyNames(self)]:
        return QObject.property(self, name)
    raise AttributeError(f"{type(self).__name__} has no attribute '{name}'")


def _set(self: Any, name: str, value: Any) -> None:
    cls = type(self)
    attribute = _python_attribute(cls, name)
    if hasattr(attribute, "__set__"):
        attribute.__set__(self, value)
    elif name == "name":
        QObject.setObjectName(self, value)
    elif name in members(cls)[0]:
        _write(self, name, value)
    elif name.encode() in [bytes(key.data()) for key in QObject.dynamicPropertyNames(self)]:
        QObject.setProperty(self, name, value)
    elif loading:
        return
    elif _is_strict(cls) and not (name.startswith("_") and cls.__module__.startswith("slicer_standin")):
        raise AttributeError(
            f"{cls.__name__} has no property '{name}'; PythonQt creates no new attributes on objects of C++ classes"
        )
    else:
        self.__dict__[name] = value


def _is_strict(cls: type) -> bool:
    return cls.__module__.startswith(("PySide6", "slicer_standin."))


def _write(self: Any, name: str, value: Any) -> None:
    prop = members(type(self))[0][name]
    if not prop.isWritable():
        raise AttributeError(f"property '{name}' of {type(self).__name__} is not writable")
    setter = getattr(qt_class(type(self)), f"set{name[0].upper()}{name[1:]}", None)
    if setter is not None:
        setter(self, value)
    elif not QObject.setProperty(self, name, value):
        raise TypeError(f"property '{name}' of {type(self).__name__} does not accept {value!r}")


class _Tupled:
    """A method whose list becomes a tuple, as PythonQt has it."""

    def __init__(self, method: Any) -> None:
        self._method = method

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        found = self._method(*args, **kwargs)
        return tuple(found) if isinstance(found, list) else found


# --- signals ----------------------------------------------------------------------------------------


class BoundSignal:
    """A signal of an object: call it to emit, ``connect`` and ``disconnect`` as PythonQt allows."""

    def __init__(self, sender: Any, name: str) -> None:
        self._sender, self._name = sender, name
        self._signatures = [s for s in signatures(type(sender)) if s.partition("(")[0] == name]

    def __call__(self, *args: Any) -> None:
        fitting = [s for s in self._signatures if count(s) == len(args)]
        if not fitting:
            raise recorder.fail(f"{self._name} of {type(self._sender).__name__} is not emitted with {len(args)} values")
        emit(self._sender, fitting[0], *args)

    def connect(self, slot: Any) -> bool:
        """Connect the first overload."""
        return connect(self._sender, self._signatures[0], slot)

    def disconnect(self, slot: Any) -> bool:
        """Undo :meth:`connect`."""
        return disconnect(self._sender, self._signatures[0], slot)


def count(signature: str) -> int:
    """How many values a signal carries."""
    inside = signature.partition("(")[2].rpartition(")")[0]
    return len(inside.split(",")) if inside else 0


def trimmed(slot: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments that PythonQt passes: as many as a function or method has positional parameters."""
    function = slot.__func__ if inspect.ismethod(slot) else slot
    if not inspect.isfunction(function) or function.__code__.co_flags & inspect.CO_VARARGS:
        return args
    return args[: function.__code__.co_argcount - int(inspect.ismethod(slot))]


def connect(sender: Any, signature: str, slot: Any, *more: Any) -> bool:
    """Connect a callable to a signal given by its exact signature."""
    signature = _checked(sender, signature)
    if more or not callable(slot):
        raise recorder.fail(f"connect {signature} to a Python callable; the stand-in knows no other receivers")
    where = f"the slot of {type(sender).__name__}.{signature}"

    def call(*args: Any) -> None:
        guarded(where, slot, *trimmed(slot, args))

    native = signature in [s for group in members(type(sender))[1].values() for s in group]
    if isinstance(sender, QtCore.QTimer):
        timers.add(sender)
    handle = STATIC_CONNECT(sender, QtCore.SIGNAL(signature), call) if native else None
    _connections(sender).append((signature, slot, call, handle))
    return True


def disconnect(sender: Any, signature: str, slot: Any = None) -> bool:
    """Undo :func:`connect`; False where there was no such connection."""
    signature = _checked(sender, signature)
    kept, dropped = [], []
    for entry in _connections(sender):
        (dropped if entry[0] == signature and (slot is None or entry[1] == slot) else kept).append(entry)
    _connections(sender)[:] = kept
    for entry in dropped:
        if entry[3] is not None:
            STATIC_DISCONNECT(entry[3])
    return bool(dropped)


def emit(sender: Any, signature: str, *args: Any) -> None:
    """Emit a signal, Qt's or a stand-in's."""
    if QObject.signalsBlocked(sender):
        return
    if signature in [s for group in members(type(sender))[1].values() for s in group]:
        types = signature.partition("(")[2].rpartition(")")[0].split(",")
        instance = _original[qt_class(type(sender))](sender, signature.partition("(")[0])
        (instance[tuple(types)] if types != [""] else instance).emit(*args)
        return
    for entry in list(_connections(sender)):
        if entry[0] == signature:
            entry[2](*args)


def _checked(sender: Any, signature: str) -> str:
    normal = bytes(QtCore.QMetaObject.normalizedSignature(signature).data()).decode()
    known = signatures(type(sender))
    if normal not in known:
        alike = [s for s in known if s.partition("(")[0] == normal.partition("(")[0]]
        raise recorder.fail(f"{type(sender).__name__} has no signal '{signature}'; it has {alike or known}")
    return normal


def _connections(sender: Any) -> list[tuple[str, Any, Any, Any]]:
    return sender.__dict__.setdefault("_standin_connections", [])


def _no_exec(self: Any) -> Any:
    raise AttributeError(f"{type(self).__name__} has no exec() in PythonQt; call exec_()")


def _exec_(self: Any) -> Any:
    from slicer_standin.dialogs import run

    if not isinstance(self, (QtWidgets.QDialog, QtWidgets.QMenu)):
        raise AttributeError(f"the stand-in has no exec_() for {type(self).__name__}")
    return lambda *_: run(self)


SPECIAL = {
    "connect": lambda self: lambda signature, *slot: connect(self, signature, *slot),
    "disconnect": lambda self: lambda signature, *slot: disconnect(self, signature, *slot),
    "name": QObject.objectName,
    "exec": _no_exec,
    "exec_": _exec_,
    "className": lambda self: lambda: type(self).__name__,
}
