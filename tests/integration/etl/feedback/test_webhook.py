"""Label Studio's webhook, from the annotator's click to the event."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx
import pytest
from patience import LONGEST
from pydantic import AnyHttpUrl
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from web_server import listening

from etl.feedback.label_studio.airflow import AssetEvents
from etl.feedback.label_studio.project import SECRET_HEADER, open_project
from etl.feedback.label_studio.settings import AirflowSettings, LabelStudioSettings
from etl.feedback.label_studio.tasks import push
from etl.feedback.label_studio.webhook import create_app
from snap2caption.errors import UserError

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

    def deliver(self, body: bytes, secret: str = SECRET) -> int:
        return httpx.post(self.url, content=body, headers={SECRET_HEADER: secret}, timeout=LONGEST).status_code


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    with listening(create_app(SECRET, found.raise_event, lambda: None)) as found.url:
        yield found


def test_what_an_annotator_completes_becomes_an_event(
    configured: Callable[..., LabelStudioSettings], feedbacks: "Feedbacks", receiver: Receiver
) -> None:
    with open_project(configured(webhook_url=receiver.url, webhook_secret=SECRET)) as project:
        push(project, feedbacks.store, [feedbacks.add(1)], feedbacks.uri)
        (task,) = project.client.tasks.list(project=project.id, fields="task_only")
        assert receiver.events == 0
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


@pytest.mark.parametrize("secret", ["", "wrong", SECRET[:-1], "ö" * 20])
def test_without_the_secret_nothing_happens(receiver: Receiver, secret: str) -> None:
    answer = httpx.post(receiver.url, content=b"{}", headers={SECRET_HEADER: secret.encode()}, timeout=LONGEST)
    assert answer.status_code == httpx.codes.UNAUTHORIZED
    assert receiver.events == 0


def test_a_body_beyond_all_measure_is_refused(receiver: Receiver) -> None:
    assert receiver.deliver(b"x" * (5 << 20)) == httpx.codes.REQUEST_ENTITY_TOO_LARGE
    assert receiver.events == 0


def test_what_answers_and_is_not_airflow_is_a_sentence() -> None:
    async def answer(_: Request) -> Response:
        return PlainTextResponse("<html>Welcome!</html>")

    with listening(Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])) as url:
        events = AssetEvents(AirflowSettings(url=AnyHttpUrl(url)))
        with pytest.raises(UserError, match="is not Airflow; correct SNAP2CAPTION_AIRFLOW_URL"):
            events.raise_event()
        events.close()
