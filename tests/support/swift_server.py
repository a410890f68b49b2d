"""OpenStack Swift for tests: proxy, account, container and object server in one process, one replica, on loopback.

``python swift_server.py FOLDER PORT TOKEN_LIFE HOST`` serves the proxy on PORT of the address HOST, and the others on
the three ports after it, on loopback; a token is good for TOKEN_LIFE seconds. The folder needs a file system with extended attributes. The account is
``test``, the user ``test:tester``, the key ``testing``.
"""

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_PIPELINE = "catch_errors gatekeeper healthcheck cache listing_formats bulk tempauth slo dlo proxy-server"
_EGGS = ("catch_errors", "gatekeeper", "healthcheck", "listing_formats", "bulk", "slo", "dlo")
_BACKENDS = ("account", "container", "object")


class TokenCache:
    """Stands in for memcached, where `tempauth` keeps its tokens."""

    def __init__(self) -> None:
        self._values: dict[str, tuple[Any, float]] = {}

    def get(self, key: str, **_: Any) -> Any:
        value, expires = self._values.get(key, (None, 0.0))
        return value if not expires or expires > time.time() else None

    def set(self, key: str, value: Any, *, time: float = 0, **_: Any) -> None:
        from time import time as now

        self._values[key] = (value, now() + time if time else 0.0)

    def incr(self, key: str, delta: int = 1, **_: Any) -> int:
        value = int(self.get(key) or 0) + delta
        self.set(key, value)
        return value

    def delete(self, key: str, **_: Any) -> None:
        self._values.pop(key, None)


def token_cache(_: dict[str, str], **__: str) -> Callable[[Any], Any]:
    """Paste filter factory of the cache."""
    cache = TokenCache()

    def wrap(app: Any) -> Any:
        def call(environ: dict[str, Any], start_response: Any) -> Any:
            environ["swift.cache"] = cache
            return app(environ, start_response)

        return call

    return wrap


@contextmanager
def run(folder: Path, token_life: int = 86400, host: str = "127.0.0.1") -> Iterator[dict[str, str]]:
    """Run it in a process of its own on the address *host*, with its data in *folder*; give the environment of a client."""
    # Not by the server itself, which changes how sockets work.
    from demo.stack.ports import is_free
    from demo.stack.service import Service
    from demo.stack.stack import Stack

    # At random: whoever starts another one at the same moment is not to find the same ports free.
    candidates = range(23000, 30000, 4)
    drawn = random.SystemRandom().sample(candidates, len(candidates))
    port = next(first for first in drawn if all(is_free(first + offset) for offset in range(4)))
    service = Service(
        name="swift",
        command=(sys.executable, "-W", "ignore", __file__, str(folder), str(port), str(token_life), host),
        environment={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        ready_url=f"http://{host}:{port}/healthcheck",
        grace=1.0,
    )
    with Stack(folder) as stack:
        stack.start([service])
        yield {"ST_AUTH": f"http://{host}:{port}/auth/v1.0", "ST_USER": "test:tester", "ST_KEY": "testing"}


def configure(folder: Path, port: int, token_life: int, host: str) -> Path:
    """Write the servers' configuration and rings; return their folder."""
    etc = folder / "etc"
    (folder / "devices" / "disk").mkdir(parents=True, exist_ok=True)
    etc.mkdir(exist_ok=True)
    (etc / "swift.conf").write_text(
        "[swift-hash]\nswift_hash_path_prefix = a\nswift_hash_path_suffix = b\n"
        "[storage-policy:0]\nname = gold\ndefault = yes\n"
    )
    for offset, kind in enumerate(_BACKENDS, start=1):
        (etc / f"{kind}.conf").write_text(
            f"{_defaults(folder, port + offset)}[pipeline:main]\npipeline = {kind}-server\n"
            f"[app:{kind}-server]\nuse = egg:swift#{kind}\n"
        )
        _make_ring(etc / f"{kind}.builder", port + offset)
    filters = "".join(f"[filter:{name}]\nuse = egg:swift#{name}\n" for name in _EGGS)
    (etc / "proxy.conf").write_text(
        f"{_defaults(folder, port, host)}[pipeline:main]\npipeline = {_PIPELINE}\n{filters}"
        "[filter:cache]\npaste.filter_factory = swift_server:token_cache\n"
        f"[filter:tempauth]\nuse = egg:swift#tempauth\nuser_test_tester = testing .admin\ntoken_life = {token_life}\n"
        "[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true\n"
    )
    return etc


def _defaults(folder: Path, port: int, host: str = "127.0.0.1") -> str:
    return (
        f"[DEFAULT]\nbind_ip = {host}\nbind_port = {port}\nuser = {os.environ.get('USER') or 'root'}\nswift_dir = {folder / 'etc'}\n"
        f"devices = {folder / 'devices'}\nmount_check = false\nworkers = 0\nlog_level = WARNING\n"
        "disable_fallocate = true\nfallocate_reserve = 0\n"
    )


def _make_ring(builder: Path, port: int) -> None:
    if builder.exists():
        return
    ring_builder = Path(sys.executable).parent / "swift-ring-builder"
    for step in (["create", "4", "1", "0"], ["add", f"r1z1-127.0.0.1:{port}/disk", "1"], ["rebalance"]):
        # Status 1 is a warning: one replica on one device is no real ring.
        result = subprocess.run([ring_builder, builder, *step], capture_output=True, text=True, check=False)
        if result.returncode > 1:
            raise SystemExit(result.stdout + result.stderr)


def serve(etc: Path) -> None:
    """Run all four servers until the process is ended."""
    from swift.common import utils, wsgi

    utils.monkey_patch()
    import eventlet
    import eventlet.hubs
    import eventlet.wsgi

    os.environ["TZ"] = "UTC+0"
    time.tzset()
    # Once for all of them, before any green thread: `wsgi.run_server` would do it for each, and hang.
    eventlet.hubs.use_hub(utils.get_hub())
    servers = []
    for name in (*_BACKENDS, "proxy"):
        path = str(etc / f"{name}.conf")
        conf, _, log_name = wsgi._initrp(path, f"{name}-server", verbose=False)
        app = wsgi.loadapp(path, global_conf={"log_name": log_name})
        servers.append(
            eventlet.spawn(
                eventlet.wsgi.server,
                wsgi.get_socket(conf),
                app,
                utils.NullLogger(),
                protocol=wsgi.SwiftHttpProtocol,
                socket_timeout=60,
                capitalize_response_headers=False,
            )
        )
    for server in servers:
        server.wait()


if __name__ == "__main__":
    serve(configure(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
