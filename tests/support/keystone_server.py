"""Keystone's part of a login, for tests: ``POST /v3/auth/tokens`` gives a token and a catalog with one object store.

A stand-in, since Keystone itself is more than a test can set up. What it gives is real, though: the token is one that
the Swift beside it has issued over its own v1 login, and accepts.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import patience
from server_thread import answering

REGION = "CHI@UC"
PASSWORD = {
    "user": {"name": "aisha", "password": "secret", "domain": {"name": "Default"}},
}
APPLICATION_CREDENTIAL = {"id": "0123456789abcdef", "secret": "also secret"}
PROJECT = {"name": "CHI-251", "domain": {"name": "Default"}}


class Keystone:
    """Logs in to the Swift whose v1 credentials are *swift* (ST_AUTH, ST_USER, ST_KEY)."""

    def __init__(self, swift: dict[str, str]) -> None:
        self._swift = swift
        self.methods: list[str] = []
        """How each token was asked for."""
        self.url = ""

    def log_in(self, request: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
        """Return a token and what comes with it, or None if the credentials are wrong."""
        identity = request["auth"]["identity"]
        (method,) = identity["methods"]
        expected = {"password": PASSWORD, "application_credential": APPLICATION_CREDENTIAL}[method]
        # An application credential is bound to a project; a password names one.
        scope = {"project": PROJECT} if method == "password" else None
        if identity[method] != expected or request["auth"].get("scope") != scope:
            return None
        self.methods.append(method)
        answer = patience.get(
            self._swift["ST_AUTH"],
            headers={"X-Auth-User": self._swift["ST_USER"], "X-Auth-Key": self._swift["ST_KEY"]},
        ).raise_for_status()
        return answer.headers["X-Auth-Token"], self._body(method, answer.headers["X-Storage-Url"])

    def _body(self, method: str, url: str) -> dict[str, Any]:
        now = datetime.now(UTC)
        endpoint = {"id": "e", "interface": "public", "region": REGION, "region_id": REGION, "url": url}
        return {
            "token": {
                "methods": [method],
                "issued_at": now.isoformat(),
                "expires_at": (now + timedelta(hours=1)).isoformat(),
                "user": {"id": "u", "name": "aisha", "domain": {"id": "default", "name": "Default"}},
                "project": {"id": "p", "name": PROJECT["name"], "domain": {"id": "default", "name": "Default"}},
                "roles": [{"id": "r", "name": "member"}],
                "catalog": [{"id": "s", "type": "object-store", "name": "swift", "endpoints": [endpoint]}],
            }
        }


@contextmanager
def keystone(swift: dict[str, str]) -> Iterator[Keystone]:
    """Serve a Keystone in front of a Swift; its ``url`` is what goes into OS_AUTH_URL."""
    found = Keystone(swift)
    handler = type("Handler", (_Handler,), {"keystone": found})
    with answering(ThreadingHTTPServer(("127.0.0.1", 0), handler)) as server:
        found.url = f"http://127.0.0.1:{server.server_port}/v3"
        yield found


class _Handler(BaseHTTPRequestHandler):
    keystone: Keystone

    def do_GET(self) -> None:
        version = {"id": "v3.14", "status": "stable", "links": [{"rel": "self", "href": self.keystone.url}]}
        self._answer(200, {"version": version})

    def do_POST(self) -> None:
        assert self.path == "/v3/auth/tokens"
        content = self.rfile.read(int(self.headers["Content-Length"]))
        found = self.keystone.log_in(json.loads(content))
        if found is None:
            self._answer(401, {"error": {"code": 401, "title": "Unauthorized", "message": "wrong credentials"}})
            return
        token, body = found
        self._answer(201, body, {"X-Subject-Token": token})

    def _answer(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass
