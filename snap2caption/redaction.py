"""Redaction of credentials in URLs, for text that is printed, logged or stored."""

import logging
import re
from urllib.parse import urlsplit

HIDDEN = "***"
"""Replaces what is hidden."""

# A URL in running text ends at a space, a quote or an angle bracket.
_URL = re.compile(r"\b[a-zA-Z][a-zA-Z0-9+.-]*://[^\s\"'<>`]*")
# Client libraries print URLs without their host: `/path?name=value&…`.
_PARAMETER = re.compile(r"([?&][^\s\"'<>`=&?#]*=)[^\s\"'<>`&#,)]+")

# A URL that was taken for a path has lost a slash.
_PATH_LOGIN = re.compile(r"(?<=:/)[^\s/@]+@")


def redact_url(url: str) -> str:
    """Return *url* without its possible secrets, so that it still shows where something is.

    User name and password are removed. All values of the query are hidden, because servers name their signatures
    and tokens as they like. A fragment is hidden too, unless it is a route within a page (``#/runs/1``). If *url*
    can't be parsed, only its scheme remains.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        return _PARAMETER.sub(rf"\1{HIDDEN}", url)
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises ValueError: a password with a slash in it looks like a port
    except ValueError:
        return f"{scheme}://{HIDDEN}"
    if not rest.startswith(parts.netloc):  # urlsplit skips tabs and line breaks
        return f"{scheme}://{HIDDEN}"
    rest = rest.removeprefix(parts.netloc)
    rest, hash_sign, fragment = rest.partition("#")
    path, question_mark, query = rest.partition("?")
    shown = f"{scheme}://{parts.netloc.rpartition('@')[2]}{_without_parameters(path)}"
    if question_mark:
        shown += "?" + "&".join(_hide_value(pair) for pair in query.split("&") if pair)
    if hash_sign:
        shown += f"#{fragment if fragment.startswith('/') and '=' not in fragment else HIDDEN}"
    return shown


def redact(text: str) -> str:
    """Return *text* with all URLs redacted."""
    if "://" in text:
        text = _URL.sub(_redact_match, text)
    if ":/" in text:
        text = _PATH_LOGIN.sub("", text)
    return _PARAMETER.sub(rf"\1{HIDDEN}", text) if "=" in text else text


class RedactingFormatter(logging.Formatter):
    """Log formatter that redacts all URLs in records and tracebacks."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the formatted record with all URLs redacted."""
        return redact(super().format(record))


def _redact_match(match: re.Match[str]) -> str:
    url = match[0].rstrip(".,;:!?)")  # the sentence's
    return redact_url(url) + match[0][len(url) :]


def _without_parameters(path: str) -> str:
    """Hide the values of path parameters, such as ``;jsessionid=…``."""
    return re.sub(r";([^/;=]*)=[^/;]*", rf";\1={HIDDEN}", path)


def _hide_value(pair: str) -> str:
    name, equals, _ = pair.partition("=")
    return f"{name}={HIDDEN}" if equals else HIDDEN
