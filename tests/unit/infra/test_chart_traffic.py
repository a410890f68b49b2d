"""The rendered chart's traffic: whom the service believes about clients, and where its traces go."""

import asyncio
import re
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from manifests import Rendered, service
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from infra.validation.render import CHART, ENVIRONMENTS, render
from serving.settings import ServingSettings
from snap2caption.settings import ROOT

pytestmark = pytest.mark.unit


def client_of(trusted: str, peer: str, forwarded: str) -> tuple[str, str]:
    """Return whom the service takes for the client, and by which scheme, if *peer* says that it forwards for another."""
    seen: list[tuple[str, str]] = []

    async def app(scope: Any, *_: object) -> None:
        seen.append((scope["client"][0], scope["scheme"]))

    headers = [(b"x-forwarded-for", forwarded.encode()), (b"x-forwarded-proto", b"https")]
    scope: Any = {"type": "http", "scheme": "http", "client": (peer, 50000), "headers": headers}
    given: Any = None
    asyncio.run(ProxyHeadersMiddleware(app, trusted_hosts=trusted)(scope, given, given))
    return seen[0]


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_gateway_is_believed_and_nobody_else(rendered: Rendered, name: str) -> None:
    (container,) = service(rendered[name])["spec"]["template"]["spec"]["containers"]
    env = {entry["name"]: entry["value"] for entry in container["env"]}
    believed = env["FORWARDED_ALLOW_IPS"]
    # A pod of the gateway says so of a client, who may have said something else before.
    assert client_of(believed, "10.233.64.7", "203.0.113.9, 198.51.100.7") == ("198.51.100.7", "https")
    assert client_of(believed, "198.51.100.7", "203.0.113.9") == ("198.51.100.7", "http")
    given = ServingSettings(
        connections_per_peer=env["SNAP2CAPTION_SERVING_CONNECTIONS_PER_PEER"],
        keep_alive_seconds=env["SNAP2CAPTION_SERVING_KEEP_ALIVE_SECONDS"],
    )
    # Its few pods have all clients' connections, and keep them for 90 s, as Traefik and Go do.
    assert given.connections_per_peer >= given.connections
    assert given.keep_alive_seconds > 90


def test_without_a_gateway_nobody_is_believed() -> None:
    (container,) = service(render("staging", "--set=gateway.enabled=false"))["spec"]["template"]["spec"]["containers"]
    assert "FORWARDED_ALLOW_IPS" not in {entry["name"] for entry in container["env"]}


def test_traces_go_where_the_policies_let_them(rendered: Rendered) -> None:
    (container,) = service(rendered["vllm"])["spec"]["template"]["spec"]["containers"]
    env = {entry["name"]: entry["value"] for entry in container["env"]}
    assert env["SNAP2CAPTION_SERVING_TRACES"] == "true"
    collector = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))["network"]["peers"]["collector"]
    address = urlsplit(env["OTEL_EXPORTER_OTLP_ENDPOINT"])
    assert (address.hostname or "").endswith(f".{collector['namespace']}")
    assert [address.port] == collector["ports"]
    assert "snap2caption-production" in env["OTEL_RESOURCE_ATTRIBUTES"]
    # The image can send them.
    extras = re.findall(r"^ARG EXTRAS=(.*)$", (ROOT / "containers" / "Dockerfile").read_text(), re.MULTILINE)
    assert "tracing" in extras[0].split(",")
    for name in ENVIRONMENTS:
        (container,) = service(rendered[name])["spec"]["template"]["spec"]["containers"]
        assert not [entry for entry in container["env"] if "OTEL" in entry["name"] or "TRACES" in entry["name"]]
