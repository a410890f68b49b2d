"""The blackbox exporter's probes, of the real servers: each succeeds while the server is well, and only then."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import postgres_server
import pytest
from alerting import MONITORING
from server_thread import answering
from tls_server import tls_server
from victims import running

from demo.stack.ports import HOST, Ports
from demo.stack.service import Service

pytestmark = pytest.mark.integration

AIRFLOW = """{"metadatabase":{"status":"healthy"},"scheduler":{"status":"%s","latest_scheduler_heartbeat":null},"triggerer":{"status":null}}"""
"""What Airflow's API server answers (`airflow.api.common.airflow_health`), with the state of its scheduler."""


@pytest.fixture(scope="module")
def exporter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("probes")
    address = f"{HOST}:{Ports(folder / 'ports.json').get('blackbox')}"
    service = Service(
        name="blackbox",
        command=(
            "/usr/bin/prometheus-blackbox-exporter",
            f"--config.file={MONITORING / 'blackbox' / 'blackbox.yml'}",
            f"--web.listen-address={address}",
        ),
        environment={},
        ready_url=f"http://{address}/-/healthy",
    )
    with running(service, folder):
        yield f"http://{address}/probe"


def succeeds(exporter: str, module: str, target: str) -> bool:
    answer = httpx.get(exporter, params={"module": module, "target": target}, timeout=30).text
    return "\nprobe_success 1" in answer


@contextmanager
def health_server(body: str) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    with answering(ThreadingHTTPServer((HOST, 0), Handler)) as server:
        yield f"http://{HOST}:{server.server_port}/api/v2/monitor/health"


def test_mlflow(exporter: str, tracking_uri: str) -> None:
    assert succeeds(exporter, "http", f"{tracking_uri}/health")
    assert not succeeds(exporter, "http", f"{tracking_uri}/no-such-page")
    assert not succeeds(exporter, "http", "http://127.0.0.1:9/health")


def test_the_store(exporter: str, s3_environment: dict[str, str]) -> None:
    assert succeeds(exporter, "s3", f"{s3_environment['AWS_ENDPOINT_URL']}/")
    assert not succeeds(exporter, "s3", "http://127.0.0.1:9/")


def test_postgresql(exporter: str, tmp_path: Path) -> None:
    with postgres_server.run(tmp_path) as uri:
        address = uri.rpartition("@")[2].partition("/")[0]
        assert succeeds(exporter, "tcp", address)
    assert not succeeds(exporter, "tcp", address)


def test_airflow_is_unwell_if_any_part_is(exporter: str) -> None:
    with ExitStack() as stack:
        assert succeeds(exporter, "airflow", stack.enter_context(health_server(AIRFLOW % "healthy")))
        assert not succeeds(exporter, "airflow", stack.enter_context(health_server(AIRFLOW % "unhealthy")))


def test_the_proxy_needs_tls(exporter: str, tmp_path: Path) -> None:
    with tls_server(tmp_path) as proxy, health_server("") as plain:
        assert succeeds(exporter, "https", proxy.url)
        assert not succeeds(exporter, "https", plain)
