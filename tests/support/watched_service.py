"""The captioning service with a registry, a store and a model's server of its own, watched by Prometheus and Alertmanager."""

import hashlib
import io
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
from alerting import Monitoring, monitoring
from corpus_hashtags import write_hashtags
from exporter_stand_in import ExporterStandIn, exporter_stand_in
from faulty_proxy import FaultyProxy
from openai_server import Server, openai_server
from patience import LONGEST
from PIL import Image
from service_process import environment
from tls_server import TlsServer, tls_server
from victims import Victim, running

from demo.stack.ports import HOST, Ports
from demo.stack.service import Service
from demo.stack.services.mlflow import mlflow
from snap2caption.registry.adapters import WEIGHTS, digest_of
from snap2caption.registry.client import CHAMPION, Registry
from snap2caption.settings import Settings

TOKEN = "what Prometheus sends"
NAME = "snap2caption"
BASE = "served-base"


@dataclass
class World:
    """All that is watched, and what tests do to it."""

    folder: Path
    monitoring: Monitoring
    model: Server
    mlflow: Victim
    registry: FaultyProxy
    """Between the service and MLflow."""
    proxy: TlsServer
    """Stands for the proxy: only its certificate is looked at."""
    exporter: ExporterStandIn
    """Stands for those of StatsD and of GPUs."""
    serving: Victim
    url: str
    client: httpx.Client
    admin: Registry
    """The registry, without that proxy."""

    def caption(self, number: int = 0, **options: str) -> httpx.Response:
        """Send photo *number*."""
        return self.client.post("/generate-caption", files={"image": photo(number)}, data=options)

    def captions(self, number: int, at_once: int = 8, **options: str) -> list[int]:
        """Send so many photos, and return the statuses."""
        with ThreadPoolExecutor(at_once) as pool:
            return list(pool.map(lambda one: self.caption(one, **options).status_code, range(number)))

    def give_feedback(self, number: int, rating: Callable[[str], int]) -> tuple[int, str]:
        """Send photo *number* and rate its caption by its model; return the feedback's status and the request's id."""
        answer = self.caption(number, keep_for_feedback="true").json()
        rated = {"request_id": answer["request_id"], "rating": rating(answer["model_version"])}
        return self.client.post("/v1/feedback", json=rated).status_code, answer["request_id"]

    def register(self, **tags: str | None) -> str:
        """Register a version with an adapter, and return its number; a tag that is None is left out."""
        client = self.admin.client()
        if not client.search_registered_models(f"name = '{NAME}'"):
            client.create_registered_model(NAME)
            client.create_experiment("alerts")
        run = client.create_run(client.get_experiment_by_name("alerts").experiment_id)
        folder = self.folder / "models" / run.info.run_id
        adapter = folder / "artifacts" / "adapter"
        adapter.mkdir(parents=True)
        (adapter / "adapter_config.json").write_text("{}")
        (adapter / WEIGHTS).write_bytes(run.info.run_id.encode())
        client.log_artifacts(run.info.run_id, str(folder), "model")
        given = {
            "base": BASE,
            "base_revision": "one",
            "dataset_version": "v1",
            "dataset_uri": (self.folder / "datasets" / "v1").as_uri(),
            "adapter_sha256": digest_of(adapter),
            **tags,
        }
        given = {name: value for name, value in given.items() if value is not None}
        source = f"{run.info.artifact_uri}/model"
        return str(client.create_model_version(NAME, source, run.info.run_id, tags=given).version)

    def set_alias(self, alias: str, version: str) -> None:
        """Let an alias name a version."""
        self.admin.client().set_registered_model_alias(NAME, alias, version)

    def promote(self) -> str:
        """Register a sound version as the champion."""
        version = self.register()
        self.set_alias(CHAMPION, version)
        return version


def photo(number: int) -> bytes:
    """A photo of noise, another one for each number: about 100 kB."""
    stream = io.BytesIO()
    noise = np.random.default_rng(number).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    Image.fromarray(noise).save(stream, "JPEG", quality=95)
    return stream.getvalue()


@contextmanager
def watched_service(folder: Path) -> Iterator[World]:
    """Run all of it in *folder*. No model is in service before one is promoted."""
    ports = Ports(folder / "ports.json")
    mlflow_service, mlflow_url = mlflow(folder, ports)
    for name in ("datasets", "models"):
        (folder / name).mkdir()
    write_hashtags(folder / "datasets" / "v1")
    (folder / "datasets" / "v1" / "manifest.json").write_text("{}")
    with ExitStack() as stack:
        model = stack.enter_context(openai_server("key", BASE))
        registry = stack.enter_context(FaultyProxy(int(mlflow_url.rpartition(":")[2])))
        server = stack.enter_context(running(mlflow_service, folder))
        port = ports.get("serving")
        service = _service(folder, port, f"http://{registry.address}", model.url)
        serving = stack.enter_context(running(service, folder))
        address = f"{HOST}:{port}"
        proxy = stack.enter_context(tls_server(folder))
        exporter = stack.enter_context(exporter_stand_in())
        probes = {"mlflow": f"{mlflow_url}/health", "proxy": proxy.url}
        watched = stack.enter_context(
            monitoring(folder, {"serving": address, "airflow": exporter.address}, probes, TOKEN)
        )
        client = stack.enter_context(
            httpx.Client(base_url=f"http://{address}", timeout=LONGEST, limits=httpx.Limits(max_connections=100))
        )
        yield World(
            folder,
            watched,
            model,
            server,
            registry,
            proxy,
            exporter,
            serving,
            f"http://{address}",
            client,
            Registry(mlflow_url, NAME),
        )


def _service(folder: Path, port: int, registry: str, model: str) -> Service:
    installation = Settings(
        state_dir=folder / "state", models_dir=folder / "models", mlflow_tracking_uri=registry, registered_model=NAME
    )
    settings = {
        "ENGINE_URL": model,
        "ENGINE_KEY": "key",
        "METRICS_TOKEN_HASH": hashlib.sha256(TOKEN.encode()).hexdigest(),
        "MAX_BATCH": "8",
        "QUEUE_SIZE": "8",
        "CANARY_SHARE": "0.5",
        "HASHTAGS_POLL_SECONDS": "0.3",
        "REQUESTS_PER_MINUTE": "1000000",
        "REQUESTS_AT_ONCE": "1000",
        "FEEDBACK_SPOOL_BYTES": str(2**20),
    }
    variables = {f"SNAP2CAPTION_SERVING_{name}": value for name, value in settings.items()}
    variables["SNAP2CAPTION_DATASETS_URI"] = (folder / "datasets").as_uri()
    variables["SNAP2CAPTION_FEEDBACK_URI"] = (folder / "feedback").as_uri()
    variables["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    return Service(
        name="serving",
        command=(sys.executable, "-m", "snap2caption", "serve", "--port", str(port)),
        environment=environment(installation, **variables),
        # Alive is enough: there is no model before one is promoted.
        ready_url=f"http://{HOST}:{port}/healthz",
    )
