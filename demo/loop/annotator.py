"""Scripted annotator, who works through Label Studio's own API."""

from typing import Any

import httpx

from demo.loop.habit import corrected
from demo.stack.services.label_studio import LabelStudioAccess
from snap2caption.feedback import Words
from snap2caption.hashtags import extract


def annotate(access: LabelStudioAccess, project: int) -> int:
    """Complete every open task of *project* by the habit; return the number of tasks."""
    done = 0
    with httpx.Client(
        base_url=access.url, headers={"Authorization": f"Token {access.token}"}, timeout=120.0, follow_redirects=True
    ) as client:
        for task in _tasks(client, project):
            if task["total_annotations"]:
                continue
            words = corrected(_prefilled(_get(client, f"/api/tasks/{task['id']}/")))
            answer = client.post(f"/api/tasks/{task['id']}/annotations/", json={"result": _result(words)})
            answer.raise_for_status()
            done += 1
    return done


def _tasks(client: httpx.Client, project: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    page = 1
    while True:
        answer = client.get("/api/tasks", params={"project": project, "page": page, "page_size": 100})
        # Label Studio has no empty page: after the last page it answers 404.
        if answer.status_code == httpx.codes.NOT_FOUND:
            return found
        answer.raise_for_status()
        document = answer.json()
        found += document["tasks"]
        if len(found) >= document["total"]:
            return found
        page += 1


def _get(client: httpx.Client, path: str) -> Any:
    answer = client.get(path)
    answer.raise_for_status()
    return answer.json()


def _prefilled(task: dict[str, Any]) -> Words:
    """Return the words that the page shows to start from."""
    fields = {one["from_name"]: one["value"]["text"][0] for one in task["predictions"][0]["result"]}
    return Words(caption=fields["caption"], hashtags=tuple(extract(fields.get("hashtags", ""))))


def _result(words: Words) -> list[dict[str, Any]]:
    def text(name: str, content: str) -> dict[str, Any]:
        return {"from_name": name, "to_name": "photo", "type": "textarea", "value": {"text": [content]}}

    rating = {"from_name": "rating", "to_name": "photo", "type": "rating", "value": {"rating": 2}}
    return [text("caption", words.caption), text("hashtags", " ".join(f"#{tag}" for tag in words.hashtags)), rating]
