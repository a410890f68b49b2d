"""Three processes of the service that share a PostgreSQL, behind a real nginx."""

import json
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import postgres_server
import psycopg
from creators import KEYS, creator
from databases import new_database
from openai_server import openai_server
from patience import until
from pydantic import SecretStr
from victims import Victim, running

from demo.stack.ports import HOST, Ports
from demo.stack.service import Service
from serving.keys.store import KeyStore, new_creator
from serving.settings import ServingSettings
from serving.state.opening import open_database
from serving.state.tables import Section

NUMBER = 3
MODEL = "photographer"

_OF_REPLICAS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid != pg_backend_pid() LIMIT 1"

_NGINX = """
{user}daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    client_max_body_size 20m;
    upstream replicas {{ {servers} keepalive 16; }}
    server {{
        listen {host}:{port};
        location / {{
            proxy_pass http://replicas;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_connect_timeout 2s;
        }}
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Replicas:
    """What runs: the proxy's address, the replicas, the feedback store's folder, the keys that all share."""

    url: str
    victims: list[Victim]
    feedback: Path
    keys: KeyStore
    database: str
    """The database's URL."""

    @property
    def urls(self) -> list[str]:
        """Where each replica answers by itself."""
        return [victim.service.ready_url.removesuffix("/readyz") for victim in self.victims]

    def new_key(self) -> tuple[str, str]:
        """Make a key of a new creator, and return it with its id."""
        secret, key = self.keys.add(new_creator())
        return secret, key.id

    def crash_database(self) -> None:
        """Kill one of the database's processes. Its server then ends the others, and recovers."""
        with psycopg.connect(self.database) as connection:
            (pid,) = connection.execute(_OF_REPLICAS).fetchone() or (0,)
        assert pid
        os.kill(pid, signal.SIGKILL)
        until(lambda: postgres_server.answers(self.database))


@contextmanager
def replicas(folder: Path) -> Iterator[Replicas]:
    """Start them in *folder*. Captions are written by a stand-in, since no model is tried here."""
    ports = Ports(folder / "ports.json")
    with ExitStack() as stack:
        engine = stack.enter_context(openai_server("key", MODEL))
        server = stack.enter_context(postgres_server.run(folder / "postgresql"))
        url = stack.enter_context(new_database(server))
        environment = {
            **os.environ,
            "SNAP2CAPTION_FEEDBACK_URI": (folder / "feedback").as_uri(),
            "SNAP2CAPTION_DATASETS_URI": (folder / "nowhere").as_uri(),
            "SNAP2CAPTION_MLFLOW_TRACKING_URI": f"http://{HOST}:9",
            "SNAP2CAPTION_SERVING_DATABASE_URL": url,
            "SNAP2CAPTION_SERVING_ENGINE_KEY": "key",
            "SNAP2CAPTION_SERVING_API_KEY_HASHES": json.dumps([creator(key) for key in KEYS]),
            "SNAP2CAPTION_SERVING_FAILED_KEYS_PER_MINUTE": "1000000",
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
            "OMP_NUM_THREADS": "1",
        }
        keys = KeyStore(open_database(ServingSettings(database_url=SecretStr(url)), Section.KEYS))
        stack.callback(keys.close)
        services = [_replica(number, folder, ports, environment, engine.url) for number in range(NUMBER)]
        # All at once: each opens the new database, and one of them makes its tables.
        victims = [Victim(service, folder / f"{service.name}.log") for service in services]
        for victim in victims:
            stack.callback(victim.kill)
        for victim in victims:
            victim.wait()
        proxy = stack.enter_context(running(_nginx(folder, ports, services), folder))
        yield Replicas(proxy.service.ready_url.removesuffix("/readyz"), victims, folder / "feedback", keys, url)


def _replica(number: int, folder: Path, ports: Ports, environment: dict[str, str], engine: str) -> Service:
    port = ports.get(f"replica{number}")
    command = ("serve", "--port", str(port), "--model", MODEL, "--engine", engine, "--no-page")
    return Service(
        name=f"replica{number}",
        command=(sys.executable, "-m", "snap2caption", *command),
        environment=environment | {"SNAP2CAPTION_STATE_DIR": str(folder / f"replica{number}")},
        ready_url=f"http://{HOST}:{port}/readyz",
    )


def _nginx(folder: Path, ports: Ports, services: list[Service]) -> Service:
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    assert program, "make test installs nginx"
    addresses = [service.ready_url.removeprefix("http://").removesuffix("/readyz") for service in services]
    servers = " ".join(f"server {address} max_fails=1 fail_timeout=1s;" for address in addresses)
    port = ports.get("nginx")
    user = "user root;\n" if os.geteuid() == 0 else ""
    content = _NGINX.format(folder=folder, host=HOST, port=port, servers=servers, user=user)
    return Service(
        name="nginx",
        command=(program, "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")),
        environment=os.environ,
        ready_url=f"http://{HOST}:{port}/readyz",
        files={folder / "nginx.conf": content},
    )
