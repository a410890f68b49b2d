"""Alerts that fire for real: a fault is injected, arrives at Alertmanager's webhook, and resolves when it is mended.

`make test` fires a few of them, `make test-alerts` all that need no hours, no GPU and no Airflow.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from alerting import MONITORING, shorten, without_waits
from faulty_proxy import Fault
from patience import until
from watched_service import BASE, World

from monitoring.dashboards.pages import PAGES
from monitoring.dashboards.panels import RATE
from snap2caption.registry.client import CHALLENGER, CHAMPION

pytestmark = pytest.mark.integration

at_length = pytest.mark.skipif("TEST_ALERTS" not in os.environ, reason="takes minutes; run `make test-alerts`")
"""Not in `make test`."""


@pytest.fixture(autouse=True)
def _forget_what_was_told(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "world" in request.fixturenames:
        monitoring = request.getfixturevalue("world").monitoring
        monitoring.since = len(monitoring.receiver.told)


@pytest.mark.parametrize(
    "path", sorted((MONITORING / "prometheus" / "rules").glob("*.yml")), ids=lambda path: path.name
)
def test_shortened_rules_differ_in_their_waits_alone(path: Path) -> None:
    rules = path.read_text()
    assert without_waits(shorten(rules)) == without_waits(rules)


def test_a_service_without_a_model_pages_until_one_is_promoted(world: World) -> None:
    world.monitoring.arrives("ServingNotReady", severity="page", component="serving")
    world.promote()
    world.monitoring.resolves("ServingNotReady")
    assert world.captions(4) == [200] * 4
    until(lambda: world.monitoring.receiver.firing("Watchdog"))


def test_mlflow_that_stops_pages_and_explains_what_needs_it(world: World) -> None:
    world.mlflow.kill()
    world.monitoring.arrives("DependencyDown", service="mlflow")
    until(lambda: world.monitoring.fires("RegistryUnreachable"))
    assert world.captions(2) == [200, 200]
    world.mlflow.start()
    world.monitoring.resolves("DependencyDown", service="mlflow")
    until(lambda: not world.monitoring.fires("RegistryUnreachable"))


def test_a_service_that_was_killed_pages_until_it_is_back(world: World) -> None:
    world.serving.kill()
    world.monitoring.arrives("ServingDown", severity="page")
    world.serving.start()
    world.monitoring.resolves("ServingDown")
    until(lambda: world.caption().status_code == 200)


def test_a_request_is_followed_to_the_feedback_on_it(world: World) -> None:
    status, request_id = world.give_feedback(1, lambda _: 5)
    assert status == 202

    def records() -> list[Path]:
        return [path for path in (world.folder / "feedback").rglob("*.json") if names(path.read_text())]

    def names(text: str) -> bool:
        return f'"request_id":"{request_id}"' in text

    (record,) = until(records)
    assert json.loads(record.read_text())["rating"] == 5
    log = (world.folder / "serving.log").read_text()
    lines = [json.loads(line) for line in log.splitlines() if f'"request_id": "{request_id}"' in line]
    assert {"path": "/generate-caption", "status": 200}.items() <= lines[-1].items()


def test_every_panel_shows_something_after_a_load(world: World) -> None:
    world.exporter.samples |= ELSEWHERE
    unseen = [query for page in PAGES for panel in page.panels for query in panel.queries]

    def is_seen() -> bool:
        # An hour is 20 s here, which is soon over on a slow machine: so the load goes on while anything is missing.
        assert world.give_feedback(2, lambda _: 4)[0] == 202
        unseen[:] = [one for one in unseen if not world.monitoring.query(one.expression.replace(RATE, "10s"))]
        return not unseen

    until(is_seen, told=lambda: unseen)


RUN = 'dag_id="feedback"'

ELSEWHERE = {
    f"airflow_dagrun_success_seconds_count{{{RUN}}}": 1,
    f"airflow_dagrun_success_seconds_sum{{{RUN}}}": 60,
    f"airflow_dagrun_failed_seconds_count{{{RUN}}}": 0,
    f'airflow_dagrun_schedule_delay_seconds{{{RUN}, quantile="0.9"}}': 2,
    f'airflow_tasks_finished_total{{{RUN}, task_id="collect", state="success"}}': 5,
    "airflow_executor_running_tasks": 1,
    "airflow_executor_queued_tasks": 0,
    "airflow_scheduler_heartbeat_total": 100,
    "airflow_dag_processing_import_errors": 0,
    'DCGM_FI_DEV_GPU_UTIL{gpu="0"}': 50,
    'DCGM_FI_DEV_FB_USED{gpu="0"}': 4096,
    'DCGM_FI_DEV_GPU_TEMP{gpu="0"}': 60,
    'DCGM_FI_DEV_XID_ERRORS{gpu="0"}': 0,
}
"""What exporters tell that can't be had here."""


@at_length
def test_a_registry_out_of_reach_is_told_although_it_runs(world: World) -> None:
    with faulty(world, "503 Service Unavailable"):
        world.monitoring.arrives("RegistryUnreachable")
        world.monitoring.arrives("RegistryContactOld")
    world.monitoring.resolves("RegistryUnreachable")
    world.monitoring.resolves("RegistryContactOld")


@contextmanager
def faulty(world: World, answer: str) -> Iterator[None]:
    world.registry.faults.append(Fault(when=lambda _, __: True, times=1 << 30, answer=answer))
    yield
    world.registry.faults.clear()


@at_length
def test_a_refused_champion_is_told_and_hides_the_refused_swaps(world: World) -> None:
    before = world.promote()
    until(lambda: world.caption().json()["model_version"].endswith(f"/{before}"))
    for tags in ({"adapter_sha256": "0" * 64}, {"base": None}):
        world.set_alias(CHAMPION, world.register(**tags))
        reason = "tags" if None in tags.values() else "digest"
        world.monitoring.arrives("ChampionRefused", reason=reason)
    until(lambda: world.monitoring.fires("SwapsRefused"))
    assert world.captions(2) == [200, 200]
    world.set_alias(CHAMPION, before)
    world.monitoring.resolves("ChampionRefused")
    # What it hid is told, as long as it lasts.
    world.monitoring.arrives("SwapsRefused")
    world.monitoring.resolves("SwapsRefused")


@at_length
def test_slow_captions_burn_the_latency_budget(world: World) -> None:
    world.model.delay = 2.1
    assert world.captions(32) == [200] * 32
    world.monitoring.arrives("CaptionLatencyBudgetFast", severity="page")
    assert world.monitoring.fires("CaptionLatencyBudgetMedium")
    assert world.monitoring.fires("CaptionLatencyBudgetSlow")
    world.model.delay = 0.0
    world.monitoring.resolves("CaptionLatencyBudgetFast")
    # The less urgent ones are told once the more urgent ones are over.
    world.monitoring.arrives("CaptionLatencyBudgetMedium")
    world.monitoring.resolves("CaptionLatencyBudgetMedium")
    world.monitoring.arrives("CaptionLatencyBudgetSlow", severity="ticket")
    world.monitoring.resolves("CaptionLatencyBudgetSlow")


@at_length
def test_a_model_server_that_fails_burns_the_error_budget(world: World) -> None:
    world.model.status = 500
    assert set(world.captions(32)) == {503}
    world.monitoring.arrives("CaptionErrorBudgetFast", severity="page")
    world.model.status = 200
    for speed in ("Fast", "Medium", "Slow"):
        world.monitoring.arrives(f"CaptionErrorBudget{speed}")
        world.monitoring.resolves(f"CaptionErrorBudget{speed}")


@at_length
def test_more_photos_than_fit_are_told(world: World) -> None:
    world.model.delay = 8.0
    statuses = world.captions(48, at_once=48)
    world.model.delay = 0.0
    assert set(statuses) == {200, 503}
    world.monitoring.arrives("QueueNearlyFull")
    world.monitoring.arrives("RequestsRefused")
    world.monitoring.resolves("QueueNearlyFull")
    world.monitoring.resolves("RequestsRefused")


@at_length
def test_a_model_that_writes_profanities_is_told(world: World) -> None:
    words, world.model.words = world.model.words, ["What", " a", " shit", " view", ".\n", "#sf"]
    assert world.captions(24) == [200] * 24
    world.model.words = words
    world.monitoring.arrives("UnsafeCaptions")
    assert world.captions(24) == [200] * 24
    world.monitoring.resolves("UnsafeCaptions")


@at_length
def test_a_hashtag_table_that_is_old_or_damaged_is_told(world: World) -> None:
    datasets = world.folder / "datasets"
    shutil.copytree(datasets / "v1", datasets / "v2")
    until(lambda: hashtags_of(world) == "v2")
    long_ago = 1_500_000_000
    os.utime(datasets / "v1" / "manifest.json", (long_ago, long_ago))
    shutil.rmtree(datasets / "v2")
    world.monitoring.arrives("HashtagsOld")
    shutil.copytree(datasets / "v1", datasets / "v3")
    (datasets / "v3" / "hashtags.parquet").write_bytes(b"no table")
    (datasets / "v3" / "manifest.json").write_text("{}")
    os.utime(datasets / "v3" / "manifest.json")
    world.monitoring.arrives("HashtagsMissing")
    shutil.copy(datasets / "v1" / "hashtags.parquet", datasets / "v3" / "hashtags.parquet")
    world.monitoring.resolves("HashtagsMissing")
    world.monitoring.resolves("HashtagsOld")


def hashtags_of(world: World) -> object:
    return world.client.get("/readyz").json()["hashtags"]["version"]


@at_length
def test_feedback_that_waits_until_the_outbox_is_full_is_told(world: World) -> None:
    store, aside = world.folder / "feedback", world.folder / "feedback.aside"
    store.rename(aside)
    store.write_text("no folder")
    number = 100
    while world.give_feedback(number, lambda _: 4)[0] == 202:
        number += 1
    world.monitoring.arrives("FeedbackRefused", reason="spool_full")
    world.monitoring.arrives("FeedbackOutboxOld")
    until(lambda: world.monitoring.fires("FeedbackOutboxFilling"))
    world.monitoring.resolves("FeedbackRefused")
    world.monitoring.arrives("FeedbackOutboxFilling")
    store.unlink()
    aside.rename(store)
    world.monitoring.resolves("FeedbackOutboxFilling")
    world.monitoring.resolves("FeedbackOutboxOld")


@at_length
def test_a_challenger_worse_than_the_champion_is_told(world: World) -> None:
    champion, challenger = world.promote(), world.register()
    world.set_alias(CHALLENGER, challenger)
    until(lambda: len({world.caption(one).json()["model_version"] for one in range(8)}) == 2)
    ratings = {f"snap2caption/{champion}": 5, f"snap2caption/{challenger}": 3}
    for number in range(60):
        assert world.give_feedback(number, ratings.__getitem__)[0] == 202
    world.monitoring.arrives("ChallengerRatedWorse")
    world.monitoring.resolves("ChallengerRatedWorse")
    # Its name on the model's server.
    worse = f"snap2caption-{challenger}"
    world.model.delays[worse] = 1.0
    assert world.captions(60) == [200] * 60
    world.monitoring.arrives("ChallengerSlower")
    world.model.delays.clear()
    world.model.failing = {worse}
    assert set(world.captions(60)) == {200, 503}
    world.monitoring.arrives("ChallengerFails")
    world.model.failing = set()
    world.admin.client().delete_registered_model_alias("snap2caption", CHALLENGER)
    world.monitoring.resolves("ChallengerSlower")
    world.monitoring.resolves("ChallengerFails")
    assert BASE in world.model.models


@at_length
def test_an_exporter_that_is_down_is_told(world: World) -> None:
    node = world.monitoring.processes["node"]
    node.kill()
    world.monitoring.arrives("TargetDown", job="node")
    node.start()
    world.monitoring.resolves("TargetDown", job="node")


@at_length
def test_notifications_that_fail_are_told_afterwards(world: World) -> None:
    world.monitoring.receiver.status = 500
    world.mlflow.kill()
    until(lambda: world.monitoring.fires("NotificationsFailing"))
    world.monitoring.receiver.status = 200
    world.monitoring.arrives("NotificationsFailing")
    world.mlflow.start()
    world.monitoring.resolves("DependencyDown")
    world.monitoring.resolves("NotificationsFailing")


@at_length
def test_a_rule_that_fails_is_told(world: World) -> None:
    broken = world.monitoring.folder / "rules" / "broken.yml"
    many_to_many = "groups: [{name: broken, rules: [{record: broken, expr: up * on () group_left () up}]}]"
    broken.write_text(many_to_many)
    world.monitoring.reload()
    world.monitoring.arrives("RulesFailing")
    broken.unlink()
    world.monitoring.reload()
    world.monitoring.resolves("RulesFailing")


@at_length
def test_a_certificate_that_ends_soon_is_told(world: World) -> None:
    world.proxy.renew(days=5)
    world.monitoring.arrives("CertificateExpires")
    world.proxy.renew(days=60)
    world.monitoring.resolves("CertificateExpires")


@at_length
def test_dags_that_fail_or_stop_are_told(world: World) -> None:
    world.exporter.samples |= ELSEWHERE
    go_on(world)
    until(lambda: not world.monitoring.fires("DagLate") and not world.monitoring.fires("SchedulerSilent"))
    failed = f"airflow_dagrun_failed_seconds_count{{{RUN}}}"
    world.exporter.samples[failed] += 1
    world.exporter.samples["airflow_dag_processing_import_errors"] = 2
    world.monitoring.arrives("DagFailed", dag_id="feedback")
    world.monitoring.arrives("DagImportErrors")
    # The heartbeats stand still, and so do the successful runs.
    world.monitoring.arrives("SchedulerSilent", severity="page")
    world.monitoring.arrives("DagLate")
    world.exporter.samples["airflow_dag_processing_import_errors"] = 0
    go_on(world)
    for name in ("DagFailed", "DagImportErrors", "SchedulerSilent", "DagLate"):
        world.monitoring.resolves(name)


def go_on(world: World) -> None:
    """Let the scheduler live, and a run succeed."""
    world.exporter.samples[f"airflow_dagrun_success_seconds_count{{{RUN}}}"] += 1
    world.exporter.samples["airflow_scheduler_heartbeat_total"] += 12


@at_length
def test_gpus_that_fail_or_are_hot_are_told(world: World) -> None:
    world.exporter.samples |= ELSEWHERE
    world.exporter.samples['DCGM_FI_DEV_XID_ERRORS{gpu="0"}'] = 79
    world.exporter.samples['DCGM_FI_DEV_GPU_TEMP{gpu="0"}'] = 90
    world.monitoring.arrives("GpuFault", severity="page")
    world.monitoring.arrives("GpuHot")
    world.exporter.samples |= ELSEWHERE
    world.monitoring.resolves("GpuFault")
    world.monitoring.resolves("GpuHot")


@at_length
def test_a_disk_that_fills_is_told(world: World, tmp_path: Path) -> None:
    with small_disk(tmp_path) as disk:
        place = {"mountpoint": str(disk)}
        until(lambda: world.monitoring.query(f'node_filesystem_avail_bytes{{mountpoint="{disk}"}}'))
        (disk / "most").write_bytes(bytes(13 * 2**20))
        world.monitoring.arrives("DiskFillsSoon", **place)
        (disk / "rest").write_bytes(bytes(2 * 2**20))
        world.monitoring.arrives("DiskNearlyFull", **place)
        for name in ("most", "rest"):
            (disk / name).unlink()
        world.monitoring.resolves("DiskNearlyFull", **place)
        world.monitoring.resolves("DiskFillsSoon", **place)


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mount a file system of its own: 20 MiB."""
    image, disk = folder / "image", folder / "disk"
    disk.mkdir()
    with image.open("wb") as file:
        file.truncate(20 * 2**20)
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    if subprocess.run(["mount", "-o", "loop", image, disk], capture_output=True).returncode:
        pytest.skip("needs the right to mount a disk")
    try:
        yield disk
    finally:
        subprocess.run(["umount", disk], check=True)
