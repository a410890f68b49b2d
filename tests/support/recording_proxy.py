"""Proxy in front of a model server that keeps the JSON bodies that it passes on."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
from patience import LONGEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

_PASSED = ("authorization", "content-type", "accept")


class RecordingProxy:
    """An ASGI application, and the bodies of the chat completions that were requested, in order."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.bodies: list[dict[str, Any]] = []
        self.app = Starlette(routes=[Route("/{path:path}", self._forward, methods=["GET", "POST"])])

    @property
    def prompts(self) -> list[str]:
        """The text of each request, without its photo."""
        return [
            part["text"]
            for body in self.bodies
            for message in body["messages"]
            for part in message["content"]
            if part["type"] == "text"
        ]

    async def _forward(self, request: Request) -> Response:
        content = await request.body()
        if request.url.path.endswith("/chat/completions"):
            self.bodies.append(json.loads(content))
        headers = {name: request.headers[name] for name in _PASSED if name in request.headers}
        client = httpx.AsyncClient(base_url=self._url, timeout=LONGEST)
        sent = client.build_request(request.method, request.url.path, headers=headers, content=content)
        answer = await client.send(sent, stream=True)

        async def pieces() -> AsyncIterator[bytes]:
            try:
                async for piece in answer.aiter_raw():
                    yield piece
            finally:
                await answer.aclose()
                await client.aclose()

        return StreamingResponse(pieces(), answer.status_code, media_type=answer.headers.get("content-type"))
