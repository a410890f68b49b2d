"""Commands of the feedback loop: `snap2caption feedback …`, one per step."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snap2caption.command_line.console import print_result, stderr
from snap2caption.command_line.groups import open_group
from snap2caption.errors import UserError
from snap2caption.formats.strict_json import to_document
from snap2caption.settings import Settings

if TYPE_CHECKING:
    from etl.feedback.reporting.report import RetrainingSummary
    from etl.feedback.withdrawal.learned import AffectedModel
    from snap2caption.registry.client import Registry
    from snap2caption.store import ObjectStore

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Seed = Annotated[int, typer.Option(help="Seed of the random choices.")]


def _share(which: str) -> Any:
    """Return the option for the share of *which* feedback that annotators see."""
    return typer.Option(min=0, max=1, metavar="SHARE", help=f"Share of {which} that annotators see.")


def register(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    about = "What creators corrected: erase, withdraw, collect, sample, push, validate, build, report."
    group = open_group(app, "feedback", about)
    for command in (withdraw, collect, sample, push, validate, build, retrained, report):
        group.command()(command)


def withdraw(as_json: AsJson = False) -> None:
    """Delete the photos and texts of dataset versions with feedback that was erased since; prints these versions.

    Reports the models that learned from erased feedback, on standard error and as `models` with --json.
    """
    from etl.feedback.withdrawal.withdraw import withdraw as step

    settings = Settings()
    versions = step(settings.feedback_uri, settings.datasets_uri, settings.state_dir, settings.shards_dir)
    models, fault = _affected_models(settings)
    for message in [*map(str, models), *([fault] if fault else [])]:
        stderr.print(f"Warning: {message}", markup=False, highlight=False, soft_wrap=True)
    document = {"withdrawn": versions, "models": [asdict(one) for one in models], "fault": fault}
    print_result("\n".join(versions) or "none", document, as_json=as_json)


def collect(as_json: AsJson = False) -> None:
    """Find feedback that is new since the last run; prints its number."""
    from etl.feedback.collect import collect as step

    new = step(_store())
    print_result(str(new), {"new": new}, as_json=as_json)


def sample(
    flagged: Annotated[float, _share("flagged feedback")] = 1.0,
    edited: Annotated[float, _share("edited feedback")] = 1.0,
    low_rated: Annotated[float, _share("low-rated feedback")] = 1.0,
    low_confidence: Annotated[float, _share("feedback on low-confidence captions")] = 0.5,
    random: Annotated[float, _share("all other feedback")] = 0.05,
    low_rating: Annotated[int, typer.Option(min=1, max=5, help="The highest rating that counts as low.")] = 2,
    doubt: Annotated[
        float, typer.Option(min=0, max=1, help="The confidence below which a caption counts as low.")
    ] = 0.5,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Choose from the collected feedback what annotators see; prints the number of each kind."""
    from etl.feedback.kinds import Shares
    from etl.feedback.sample import sample as step

    shares = Shares(
        flagged=flagged,
        edited=edited,
        low_rated=low_rated,
        low_confidence=low_confidence,
        random=random,
        low_rating=low_rating,
        doubt=doubt,
    )
    found = step(_store(), shares, seed)
    text = ", ".join(f"{kind} {count}" for kind, count in found.chosen.items()) or "none"
    print_result(text, to_document(found), as_json=as_json)


def push(as_json: AsJson = False) -> None:
    """Create a Label Studio task for each chosen feedback without an annotation; prints the number of new tasks."""
    from etl.feedback.label_studio.project import open_project
    from etl.feedback.label_studio.settings import LabelStudioSettings
    from etl.feedback.label_studio.tasks import push as step
    from etl.feedback.sample import open_records
    from snap2caption.settings import read_settings

    settings, store = read_settings(LabelStudioSettings), _store()
    with open_project(settings) as project:
        pushed = step(project, store, open_records(store), settings.photos_uri or store.uri)
        document = {"project": project.url, "created": pushed.created, "present": pushed.present}
    print_result(f"{pushed.created} created, {pushed.present} there before", document, as_json=as_json)


def validate(as_json: AsJson = False) -> None:
    """Check the annotations; prints how many corrections are usable, new, and erased since, and why others are
    unusable.
    """
    from etl.feedback.retraining import erased_since, new_since
    from etl.feedback.validate import validate as step

    store = _store()
    found = step(store)
    new = new_since(store, found.usable)
    gone = erased_since(store)
    document = {"usable": len(found.usable), "new": new, "erased": gone, "refused": found.refused}
    why = "".join(f", {reason} {count}" for reason, count in found.refused.items())
    print_result(f"usable {len(found.usable)}, new {new}, erased {gone}{why}", document, as_json=as_json)


def build(
    corpus_uri: Annotated[str, typer.Argument(metavar="DATASET_URI", help="The corpus version to mix with.")],
    seed: Seed = 0,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; by default one per processor.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a dataset version of all corrections; prints its URI."""
    from etl.feedback.build import build as step

    settings = Settings()
    built = step(
        settings.feedback_uri, settings.datasets_uri, corpus_uri, settings.state_dir, seed=seed, workers=workers
    )
    print_result(built.uri, asdict(built), as_json=as_json)


def retrained(
    uri: Annotated[str, typer.Argument(metavar="URI", help="The feedback version.")], as_json: AsJson = False
) -> None:
    """Record that a training was started with a feedback version, so its samples no longer count as new; prints
    the version.
    """
    from etl.feedback.retraining import note_retraining

    version = note_retraining(_store(), uri)
    print_result(version, {"version": version}, as_json=as_json)


def report(out: Annotated[Path, typer.Option(help="The page to write.")], as_json: AsJson = False) -> None:
    """Write a report on all feedback: creators' ratings, annotators' work, and the last retraining; prints its path."""
    from etl.feedback.reporting.report import write_report

    write_report(_store(), _last_retraining(Settings()), out)
    print_result(str(out), {"report": str(out)}, as_json=as_json)


def _affected_models(settings: Settings) -> "tuple[list[AffectedModel], str]":
    """Return the models that learned from erased feedback, and an error if the registry is unavailable.

    A registry that is down must not stop a withdrawal.
    """
    from etl.feedback.withdrawal.learned import find_affected_models
    from snap2caption.store import StoreError

    try:
        return find_affected_models(settings.feedback_uri, settings.datasets_uri, _registry(settings)), ""
    except StoreError:
        raise
    except UserError as error:
        return [], f"Can't find the models that learned from erased feedback: {error}"


def _last_retraining(settings: Settings) -> "RetrainingSummary":
    from etl.feedback.reporting.report import RetrainingSummary

    registry = _registry(settings)
    try:
        standing = registry.standing()
        verdict = registry.verdict(standing.champion) if standing.champion else None
    except UserError as error:
        return RetrainingSummary(fault=str(error))
    return RetrainingSummary(standing, verdict)


def _registry(settings: Settings) -> "Registry":
    """Return the registry with a single retry: its data are optional, and a step should not wait minutes for them."""
    from snap2caption.registry.client import Registry

    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    return Registry(settings.mlflow_tracking_uri, settings.registered_model)


def _store() -> "ObjectStore":
    from snap2caption.store import open_store

    return open_store(Settings().feedback_uri)
