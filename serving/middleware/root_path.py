"""ASGI middleware for a service behind a proxy that has it under a path, whether the proxy takes that path off or not."""

from starlette.types import ASGIApp, Receive, Scope, Send


class PathPrefix:
    """Gives each request its whole path and ``root_path``, as ASGI has them; routes, redirects and the API's description then agree."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self.app = app
        self.prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "lifespan":
            path = scope["path"]
            whole = path if f"{path}/".startswith(f"{self.prefix}/") else self.prefix + path
            scope = {**scope, "path": whole, "root_path": self.prefix}
        await self.app(scope, receive, send)
