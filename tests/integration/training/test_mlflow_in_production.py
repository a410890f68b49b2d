"""MLflow as it runs in production: PostgreSQL behind it, artifacts in S3; and a promoted model served by MLflow
itself.
"""

import base64
import json
import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import mlflow
import pandas as pd
import patience
import postgres_server
import pytest
from tiny import BASE, LANGUAGE_LAYERS, write_photo

from demo.stack import Stack
from demo.stack.ports import HOST, Ports
from demo.stack.service import Service
from snap2caption.datasets.manifest import Manifest
from snap2caption.errors import UserError
from snap2caption.registry.client import CHAMPION, PREVIOUS, Registry
from snap2caption.registry.versions import ModelVersion
from snap2caption.settings import Settings
from snap2caption.vlm import load
from training.evaluation.candidates import find_trained
from training.fit.lora import add_adapter
from training.gate.promotion import open_registry, promote, rollback
from training.recipes.sections import LoraSettings
from training.tracking.runs import RunLog, connect, digest_of, read_artifact

pytestmark = pytest.mark.integration

BUCKET = "mlflow"


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory, s3_environment: dict[str, str]) -> Iterator[str]:
    """An MLflow server on PostgreSQL and S3."""
    folder = tmp_path_factory.mktemp("production")
    boto3.client("s3", **clients(s3_environment)).create_bucket(Bucket=BUCKET)
    with postgres_server.run(folder / "postgresql") as database, Stack(folder) as stack:
        port = Ports(folder / "ports.json").get("mlflow")
        server = Service(
            name="mlflow",
            command=(
                *(sys.executable, "-m", "mlflow", "server", f"--host={HOST}", f"--port={port}", "--workers=1"),
                *(f"--backend-store-uri={database}", f"--artifacts-destination=s3://{BUCKET}/artifacts"),
            ),
            environment={
                **os.environ,
                **s3_environment,
                "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            },
            ready_url=f"http://{HOST}:{port}/health",
        )
        stack.start([server])
        yield f"http://{HOST}:{port}"


def clients(environment: dict[str, str]) -> dict[str, str]:
    return {
        "endpoint_url": environment["AWS_ENDPOINT_URL"],
        "aws_access_key_id": environment["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": environment["AWS_SECRET_ACCESS_KEY"],
        "region_name": environment["AWS_DEFAULT_REGION"],
    }


@pytest.fixture(scope="module")
def installation(production: str, models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(state_dir=tmp_path_factory.mktemp("state"), models_dir=models_dir, mlflow_tracking_uri=production)


@pytest.fixture(autouse=True)
def _bases_are_here(monkeypatch: pytest.MonkeyPatch, installation: Settings) -> None:
    """A model that MLflow loads finds its base by this variable."""
    monkeypatch.setenv("SNAP2CAPTION_MODELS_DIR", str(installation.models_dir))


@pytest.fixture(scope="module")
def adapter(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter that has learned nothing yet: where it comes from does not matter here."""
    folder = tmp_path_factory.mktemp("trained") / "adapter"
    vlm = load(BASE, models_dir)
    lora = LoraSettings(r=2, lora_alpha=2, target_modules=LANGUAGE_LAYERS)
    add_adapter(vlm.model, lora).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def runs(installation: Settings, adapter: Path, dataset_dir: Path, models_dir: Path) -> list[str]:
    """Two runs with a model each."""
    client = connect(installation.mlflow_tracking_uri)
    revision = load(BASE, models_dir).revision
    manifest = Manifest.read(dataset_dir)
    found = []
    for number in range(2):
        tags = {
            "base": BASE,
            "base_revision": revision,
            "dataset_version": manifest.version,
            "dataset_uri": dataset_dir.as_uri(),
        }
        log = RunLog.start(client, "production", tags)
        log.parameters({"training": {"seed": number}})
        log.metrics({"train/loss": 1.5 - number}, 3)
        log.dataset(manifest, dataset_dir.as_uri(), test="test")
        log.table([{"id": "a", "caption": "Good morning 🌉"}], "samples/captions.json")
        log.picture(b"\x89PNG", "samples/captions.png")
        log.model(adapter, BASE, revision, {"test/cider": 0.5 + number})
        client.set_terminated(log.run_id)
        found.append(log.run_id)
    return found


def test_what_is_logged_is_in_postgresql_and_s3(installation, runs, s3_environment):
    client = connect(installation.mlflow_tracking_uri)
    run = client.get_run(runs[1])
    assert run.data.params["training.seed"] == "1"
    assert run.data.metrics == {"train/loss": 0.5, "test/cider": 1.5}
    (model,) = [client.get_logged_model(output.model_id) for output in run.outputs.model_outputs]
    assert {metric.key: metric.value for metric in model.metrics} == {"test/cider": 1.5}
    assert (model.source_run_id, model.model_uri) == (runs[1], run.data.tags["model_uri"])
    assert len(run.inputs.dataset_inputs) == 3
    assert read_artifact(client, runs[1], "samples/captions.png") == b"\x89PNG"
    assert "🌉" in read_artifact(client, runs[1], "samples/captions.json").decode()
    listed = boto3.client("s3", **clients(s3_environment)).list_objects_v2(Bucket=BUCKET)["Contents"]
    kept = [found["Key"] for found in listed]
    assert sum(key.endswith("adapter_model.safetensors") for key in kept) == 2
    assert any(key.endswith(f"{runs[1]}/artifacts/samples/captions.png") for key in kept)


def test_a_model_is_registered_promoted_rolled_back_and_loaded(installation, runs, adapter, tmp_path):
    versions = [promote(run_id, installation, force=True) for run_id in runs]
    registry = open_registry(installation)
    assert (registry.by_alias(CHAMPION), registry.by_alias(PREVIOUS)) == (versions[1], versions[0])
    assert rollback(installation) == versions[0]
    assert digest_of(registry.download_adapter(versions[0], tmp_path)) == digest_of(adapter)
    client = connect(installation.mlflow_tracking_uri)
    with find_trained("previous", client, registry).downloaded() as downloaded:
        assert digest_of(downloaded) == digest_of(adapter)
    model = mlflow.pyfunc.load_model(f"models:/{installation.registered_model}@champion")
    (post,) = model.predict(pd.DataFrame({"image": [photo()]}), params={"max_new_tokens": 8})
    assert set(post) == {"caption", "hashtags", "alt_text"}


DOWNLOAD = """import sys
from pathlib import Path
from snap2caption.registry.client import CHAMPION, Registry
registry = Registry(sys.argv[1], sys.argv[2])
print(registry.download_adapter(registry.by_alias(CHAMPION), Path(sys.argv[3])))
"""


def test_mlflows_own_variables_name_no_other_registry(installation, runs, adapter, tmp_path):
    promote(runs[0], installation, force=True)
    elsewhere = dict.fromkeys(("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"), "http://127.0.0.1:9")
    given = (installation.mlflow_tracking_uri, installation.registered_model, str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", DOWNLOAD, *given],
        env={**os.environ, **elsewhere, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert digest_of(Path(done.stdout.strip())) == digest_of(adapter)


def test_of_promotions_at_once_exactly_one_is_decided(installation, runs):
    """PostgreSQL lets them run side by side for real."""
    registry = Registry(installation.mlflow_tracking_uri, "race")
    client = registry.client()
    versions: list[ModelVersion] = []
    for number in range(8):
        run_id = client.create_run(client.get_run(runs[0]).info.experiment_id).info.run_id
        model = client.create_logged_model(client.get_run(runs[0]).info.experiment_id, source_run_id=run_id)
        client.finalize_logged_model(model.model_id, "READY")
        tags = {"base": BASE, "base_revision": "r", "dataset_version": "d", "dataset_uri": f"file:///{number}"}
        versions.append(registry.register(run_id, model.model_uri, tags))
    standing = registry.standing()
    together = threading.Barrier(len(versions))

    def attempt(version: ModelVersion) -> bool:
        together.wait(patience.LONGEST)
        try:
            Registry(registry.tracking_uri, registry.name).promote(version, standing)
        except UserError as error:
            if "came first" in str(error):
                return False
            raise
        return True

    with ThreadPoolExecutor(len(versions)) as threads:
        won = list(threads.map(attempt, versions))
    assert won.count(True) == 1
    assert registry.standing().champion == registry.by_alias(CHAMPION) == versions[won.index(True)]
    assert registry.by_alias(PREVIOUS) is None


def test_mlflow_serves_the_champion(installation, runs, tmp_path):
    champion = promote(runs[0], installation, force=True)
    port = Ports(tmp_path / "ports.json").get("scoring")
    model = f"models:/{installation.registered_model}@champion"
    server = Service(
        name="scoring",
        command=(
            *(sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", model),
            *("--host", HOST, "--port", str(port), "--env-manager", "local"),
        ),
        environment={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "MLFLOW_TRACKING_URI": installation.mlflow_tracking_uri,
        },
        ready_url=f"http://{HOST}:{port}/ping",
    )
    with Stack(tmp_path) as stack:
        stack.start([server])
        ask = {"dataframe_records": [{"image": base64.b64encode(photo()).decode(), "tone": "playful"}]}
        answer = patience.post(f"http://{HOST}:{port}/invocations", json={**ask, "params": {"max_new_tokens": 8}})
        assert answer.status_code == 200, answer.text
        (post,) = answer.json()["predictions"]
        assert set(post) == {"caption", "hashtags", "alt_text"}
        loaded = mlflow.pyfunc.load_model(f"models:/{installation.registered_model}/{champion.version}")
        assert post == json.loads(
            json.dumps(loaded.predict(pd.DataFrame(ask["dataframe_records"]), params={"max_new_tokens": 8})[0])
        )
        refused = patience.post(
            f"http://{HOST}:{port}/invocations", json={"dataframe_records": [{"image": "no photo"}]}
        )
        assert refused.status_code == 400
        assert "The image is not base64" in refused.text


def photo() -> bytes:
    return write_photo("chicago", random.Random(0))


def test_an_alias_may_be_set_by_many_at_once(installation, runs):
    """The database takes one of several new aliases of the same name; the others find that it is as they want it."""
    registry = Registry(installation.mlflow_tracking_uri, installation.registered_model)
    together = threading.Barrier(8)

    def point(_: int) -> None:
        together.wait(patience.LONGEST)
        registry._point("together", 1)

    promote(runs[0], installation, force=True)
    with ThreadPoolExecutor(8) as threads:
        for _ in range(20):
            registry._point("together", None)
            list(threads.map(point, range(8)))
            assert registry._aliases()["together"] == 1
