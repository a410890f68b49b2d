import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from demo.stack.ports import HOST, Ports
from etl.feedback.label_studio.project import _FORMER_HEADER, LABELING, open_project
from etl.feedback.label_studio.settings import LabelStudioSettings
from etl.feedback.label_studio.signature import HEADER, RENEWED_SECONDS, age_of, sign
from snap2caption.errors import UserError

pytestmark = pytest.mark.integration

Configured = Callable[..., LabelStudioSettings]
SECRET = "sixteen-characters-or-more"


def test_a_project_is_made_once_and_brought_into_step(configured: Configured) -> None:
    with open_project(configured()) as first:
        first.client.projects.update(first.id, label_config='<View><Image name="photo" value="$photo"/></View>')
    with open_project(configured(annotators=2)) as again:
        found = again.client.projects.get(again.id)
    assert again.id == first.id
    assert again.url == first.url
    assert found.label_config == LABELING.read_text().strip()
    assert found.maximum_annotations == 2


def test_two_that_make_it_at_once_agree(configured: Configured) -> None:
    barrier, settings = threading.Barrier(3), configured()

    def make(_: int) -> int:
        barrier.wait()
        with open_project(settings) as project:
            return project.id

    with ThreadPoolExecutor(3) as pool:
        made = set(pool.map(make, range(3)))
    with open_project(settings) as project:
        titles = [found.title for found in project.client.projects.list(page_size=1000)]
    assert made == {project.id}
    assert titles.count(settings.project) == 1


def test_the_webhook_is_registered_once_and_follows_settings(configured: Configured) -> None:
    for port in (8020, 8020, 8021):
        url = f"http://{HOST}:{port}/"
        with open_project(configured(webhook_url=url, webhook_secret=SECRET)) as project:
            (webhook,) = project.client.webhooks.list(project=str(project.id))
        assert webhook.url == url
        assert age_of(webhook.headers[HEADER], SECRET) is not None
    with open_project(configured()) as project:
        assert project.client.webhooks.list(project=str(project.id)) == []


def test_a_signature_is_renewed_before_it_ends(configured: Configured) -> None:
    settings = configured(webhook_url="http://receiver.example/", webhook_secret=SECRET)
    old = [
        {HEADER: sign(SECRET, time.time() - RENEWED_SECONDS - 60)},
        {HEADER: sign("another secret of before")},
        {_FORMER_HEADER: SECRET},
    ]
    for headers in old:
        with open_project(settings) as project:
            (webhook,) = project.client.webhooks.list(project=str(project.id))
            project.client.webhooks.update(webhook.id, url=webhook.url, headers=headers)
        kept = []
        for _ in range(2):
            with open_project(settings) as project:
                (webhook,) = project.client.webhooks.list(project=str(project.id))
                kept.append((webhook.id, webhook.headers[HEADER]))
                assert set(webhook.headers) == {HEADER}
        assert kept[0] == kept[1]
        age = age_of(kept[0][1], SECRET)
        assert age is not None
        assert age < RENEWED_SECONDS


def test_a_webhook_without_a_secret_is_refused(configured: Configured) -> None:
    with pytest.raises(UserError, match="WEBHOOK_SECRET"), open_project(configured(webhook_url="http://a.b/")):
        pass


def test_a_wrong_token_is_a_sentence(configured: Configured) -> None:
    with pytest.raises(UserError, match="refused the token"), open_project(configured(token="0" * 40)):
        pass


def test_a_server_that_is_away_is_a_sentence(configured: Configured, tmp_path: Path) -> None:
    port = Ports(tmp_path / "ports.json").get("nobody")
    with pytest.raises(UserError, match="can't be reached"), open_project(configured(url=f"http://{HOST}:{port}")):
        pass
