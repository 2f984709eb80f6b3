"""The logic that every module's logic derives from: nodes in, nodes out, here or in the background worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic

from manabi.errors import InvalidInputError
from manabi_slicer import bridge
from manabi_slicer.install import Installer
from manabi_slicer.request import Request
from manabi_slicer.run import Run
from manabi_slicer.session import Session, session
from manabi_slicer.times import RunTimes

if TYPE_CHECKING:
    from slicer import vtkMRMLNode

    from manabi.context import ProgressCallback
    from manabi.io.results import ImageFormat
    from manabi.method import Method
    from manabi.result import Result
    from manabi.volume import Volume
    from manabi_slicer.watch import Watch

Nodes = dict[str, "vtkMRMLNode"]


class ManabiLogic(ScriptedLoadableModuleLogic):
    """What a module can do without its panel.

    A module's logic names its method and the class of its parameter node, and adds a typed ``process``.

    Args:
        worker: the background worker; by default the one all modules share. Tests give one with a process of theirs.
        times: where run times are remembered.
    """

    methodName = ""
    parameterNodeClass: Any = None
    """A class made with Slicer's ``parameterNodeWrapper``."""

    def __init__(self, worker: Session | None = None, times: RunTimes | None = None) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        self.session = worker or session()
        self._times = times
        self._method: Method[Any] | None = None

    @property
    def method(self) -> Method[Any]:
        """The method, made on first use; nothing heavy is imported for it."""
        from manabi import registry

        if self._method is None:
            self._method = registry.method(self.methodName)
        return self._method

    def getParameterNode(self) -> Any:
        """The scene's parameter node of this module, made where there is none, as a :attr:`parameterNodeClass`."""
        return self.parameterNodeClass(ScriptedLoadableModuleLogic.getParameterNode(self))

    # --- running ------------------------------------------------------------------------------------

    def runHere(self, request: Request, onProgress: ProgressCallback | None = None) -> Nodes:
        """Run in this process and wait; for the Python console and for scripts.

        Args:
            request: what to run.
            onProgress: called with a fraction and a text; raise from it to stop.

        Returns:
            The output nodes by key (``volumes/denoised``, ``tables/changes``, ``measurements``, ``report``, ...).

        Raises:
            InvalidInputError: for inputs or parameters that cannot be used.
            CancelledError: when something has to be installed and the user declined.
            ManabiError: whatever else the method raises; the scene is unchanged then.
        """
        from manabi.context import Context

        Installer().ensure(self.moduleName)
        volumes = self._volumes(request)
        context = Context(**request.context_options(), on_progress=onProgress)
        return self._keep(request, self.method.run(volumes, dict(request.parameters), context))

    def startRun(self, request: Request) -> Run:
        """Send a run to the background worker and return at once; poll it, then give it to :meth:`finishRun`.

        Raises:
            InvalidInputError: for inputs or parameters that cannot be used; nothing was started.
            DependencyError: when the worker cannot be started.
        """
        from manabi_slicer.watch import Watch

        volumes = self._volumes(request)
        first = self._first(request.nodes)
        watch = Watch(first) if first is not None else None
        self.method.parameters_type.of(dict(request.parameters))
        client = self.session.client()
        n_voxels = sum(volume.array.size for volume in volumes.values())
        return Run(
            lambda onProgress: client.submit(
                self.methodName, volumes, dict(request.parameters), request.context_options(), onProgress
            ),
            request,
            watch,
            n_voxels,
            self._runTimes().expected_s(self._kind(request), n_voxels),
        )

    def finishRun(self, run: Run) -> Nodes:
        """Put the result of a run that is done into the scene.

        Raises:
            InvalidInputError: when the input was removed from the scene meanwhile; nothing was added.
            ManabiError: why the run failed.
        """
        if run.error is not None:
            raise run.error
        if run.result is None:
            raise InvalidInputError(_("The run has no result yet."))
        outputs = self._keep(run.request, run.result, run.watch)
        self._runTimes().add(self._kind(run.request), run.n_voxels, run.progress.elapsed_s)
        return outputs

    def inputVolumes(self, nodes: Mapping[str, vtkMRMLNode | None]) -> dict[str, Volume]:
        """The method's inputs, read from nodes; a module whose nodes need more than reading overrides it.

        Raises:
            InvalidInputError: as :func:`manabi_slicer.bridge.inputs_from_nodes`.
        """
        return bridge.inputs_from_nodes(self.method, nodes)

    # --- what is there ------------------------------------------------------------------------------

    def outputsOf(self, inputNode: vtkMRMLNode | None) -> Nodes:
        """The outputs of an input that are in the scene, whenever they were made."""
        return bridge.find_outputs(inputNode, self.methodName) if inputNode is not None else {}

    def resultOf(self, inputNode: vtkMRMLNode, volumes: bool = True) -> Result:
        """The result of an input as the scene shows it, with what the user changed in its nodes.

        Args:
            inputNode: the first input.
            volumes: whether its volumes are read too, which takes a while.

        Raises:
            InvalidInputError: when the input has no outputs.
        """
        return self._read(self.outputsOf(inputNode), volumes)

    def keep(
        self, result: Result, inputs: Sequence[vtkMRMLNode | None], chosen: Mapping[str, vtkMRMLNode] | None = None
    ) -> Nodes:  # fmt: skip
        """Put a result into the scene, in the place of the former one of the same input; :meth:`undo` takes it back.

        Args:
            result: of this module's method.
            inputs: nodes it was made from; the first one is the input that it belongs to.
            chosen: output node by key, where the user chose one.

        Returns:
            The output nodes by key.
        """
        return bridge.result_to_nodes(
            result, method=self.methodName, title=self.method.title, input_node=inputs[0], chosen=chosen or {},
            inputs=list(inputs),
        )  # fmt: skip

    def warningsOf(self, outputs: Nodes) -> list[str]:
        """The warnings of a result, from its report; empty where there is none."""
        report = outputs.get("report")
        return list(bridge.read_report(report)["warnings"]) if report is not None else []

    def export(
        self, nodes: dict[str, vtkMRMLNode | None], folder: str | Path, imageFormat: ImageFormat = "nrrd",
        overwrite: bool = False,
    ) -> dict[str, Any]:  # fmt: skip
        """Write the result of the first input: images, tables (CSV), the figure (PNG), numbers and provenance.

        Args:
            nodes: input nodes by the method's input names.
            folder: new or empty; it appears whole or not at all.
            imageFormat: ``nrrd``, ``nifti`` or ``dicom``.
            overwrite: whether a folder with content may be replaced.

        Returns:
            The files, as :func:`manabi.io.results.write_result` gives them.

        Raises:
            InvalidInputError: when there is no result, or the folder is taken.
        """
        volumes = self.inputVolumes(nodes)
        first: Any = self._first(nodes)
        return self._write(self.resultOf(first), volumes, folder, imageFormat, overwrite)

    def canUndo(self, inputNode: vtkMRMLNode | None) -> bool:
        """Whether the last result in the scene is this method's of this input, so that it can be taken back."""
        return inputNode is not None and bridge.can_undo(inputNode, self.methodName)

    def undo(self) -> bool:
        """Take back the last result that entered the scene (by a run, or by a correction), whichever method's it is.

        Returns:
            False where nothing can be undone; once undone, there is nothing more.
        """
        return bridge.undo()

    def _volumes(self, request: Request) -> dict[str, Volume]:
        return self.inputVolumes(request.nodes)

    def _first(self, nodes: Mapping[str, vtkMRMLNode | None]) -> Any:
        """The node of the method's first input, which outputs belong to; None where it is not given."""
        return nodes.get(self.method.inputs[0].name)

    @staticmethod
    def _read(outputs: Nodes, volumes: bool) -> Result:
        if not outputs:
            raise InvalidInputError(_("There is no result yet. Press Apply first."))
        return bridge.result_from_nodes(
            {key: node for key, node in outputs.items() if volumes or not key.startswith("volumes/")}
        )

    def _write(
        self, result: Result, volumes: Mapping[str, Volume], folder: str | Path, imageFormat: ImageFormat,
        overwrite: bool,
    ) -> dict[str, Any]:  # fmt: skip
        from manabi.io.results import write_result

        written = write_result(
            result, folder, image_format=imageFormat, method=self.method, inputs=volumes, overwrite=overwrite
        )
        return dict(written)

    def _keep(self, request: Request, result: Result, watch: Watch | None = None) -> Nodes:
        first = self._first(request.nodes)
        if first is None or first.GetScene() is not slicer.mrmlScene:
            raise InvalidInputError(
                _("The input was removed from the scene while it was being processed. Load it again and press Apply.")
            )
        if watch is not None:
            result = watch.follow(result, first)
        others = [node for name, node in request.nodes.items() if name != self.method.inputs[0].name]
        return self.keep(result, [first, *others], request.chosen)

    def _kind(self, request: Request) -> str:
        return f"{self.methodName}|{request.device}|{request.precision}"

    def _runTimes(self) -> RunTimes:
        if self._times is None:
            self._times = RunTimes()
        return self._times
