"""Difference between two dataset versions as one HTML page with pictures."""

import base64
import io
from pathlib import Path
from typing import Any
from zlib import crc32

from etl.catalog.diff import KINDS, ChangedExample, ExampleSide, VersionDiff
from etl.transform.atomic_files import atomic_write
from snap2caption.datasets.manifest import SPLITS
from snap2caption.errors import UserError
from snap2caption.images import ImageError, decode
from snap2caption.parallel import map_ahead
from snap2caption.store import StoreError, open_store

_THUMBNAIL = 150
_READERS = 8

_HEADINGS = {
    "added": "Added",
    "removed": "Removed",
    "moved": "In another split",
    "recaptioned": "Other words or hashtags",
    "regrouped": "Another city or group",
    "rephotographed": "Other photos",
}


def write_page(found: VersionDiff, path: Path) -> None:
    """Write the page to *path*. It asks no other host for anything, and has a bounded number of pictures.

    Only the bytes of these photos are read from the stores.

    Raises:
        UserError: a store is unavailable, a shard is damaged, or the page can't be written.
    """
    from jinja2 import Environment, PackageLoader

    template = Environment(autoescape=True, loader=PackageLoader(__package__, ".")).get_template("diff.html.j2")
    groups = [
        (_HEADINGS[kind], found.changes[kind].samples, [*map_ahead(lambda one: _draw(found, one), examples, _READERS)])
        for kind in KINDS
        if (examples := found.examples[kind])
    ]
    page = template.render(diff=found, groups=groups, splits=SPLITS, thumbnail=_THUMBNAIL)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as part:
            part.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path} can't be written ({error.strerror}); give another file to --html.") from error


def _draw(found: VersionDiff, example: ChangedExample) -> dict[str, Any]:
    sides = ((found.before.uri, example.before), (found.after.uri, example.after))
    drawn = [_side(uri, side) for uri, side in sides if side is not None]
    if example.before and example.after and example.before.crc == example.after.crc:
        drawn[0]["data"] = None  # the same picture twice tells nothing
    return {"id": example.id, "sides": drawn}


def _side(uri: str, side: ExampleSide) -> dict[str, Any]:
    photo = open_store(uri).read(side.shard, side.offset, side.size)
    if crc32(photo) != side.crc:
        raise StoreError(f"{side.shard} of {uri} is damaged (a photo's checksum differs); load the version again.")
    try:
        image = decode(photo, max_side=_THUMBNAIL)
    except ImageError:
        data = None
    else:
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=80)
        data = base64.b64encode(stream.getvalue()).decode()
    tags = " ".join(f"#{tag}" for tag in side.hashtags)
    return {"data": data, "split": side.split, "city": side.city, "caption": side.caption, "tags": tags}
