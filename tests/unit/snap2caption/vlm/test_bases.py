import time
from pathlib import Path

import httpx
import pytest
from tiny import BASE

from snap2caption.errors import UserError
from snap2caption.vlm import find_revision, load, local_revision, resolve_base

pytestmark = pytest.mark.unit


def test_the_base_is_found_on_disk_or_named(models_dir):
    assert resolve_base(BASE, models_dir) == str(models_dir / BASE)
    assert resolve_base("llava-hf/llava-1.5-7b-hf", models_dir) == "llava-hf/llava-1.5-7b-hf"


def test_the_revision_is_that_of_the_weights(models_dir):
    revision = local_revision(models_dir / BASE)
    assert find_revision(BASE, models_dir) == revision == load(BASE, models_dir).revision
    with pytest.raises(UserError, match=f"has revision {revision}, but the recipe or the adapter needs older"):
        load(BASE, models_dir, revision="older")


def test_a_base_that_is_nowhere_is_one_sentence(models_dir):
    for ask in (load, find_revision):
        with pytest.raises(UserError, match=r"is neither in .* nor on the model hub"):
            ask("no-such-base", models_dir)


def test_a_hub_that_is_away_is_asked_once(models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def away(url: str, **_: object) -> httpx.Response:
        asked.append(url)
        raise httpx.ConnectError("away")

    monkeypatch.setattr(httpx, "head", away)
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail(f"waited {seconds} s"))
    with pytest.raises(UserError, match=r"https://huggingface.co can't be reached, and .* lacks it"):
        load("owner/no-such-base", models_dir)
    assert asked == ["https://huggingface.co"]


def test_a_folder_that_is_pinned_is_the_pinned_one(models_dir: Path) -> None:
    revision = find_revision(BASE, models_dir)
    assert find_revision(BASE, models_dir, revision) == revision
    with pytest.raises(UserError, match=rf"has revision {revision}, but the recipe or the adapter needs another"):
        find_revision(BASE, models_dir, "another")
