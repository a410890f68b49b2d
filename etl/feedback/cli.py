"""Commands of the feedback loop: `snap2caption feedback …`, one for each of its steps."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snap2caption.command_groups import open_group
from snap2caption.console import print_result, stderr
from snap2caption.errors import UserError
from snap2caption.settings import Settings
from snap2caption.strict_json import to_document

if TYPE_CHECKING:
    from etl.feedback.learned import AffectedModel
    from etl.feedback.report import RetrainingSummary
    from snap2caption.registry.client import Registry
    from snap2caption.store import ObjectStore

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Seed = Annotated[int, typer.Option(help="Seed of the random choices.")]


def _share(which: str) -> Any:
    """Return the option that says which share of *which* feedback annotators see."""
    return typer.Option(min=0, max=1, metavar="SHARE", help=f"Share of {which} that annotators see.")


def register(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    about = "What creators corrected: erase, withdraw, collect, sample, push, validate, build, report."
    group = open_group(app, "feedback", about)
    for command in (withdraw, collect, sample, push, validate, build, retrained, report):
        group.command()(command)


def withdraw(as_json: AsJson = False) -> None:
    """Delete the photos and words of dataset versions that hold feedback which was erased since; prints these versions.

    Names, on standard error and as `models` with --json, the models that learned from erased feedback.
    """
    from etl.feedback.withdraw import withdraw as step

    settings = Settings()
    versions = step(settings.feedback_uri, settings.datasets_uri, settings.state_dir, settings.shards_dir)
    models, fault = _learned(settings)
    for told in [*map(str, models), *([fault] if fault else [])]:
        stderr.print(f"Warning: {told}", markup=False, highlight=False, soft_wrap=True)
    document = {"withdrawn": versions, "models": [asdict(one) for one in models], "fault": fault}
    print_result("\n".join(versions) or "none", document, as_json=as_json)


def collect(as_json: AsJson = False) -> None:
    """Find the feedback that came since the last time; prints how many."""
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
    """Choose what annotators see of the feedback that was collected; prints how many of each kind."""
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
    """Create a task in Label Studio for all feedback that was chosen and that nobody annotated yet; prints how many are new."""
    from etl.feedback.label_studio.project import open_project
    from etl.feedback.label_studio.settings import LabelStudioSettings
    from etl.feedback.label_studio.tasks import push as step
    from etl.feedback.sample import open_feedback
    from snap2caption.settings import read_settings

    settings, store = read_settings(LabelStudioSettings), _store()
    with open_project(settings) as project:
        pushed = step(project, store, open_feedback(store), settings.photos_uri or store.uri)
        document = {"project": project.url, "created": pushed.created, "present": pushed.present}
    print_result(f"{pushed.created} created, {pushed.present} there before", document, as_json=as_json)


def validate(as_json: AsJson = False) -> None:
    """Judge the annotations; prints how many corrections can be learned, are new, and were erased since, and why others can't be learned."""
    from etl.feedback.retraining import erased_since, new_since
    from etl.feedback.validate import validate as step

    store = _store()
    found = step(store)
    new = new_since(store, {(one.feedback.id, one.annotations[0].id) for one in found.corrections})
    gone = erased_since(store)
    document = {"usable": len(found.corrections), "new": new, "erased": gone, "refused": found.refused}
    why = "".join(f", {reason} {count}" for reason, count in found.refused.items())
    print_result(f"usable {len(found.corrections)}, new {new}, erased {gone}{why}", document, as_json=as_json)


def build(
    corpus_uri: Annotated[str, typer.Argument(metavar="DATASET_URI", help="The corpus version to mix with.")],
    seed: Seed = 0,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; by default one per processor.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a dataset version of all that annotators corrected; prints its URI."""
    from etl.feedback.build import build as step

    settings = Settings()
    built = step(
        settings.feedback_uri, settings.datasets_uri, corpus_uri, settings.state_dir, seed=seed, workers=workers
    )
    print_result(built.uri, asdict(built), as_json=as_json)


def retrained(
    uri: Annotated[str, typer.Argument(metavar="URI", help="The version of feedback.")], as_json: AsJson = False
) -> None:
    """Note that a training was started with a version of feedback, so that what is in it is no longer new; prints the version."""
    from etl.feedback.retraining import note_retraining

    version = note_retraining(_store(), uri)
    print_result(version, {"version": version}, as_json=as_json)


def report(out: Annotated[Path, typer.Option(help="The page to write.")], as_json: AsJson = False) -> None:
    """Write a page about all feedback: what creators say, how annotators work, what the last retraining changed; prints its path."""
    from etl.feedback.report import write_report

    write_report(_store(), _last_retraining(Settings()), out)
    print_result(str(out), {"report": str(out)}, as_json=as_json)


def _learned(settings: Settings) -> "tuple[list[AffectedModel], str]":
    """Return the models that learned from erased feedback; or, where the registry is away, why nobody can tell: what is erased stays erased."""
    from etl.feedback.learned import find_learned
    from snap2caption.store import StoreError

    try:
        return find_learned(settings.feedback_uri, settings.datasets_uri, _registry(settings)), ""
    except StoreError:
        raise
    except UserError as error:
        return [], f"Which models learned from erased feedback can't be told: {error}"


def _last_retraining(settings: Settings) -> "RetrainingSummary":
    from etl.feedback.report import RetrainingSummary

    registry = _registry(settings)
    try:
        standing = registry.standing()
        verdict = registry.verdict(standing.champion) if standing.champion else None
    except UserError as error:
        return RetrainingSummary(fault=str(error))
    return RetrainingSummary(standing, verdict)


def _registry(settings: Settings) -> "Registry":
    """Return the registry, for what can be left out: a step without it is better than one that waits for minutes."""
    from snap2caption.registry.client import Registry

    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    return Registry(settings.mlflow_tracking_uri, settings.registered_model)


def _store() -> "ObjectStore":
    from snap2caption.store import open_store

    return open_store(Settings().feedback_uri)
