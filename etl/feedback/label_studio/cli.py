"""Commands of Label Studio: project, tasks, annotations and webhook."""

from typing import TYPE_CHECKING, Annotated

import typer

from snap2caption.command_line.console import print_result

if TYPE_CHECKING:
    from snap2caption.store import ObjectStore

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    for command in (label_studio_project, label_studio_push, label_studio_pull, label_studio_webhook):
        app.command()(command)


def label_studio_project(as_json: AsJson = False) -> None:
    """Create the project in Label Studio, or update it; prints its URL."""
    from etl.feedback.label_studio.project import open_project
    from etl.feedback.label_studio.settings import LabelStudioSettings
    from snap2caption.settings import read_settings

    with open_project(read_settings(LabelStudioSettings)) as project:
        print_result(project.url, {"project": project.url}, as_json=as_json)


def label_studio_push(
    records: Annotated[list[str], typer.Argument(metavar="RECORD", help="Keys of feedback records in the store.")],
    as_json: AsJson = False,
) -> None:
    """Create a task in Label Studio for each feedback that has none; prints the number of tasks."""
    from etl.feedback.label_studio.project import open_project
    from etl.feedback.label_studio.settings import LabelStudioSettings
    from etl.feedback.label_studio.tasks import push
    from snap2caption.settings import Settings, read_settings
    from snap2caption.store import open_store

    settings, uri = read_settings(LabelStudioSettings), Settings().feedback_uri
    store = open_store(uri)
    for key in records:
        _check(store, key)
    with open_project(settings) as project:
        pushed = push(project, store, records, settings.photos_uri or uri)
        document = {"project": project.url, "created": pushed.created, "present": pushed.present}
    print_result(f"{pushed.created} created, {pushed.present} there before", document, as_json=as_json)


def label_studio_pull(as_json: AsJson = False) -> None:
    """Delete erased feedback from Label Studio, and store annotations completed since the last pull; prints the
    changes.
    """
    from etl.feedback.label_studio.annotations import pull
    from etl.feedback.label_studio.project import open_project
    from etl.feedback.label_studio.settings import LabelStudioSettings
    from etl.feedback.label_studio.tasks import erase
    from snap2caption.settings import Settings, read_settings
    from snap2caption.store import open_store

    store = open_store(Settings().feedback_uri)
    with open_project(read_settings(LabelStudioSettings)) as project:
        erased = erase(project, store)
        pulled = pull(project, store)
    document = {
        "project": project.url,
        "new": pulled.new,
        "changed": pulled.changed,
        "removed": pulled.removed,
        "refused": dict(pulled.refused),
        "erased": erased,
    }
    text = (
        f"{len(pulled.new)} new, {len(pulled.changed)} changed, {len(pulled.removed)} removed, "
        f"{pulled.refused.total()} refused, {erased} erased"
    )
    print_result(text, document, as_json=as_json)


def label_studio_webhook(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8020,
) -> None:
    """Receive Label Studio's webhook, and notify Airflow of new annotations."""
    import uvicorn

    from etl.feedback.label_studio.airflow import AssetEvents
    from etl.feedback.label_studio.settings import AirflowSettings, LabelStudioSettings
    from etl.feedback.label_studio.webhook import create_app
    from snap2caption.errors import UserError
    from snap2caption.http.connections import Limits, configure
    from snap2caption.settings import read_settings

    secret = read_settings(LabelStudioSettings).webhook_secret
    if secret is None:
        raise UserError(
            "The webhook needs a secret; set SNAP2CAPTION_LABEL_STUDIO_WEBHOOK_SECRET, 16 characters or more."
        )
    events = AssetEvents(read_settings(AirflowSettings))
    app = create_app(secret.get_secret_value(), events.raise_event, events.close)
    limits = Limits(connections=100, per_peer=100, head_seconds=10.0, keep_alive_seconds=5, write_seconds=60.0)
    uvicorn.Server(configure(app, limits, host=host, port=port, log_level="warning")).run()


def _check(store: "ObjectStore", key: str) -> None:
    """Make sure that a feedback's record is under *key*.

    Raises:
        StoreError: there is none.
        UserError: it is not a record.
    """
    from pydantic import ValidationError

    from snap2caption.errors import UserError
    from snap2caption.feedback import Feedback

    with store.get(key) as stream:
        try:
            Feedback.model_validate_json(stream.read())
        except ValidationError as error:
            raise UserError(f"{key} is not a record of feedback; give keys as `records/<day>/<id>.json`.") from error
