"""Captions in text files, and in JSON documents and rows of tables under their usual names."""

import json
from collections.abc import Mapping

from etl.readers.base import ReaderOptions

CAPTION_KEYS = ("caption", "text", "description", "title", "TEXT")
"""Usual names, the first that is there counts. ``TEXT`` is LAION's."""


class CaptionError(Exception):
    """The bytes are not a caption: no UTF-8, no JSON, or no object."""


def decode(data: bytes) -> str:
    """Return a text file's content. A byte order mark is dropped.

    Raises:
        CaptionError: it is not UTF-8.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CaptionError("not UTF-8") from error


def parse(data: bytes) -> dict[str, object]:
    """Return a JSON object.

    Raises:
        CaptionError: it is not one.
    """
    try:
        found = json.loads(decode(data))
    except (ValueError, RecursionError) as error:
        raise CaptionError("not JSON") from error
    if not isinstance(found, dict):
        raise CaptionError("not an object")
    return found


def caption_in(row: Mapping[str, object], options: ReaderOptions) -> str | None:
    """Return the caption of *row*; None if it has none."""
    options.see(row)
    keys = CAPTION_KEYS if options.caption is None else (options.caption,)
    found = (row.get(key) for key in keys)
    return next((text for text in found if isinstance(text, str) and text.strip()), None)


def group_in(row: Mapping[str, object], options: ReaderOptions) -> str | None:
    """Return the group of *row*; None if no column was asked for, or the row has nothing in it."""
    options.see(row)
    value = None if options.group is None else row.get(options.group)
    return None if value is None or str(value).strip() == "" else str(value)
