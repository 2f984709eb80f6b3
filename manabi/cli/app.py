"""The Typer application: every command with its options. What the commands do is in the modules beside this one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

import manabi

ImageFormat = Literal["nifti", "nrrd", "dicom"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]

app = typer.Typer(
    help="Manabi: published Japanese clinical deep-learning studies as tools. For research use.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 unexpected, 2 bad input or usage, 3 model trouble, 4 out of resources, "
    "130 cancelled.",
)
bundles = typer.Typer(help="Models: list, show, verify, install, remove, export.", no_args_is_help=True)
app.add_typer(bundles, name="bundle")

Output = Annotated[Path, typer.Option("--output", "-o", help="Folder for the results; new or empty.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a folder that has files in it.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else there.")]
Settings = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A parameter; may be repeated.")]
BundleName = Annotated[str, typer.Argument(metavar="NAME", help="Name, name@version, or a bundle's folder.")]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(manabi.__version__)
        raise typer.Exit()


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks; may stand anywhere.")] = False,
) -> None:
    """Options of every command; ``--debug`` is taken out before Typer sees it."""


@app.command("list")
def list_command(as_json: Json = False) -> None:
    """List the methods and the phantoms."""
    from manabi.cli import listing

    listing.methods(as_json)


@app.command()
def demo(
    output: Output,
    method: Annotated[str, typer.Argument(metavar="METHOD", help="Which method to show.")] = "spect",
    device: Device = "auto",
    settings: Settings = None,
    seed: Annotated[int, typer.Option(min=0, help="Which simulated patient.")] = 1,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Simulate a patient, run a method on it and compare with the truth. Start here."""
    from manabi.cli import demo as command

    command.demo(method, output, device, settings or [], seed, overwrite, as_json)


@app.command()
def run(
    method: Annotated[str, typer.Argument(metavar="METHOD", help="Name of the method; see: manabi list")],
    output: Output,
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INPUT", help="Image file or DICOM folder; name=PATH for several. Some tasks take tables instead."
        ),
    ] = None,
    bundle: Annotated[str | None, typer.Option(help="Model to use: installed name or folder.")] = None,
    device: Device = "auto",
    settings: Settings = None,
    image_format: Annotated[ImageFormat, typer.Option("--format", help="Format of the images.")] = "nifti",
    series: Annotated[
        list[str] | None, typer.Option("--series", help="Series UID in a DICOM folder, or name=UID.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Everything random follows from it.")] = 0,
    precision: Annotated[Precision, typer.Option(help="Arithmetic of the networks.")] = "auto",
    memory_limit: Annotated[
        float | None, typer.Option("--memory-limit", min=1, metavar="MB", help="Memory that inference may plan with.")
    ] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Run a method on images and write a folder with everything it found."""
    from manabi.cli import run as command

    request = command.Request(
        method, inputs or [], output, bundle, device, settings or [], image_format, series or [], seed, precision,
        memory_limit, overwrite, as_json,
    )  # fmt: skip
    command.run(request)


@app.command()
def batch(
    method: Annotated[str, typer.Argument(metavar="METHOD", help="Name of the method; see: manabi list")],
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE", help="Folder with a file or sub-folder per case, a CSV of cases, or an archive's index."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results; continued where begun.")],
    pattern: Annotated[
        list[str] | None, typer.Option("--pattern", metavar="NAME=GLOB", help="Which file of a case's folder to take.")
    ] = None,
    bundle: Annotated[str | None, typer.Option(help="Model to use: installed name or folder.")] = None,
    device: Device = "auto",
    settings: Settings = None,
    image_format: Annotated[ImageFormat, typer.Option("--format", help="Format of the images.")] = "nifti",
    series: Annotated[
        list[str] | None, typer.Option("--series", help="Series UID or number in DICOM folders, or name=NUMBER.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of every case, as for: manabi run")] = 0,
    precision: Annotated[Precision, typer.Option(help="Arithmetic of the networks.")] = "auto",
    memory_limit: Annotated[
        float | None, typer.Option("--memory-limit", min=1, metavar="MB", help="Memory that inference may plan with.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes side by side, each with its own model.")] = 1,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Begin a batch that is there anew.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Continue a batch that is there (the default).")] = False,
    keep_names: Annotated[
        bool, typer.Option("--keep-names", help="Name results after the sources, which may hold patients' names.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run a method on many cases; running it again does only what is missing."""
    from manabi.batch.request import BatchRequest
    from manabi.cli import batch as command

    command.check_way(overwrite, resume)
    patterns = command.by_input(method, pattern or [], "pattern")
    request = BatchRequest(
        method, source, output, tuple(settings or ()), patterns, command.by_input(method, series or [], "series"),
        bundle, device, precision, seed, memory_limit, image_format, workers, overwrite, keep_names,
    )  # fmt: skip
    command.batch(request, as_json)


@app.command()
def phantom(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the phantom; see: manabi list")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the cohort; cases in it are kept.")],
    count: Annotated[int, typer.Option(min=1, help="Number of cases.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Case i is drawn from the generator seeded with (seed, i).")] = 0,
    settings: Settings = None,
    device: Device = "auto",
    films: Annotated[Path | None, typer.Option(help="nodule-pairs: folder of your own normal films.")] = None,
    chests: Annotated[int | None, typer.Option(min=1, help="nodule-pairs: simulated chests.")] = None,
    flow: Annotated[str | None, typer.Option(help="nodule-pairs: bundle of the flow that blends nodules in.")] = None,
    size: Annotated[int, typer.Option(min=32, help="nodule-pairs: rows and columns.")] = 256,
    workers: Annotated[int, typer.Option(min=1, help="nodule-pairs: processes side by side.")] = 1,
) -> None:
    """Simulate a cohort: images, truth and a table. Running it again continues where it stopped.

    The name nodule-pairs makes pairs of chest films without and with nodules, for training.
    """
    if name == "nodule-pairs":
        from manabi.cli import nodule_pairs as pairs

        pairs.nodule_pairs(output, count, seed, size, flow, chests, films, workers, settings or [], device)
        return
    from manabi.cli import phantom as command

    command.refuse_pairs_options(name, films=films, chests=chests, flow=flow)
    command.phantom(name, output, count, seed, settings or [], device)


@app.command()
def bench(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Which; all by default.")] = None,
) -> None:
    """Measure our speed against what a user would otherwise run (from a source checkout)."""
    from manabi.cli import bench as command

    command.bench(names or [])


@app.command()
def index(
    source: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Folder of anything, a DICOMDIR, or a .txt with a path per line.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The index; brought up to date where it is there.")] = (
        Path("archive.sqlite")
    ),
    damaged: Annotated[
        Path | None, typer.Option("--damaged", help="Also write a list of the DICOM files that are damaged.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Index a DICOM archive; running it again reads only what is new or changed."""
    from manabi.cli import archive

    archive.index(source, output, damaged, as_json)


@app.command()
def choose(
    method: Annotated[str, typer.Argument(metavar="METHOD", help="Name of the method; see: manabi list")],
    source: Annotated[Path, typer.Argument(metavar="INDEX", help="What manabi index has written.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The table (CSV) to write.")] = Path("choice.csv"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a table that is there.")] = False,
    as_json: Json = False,
) -> None:
    """Choose the series of an archive that a method takes, and say why, as a table to edit."""
    from manabi.cli import archive

    archive.choose(method, source, output, overwrite, as_json)


@app.command()
def preflight(device: Device = "auto", as_json: Json = False) -> None:
    """Tell what a run would find: device and why, memory, disk, and what would let a graphics card be used."""
    from manabi.cli import preflight as command

    command.preflight(device, as_json)


@bundles.command("list")
def bundle_list(as_json: Json = False) -> None:
    """List the models on this computer."""
    from manabi.cli import bundle

    bundle.show_all(as_json)


@bundles.command("show")
def bundle_show(name: BundleName, as_json: Json = False) -> None:
    """Show a model's card."""
    from manabi.cli import bundle

    bundle.show(name, as_json)


@bundles.command("verify")
def bundle_verify(name: BundleName) -> None:
    """Check that a model is complete, unaltered and safe to load."""
    from manabi.cli import bundle

    bundle.verify(name)


@bundles.command("install")
def bundle_install(
    source: Annotated[str, typer.Argument(help="Bundle folder, zip, or https address of a zip.")],
    replace: Annotated[bool, typer.Option("--replace", help="Replace the same name and version.")] = False,
    sha256: Annotated[
        str | None, typer.Option("--sha256", metavar="HEX", help="Checksum of the zip; needed for an address.")
    ] = None,
) -> None:
    """Install a model from a folder, a zip or an address; the one command that uses the network."""
    from manabi.cli import bundle

    bundle.install(source, sha256, replace)


@bundles.command("remove")
def bundle_remove(name: BundleName) -> None:
    """Remove an installed model."""
    from manabi.cli import bundle

    bundle.remove(name)


@bundles.command("export")
def bundle_export(name: BundleName, target: Annotated[Path, typer.Argument(help="The zip to write.")]) -> None:
    """Write a model as a zip that another computer can install."""
    from manabi.cli import bundle

    bundle.export(name, target)
