"""How long a server asks to be left alone."""

from snap2caption.retrying import retry_after

_TIMEOUT = 30.0
_STATUSES = {429, 503}


def asked_wait(url: str) -> float:
    """Ask for the first byte, and return the seconds of the answer's Retry-After; 0 if there is none, or if the server has come to itself."""
    import requests

    try:
        with requests.get(url, headers={"Range": "bytes=0-0"}, stream=True, timeout=_TIMEOUT) as answer:
            return (retry_after(answer.headers) or 0.0) if answer.status_code in _STATUSES else 0.0
    except requests.RequestException:  # it is away, or speaks FTP: what aria2 says of it counts
        return 0.0
