"""``slicer.parameterNodeWrapper``: a class with typed members, kept in a parameter node and bound to widgets."""

# ruff: noqa: N815

from __future__ import annotations

import typing
from typing import Any

import qt
import slicer
import vtk

from slicer_standin.parameters.connectors import Connector, connector_for
from slicer_standin.parameters.serializers import default_of, serializer_for
from slicer_standin.parameters.validators import Default

PROPERTY = "SlicerParameterName"


class Wrapper:
    """What every decorated class can do; its members' names must not be these."""

    allParameters: dict[str, Any] = {}

    def __init__(self, parameterNode: Any, prefix: str | None = None) -> None:
        self.parameterNode = parameterNode
        self._prefix = prefix or ""
        self._bound: dict[int, tuple[dict[str, Connector], int]] = {}
        self._next, self._updating = 0, False
        for name, (serializer, default, _) in self.allParameters.items():
            if not serializer.has(parameterNode, self._prefix + name):
                serializer.write(parameterNode, self._prefix + name, default.value)

    def getValue(self, name: str) -> Any:
        serializer, default, _ = self._of(name)
        if not serializer.has(self.parameterNode, self._prefix + name):
            serializer.write(self.parameterNode, self._prefix + name, default.value)
        return serializer.read(self.parameterNode, self._prefix + name)

    def setValue(self, name: str, value: Any) -> None:
        self._of(name)[0].write(self.parameterNode, self._prefix + name, value)

    def default(self, name: str) -> Any:
        return self._of(name)[1]

    def isCached(self, name: str) -> bool:
        """Nothing is cached here; in Slicer most is, so never write around the wrapper."""
        return False

    @classmethod
    def dataType(cls, name: str) -> Any:
        return cls._of(name)[2]

    @classmethod
    def _of(cls, name: str) -> Any:
        if name not in cls.allParameters:
            raise ValueError(f"there is no parameter '{name}'; there are {list(cls.allParameters)}")
        return cls.allParameters[name]

    # --- widgets ------------------------------------------------------------------------------------

    def connectGui(self, gui: Any) -> int:
        """Bind the widgets that carry a member's name as ``SlicerParameterName``; returns a tag."""
        if getattr(gui, "isWidgetType", lambda: False)():
            widgets = gui.findChildren(qt.QWidget)
        else:
            widgets = gui.__dict__.values()
        return self.connectParametersToGui({w.property(PROPERTY): w for w in widgets if w.property(PROPERTY)})

    def connectParametersToGui(self, mapping: dict[str, Any]) -> int:
        for name in mapping:
            self._of(name)
        made = {
            name: widget if isinstance(widget, Connector) else connector_for(widget, self.dataType(name))
            for name, widget in mapping.items()
        }
        tag, self._next = self._next, self._next + 1
        for name, connector in made.items():
            connector.write(self.getValue(name))
            connector.onChanged(self._from_gui(name, connector))
        observer = self.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._to_gui())
        self._bound[tag] = made, observer
        return tag

    def disconnectGui(self, tag: int) -> None:
        if tag in self._bound:
            made, observer = self._bound.pop(tag)
            for connector in made.values():
                connector.onChanged(None)
            self.RemoveObserver(observer)

    def _from_gui(self, name: str, connector: Connector) -> Any:
        def changed() -> None:
            if not self._updating:
                with slicer.util.NodeModify(self):
                    self.setValue(name, connector.read())

        return changed

    def _to_gui(self) -> None:
        if self._updating:
            return
        self._updating = True
        try:
            with slicer.util.NodeModify(self):
                for made, _ in list(self._bound.values()):
                    for name, connector in made.items():
                        connector.write(self.getValue(name))
        finally:
            self._updating = False

    # --- the node -----------------------------------------------------------------------------------

    def StartModify(self) -> Any:
        return self.parameterNode.StartModify()

    def EndModify(self, wasModified: Any) -> Any:
        return self.parameterNode.EndModify(wasModified)

    def AddObserver(self, event: Any, callback: Any, priority: float = 0.0) -> int:
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag: int) -> None:
        self.parameterNode.RemoveObserver(tag)

    def Modified(self) -> None:
        self.parameterNode.Modified()


RESERVED = {name for name in vars(Wrapper) if not name.startswith("_")}


def parameterNodeWrapper(classtype: Any = None) -> Any:
    """The decorator."""
    return _wrap if classtype is None else _wrap(classtype)


def isParameterNodeWrapper(classOrObj: Any) -> bool:
    """Whether a class was decorated."""
    return bool(getattr(classOrObj, "_is_parameter_node_wrapper", False))


def _wrap(cls: type) -> type:
    parameters = {}
    for name, annotated in typing.get_type_hints(cls, include_extras=True).items():
        if name in RESERVED:
            raise ValueError(f"the parameter name '{name}' is reserved in a parameterNodeWrapper")
        try:
            serializer = serializer_for(annotated)
        except Exception as error:
            raise Exception(f"Unable to create serializer for {cls} member {name}") from error
        default = Default(getattr(cls, name)) if hasattr(cls, name) else default_of(annotated, serializer)
        parameters[name] = (serializer, default, annotated)
    body = {key: value for key, value in vars(cls).items() if key not in ("__dict__", "__weakref__", "__annotations__")}
    body.update({name: _member(name) for name in parameters})
    body.update(allParameters=parameters, _is_parameter_node_wrapper=True, __init__=Wrapper.__init__)
    return type(cls.__name__, (Wrapper,), body)


def _member(name: str) -> property:
    return property(lambda self: self.getValue(name), lambda self, value: self.setValue(name, value))
