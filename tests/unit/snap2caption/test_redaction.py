import io
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from snap2caption.datasets.manifest import CorpusSource
from snap2caption.errors import UserError
from snap2caption.redaction import RedactingFormatter, redact, redact_url

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://host/a.zip", "https://host/a.zip"),
        ("https://anna:topsecret@host:8443/a.zip", "https://host:8443/a.zip"),
        ("ftp://topsecret@host/a.zip", "ftp://host/a.zip"),
        ("http://an%40na:top%2Fsecret@[::1]:80/a.zip", "http://[::1]:80/a.zip"),
        (
            "https://b.s3.amazonaws.com/a.zip?X-Amz-Credential=topsecret%2F20&X-Amz-Signature=topsecret",
            "https://b.s3.amazonaws.com/a.zip?X-Amz-Credential=***&X-Amz-Signature=***",
        ),
        (
            "https://b.s3.amazonaws.com/a.zip?AWSAccessKeyId=topsecret&Signature=top%2Bsecret%3D&Expires=1",
            "https://b.s3.amazonaws.com/a.zip?AWSAccessKeyId=***&Signature=***&Expires=***",
        ),
        ("https://x.blob.core.windows.net/a.zip?sv=1&sig=topsecret%3D", "https://x.blob.core.windows.net/a.zip?sv=***&sig=***"),
        ("https://host/a.zip?topsecret", "https://host/a.zip?***"),
        ("https://host/a.zip?token=topsecret==", "https://host/a.zip?token=***"),
        ("https://host/a.zip#topsecret", "https://host/a.zip#***"),
        ("https://host/a;jsessionid=topsecret/b.zip;v=topsecret", "https://host/a;jsessionid=***/b.zip;v=***"),
        ("http://host:5000/#/runs/1", "http://host:5000/#/runs/1"),
        ("https://medium.com/@anna/a.zip", "https://medium.com/@anna/a.zip"),
        # What can't be read as a URL may hold a secret anywhere.
        ("https://anna:top/secret@host/a.zip", "https://***"),
        ("https://[topsecret/a.zip", "https://***"),
        ("https://ann\ta:topsecret@host/a.zip", "https://***"),
    ],
)  # fmt: skip
def test_a_url_tells_where_and_not_with_what_right(url: str, shown: str) -> None:
    assert redact_url(url) == shown
    if "\t" not in url:  # in a text, it ends a URL
        assert redact(f"The server refused {url} (403); check it.") == f"The server refused {shown} (403); check it."


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no URL: a=b, x@y, 3/4?", "no URL: a=b, x@y, 3/4?"),
        ("['http://a:b@host/x', 'http://a:b@other/y?k=v']", "['http://host/x', 'http://other/y?k=***']"),
        ("Max retries exceeded with url: /x.zip?sig=topsecret&y=1 (Caused by", "Max retries exceeded with url: /x.zip?sig=***&y=*** (Caused by"),
        ("answers at http://127.0.0.1:9; start it (http://host/x?a=b), or", "answers at http://127.0.0.1:9; start it (http://host/x?a=***), or"),
        ('connect to "http://a:b@minio:9000/b"', 'connect to "http://minio:9000/b"'),
        ("There is no corpus at /home/https:/a:topsecret@host/c.zip", "There is no corpus at /home/https:/host/c.zip"),
        ('{"event": "GET https://h/?k=v"}', '{"event": "GET https://h/?k=***"}'),
    ],
)  # fmt: skip
def test_urls_in_a_text_are_redacted(text: str, shown: str) -> None:
    assert redact(text) == shown
    assert redact(shown) == shown


def test_errors_manifests_and_logs_hold_no_secret() -> None:
    url = "https://anna:topsecret@host/a.zip?sig=topsecret"
    assert str(UserError(f"{url} is away.")) == "https://host/a.zip?sig=*** is away."
    assert CorpusSource(urls=(url,), sha256="0" * 64).urls == ("https://host/a.zip?sig=***",)
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(RedactingFormatter("%(message)s"))
    try:
        try:
            raise ConnectionError(url)
        except ConnectionError as error:
            raise ValueError("with url: /a?token=topsecret") from error
    except ValueError:
        handler.handle(logging.LogRecord("x", logging.ERROR, "x", 1, "lost %s", (url,), sys.exc_info()))
    assert "ConnectionError: https://host/a.zip?sig=***" in stream.getvalue()
    assert "topsecret" not in stream.getvalue()


def test_the_command_line_prints_no_secret(tmp_path: Path) -> None:
    for arguments in (
        ["inspect", "s3://anna:topsecret@bucket/v1"],
        ["inspect", "https://anna:topsecret@host/v1?sig=topsecret"],
        ["transform", "https://anna:topsecret@host/c.zip", "--out", str(tmp_path)],
        ["extract", "gopher://anna:topsecret@host/c.zip", "--out", str(tmp_path)],
    ):
        result = subprocess.run(
            [sys.executable, "-m", "snap2caption", *arguments], capture_output=True, text=True, check=False
        )
        assert result.returncode == 1
        assert result.stderr.startswith("error: ")
        assert "topsecret" not in result.stdout + result.stderr
