"""Caption service."""

import os
import sys
from collections.abc import Mapping

from demo.stack.ports import HOST, Ports
from demo.stack.service import Service


def serving(client_environment: Mapping[str, str], ports: Ports) -> tuple[Service, str]:
    """Return how to run the service as a client of the other services, and its address.

    It starts before there is a model to serve.
    """
    port = ports.get("serving")
    service = Service(
        name="serving",
        command=(sys.executable, "-m", "snap2caption", "serve", "--host", HOST, "--port", str(port)),
        environment={**os.environ, **client_environment, "SNAP2CAPTION_SERVING_POLL_SECONDS": "1"},
        ready_url=f"http://{HOST}:{port}/healthz",
        grace=5.0,
    )
    return service, f"http://{HOST}:{port}"
