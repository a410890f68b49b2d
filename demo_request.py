"""Caption a photo by a running service, with nothing but Python's standard library.

Usage: python demo_request.py PHOTO [URL]
The key is that of SNAP2CAPTION_API_KEY, or of secrets/api_key, which `make up` and `make docker-run` make.
"""

import json
import mimetypes
import os
import sys
import urllib.error
import urllib.request
import uuid
from pathlib import Path

URL = "http://127.0.0.1:8000"
KEY_FILE = Path(__file__).parent / "secrets" / "api_key"


def caption(photo: Path, url: str, key: str) -> dict[str, object]:
    """Return the service's answer for *photo*."""
    boundary = uuid.uuid4().hex
    kind = mimetypes.guess_type(photo.name)[0] or "application/octet-stream"
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="photo"\r\nContent-Type: {kind}\r\n\r\n'
    )
    body = head.encode() + photo.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    if key:
        headers["X-API-Key"] = key
    request = urllib.request.Request(f"{url}/v1/generate-caption", data=body, headers=headers)  # noqa: S310 - the user's
    with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
        document: dict[str, object] = json.load(answer)
    return document


def main(arguments: list[str]) -> int:
    """Print the post for one photo; return the exit status."""
    if len(arguments) not in {1, 2}:
        print("Usage: python demo_request.py PHOTO [URL]", file=sys.stderr)
        return 2
    key = os.environ.get("SNAP2CAPTION_API_KEY") or (KEY_FILE.read_text().strip() if KEY_FILE.exists() else "")
    url = (arguments[1] if len(arguments) == 2 else URL).rstrip("/")
    try:
        print(caption(Path(arguments[0]), url, key)["post"])
    except urllib.error.HTTPError as error:
        print(f"error: {url} answered {error.code}: {error.read().decode(errors='replace')}", file=sys.stderr)
        return 1
    except urllib.error.URLError as error:
        print(f"error: {url} can't be reached ({error.reason}); run `make up` or `make docker-run`.", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {arguments[0]}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
