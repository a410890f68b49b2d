import hashlib
import json
import os
import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import patience
import pytest
from counting_store import CountingStore

from etl.feedback.label_studio.annotations import pull
from etl.feedback.label_studio.project import AnnotationProject, open_project
from etl.feedback.label_studio.settings import LabelStudioSettings
from etl.feedback.label_studio.tasks import PushResult, erase, push
from snap2caption.errors import UserError
from snap2caption.feedback import Feedback, record_key

if TYPE_CHECKING:
    from conftest import AnnotationServer, Feedbacks

pytestmark = pytest.mark.integration

Configured = Callable[..., LabelStudioSettings]
ROUNDS = int(os.environ.get("CHAOS_LABEL_STUDIO_ROUNDS", "1"))


def tasks(project: AnnotationProject, server: "AnnotationServer") -> list[dict[str, Any]]:
    """Return the tasks as Label Studio's pages get them, by feedback."""
    where = {"project": project.id, "fields": "all", "page_size": 500}
    answer = patience.get(f"{server.access.url}/api/tasks", params=where, headers=token(server))
    found: list[dict[str, Any]] = answer.raise_for_status().json()["tasks"]
    return sorted(found, key=lambda task: str(task["meta"]["feedback"]))


def token(server: "AnnotationServer") -> dict[str, str]:
    return {"Authorization": f"Token {server.access.token}"}


def keys_of(given: list[Feedback]) -> list[str]:
    return [record_key(feedback) for feedback in given]


def of(project: AnnotationProject, server: "AnnotationServer") -> list[str]:
    return [task["meta"]["feedback"] for task in tasks(project, server)]


def test_each_feedback_has_one_task_with_photo_and_words(
    project: AnnotationProject, feedbacks: "Feedbacks", annotation_server: "AnnotationServer"
) -> None:
    given = [feedbacks.add(number) for number in range(1, 4)]
    assert push(project, feedbacks.store, keys_of(given), feedbacks.uri) == PushResult(3, 0)
    assert push(project, feedbacks.store, keys_of(given) * 2, feedbacks.uri) == PushResult(0, 3)
    found = tasks(project, annotation_server)
    assert [task["meta"]["feedback"] for task in found] == [feedback.id for feedback in given]
    (prediction,) = found[0]["predictions"]
    words = {part["from_name"]: part["value"]["text"] for part in prediction["result"]}
    assert words == {"caption": ["Caption 1"], "hashtags": ["#chicago #travel"]}
    assert found[0]["data"]["model_version"] == "models:/snap2caption/3"
    assert given[0].creator not in json.dumps(found)
    # As the annotator's browser asks for it: with her login, and without.
    photo = found[0]["data"]["photo"]
    answer = patience.get(photo, headers=token(annotation_server))
    assert (answer.status_code, answer.headers["content-type"]) == (httpx.codes.OK, "image/jpeg")
    assert patience.get(photo).status_code == httpx.codes.UNAUTHORIZED


def test_with_nothing_new_nothing_is_read_or_listed_twice(project: AnnotationProject, feedbacks: "Feedbacks") -> None:
    store = CountingStore(feedbacks.store)

    def count(step: Callable[[], object]) -> Counter[str]:
        store.requests.clear()
        step()
        return Counter(store.requests)

    keys = keys_of([feedbacks.add(number) for number in range(1, 13)])
    first = count(lambda: push(project, store, keys, feedbacks.uri))
    assert first["get records"] == len(keys)
    feedbacks.erase(keys[0].rpartition("/")[2].removesuffix(".json"))
    erase(project, store)
    pull(project, store)
    for step in (
        lambda: push(project, store, keys, feedbacks.uri),
        lambda: erase(project, store),
        lambda: pull(project, store),
    ):
        requests = count(step)
        assert not [what for what in requests if what.startswith(("get records", "get annotations", "put", "delete"))]
        assert max(requests.values()) == 1, requests
        assert requests.total() <= 4, requests


def test_two_pushes_at_once_leave_a_task_each(
    project: AnnotationProject, feedbacks: "Feedbacks", annotation_server: "AnnotationServer"
) -> None:
    given = [feedbacks.add(number) for number in range(1, 9)]
    barrier = threading.Barrier(2)

    def work(_: int) -> None:
        barrier.wait()
        push(project, feedbacks.store, keys_of(given), feedbacks.uri)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, range(2)))
    assert of(project, annotation_server) == [feedback.id for feedback in given]


def test_what_was_erased_goes_with_its_annotations(
    project: AnnotationProject, feedbacks: "Feedbacks", annotation_server: "AnnotationServer"
) -> None:
    given = [feedbacks.add(number) for number in (1, 2)]
    push(project, feedbacks.store, keys_of(given), feedbacks.uri)
    feedbacks.store.put(f"annotations/{given[0].id}/7.json", b"{}", sha256=hashlib.sha256(b"{}").hexdigest())
    feedbacks.erase(given[0].id)
    assert erase(project, feedbacks.store) == 1
    assert erase(project, feedbacks.store) == 0
    assert push(project, feedbacks.store, keys_of(given), feedbacks.uri) == PushResult(0, 1)
    assert of(project, annotation_server) == [given[1].id]
    assert list(feedbacks.store.list("annotations/")) == []


def test_photos_that_label_studio_can_not_read_are_a_sentence(
    project: AnnotationProject, feedbacks: "Feedbacks"
) -> None:
    with pytest.raises(UserError, match="SNAP2CAPTION_LABEL_STUDIO_PHOTOS_URI"):
        push(project, feedbacks.store, [record_key(feedbacks.add(1))], "swift://container/feedback")


def test_photos_in_a_folder_are_handed_out_by_label_studio(
    project: AnnotationProject, annotation_server: "AnnotationServer", feedbacks_in: Callable[[Path], "Feedbacks"]
) -> None:
    feedbacks = feedbacks_in(annotation_server.files)
    push(project, feedbacks.store, [record_key(feedbacks.add(1))], feedbacks.uri)
    push(project, feedbacks.store, [record_key(feedbacks.add(2))], feedbacks.uri)
    found = tasks(project, annotation_server)
    photos = [f"{annotation_server.access.url}{task['data']['photo']}" for task in found]
    for photo in photos:
        answer = patience.get(photo, headers=token(annotation_server))
        assert (answer.status_code, answer.headers["content-type"]) == (httpx.codes.OK, "image/jpeg")
        assert patience.get(photo).status_code == httpx.codes.UNAUTHORIZED
    # Nothing beside the photos.
    feedbacks.erase(found[0]["meta"]["feedback"])
    for path in (f"erased/{found[0]['meta']['feedback']}.json", "photos/../../../etc/passwd", "/etc/passwd"):
        answer = patience.get(
            f"{annotation_server.access.url}/data/local-files/", params={"d": path}, headers=token(annotation_server)
        )
        assert answer.is_error, path


def test_a_folder_that_label_studio_may_not_read_is_a_sentence(
    project: AnnotationProject,
    annotation_server: "AnnotationServer",
    feedbacks_in: Callable[[Path], "Feedbacks"],
    tmp_path: Path,
) -> None:
    for folder in (tmp_path, annotation_server.files / "below"):
        feedbacks = feedbacks_in(folder)
        with pytest.raises(UserError, match=f"LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT={folder}, or"):
            push(project, feedbacks.store, [record_key(feedbacks.add(1))], feedbacks.uri)


def test_a_push_whose_server_is_killed_is_completed_by_the_next(
    configured: Configured, feedbacks: "Feedbacks", annotation_server: "AnnotationServer"
) -> None:
    """With CHAOS_LABEL_STUDIO_ROUNDS, at that many moments."""
    chance, settings = random.Random(7), configured()
    given = [feedbacks.add(number) for number in range(1, 1 + 20 * (ROUNDS + 1))]

    def try_to_push(count: int) -> None:
        with suppress(UserError), open_project(settings) as project:
            push(project, feedbacks.store, keys_of(given[:count]), feedbacks.uri)

    for number in range(ROUNDS):
        with open_project(settings):
            worker = threading.Thread(target=try_to_push, args=(20 * (number + 1),))
            worker.start()
            worker.join(chance.uniform(0.0, 1.5))
            annotation_server.kill()
        worker.join()
        annotation_server.start()
    with open_project(settings) as project:
        push(project, feedbacks.store, keys_of(given), feedbacks.uri)
        found = tasks(project, annotation_server)
    assert [task["meta"]["feedback"] for task in found] == [feedback.id for feedback in given]
    assert all(len(task["predictions"]) == 1 for task in found)


def test_two_annotators_see_each_task_where_that_is_wanted(
    configured: Configured, feedbacks: "Feedbacks", annotation_server: "AnnotationServer"
) -> None:
    with open_project(configured(annotators=2)) as project:
        push(project, feedbacks.store, [record_key(feedbacks.add(1))], feedbacks.uri)
        (task,) = tasks(project, annotation_server)
    assert task["overlap"] == 2
