"""Label Studio project: created if missing, and kept in step with the code."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

import httpx

from etl.feedback.label_studio.settings import LabelStudioSettings
from etl.feedback.label_studio.signature import HEADER, RENEWED_SECONDS, age_of, sign
from snap2caption.errors import UserError

if TYPE_CHECKING:
    from label_studio_sdk.client import LabelStudio

_FORMER_HEADER = "X-Snap2Caption-Secret"
"""Header in which our webhooks carried the secret itself before signatures existed: such webhooks are replaced."""

PREFILLED = "snap2caption"
"""Model version of our predictions. Label Studio prefills only those of the one version that its project names,
so this can't be the model's own version; the task's data hold that.
"""

LABELING = resources.files(__package__).joinpath("labeling.xml")

_ACTIONS = ("ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_DELETED")
_INSTRUCTION = (
    "Make the caption and the hashtags what this photo should have. "
    "Take names of places from the note only if the photo agrees. "
    "Shift and Enter, or a click elsewhere, keeps what you wrote. "
    "Rate the caption as it was shown, before you changed it. "
    "If nothing can be learned from the photo, say why below."
)


@dataclass(frozen=True, slots=True)
class AnnotationProject:
    """A project, and the client that accesses it."""

    client: "LabelStudio"
    id: int
    url: str
    """URL of the project's page."""


@contextmanager
def open_project(settings: LabelStudioSettings) -> Iterator[AnnotationProject]:
    """Find the project by its title or create it, update it to the code and the settings, and yield it.

    Raises:
        UserError: Label Studio is unavailable or refuses.
    """
    with _connected(settings) as client:
        found = _find(client, settings.project) or _create(client, settings)
        wanted = _wanted(settings)
        if any(getattr(found, name) != value for name, value in wanted.items()):
            client.projects.update(found.id, **wanted)
        _keep_webhook(client, found.id, settings)
        yield AnnotationProject(client, found.id, f"{str(settings.url).rstrip('/')}/projects/{found.id}")


@contextmanager
def _connected(settings: LabelStudioSettings) -> Iterator["LabelStudio"]:
    from label_studio_sdk.client import LabelStudio
    from label_studio_sdk.core.api_error import ApiError

    url, token = str(settings.url).rstrip("/"), settings.read_token()
    try:
        with httpx.Client(timeout=60.0, follow_redirects=True) as http:
            yield LabelStudio(base_url=url, api_key=token, httpx_client=http)
    except ApiError as error:
        if error.status_code in {401, 403}:
            raise UserError(
                f"Label Studio at {url} refused the token; make a new one in its account settings."
            ) from error
        raise UserError(f"Label Studio at {url} failed (status {error.status_code}: {_detail(error.body)}).") from error
    except httpx.TransportError as error:
        raise UserError(
            f"Label Studio at {url} can't be reached ({error}); start it, or correct SNAP2CAPTION_LABEL_STUDIO_URL."
        ) from error


def _detail(body: Any) -> str:
    if isinstance(body, dict):
        return str(body.get("validation_errors") or body.get("detail") or body)[:300]
    return str(body)[:300]


def _wanted(settings: LabelStudioSettings) -> dict[str, Any]:
    return {
        "label_config": LABELING.read_text(encoding="utf-8").strip(),
        "expert_instruction": _INSTRUCTION,
        # A button opens it; otherwise it would appear before every first task.
        "show_instruction": False,
        "maximum_annotations": settings.annotators,
        "overlap_cohort_percentage": 100,
        "show_collab_predictions": True,
        "model_version": PREFILLED,
        # Annotators say why a task is unusable instead of skipping it.
        "show_skip_button": False,
        "enable_empty_annotation": False,
    }


def _find(client: "LabelStudio", title: str) -> Any | None:
    """Return the oldest project with that title: if several were created at once, all clients agree on it."""
    ids = _titled(client, title)
    return client.projects.get(ids[0]) if ids else None


def _create(client: "LabelStudio", settings: LabelStudioSettings) -> Any:
    client.projects.create(title=settings.project, **_wanted(settings))
    # Another client may have been faster, and ours retries if a response was lost. The last to create sees them all.
    oldest, *duplicates = _titled(client, settings.project)
    for duplicate in duplicates:
        _delete_empty(client, duplicate)
    return client.projects.get(oldest)


def _titled(client: "LabelStudio", title: str) -> list[int]:
    return sorted(project.id for project in client.projects.list(page_size=1000) if project.title == title)


def _delete_empty(client: "LabelStudio", project: int) -> None:
    from label_studio_sdk.core.api_error import ApiError

    try:
        if not client.projects.get(project).task_number:
            client.projects.delete(project)
    except ApiError as error:
        # The other client deleted it.
        if error.status_code != httpx.codes.NOT_FOUND:
            raise


def _keep_webhook(client: "LabelStudio", project: int, settings: LabelStudioSettings) -> None:
    """Make sure that the project has exactly the webhook from the settings, with a signature that is still fresh."""
    ours = [
        webhook
        for webhook in client.webhooks.list(project=str(project))
        if {HEADER, _FORMER_HEADER} & (webhook.headers or {}).keys()
    ]
    kept = None
    if settings.webhook_url is not None:
        if settings.webhook_secret is None:
            raise UserError(
                "The webhook has no secret; set SNAP2CAPTION_LABEL_STUDIO_WEBHOOK_SECRET, 16 characters or more."
            )
        secret = settings.webhook_secret.get_secret_value()
        wanted = {
            "url": str(settings.webhook_url),
            "send_payload": True,
            "send_for_all_actions": False,
            "actions": sorted(_ACTIONS),
            "is_active": True,
        }
        kept = next((webhook for webhook in ours if _is_good(webhook, wanted, secret)), None)
        if kept is None:
            # Create the new one before deleting the old one, so that nothing is missed.
            client.webhooks.create(project=project, headers={HEADER: sign(secret)}, **wanted)
    for webhook in ours:
        if webhook is not kept:
            client.webhooks.delete(webhook.id)


def _is_good(webhook: Any, wanted: dict[str, Any], secret: str) -> bool:
    current = {name: getattr(webhook, name) for name in wanted} | {"actions": sorted(webhook.actions or ())}
    age = age_of((webhook.headers or {}).get(HEADER, ""), secret)
    return current == wanted and set(webhook.headers) == {HEADER} and age is not None and age < RENEWED_SECONDS
