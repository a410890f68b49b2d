"""Forms (multipart/form-data, RFC 7578) as clients really send them: with a file's name, without, or with ``filename*``."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from http import HTTPStatus

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from serving.http.parsing import parsed
from serving.http.problems import ProblemError

_MOST_PARTS = 100
_LONGEST_FIELD = 64 * 1024


@dataclass(slots=True)
class MultipartForm:
    """The photos in their order, and each other field's texts in theirs."""

    photos: list[bytes] = field(default_factory=list)
    fields: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


async def read_form(request: Request, photos: Collection[str], most: int) -> MultipartForm:
    """Return the form that *request* brings.

    Args:
        request: whose body is read.
        photos: names of the fields that hold a photo, whatever its part says of a file.
        most: how many photos there may be.

    Raises:
        ProblemError: it can't be read.
    """
    content_type = request.headers["content-type"]
    return await parsed(request, lambda body: _parse(body, content_type, photos, most))


def _parse(body: bytes, content_type: str, photos: Collection[str], most: int) -> MultipartForm:
    _, parameters = parse_options_header(content_type)
    if not parameters.get(b"boundary"):
        raise _malformed("it has no boundary")
    parts = _PartCollector(photos, most)
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
        raise _malformed("it is cut off")
    return parts.form


class _PartCollector:
    """Takes the parts as the parser finds them."""

    def __init__(self, photos: Collection[str], most: int) -> None:
        self.form = MultipartForm()
        self.finished = False
        self._photos = photos
        self._most = most
        self._parts = 0
        self._start()

    def begin(self) -> None:
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise _malformed(f"it has more than {_MOST_PARTS} parts")
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
        if self._name not in self._photos and len(self._data) + end - start > _LONGEST_FIELD:
            raise _malformed(f"a field is longer than {_LONGEST_FIELD // 1024} KB")
        self._data += memoryview(data)[start:end]

    def end(self) -> None:
        if self._name not in self._photos:
            self.form.fields[self._name].append(_text(self._data))
        elif self._data or self._filename:
            # Without either, it is what browsers send where no file was chosen.
            if len(self.form.photos) == self._most:
                raise _malformed(f"it has more photos than {self._most}")
            self.form.photos.append(bytes(self._data))

    def finish(self) -> None:
        self.finished = True


def _text(data: bytes | bytearray) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise _malformed("a field is not in UTF-8") from None


def _malformed(why: str) -> ProblemError:
    return ProblemError(
        HTTPStatus.BAD_REQUEST, "malformed", f"The form can't be read ({why.rstrip('.')}); send it anew."
    )
