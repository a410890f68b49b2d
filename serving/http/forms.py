"""Multipart form parser (RFC 7578) for what clients really send: with or without a file name, or with ``filename*``."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from http import HTTPStatus

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from serving.http.parsing import parse_body
from serving.http.problems import ProblemError

_MAX_PARTS = 100
_MAX_FIELD_BYTES = 64 * 1024


@dataclass(slots=True)
class MultipartForm:
    """A parsed form: the encoded photos, and the values of each other field, in the order in which they came."""

    photos: list[bytes] = field(default_factory=list)
    fields: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


async def read_form(request: Request, photo_fields: Collection[str], max_photos: int) -> MultipartForm:
    """Return the multipart form in the body of *request*.

    Args:
        request: the request whose body is read.
        photo_fields: names of the fields that hold a photo, with or without a file name.
        max_photos: how many photos the form may have.

    Raises:
        ProblemError: the form is malformed or exceeds a limit.
    """
    content_type = request.headers["content-type"]
    return await parse_body(request, lambda body: _parse(body, content_type, photo_fields, max_photos))


def _parse(body: bytes, content_type: str, photo_fields: Collection[str], max_photos: int) -> MultipartForm:
    _, parameters = parse_options_header(content_type)
    if not parameters.get(b"boundary"):
        raise _malformed("it has no boundary")
    parts = _PartCollector(photo_fields, max_photos)
    try:
        parser = MultipartParser(
            parameters[b"boundary"],
            {
                "on_part_begin": parts.begin,
                "on_header_field": parts.add_name,
                "on_header_value": parts.add_value,
                "on_header_end": parts.end_header,
                "on_headers_finished": parts.end_headers,
                "on_part_data": parts.add_data,
                "on_part_end": parts.end,
                "on_end": parts.finish,
            },
        )
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise _malformed(str(error)) from error
    if not parts.finished:
        raise _malformed("it is truncated")
    return parts.form


class _PartCollector:
    """Callbacks of the multipart parser, which collect the parts into a form."""

    def __init__(self, photo_fields: Collection[str], max_photos: int) -> None:
        self.form = MultipartForm()
        self.finished = False
        self._photo_fields = photo_fields
        self._max_photos = max_photos
        self._parts = 0
        self._start()

    def begin(self) -> None:
        self._parts += 1
        if self._parts > _MAX_PARTS:
            raise _malformed(f"it has more than {_MAX_PARTS} parts")
        self._start()

    def _start(self) -> None:
        self._header = bytearray(), bytearray()
        self._disposition = b""
        self._data = bytearray()
        self._name = ""
        self._filename: bytes | None = None

    def add_name(self, data: bytes, start: int, end: int) -> None:
        self._header[0].extend(data[start:end])

    def add_value(self, data: bytes, start: int, end: int) -> None:
        self._header[1].extend(data[start:end])

    def end_header(self) -> None:
        if self._header[0].lower() == b"content-disposition":
            self._disposition = bytes(self._header[1])
        self._header = bytearray(), bytearray()

    def end_headers(self) -> None:
        _, options = parse_options_header(self._disposition)
        if b"name" not in options:
            raise _malformed("a part has no name")
        self._name = _text(options[b"name"])
        self._filename = options.get(b"filename", options.get(b"filename*"))

    def add_data(self, data: bytes, start: int, end: int) -> None:
        if self._name not in self._photo_fields and len(self._data) + end - start > _MAX_FIELD_BYTES:
            raise _malformed(f"a field is longer than {_MAX_FIELD_BYTES // 1024} KB")
        self._data += memoryview(data)[start:end]

    def end(self) -> None:
        if self._name not in self._photo_fields:
            self.form.fields[self._name].append(_text(self._data))
        elif self._data or self._filename:
            # A part with neither is what browsers send when no file was chosen.
            if len(self.form.photos) == self._max_photos:
                raise _malformed(f"it has more than {self._max_photos} photos")
            self.form.photos.append(bytes(self._data))

    def finish(self) -> None:
        self.finished = True


def _text(data: bytes | bytearray) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise _malformed("a field is not in UTF-8") from None


def _malformed(cause: str) -> ProblemError:
    return ProblemError(
        HTTPStatus.BAD_REQUEST, "malformed", f"The form can't be read ({cause.rstrip('.')}); send a valid one."
    )
