"""Commands of the transform: `snap2caption transform`, and its parts for many machines.

Outside of `etl.transform`, which imports all that a transform needs.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from etl.fork_server import start_fork_server
from snap2caption.command_line.console import print_result, progress_bar, stderr
from snap2caption.errors import UserError
from snap2caption.runtime.arrow import skip_pandas

if TYPE_CHECKING:
    from etl.place import Place
    from etl.transform.curation.settings import CurationSettings

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Corpus = Annotated[str, typer.Argument(metavar="ZIP", help="The corpus: a file, or an object (s3://, swift://).")]
Out = Annotated[
    str,
    typer.Option(
        metavar="PLACE",
        help="Where the version and the work in progress go: a folder, or a prefix in a store (s3://, swift://).",
    ),
]
Cities = Annotated[
    str | None,
    typer.Option(
        help="Cities to keep, separated by commas, or all; by default newyork, chicago and sanfrancisco, if in the zip."
    ),
]
Seed = Annotated[int, typer.Option(help="Seed of the split.")]
Previous = Annotated[Path | None, typer.Option(help="Manifest of an earlier version, whose splits are kept.")]
KeepMetadata = Annotated[
    bool,
    typer.Option(
        "--keep-metadata",
        help="Keep EXIF (with the location), XMP and comments in photos; by default they are dropped.",
    ),
]
Curation = Annotated[
    Path | None,
    typer.Option(
        metavar="YAML", help="Content filters, such as configs/curation/instagram.yaml; by default none are applied."
    ),
]
SourceUrl = Annotated[list[str] | None, typer.Option(help="Where the zip came from, for the record.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes; by default one per processor.")]
Work = Annotated[str, typer.Argument(metavar="WORK", help="The folder or prefix that `transform-plan` printed.")]

_SAMPLE = 1000
"""Pairs of a dry run by default."""


def register(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    for command in (transform, transform_plan, transform_slice, transform_merge):
        app.command()(command)


def transform(
    corpus: Corpus,
    out: Out,
    cities: Cities = None,
    seed: Seed = 0,
    previous: Previous = None,
    keep_metadata: KeepMetadata = False,
    curation: Curation = None,
    source_url: SourceUrl = None,
    workers: Workers = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Try the curation on a sample, and write a page of what it rejects; no version is made."
        ),
    ] = False,
    sample: Annotated[
        int | None, typer.Option(min=1, help="Pairs that --dry-run looks at; by default 1000.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a dataset version; prints its folder or URI."""
    if sample is not None and not dry_run:
        raise UserError("--sample says how many pairs --dry-run looks at; add --dry-run, or leave out --sample.")
    _prepare()
    from etl import transform as stage
    from etl.place import parse_place

    if dry_run:
        _preview(corpus, out, curation, _split(cities), sample or _SAMPLE, workers, as_json=as_json)
        return
    with progress_bar() as bar:
        task = bar.add_task("checking", total=None)
        folder = stage.transform(
            parse_place(corpus),
            parse_place(out),
            cities=_split(cities),
            seed=seed,
            previous=previous,
            keep_metadata=keep_metadata,
            curation=_curation(curation),
            source_urls=source_url or (),
            workers=workers,
            on_progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    _print_version(folder, as_json=as_json)


def transform_plan(
    corpus: Corpus,
    out: Out,
    cities: Cities = None,
    seed: Seed = 0,
    previous: Previous = None,
    keep_metadata: KeepMetadata = False,
    curation: Curation = None,
    slice_pairs: Annotated[
        int, typer.Option(min=1, help="Pairs per slice; the version does not depend on it.")
    ] = 25_000,
    as_json: AsJson = False,
) -> None:
    """Divide the transform into slices for many machines; prints the work folder (or its URI) and the number of slices.

    0 slices: the version exists already, and `transform-merge` prints it.
    """
    skip_pandas()
    from etl import transform as stage
    from etl.place import parse_place

    plan = stage.plan(
        parse_place(corpus),
        parse_place(out),
        cities=_split(cities),
        seed=seed,
        previous=previous,
        keep_metadata=keep_metadata,
        curation=_curation(curation),
        slice_pairs=slice_pairs,
    )
    document = {"work": str(plan.work), "slices": plan.slices, "pairs": plan.pairs}
    print_result(f"{plan.work} {plan.slices}", document, as_json=as_json)


def transform_slice(
    work: Work,
    number: Annotated[int, typer.Argument(metavar="NUMBER", min=0, help="Which slice, from 0.")],
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """Check the pairs of one slice; prints its number."""
    _prepare()
    from etl import transform as stage
    from etl.place import parse_place

    with progress_bar() as bar:
        task = bar.add_task("checking", total=None)
        stage.check_slice(
            parse_place(work),
            number,
            workers=workers,
            on_progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    print_result(str(number), {"slice": number}, as_json=as_json)


def transform_merge(work: Work, source_url: SourceUrl = None, workers: Workers = None, as_json: AsJson = False) -> None:
    """Make a dataset version from the slices, once all exist; prints its folder or URI."""
    _prepare()
    from etl import transform as stage
    from etl.place import parse_place

    _print_version(stage.merge(parse_place(work), source_urls=source_url or (), workers=workers), as_json=as_json)


def _prepare() -> None:
    """Start the fork server, which imports while this process does, and let PyArrow do without pandas."""
    start_fork_server()
    skip_pandas()


def _preview(
    corpus: str,
    out: str,
    curation: Path | None,
    cities: list[str] | None,
    sample: int,
    workers: int | None,
    *,
    as_json: bool,
) -> None:
    from dataclasses import asdict

    from etl.place import parse_place
    from etl.transform.preview import preview

    settings = _curation(curation)
    if settings is None:
        raise UserError("--dry-run tries a curation; give its settings with --curation, or leave out --dry-run.")
    folder = parse_place(out)
    if not isinstance(folder, Path):
        raise UserError(f"--dry-run writes its page to a folder, not to {folder}; give a folder with --out.")
    page = folder / "curation-dry-run.html"
    with progress_bar() as bar:
        task = bar.add_task("checking", total=sample)
        found = preview(
            parse_place(corpus),
            settings,
            page,
            cities=cities,
            sample=sample,
            workers=workers,
            on_progress=lambda done: bar.advance(task, done),
        )
    stderr.print(f"Of {found.sampled} pairs out of {found.pairs}, {found.kept} are left.", highlight=False)
    for reason, count in found.dropped.items():
        stderr.print(f"  {reason}: {count}", highlight=False)
    print_result(str(page), {"page": str(page), **asdict(found)}, as_json=as_json)


def _curation(path: Path | None) -> "CurationSettings | None":
    from etl.transform.curation.settings import load_curation

    return None if path is None else load_curation(path)


def _split(cities: str | None) -> list[str] | None:
    return None if cities is None else cities.split(",")


def _print_version(where: "Place", *, as_json: bool) -> None:
    from etl.transform.splitting.split import find_imbalances
    from snap2caption.datasets.version import DatasetVersion

    manifest = DatasetVersion.open(str(where)).manifest
    warnings = find_imbalances(manifest)
    for sentence in warnings:
        stderr.print(f"Warning: {sentence}", markup=False, highlight=False, soft_wrap=True)
    document = {"dataset": str(where), "version": manifest.version, "warnings": warnings}
    print_result(str(where), document, as_json=as_json)
