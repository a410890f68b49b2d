"""The rendered chart's PostgreSQL: backups, restores, and budgets that let a node be drained."""

import subprocess
from typing import Any

import pytest
from manifests import NAMES, Rendered, named, of_kind

from infra.validation.render import Manifest, render

pytestmark = pytest.mark.unit


def cluster_of(manifests: list[Manifest]) -> Any:
    return named(manifests, "postgres", "Cluster")["spec"]


def test_backups_go_to_the_plugins_store(rendered: Rendered) -> None:
    spec, store = cluster_of(rendered["production"]), named(rendered["production"], "postgres", "ObjectStore")
    (plugin,) = spec["plugins"]
    assert (plugin["isWALArchiver"], plugin["parameters"]["barmanObjectName"]) == (True, store["metadata"]["name"])
    # The operator's own way ends with 1.32.
    assert "backup" not in spec
    (scheduled,) = [m["spec"] for m in of_kind(rendered["production"], "ScheduledBackup")]
    assert (scheduled["method"], scheduled["pluginConfiguration"]["name"]) == ("plugin", plugin["name"])
    credentials = store["spec"]["configuration"]["s3Credentials"].values()
    made = {m["spec"]["target"]["name"]: m["spec"]["data"] for m in of_kind(rendered["production"], "ExternalSecret")}
    for key in credentials:
        assert key["key"] in {entry["secretKey"] for entry in made[key["name"]]}
    assert not of_kind(rendered["staging"], "ObjectStore", "ScheduledBackup")
    assert "plugins" not in cluster_of(rendered["staging"])


def test_a_restored_cluster_writes_to_a_new_place() -> None:
    options = ("--set=postgres.restore.server=postgres", "--set=postgres.backup.server=postgres-2")
    manifests = render("production", *options, "--set-string=postgres.restore.time=2026-11-28T09:00:00Z")
    spec = cluster_of(manifests)
    (store,) = of_kind(manifests, "ObjectStore")
    recovery = spec["bootstrap"]["recovery"]
    (source,) = spec["externalClusters"]
    assert recovery == {"source": source["name"], "recoveryTarget": {"targetTime": "2026-11-28T09:00:00Z"}}
    name = store["metadata"]["name"]
    assert source["plugin"]["parameters"] == {"barmanObjectName": name, "serverName": "postgres"}
    assert spec["plugins"][0]["parameters"] == {"barmanObjectName": name, "serverName": "postgres-2"}
    assert "recoveryTarget" not in cluster_of(render("production", *options))["bootstrap"]["recovery"]
    for environment, wrong, told in (
        ("production", options[:1], "a new name"),
        ("staging", options, "needs postgres.backup"),
    ):
        with pytest.raises(subprocess.CalledProcessError) as refused:
            render(environment, *wrong)
        assert told in refused.value.stderr


@pytest.mark.parametrize("name", NAMES)
def test_no_budget_keeps_a_node_from_being_drained(rendered: Rendered, name: str) -> None:
    for budget in of_kind(rendered[name], "PodDisruptionBudget"):
        assert budget["spec"]["maxUnavailable"] >= 1
        assert "minAvailable" not in budget["spec"]
    spec = cluster_of(rendered[name])
    # The operator's own budget lets the one instance of a cluster never go.
    assert spec["enablePDB"] == (spec["instances"] > 1)
