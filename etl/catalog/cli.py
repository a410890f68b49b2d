"""Commands of the catalog: `snap2caption datasets list | show | diff | prune`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snap2caption.command_line.console import print_result, progress_bar, stderr
from snap2caption.command_line.groups import open_group
from snap2caption.errors import UserError
from snap2caption.formats.strict_json import to_document

if TYPE_CHECKING:
    from etl.catalog.listing import ListedVersion
    from etl.catalog.prune import PruneVerdict

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Store = Annotated[
    str | None,
    typer.Argument(metavar="STORE_URI", help="The store; by default SNAP2CAPTION_DATASETS_URI.", show_default=False),
]
At = Annotated[
    str | None, typer.Option("--at", metavar="STORE_URI", help="The store that names refer to.", show_default=False)
]
_REFERENCE = "A version: its name or the beginning of it, its URI, or its folder."


def register(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    group = open_group(app, "datasets", "Dataset versions in a store: list, show, diff, prune.")
    group.command("list")(list_)
    for command in (show, diff, prune):
        group.command()(command)


def list_(uri: Store = None, as_json: AsJson = False) -> None:
    """List the dataset versions in a store, the newest first."""
    from etl.catalog.listing import list_versions
    from etl.text_tables import cell, new_table, render

    uri = _store(uri)
    found = list_versions(uri)
    table = new_table(f"Versions at {uri}", "version", "kind", "stored", "samples", "bytes", "previous", "state")
    for one in found:
        previous = one.manifest.settings.get("previous") if one.manifest else None
        size = f"{sum(one.samples.values()):,}" if one.manifest else "-"
        stored = one.modified.isoformat(" ", "minutes")
        table.add_row(one.version, one.kind, stored, size, f"{one.bytes:,}", cell(previous), _state(one))
    text = render([table]) if found else f"There are no versions at {uri}."
    print_result(text, {"uri": uri, "versions": [_entry(one) for one in found]}, as_json=as_json)


def show(
    version: Annotated[str, typer.Argument(metavar="VERSION", help=_REFERENCE)],
    at: At = None,
    models: Annotated[
        bool, typer.Option("--models", help="Also ask MLflow which models and runs learned from it.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what is in a dataset version, and what learned from it."""
    from etl import inspect as stage
    from etl.catalog.listing import find_version
    from etl.text_tables import cell, new_table, render

    dataset = find_version(version, _store(at))
    found = stage.inspect(dataset, 0)
    users = _lineage().get(dataset.manifest.version, ()) if models else None
    table = new_table("Learned from it", "model or run")
    for one in users or ("nothing",):
        table.add_row(cell(one))
    text = stage.draw(found) + ("" if users is None else "\n" + render([table]))
    print_result(text, {**to_document(found), "models": users}, as_json=as_json)


def diff(
    before: Annotated[str, typer.Argument(metavar="BEFORE", help=_REFERENCE)],
    after: Annotated[str, typer.Argument(metavar="AFTER", help="The later version, named in the same ways.")],
    at: At = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write a page with pictures of changed samples.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell what changed between two dataset versions, by reason, city, hashtag and split."""
    from etl.catalog import diff as stage
    from etl.catalog.diff_page import write_page
    from etl.catalog.diff_tables import draw
    from etl.catalog.listing import find_version

    store = _store(at)
    found = stage.diff(find_version(before, store), find_version(after, store))
    if html is not None:
        write_page(found, html)
        stderr.print(f"The page with pictures is {html}.", highlight=False, soft_wrap=True)
    print_result(draw(found), to_document(found), as_json=as_json)


def prune(
    uri: Store = None,
    keep: Annotated[int, typer.Option(min=1, help="How many of the newest versions of each kind stay.")] = 5,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be removed.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Remove without asking.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove old dataset versions that no model learned from; prints what was removed."""
    from etl.catalog import prune as stage
    from etl.catalog.listing import list_versions
    from etl.text_tables import new_table, render

    uri = _store(uri)
    verdicts = stage.judge(list_versions(uri), keep, _lineage())
    going = [verdict.version for verdict in verdicts if verdict.removed]
    table = new_table(f"Versions at {uri}", "version", "kind", "bytes", "verdict", "reason")
    for verdict in verdicts:
        one = verdict.version
        word = "remove" if verdict.removed else "keep"
        table.add_row(one.version, one.kind, f"{one.bytes:,}", word, verdict.reason)
    plan = render([table]) if verdicts else f"There are no versions at {uri}."
    document: dict[str, Any] = {
        "uri": uri,
        "kept": [_judged(verdict) for verdict in verdicts if not verdict.removed],
        "removed": [_judged(verdict) for verdict in verdicts if verdict.removed],
        "dry_run": dry_run,
    }
    if dry_run or not going:
        print_result(plan, document, as_json=as_json)
        return
    stderr.print(plan, markup=False, highlight=False)
    if not yes:
        if not sys.stdin.isatty():
            raise UserError("Nobody can be asked here; add --yes to remove these versions, or --dry-run to see them.")
        size = sum(one.bytes for one in going)
        typer.confirm(f"Remove {len(going)} versions with {size:,} bytes for good?", abort=True, err=True)
    with progress_bar() as bar:
        task = bar.add_task("removing", total=len(going))
        wanted = {one.uri for one in going}
        removed = stage.prune(uri, keep, _lineage, wanted, on_removed=lambda _: bar.advance(task))
    gone = {one.uri for one in removed}
    document["removed"] = [entry for entry in document["removed"] if entry["uri"] in gone]
    print_result("\n".join(one.uri for one in removed), document, as_json=as_json)


def _store(uri: str | None) -> str:
    from snap2caption.settings import Settings

    found = uri or Settings().datasets_uri
    return found.rstrip("/") if "://" in found else Path(found).resolve().as_uri()


def _lineage() -> dict[str, tuple[str, ...]]:
    from snap2caption.registry.client import Registry
    from snap2caption.settings import Settings

    settings = Settings()
    return Registry(settings.mlflow_tracking_uri, settings.registered_model).lineage()


def _state(one: "ListedVersion") -> str:
    if one.is_being_removed:
        return "being removed"
    if one.fault:
        return "unreadable"
    if one.manifest is None:
        return "incomplete"
    return "withdrawn" if one.manifest.withdrawn else "complete"


def _entry(one: "ListedVersion") -> dict[str, Any]:
    manifest = one.manifest
    return {
        "version": one.version,
        "kind": one.kind,
        "uri": one.uri,
        "stored": one.modified.isoformat(),
        "bytes": one.bytes,
        "state": _state(one),
        "samples": dict(one.samples),
        "cities": sorted({city for summary in manifest.splits.values() for city in summary.cities}) if manifest else [],
        "previous": manifest.settings.get("previous") if manifest else None,
        "corpus": manifest.source.sha256 if manifest else None,
    }


def _judged(verdict: "PruneVerdict") -> dict[str, Any]:
    return {"version": verdict.version.version, "uri": verdict.version.uri, "reason": verdict.reason}
