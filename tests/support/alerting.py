"""Prometheus, Alertmanager and exporters as processes, over the configuration in `monitoring/`, and a webhook's receiver.

The configuration is the one of the stack but for this: hosts become ports on loopback, jobs without a server here are
left out, and waits are shortened (`shorten`, `RANGES`).
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import yaml
from patience import until
from server_thread import answering
from victims import Victim, running

from demo.stack.ports import HOST, Ports
from demo.stack.service import Service
from snap2caption.settings import ROOT

MONITORING = ROOT / "monitoring"

RANGES = {
    "5m": "10s",
    "15m": "10s",
    "30m": "15s",
    "1h": "20s",
    "6h": "30s",
    "1d": "30s",
    "26h": "40s",
    "3d": "40s",
}
"""What the windows of rules become: in the same order, if not in proportion."""

_FOR = re.compile(r"^( +for: )\w+$", re.MULTILINE)
_RANGE = re.compile(r"(?<=\[)\w+(?=\])|(?<= offset )\w+")
_MINUTES = re.compile(r"(?<=\d \* )60\b")


def shorten(rules: str) -> str:
    """Return rules with shorter waits: `for` is a second, windows are those of `RANGES`, and a minute that a number is
    compared to has a tenth of a second. Nothing else changes.
    """
    shorter = _RANGE.sub(lambda found: RANGES[found[0]], _FOR.sub(r"\g<1>1s", rules))
    return _MINUTES.sub("0.1", shorter)


def without_waits(rules: str) -> str:
    """Return rules with a mark in place of each wait, to compare them."""
    shorter = _RANGE.sub("…", _FOR.sub(r"\g<1>…", rules))
    return re.sub(r"(?<=\d \* )(60|0\.1)\b", "…", shorter)


class Receiver(ThreadingHTTPServer):
    """What Alertmanager tells: by name, the labels of each alert as it was last told, and whether it fires."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__((HOST, 0), _Handler)
        self.status = 200
        self.told: list[tuple[str, dict[str, str], bool]] = []

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.server_port}/"

    def firing(self, name: str, **labels: str) -> bool | None:
        """Whether an alert fires, as far as it was told; None if nothing was told about it."""
        states = [fires for told, given, fires in self.told.copy() if told == name and labels.items() <= given.items()]
        return states[-1] if states else None

    @property
    def names(self) -> set[str]:
        """Alerts that fire now, as far as it was told."""
        return {name for name, _, _ in self.told.copy() if self.firing(name)}


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.server.status == 200:
            self.server.told += [
                (alert["labels"]["alertname"], alert["labels"], alert["status"] == "firing") for alert in body["alerts"]
            ]
        self.send_response(self.server.status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@dataclass
class Monitoring:
    """The processes, by name, and the questions that tests ask."""

    folder: Path
    url: str
    receiver: Receiver
    processes: dict[str, Victim] = field(default_factory=dict)
    since: int = 0
    """How much the webhook was told before the test."""

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the series of an expression."""
        answer = httpx.get(f"{self.url}/api/v1/query", params={"query": expression}, timeout=30).json()
        assert answer["status"] == "success", (expression, answer)
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def fires(self, name: str) -> bool:
        """Whether an alert fires in Prometheus, sent or not."""
        return bool(self.query(f'ALERTS{{alertname="{name}", alertstate="firing"}}'))

    def reload(self) -> None:
        """Let Prometheus read its configuration again."""
        httpx.post(f"{self.url}/-/reload", timeout=30).raise_for_status()

    def arrives(self, name: str, **labels: str) -> None:
        """Wait until the webhook was told, since the test began, that an alert fires. It may be over by then."""

        def arrived() -> bool:
            return any(
                told == name and fires and labels.items() <= given.items()
                for told, given, fires in self.receiver.told[self.since :]
            )

        until(arrived, told=lambda: f"{name}: {self.state()}")

    def resolves(self, name: str, **labels: str) -> None:
        """Wait until the webhook was told that an alert no longer fires."""
        until(lambda: self.receiver.firing(name, **labels) is False, told=lambda: f"{name}: {self.state()}")

    def state(self) -> str:
        """What there is to know about a test that fails."""
        return f"told {self.receiver.told[-20:]}; firing {self.query('ALERTS')}"


@contextmanager
def monitoring(folder: Path, targets: Mapping[str, str], probes: Mapping[str, str], token: str) -> Iterator[Monitoring]:
    """Run Prometheus, Alertmanager, the blackbox exporter and the node exporter.

    Args:
        folder: for configuration, data and logs.
        targets: host and port by job, beside those of the monitoring itself.
        probes: what is probed, by service.
        token: what Prometheus sends for the metrics.
    """
    with ExitStack() as stack:
        receiver = stack.enter_context(answering(Receiver()))
        ports = Ports(folder / "monitoring.ports.json")
        at = {name: f"{HOST}:{ports.get(name)}" for name in ("prometheus", "alertmanager", "blackbox", "node")}
        (folder / "token").write_text(token)
        rules = folder / "rules"
        rules.mkdir()
        for path in (MONITORING / "prometheus" / "rules").glob("*.yml"):
            (rules / path.name).write_text(shorten(path.read_text()))
        (folder / "prometheus.yml").write_text(_prometheus(folder, at, {**at, **targets}, probes))
        (folder / "alertmanager.yml").write_text(_alertmanager(receiver.url))
        found = Monitoring(folder, f"http://{at['prometheus']}", receiver)
        for service in _services(folder, at):
            found.processes[service.name] = stack.enter_context(running(service, folder))
        yield found


def _prometheus(folder: Path, at: Mapping[str, str], targets: Mapping[str, str], probes: Mapping[str, str]) -> str:
    config = yaml.safe_load((MONITORING / "prometheus" / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [f"{folder / 'rules'}/*.yml"]
    config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [at["alertmanager"]]
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    probing = jobs.pop("probe")
    probing["static_configs"] = [
        {**given, "targets": [probes[given["labels"]["service"]]]}
        for given in probing["static_configs"]
        if given["labels"]["service"] in probes
    ]
    probing["relabel_configs"][-1]["replacement"] = at["blackbox"]
    jobs = {name: job for name, job in jobs.items() if name in targets}
    for name, job in jobs.items():
        job["static_configs"][0]["targets"] = [targets[name]]
        if "authorization" in job:
            job["authorization"]["credentials_file"] = str(folder / "token")
    return yaml.safe_dump({**config, "scrape_configs": [*jobs.values(), probing]})


def _alertmanager(url: str) -> str:
    config = yaml.safe_load((MONITORING / "alertmanager" / "alertmanager.yml").read_text())
    for receiver in config["receivers"]:
        # Debian's Alertmanager knows no `url_file` yet.
        receiver["webhook_configs"] = [{"url": url, "send_resolved": True}]
    for route in (config["route"], *config["route"]["routes"]):
        route |= {"group_wait": "0s", "group_interval": "1s"}
    return yaml.safe_dump(config)


def _services(folder: Path, at: Mapping[str, str]) -> Iterator[Service]:
    def service(name: str, path: str, *command: str) -> Service:
        return Service(name=name, command=command, environment={}, ready_url=f"http://{at[name]}{path}")

    yield service(
        "alertmanager", "/-/ready", "/usr/bin/prometheus-alertmanager", f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / 'alertmanager'}", f"--web.listen-address={at['alertmanager']}", "--cluster.listen-address=",
    )  # fmt: skip
    yield service(
        "blackbox", "/-/healthy", "/usr/bin/prometheus-blackbox-exporter", f"--config.file={MONITORING / 'blackbox' / 'blackbox.yml'}",
        f"--web.listen-address={at['blackbox']}",
    )  # fmt: skip
    yield service("node", "/", "/usr/bin/prometheus-node-exporter", f"--web.listen-address={at['node']}")
    yield service(
        "prometheus", "/-/ready", "/usr/bin/prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={at['prometheus']}", "--web.enable-lifecycle", "--rules.alert.resend-delay=1s",
    )  # fmt: skip
