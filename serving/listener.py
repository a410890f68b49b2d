"""The listening socket of a service: bound before anything heavy is loaded, and reachable from other machines only where keys are asked for."""

import ipaddress
import socket

from serving.settings import ServingSettings
from snap2caption.connections import BACKLOG
from snap2caption.errors import UserError


def open_listener(host: str, port: int, settings: ServingSettings) -> socket.socket:
    """Return a socket that listens at *host* and *port*.

    It is opened here, not by uvicorn, and before torch is loaded: a busy port is a sentence, and found at once.

    Raises:
        UserError: nothing can listen there, or other machines could ask without a key.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        if not settings.asks_for_keys and not ipaddress.ip_address(listener.getsockname()[0]).is_loopback:
            raise UserError(
                f"{host} can be reached from other machines; make a key by `snap2caption key new`, or set SNAP2CAPTION_SERVING_API_KEY_HASHES."
            )
        # Two may bind the same port while neither listens.
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise UserError(
            f"{host}:{port} can't be listened on ({error.strerror}); stop what listens there, or give another --host or --port."
        ) from error
    except UserError:
        listener.close()
        raise
    return listener
