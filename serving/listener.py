"""Listening socket: bound before anything heavy is loaded, and open to other machines only if keys are required."""

import ipaddress
import socket

from serving.settings import ServingSettings
from snap2caption.errors import UserError
from snap2caption.http.connections import BACKLOG


def open_listener(host: str, port: int, settings: ServingSettings) -> socket.socket:
    """Return a socket that listens on *host* and *port*.

    It is opened here, before torch is loaded, and not by uvicorn. So a busy port is reported at once, in one sentence.

    Raises:
        UserError: the address can't be listened on, or other machines could send requests without a key.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        if not settings.requires_keys and not ipaddress.ip_address(listener.getsockname()[0]).is_loopback:
            raise UserError(
                f"{host} can be reached from other machines; "
                "create a key with `snap2caption key new`, or set SNAP2CAPTION_SERVING_API_KEY_HASHES."
            )
        # Two processes may bind the same port as long as neither listens.
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise UserError(
            f"Can't listen on {host}:{port} ({error.strerror}); "
            "stop the process that uses it, or choose another --host or --port."
        ) from error
    except UserError:
        listener.close()
        raise
    return listener
