import base64
import hashlib
import io
import json
from pathlib import Path

import pytest
from creators import creator, headers, metrics_headers, photo_of
from patience import until
from PIL import Image
from starlette.testclient import TestClient

from serving.feedback.service import FeedbackService
from serving.settings import ServingSettings
from serving.voice.repository import VoiceStore
from snap2caption.feedback import Erasure, Feedback, Verdict, Words, photo_key
from snap2caption.store import ObjectStore

pytestmark = pytest.mark.unit


def records(store: ObjectStore) -> list[Feedback]:
    found = []
    for info in list(store.list("records/")):
        with store.get(info.key) as stream:
            found.append(Feedback.model_validate_json(stream.read()))
    return found


def stored(store: ObjectStore, number: int = 1) -> list[Feedback]:
    until(lambda: len(records(store)) >= number)
    return records(store)


def captioned(client: TestClient, key: str = "ana", color: str = "teal") -> str:
    answer = client.post(
        "/generate-caption",
        files={"image": photo_of(color)},
        data={"keep_for_feedback": "true", "tone": "witty", "location": "Pier 39"},
        headers=headers(key),
    )
    assert answer.status_code == 200, answer.text
    return str(answer.json()["request_id"])


def test_feedback_refers_to_a_request_that_was_kept(client: TestClient, store: ObjectStore, voices: VoiceStore) -> None:
    request = captioned(client)
    answer = client.post(
        "/v1/feedback",
        json={"request_id": request, "rating": 3, "edited_caption": "My own words #SF", "reason": "too_short"},
        headers=headers("ana"),
    )
    assert answer.status_code == 202, answer.text
    # Immediately, even if the feedback has not reached the store yet.
    assert voices.captions(creator("ana")) == ["My own words"]
    (found,) = stored(store)
    assert found.id == answer.json()["id"]
    assert (found.creator, found.request_id, found.model_version) == (creator("ana"), request, "test/1")
    assert found.shown is not None
    assert found.shown.caption == "Golden hour ✨"
    assert found.edited == Words(caption="My own words", hashtags=("sf",))
    assert (found.tone, found.location, found.rating, found.verdict) == ("witty", "Pier 39", 3, Verdict.EDITED)


def test_photos_are_upright_and_tell_nothing(client: TestClient, store: ObjectStore, tmp_path: Path) -> None:
    captioned(client)
    for path in ("/feedback", "/store_feedback"):
        answer = client.post(path, files={"image": photo_of("red")}, data={"flag": "true"}, headers=headers("ana"))
        assert answer.status_code == 202, answer.text
    first, second = stored(store, 2)
    assert first.photo == second.photo
    with store.get(photo_key(first.photo)) as stream:
        data = stream.read()
    assert hashlib.sha256(data).hexdigest() == first.photo
    # Neither in the store, nor in the outbox or the request cache.
    assert [file for file in tmp_path.rglob("*") if file.is_file() and b"home of Ana" in file.read_bytes()] == []
    image = Image.open(io.BytesIO(data))
    assert image.size == (48, 64)
    assert not image.getexif()
    assert len(list(store.list("photos/"))) == 1


def test_a_photo_of_their_own_may_come_as_json(client: TestClient, store: ObjectStore) -> None:
    body = {
        "image": base64.b64encode(photo_of("blue")).decode(),
        "caption": "Blue <b>sea</b>",
        "hashtags": ["#Sea"],
        "edited_hashtags": ["sea", "#Ocean"],
        "tone": "playful",
    }
    assert client.post("/v1/feedback", json=body, headers=headers("ana")).status_code == 202
    (found,) = stored(store)
    assert found.shown == Words(caption="Blue <b>sea</b>", hashtags=("sea",))
    assert found.edited == Words(caption="Blue <b>sea</b>", hashtags=("sea", "ocean"))
    assert found.request_id is None


def test_the_same_submission_twice_is_one(client: TestClient, store: ObjectStore) -> None:
    body = {"request_id": captioned(client), "rating": 5}
    first = client.post("/v1/feedback", json=body, headers=headers("ana", "k/../1"))
    again = client.post("/v1/feedback", json=body, headers=headers("ana", "k/../1"))
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json() == again.json()
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    other = client.post("/v1/feedback", json=body | {"rating": 1}, headers=headers("ana", "k/../1"))
    assert (other.status_code, other.json()["reason"]) == (422, "key_reused")
    # The same key of another creator is a different key.
    theirs = client.post(
        "/v1/feedback", files={"image": photo_of("red")}, data={"rating": "1"}, headers=headers("ben", "k/../1")
    )
    assert theirs.status_code == 202
    assert {one.id for one in stored(store, 2)} == {first.json()["id"], theirs.json()["id"]}


@pytest.mark.parametrize(
    ("arguments", "status", "reason"),
    [
        ({"json": {"request_id": "0" * 32, "rating": 5}}, 404, "unknown_request"),
        ({"json": {"request_id": "../../etc/passwd", "rating": 5}}, 422, "invalid"),
        ({"json": {"rating": 5}}, 422, "no_subject"),
        ({"json": {"request_id": "0" * 32}}, 422, "invalid"),
        ({"json": {"request_id": "0" * 32, "rating": 6}}, 422, "invalid"),
        ({"json": {"request_id": "0" * 32, "rating": 5, "creator": "me"}}, 422, "invalid"),
        ({"json": {"request_id": "0" * 32, "edited_caption": "x" * 2201}}, 422, "invalid"),
        ({"json": {"request_id": "0" * 32, "edited_hashtags": ["x"] * 31}}, 422, "invalid"),
        ({"files": {"image": b"no photo"}, "data": {"rating": "5"}}, 422, "image_unreadable"),
        ({"files": {"image": photo_of("red")[:-200]}, "data": {"rating": "5"}}, 422, "image_truncated"),
        ({"json": {"image": "%%%", "rating": 5}}, 422, "bad_base64"),
        ({"content": b"x" * 2_000_000, "headers": {"content-type": "application/json"}}, 413, "body_too_large"),
        ({"content": b"x", "headers": {"content-type": "text/plain"}}, 415, "unsupported_media_type"),
        ({"json": {"request_id": "0" * 32, "rating": 5}, "headers": {"Idempotency-Key": "a b"}}, 422, "bad_key"),
        ({"json": {"request_id": "0" * 32, "rating": 5}, "headers": {"Idempotency-Key": "x" * 201}}, 422, "bad_key"),
    ],
)
def test_what_is_wrong_is_refused(
    client: TestClient, store: ObjectStore, arguments: dict[str, object], status: int, reason: str
) -> None:
    given = arguments | {"headers": headers("ana") | dict(arguments.get("headers", {}))}
    answer = client.post("/v1/feedback", **given)
    assert (answer.status_code, answer.json()["reason"]) == (status, reason), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert not list(store.list())


def test_a_huge_photo_is_refused_before_its_pixels_are_decoded(client: TestClient) -> None:
    stream = io.BytesIO()
    Image.new("1", (4000, 4000)).save(stream, "PNG")
    answer = client.post(
        "/v1/feedback", files={"image": stream.getvalue()}, data={"rating": "5"}, headers=headers("ana")
    )
    assert (answer.status_code, answer.json()["reason"]) == (413, "image_too_large")


def test_only_its_creator_may_refer_to_a_kept_request(client: TestClient) -> None:
    request = captioned(client, "ana")
    answer = client.post("/v1/feedback", json={"request_id": request, "rating": 1}, headers=headers("ben"))
    assert (answer.status_code, answer.json()["reason"]) == (404, "unknown_request")
    plain = client.post("/generate-caption", files={"image": photo_of("red")}, headers=headers("ana")).json()
    answer = client.post("/v1/feedback", json={"request_id": plain["request_id"], "rating": 1}, headers=headers("ana"))
    assert answer.status_code == 404


def test_without_a_key_nothing(client: TestClient) -> None:
    for method, path in (("POST", "/v1/feedback"), ("DELETE", "/feedback"), ("DELETE", f"/v1/feedback/{'0' * 32}")):
        assert client.request(method, path).status_code == 401


def every_place(tmp_path: Path, needle: bytes) -> list[Path]:
    """Files anywhere under the installation that hold *needle*, the database's log among them."""
    return [path for path in tmp_path.rglob("*") if path.is_file() and needle in path.read_bytes()]


def test_erased_is_gone_from_every_place(
    client: TestClient, store: ObjectStore, voices: VoiceStore, tmp_path: Path
) -> None:
    request = captioned(client)
    body = {"request_id": request, "edited_caption": "Unmistakable zebra crossing"}
    mine = client.post("/v1/feedback", json=body, headers=headers("ana", "one")).json()["id"]
    (found,) = stored(store)
    with store.get(photo_key(found.photo)) as stream:
        photo = stream.read()
    words = json.dumps({"caption": "zebra of an annotator"}).encode()
    store.put(f"annotations/{mine}/7.json", words, sha256=hashlib.sha256(words).hexdigest())
    for needle in (b"zebra", photo[200:400], request.encode()):
        assert every_place(tmp_path, needle)
    answer = client.delete(f"/v1/feedback/{mine}", headers=headers("ana"))
    assert (answer.status_code, answer.json()) == (200, {"erased": True})
    for needle in (b"zebra", photo[200:400], creator("ana").encode() + b"/"):
        assert not every_place(tmp_path, needle), needle
    assert [info.key for info in store.list()] == [f"erased/{mine}.json"]
    with store.get(f"erased/{mine}.json") as stream:
        assert Erasure.model_validate_json(stream.read()).id == mine
    assert voices.captions(creator("ana")) == []
    # Both the erasure and the submission are repeated.
    assert client.delete(f"/feedback/{mine}", headers=headers("ana")).json() == {"erased": True}
    assert client.post("/v1/feedback", json=body, headers=headers("ana", "one")).status_code == 410


def test_a_photo_stays_while_another_feedback_shows_it(client: TestClient, store: ObjectStore) -> None:
    ids = [
        client.post(
            "/v1/feedback", files={"image": photo_of("red")}, data={"rating": "2"}, headers=headers(key)
        ).json()["id"]
        for key in ("ana", "ben")
    ]
    stored(store, 2)
    client.delete(f"/v1/feedback/{ids[0]}", headers=headers("ana"))
    (left,) = records(store)
    assert (left.id, store.exists(photo_key(left.photo), left.photo)) == (ids[1], True)
    client.delete(f"/v1/feedback/{ids[1]}", headers=headers("ben"))
    assert not list(store.list("photos/"))


def test_nobody_erases_what_is_not_hers(client: TestClient, store: ObjectStore) -> None:
    mine = client.post(
        "/v1/feedback", files={"image": photo_of("red")}, data={"rating": "2"}, headers=headers("ana")
    ).json()["id"]
    stored(store)
    answers = [
        client.delete(f"/v1/feedback/{identifier}", headers=headers("ben"))
        for identifier in (mine, "0" * 32, "x", "..%2F..%2Fetc", "A" * 32)
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert answers[0].json() == answers[1].json()
    assert len(records(store)) == 1
    client.delete(f"/v1/feedback/{mine}", headers=headers("ana"))
    assert client.delete(f"/v1/feedback/{mine}", headers=headers("ben")).status_code == 404


def test_all_of_a_creators_is_erased_and_nobody_elses(
    client: TestClient, store: ObjectStore, voices: VoiceStore
) -> None:
    kept = captioned(client, "ana", "pink")
    for key, color in (("ana", "red"), ("ana", "blue"), ("ben", "red")):
        client.post(
            "/v1/feedback",
            json={"request_id": captioned(client, key, color), "rating": 5},
            headers=headers(key),
        )
    stored(store, 3)
    assert len(voices.captions(creator("ana"))) == 2
    assert client.delete("/v1/feedback", headers=headers("ana")).json() == {"erased": True}
    (left,) = records(store)
    assert left.creator == creator("ben")
    assert len(list(store.list("photos/"))) == 1
    assert len(list(store.list("erased/"))) == 2
    assert voices.captions(creator("ana")) == []
    assert len(voices.captions(creator("ben"))) == 1
    answer = client.post("/v1/feedback", json={"request_id": kept, "rating": 5}, headers=headers("ana"))
    assert answer.status_code == 404
    assert client.delete("/v1/feedback", headers=headers("ana")).json() == {"erased": True}


def test_an_erasure_is_known_on_another_machine(
    client: TestClient, store: ObjectStore, settings: ServingSettings, voices: VoiceStore, tmp_path: Path
) -> None:
    mine = client.post(
        "/v1/feedback", files={"image": photo_of("red")}, data={"rating": "2"}, headers=headers("ana")
    ).json()["id"]
    stored(store)
    feedback_service = FeedbackService(settings.model_copy(update={"feedback_dir": tmp_path / "other"}), store, voices)
    feedback_service.start()
    feedback_service.erase(creator("ana"), mine)
    until(lambda: feedback_service.is_erased(creator("ana"), mine))
    feedback_service.close()
    assert not records(store)
    again = FeedbackService(settings.model_copy(update={"feedback_dir": tmp_path / "third"}), store, voices)
    again.start()
    again.erase(creator("ana"), mine)
    again.close()


def test_ratings_and_edits_are_counted(client: TestClient) -> None:
    client.post("/v1/feedback", json={"request_id": captioned(client), "rating": 5}, headers=headers("ana"))
    client.post("/v1/feedback", json={"rating": 5}, headers=headers("ana"))
    metrics = client.get("/metrics", headers=metrics_headers()).text
    assert 'snap2caption_feedback_ratings_total{model_version="test/1",rating="5"}' in metrics
    assert 'snap2caption_feedback_verdicts_total{model_version="test/1",tone="witty",verdict="accepted"}' in metrics
    assert 'snap2caption_feedback_edit_distance_count{model_version="test/1"}' in metrics
    assert 'snap2caption_feedback_refusals_total{reason="no_subject"}' in metrics
    assert 'snap2caption_feedback_spool{what="feedback"}' in metrics


def test_openapi_tells_of_it(client: TestClient) -> None:
    schema = client.get("/openapi.json").json()
    assert set(schema["paths"]["/v1/feedback"]) == {"post", "delete"}
    assert schema["paths"]["/feedback"]["post"]["tags"] == ["aliases"]
    assert "SubmissionBody" in schema["components"]["schemas"]
