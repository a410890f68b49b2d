"""Retry-After: how long a server asks clients to wait."""

from snap2caption.http.retrying import retry_after

_TIMEOUT = 30.0
_STATUSES = {429, 503}


def fetch_retry_after(url: str) -> float:
    """Request the first byte, and return the seconds in Retry-After; 0 if there is none or the server has recovered."""
    import requests

    try:
        with requests.get(url, headers={"Range": "bytes=0-0"}, stream=True, timeout=_TIMEOUT) as response:
            return (retry_after(response.headers) or 0.0) if response.status_code in _STATUSES else 0.0
    except requests.RequestException:  # unreachable, or FTP: aria2's own report counts
        return 0.0
