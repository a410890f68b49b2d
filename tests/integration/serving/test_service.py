import base64
import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import patience
import pytest
from mlflow import MlflowClient
from patience import LONGEST, until
from photos import real_photos
from service_process import environment
from starlette.testclient import TestClient

from demo.stack.ports import is_free
from serving.app import build_app
from serving.client import Client
from serving.engines.local.loader import LocalLoader
from serving.http.schemas import CaptionAnswer, Options
from serving.models.manager import ModelManager
from serving.models.trust import TrustPolicy
from serving.settings import ServingSettings
from snap2caption.errors import UserError
from snap2caption.registry.adapters import WEIGHTS
from snap2caption.registry.client import CHAMPION, Registry
from snap2caption.registry.versions import ModelVersion
from snap2caption.settings import Settings
from training.evaluation.candidates import find_trained
from training.gate import promotion
from training.gate.promotion import open_registry

pytestmark = pytest.mark.integration

Train = Callable[[int], str]

SWAPS = int(os.environ.get("SWAPS", "3"))
"""`make swaps` does 20."""


def version_of(installation: Settings, run: str) -> str:
    found = Registry(installation.mlflow_tracking_uri, installation.registered_model).resolve(run)
    return f"{installation.registered_model}/{found.version}"


def test_real_photographs_are_captioned(url: str) -> None:
    photos = real_photos()
    assert len(photos) >= 20
    for path in photos:
        answer = patience.post(f"{url}/generate-caption", files={"image": path.read_bytes()}, data={"hashtags": "7"})
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert body["caption"]
        assert len(set(body["hashtags"])) == 7


@pytest.mark.parametrize(
    ("address", "setting", "expected"),
    [("", True, (200, None)), ("", False, (503, "no_model")), ("http://127.0.0.1:9", True, (503, "no_model"))],
    ids=["no champion", "not asked for", "registry away"],
)
def test_it_may_be_ready_before_the_first_promotion(
    installation: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    address: str,
    setting: bool,
    expected: tuple[int, str | None],
) -> None:
    # As `serve` does: MLflow's client would try for four minutes.
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    settings = ServingSettings(cache_dir=tmp_path, ready_without_model=setting, page=False)
    registry = Registry(address or installation.mlflow_tracking_uri, f"nothing-{tmp_path.name}")
    models = ModelManager(
        registry, LocalLoader(settings, tmp_path), tmp_path, poll_seconds=0.1, trust=TrustPolicy(tmp_path)
    )
    with TestClient(build_app(settings, models.current, models=models)) as client:
        until(lambda: models.contact is not None)
        until(lambda: client.get("/readyz").status_code == expected[0])
        body = client.get("/readyz").json()
        assert (body["model_version"] if expected[0] == 200 else body["reason"]) == expected[1]
        assert body["registry"]["reachable"] is (not address)
        # Whoever watches is told that no captions are written.
        assert "snap2caption_ready 0.0" in client.get("/metrics").text.splitlines()


def test_base64_and_multipart_agree(url: str) -> None:
    photo = real_photos()[0].read_bytes()
    form = patience.post(f"{url}/generate-caption", files={"image": photo}).json()
    document = {"image": base64.b64encode(photo).decode()}
    plain = patience.post(f"{url}/generate_caption", json=document).json()
    for field in ("caption", "hashtags", "alt_text", "model_version"):
        assert form[field] == plain[field]
    assert form["request_id"] != plain["request_id"]


def test_requests_that_arrive_together_are_batched(url: str) -> None:
    photo = real_photos()[1].read_bytes()

    def ask(_: int) -> int:
        return patience.post(f"{url}/generate-caption", files={"image": photo}).status_code

    with ThreadPoolExecutor(12) as pool:
        assert Counter(pool.map(ask, range(24))) == {200: 24}
    sizes = [
        line for line in patience.get(f"{url}/metrics").text.splitlines() if line.startswith("snap2caption_batch_size_")
    ]
    total = float(next(line for line in sizes if line.startswith("snap2caption_batch_size_sum")).split()[1])
    count = float(next(line for line in sizes if line.startswith("snap2caption_batch_size_count")).split()[1])
    assert total > count


def test_a_promotion_and_a_rollback_under_load_lose_no_answer(
    url: str, installation: Settings, two_versions: tuple[str, str]
) -> None:
    first, second = two_versions
    photo = real_photos()[20].read_bytes()
    seen: list[tuple[int, str, str]] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            answer = patience.post(f"{url}/generate-caption", files={"image": photo})
            body = answer.json()
            seen.append((answer.status_code, body.get("model_version", ""), body.get("caption", "")))

    def served() -> str:
        return str(patience.get(f"{url}/readyz").json().get("model_version"))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    promotion.promote(second, installation, force=True)
    until(lambda: served() == version_of(installation, second))
    promotion.rollback(installation)
    until(lambda: served() == version_of(installation, first))
    stop.set()
    for thread in threads:
        thread.join()
    assert {status for status, _, _ in seen} == {200}
    # One caption per version: nothing was mixed.
    captions = {(version, caption) for _, version, caption in seen}
    assert {version for version, _ in captions} == {version_of(installation, run) for run in two_versions}
    assert len(captions) == 2


def test_many_swaps_under_load_fail_mix_and_repeat_nothing(
    url: str, installation: Settings, two_versions: tuple[str, str]
) -> None:
    registry = Registry(installation.mlflow_tracking_uri, installation.registered_model)
    # Registered, both of them, with the first as champion.
    for run in two_versions[::-1]:
        promotion.promote(run, installation, force=True)
    client, versions = registry.client(), [registry.resolve(run) for run in two_versions]
    photo = real_photos()[20].read_bytes()
    seen: list[tuple[int, str, str, str]] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            answer = patience.post(f"{url}/generate-caption", files={"image": photo})
            body = answer.json()
            seen.append((answer.status_code, body.get("model_version"), body.get("caption"), body.get("request_id")))

    def champion(number: int) -> None:
        client.set_registered_model_alias(registry.name, CHAMPION, str(number))

    def served() -> str:
        return str(patience.get(f"{url}/readyz").json().get("model_version"))

    def swaps(outcome: str) -> float:
        name = f'snap2caption_model_swaps_total{{outcome="{outcome}"}}'
        lines = patience.get(f"{url}/metrics").text.splitlines()
        return sum(float(line.split()[1]) for line in lines if line.startswith(name))

    loaded, returned = swaps("done"), swaps("returned")
    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for round_ in range(SWAPS):
            old, new = versions if round_ % 2 == 0 else versions[::-1]
            champion(new.version)
            until(lambda name=f"{registry.name}/{new.version}": served() == name)
            refused = swaps("refused")
            # Its adapter was trained on another base than the one that is here.
            client.set_model_version_tag(registry.name, str(old.version), "base_revision", "another")
            champion(old.version)
            until(lambda before=refused: swaps("refused") > before)
            assert served() == f"{registry.name}/{new.version}"
            champion(new.version)
            client.set_model_version_tag(registry.name, str(old.version), "base_revision", old.base_revision)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        for version in versions:
            client.set_model_version_tag(registry.name, str(version.version), "base_revision", version.base_revision)
        champion(versions[0].version)
    until(lambda: served() == f"{registry.name}/{versions[0].version}")
    assert {status for status, *_ in seen} == {200}
    captions = {(version, caption) for _, version, caption, _ in seen}
    assert {version for version, _ in captions} == {f"{registry.name}/{version.version}" for version in versions}
    assert len(captions) == 2, "an answer was mixed of two versions"
    assert len({request for *_, request in seen}) == len(seen)
    # The previous model stays loaded, so only the first version had to be downloaded.
    assert swaps("done") - loaded <= 1
    assert swaps("returned") - returned >= SWAPS - 1


@pytest.fixture
def other(installation: Settings, two_versions: tuple[str, str]) -> Iterator[ModelVersion]:
    """A version that is not in service; its tags, and who is the champion, are put right afterwards."""
    registry = Registry(installation.mlflow_tracking_uri, installation.registered_model)
    good, client = registry.by_alias(CHAMPION), registry.client()
    other = promotion.register(find_trained(two_versions[1], client, registry), client, registry)
    assert good is not None
    assert good != other
    tags = client.get_model_version(registry.name, str(other.version)).tags
    yield other
    client.set_registered_model_alias(registry.name, CHAMPION, str(good.version))
    for name, value in tags.items():
        client.set_model_version_tag(registry.name, str(other.version), name, value)


def test_a_broken_champion_is_refused_and_the_old_one_stays(
    url: str, installation: Settings, other: ModelVersion
) -> None:
    registry = Registry(installation.mlflow_tracking_uri, installation.registered_model)
    good = registry.by_alias(CHAMPION)
    assert good is not None
    # Its adapter was trained on another base than the one that is here.
    client = registry.client()
    client.set_model_version_tag(registry.name, str(other.version), "base_revision", "another")
    client.set_registered_model_alias(registry.name, CHAMPION, str(other.version))
    until(lambda: patience.get(f"{url}/readyz").json()["champion_refused"] is not None)
    assert 'snap2caption_model_swaps_total{outcome="refused"} 0.0' not in patience.get(f"{url}/metrics").text
    photo = real_photos()[0].read_bytes()
    answer = patience.post(f"{url}/generate-caption", files={"image": photo}).json()
    assert answer["model_version"] == f"{installation.registered_model}/{good.version}"
    client.set_registered_model_alias(registry.name, CHAMPION, str(good.version))
    until(lambda: patience.get(f"{url}/readyz").json()["champion_refused"] is None)


@pytest.mark.parametrize(
    ("tag", "value", "reason"),
    [
        ("adapter_sha256", "0" * 64, "digest"),
        ("adapter_sha256", None, "digest"),
        ("adapter_sha256", "no digest", "tags"),
        ("base", "someone/elses-model", "base"),
        ("base", "../../models/tiny-llava", "tags"),
        ("base", None, "tags"),
    ],
)
def test_a_champion_that_was_set_past_the_gate_is_refused(
    url: str, installation: Settings, other: ModelVersion, tag: str, value: str | None, reason: str
) -> None:
    client, name, number = (
        MlflowClient(installation.mlflow_tracking_uri),
        installation.registered_model,
        str(other.version),
    )
    before = patience.get(f"{url}/readyz").json()["model_version"]
    if value is None:
        client.delete_model_version_tag(name, number, tag)
    else:
        client.set_model_version_tag(name, number, tag, value)
    client.set_registered_model_alias(name, CHAMPION, number)
    until(lambda: patience.get(f"{url}/readyz").json()["champion_refused"] is not None)
    body = patience.get(f"{url}/readyz").json()
    assert body["champion_refused"] == {"version": other.version, "reason": reason}
    assert "champion" in body["degraded"]
    assert body["model_version"] == before
    assert f'snap2caption_champion_refused{{reason="{reason}"}} 1.0' in patience.get(f"{url}/metrics").text
    photo = real_photos()[0].read_bytes()
    assert patience.post(f"{url}/generate-caption", files={"image": photo}).json()["model_version"] == before
    client.set_registered_model_alias(name, CHAMPION, before.rpartition("/")[2])
    until(lambda: patience.get(f"{url}/readyz").json()["champion_refused"] is None)


def test_an_adapter_that_was_changed_in_the_store_is_refused(
    url: str, installation: Settings, train: Train, artifacts_dir: Path, two_versions: tuple[str, str]
) -> None:
    registry, client = open_registry(installation), MlflowClient(installation.mlflow_tracking_uri)
    trained = find_trained(train(3), client, registry)
    version = promotion.register(trained, client, registry)
    assert trained.adapter is not None
    (weights,) = artifacts_dir.rglob(f"{trained.adapter.uri.removeprefix('models:/')}/**/{WEIGHTS}")
    content = bytearray(weights.read_bytes())
    # Still safetensors of the right shapes: without the digest it would be served.
    content[-3] ^= 0x40
    weights.write_bytes(content)
    before = patience.get(f"{url}/readyz").json()["model_version"]
    client.set_registered_model_alias(registry.name, CHAMPION, str(version.version))
    expected = {"version": version.version, "reason": "digest"}
    until(lambda: patience.get(f"{url}/readyz").json()["champion_refused"] == expected)
    assert patience.get(f"{url}/readyz").json()["model_version"] == before
    client.set_registered_model_alias(registry.name, CHAMPION, before.rpartition("/")[2])


def test_each_line_of_the_log_is_json(url: str, server_folder: Path) -> None:
    request = patience.get(f"{url}/healthz").headers["x-request-id"]

    def told() -> list[dict[str, object]]:
        whole, _, _ = (server_folder / "logs" / "serving.log").read_text().rpartition("\n")
        return [json.loads(line) for line in whole.splitlines()]

    # By now, adapters were downloaded from the registry.
    until(lambda: request in {line.get("request_id") for line in told()})


def test_a_busy_port_is_one_sentence(url: str, installation: Settings) -> None:
    port = url.rpartition(":")[2]
    assert not is_free(int(port))
    command = [sys.executable, "-m", "snap2caption", "serve", "--port", port]
    result = subprocess.run(
        command, env=environment(installation), capture_output=True, text=True, timeout=LONGEST, check=False
    )
    assert result.returncode == 1
    assert result.stderr.startswith(f"error: Can't listen on 127.0.0.1:{port} (")
    assert "Traceback" not in result.stderr


def test_the_client_asks_for_one_post_of_several_photos(url: str) -> None:
    photos = [path.read_bytes() for path in real_photos()[:3]]
    with Client(url) as client:
        client.set_voice(["Coffee first, city second."])
        assert client.voice() == ["Coffee first, city second."]
        post = client.caption(*photos, options=Options(tone="witty", voice=[], hashtags=6, explain=True, seed=3))
        client.forget_voice()
        assert client.voice() == []
        assert post.model_version == client.model_version()
        with pytest.raises(UserError, match="Send the photo"):
            client.caption()
    assert post.caption
    assert len(post.alt_texts) == 3
    assert len(set(post.hashtags)) == len(post.explanations or ()) == 6


def test_the_client_streams(url: str) -> None:
    photo = real_photos()[0].read_bytes()
    with Client(url) as client:
        *pieces, answer = client.stream(photo, options=Options(hashtags=6))
        with pytest.raises(UserError, match="photo"):
            list(client.stream(b"no photo"))
    assert isinstance(answer, CaptionAnswer)
    assert len(answer.hashtags) == 6
    assert all(isinstance(piece, str) for piece in pieces)


def test_a_client_says_that_nobody_is_there() -> None:
    with Client("http://127.0.0.1:9") as client, pytest.raises(UserError, match="can't be reached"):
        client.model_version()


def test_the_client_needs_no_torch() -> None:
    code = "import sys, serving.client; sys.exit('torch' in sys.modules or 'fastapi' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_command_line_asks_a_server_and_draws_the_post(url: str, tmp_path: Path) -> None:
    picture = tmp_path / "post.png"
    command = [
        sys.executable,
        "-m",
        "snap2caption",
        "caption",
        str(real_photos()[20]),
        "--url",
        url,
        "--picture",
        str(picture),
    ]
    result = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST, check=True)
    assert any(line.startswith("#") for line in result.stdout.splitlines())
    assert picture.stat().st_size > 10_000
