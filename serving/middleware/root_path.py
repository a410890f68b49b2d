"""Path prefix of a reverse proxy, whether the proxy strips it or not."""

from starlette.types import ASGIApp, Receive, Scope, Send


class PathPrefix:
    """Sets the full path and ``root_path`` of each request, as ASGI defines them.

    Routes, redirects and the OpenAPI document then agree on the prefix.
    """

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self.app = app
        self.prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "lifespan":
            path = scope["path"]
            full_path = path if f"{path}/".startswith(f"{self.prefix}/") else self.prefix + path
            scope = {**scope, "path": full_path, "root_path": self.prefix}
        await self.app(scope, receive, send)
