"""Label Studio's webhook, from the annotator's click to the event."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx
import pytest
from patience import LONGEST
from pydantic import AnyHttpUrl, SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from web_server import listening

from etl.feedback.label_studio.airflow import AssetEvents
from etl.feedback.label_studio.project import open_project
from etl.feedback.label_studio.settings import AirflowSettings, LabelStudioSettings
from etl.feedback.label_studio.signature import GOOD_SECONDS, HEADER, SKEW_SECONDS, sign
from etl.feedback.label_studio.tasks import push
from etl.feedback.label_studio.webhook import create_app
from snap2caption.errors import UserError
from snap2caption.feedback import record_key

if TYPE_CHECKING:
    from conftest import Feedbacks

pytestmark = pytest.mark.integration

SECRET = "sixteen-characters-or-more"


@dataclass
class Receiver:
    """The server that receives the webhook; what it would tell Airflow is counted."""

    url: str = ""
    events: int = 0
    away: bool = False
    came: threading.Event = field(default_factory=threading.Event)

    def raise_event(self) -> None:
        if self.away:
            raise UserError("Airflow is away.")
        self.events += 1
        self.came.set()

    def deliver(self, body: bytes, signature: str | None = None) -> int:
        headers = {HEADER: sign(SECRET) if signature is None else signature}
        return httpx.post(self.url, content=body, headers=headers, timeout=LONGEST).status_code


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    with listening(create_app(SECRET, found.raise_event, lambda: None)) as found.url:
        yield found


def test_what_an_annotator_completes_becomes_an_event(
    configured: Callable[..., LabelStudioSettings], feedbacks: "Feedbacks", receiver: Receiver
) -> None:
    with open_project(configured(webhook_url=receiver.url, webhook_secret=SECRET)) as project:
        push(project, feedbacks.store, [record_key(feedbacks.add(1))], feedbacks.uri)
        (task,) = project.client.tasks.list(project=project.id, fields="task_only")
        assert receiver.events == 0
        # What Label Studio holds and sends is no secret.
        (webhook,) = project.client.webhooks.list(project=str(project.id))
        assert SECRET not in str(webhook)
        text = {"from_name": "caption", "to_name": "photo", "type": "textarea", "value": {"text": ["Hi"]}}
        made = project.client.annotations.create(id=task.id, result=[text])
        assert receiver.came.wait(LONGEST)
        receiver.came.clear()
        project.client.annotations.delete(made.id)
        assert receiver.came.wait(LONGEST)
    assert receiver.events == 2


@pytest.mark.parametrize("times", [0, 1, 5])
def test_a_delivery_is_one_event_however_often_it_comes(receiver: Receiver, times: int) -> None:
    with ThreadPoolExecutor(5) as pool:
        assert set(pool.map(receiver.deliver, [b'{"annotation": {"id": 7}}'] * times)) <= {204}
    assert receiver.events == min(times, 1)


def test_what_airflow_did_not_take_counts_when_it_comes_again(receiver: Receiver) -> None:
    receiver.away = True
    assert receiver.deliver(b"{}") == httpx.codes.SERVICE_UNAVAILABLE
    receiver.away = False
    assert receiver.deliver(b"{}") == httpx.codes.NO_CONTENT
    assert receiver.events == 1


NOW = time.time()

REFUSED = {
    "none": "",
    "the secret itself": SECRET,
    "another secret's": sign(f"{SECRET}!"),
    "too old": sign(SECRET, NOW - GOOD_SECONDS - 60),
    "of the future": sign(SECRET, NOW + SKEW_SECONDS + 3600),
    "made young": f"t={int(NOW)},{sign(SECRET, NOW - GOOD_SECONDS - 60).partition(',')[2]}",
    "half": sign(SECRET)[:-1],
    "no letters": "t=1,v1=\u00e9",
}


@pytest.mark.parametrize("kind", REFUSED)
def test_without_a_signature_that_is_good_nothing_happens(receiver: Receiver, kind: str) -> None:
    headers = {HEADER: REFUSED[kind].encode()}
    answer = httpx.post(receiver.url, content=b"{}", headers=headers, timeout=LONGEST)
    assert answer.status_code == httpx.codes.UNAUTHORIZED
    assert receiver.events == 0


def test_a_signature_is_good_for_days(receiver: Receiver) -> None:
    assert receiver.deliver(b"{}", sign(SECRET, NOW - GOOD_SECONDS + 3600)) == httpx.codes.NO_CONTENT
    assert receiver.deliver(b"[]", sign(SECRET, NOW + SKEW_SECONDS / 2)) == httpx.codes.NO_CONTENT
    assert receiver.events == 2


def test_a_body_beyond_all_measure_is_refused(receiver: Receiver) -> None:
    assert receiver.deliver(b"x" * (5 << 20)) == httpx.codes.REQUEST_ENTITY_TOO_LARGE
    assert receiver.events == 0


def test_what_answers_and_is_not_airflow_is_a_sentence() -> None:
    async def answer(_: Request) -> Response:
        return PlainTextResponse("<html>Welcome!</html>")

    with listening(Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])) as url:
        events = AssetEvents(AirflowSettings(url=AnyHttpUrl(url), password=SecretStr("password")))
        with pytest.raises(UserError, match="is not Airflow; correct SNAP2CAPTION_AIRFLOW_URL"):
            events.raise_event()
        events.close()


def test_without_a_password_for_airflow_nobody_is_asked() -> None:
    events = AssetEvents(AirflowSettings())
    with pytest.raises(UserError, match="set SNAP2CAPTION_AIRFLOW_PASSWORD"):
        events.raise_event()
    events.close()
