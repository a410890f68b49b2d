"""Searching what an installation left on the disk, byte by byte and inside of archives, for what should be gone."""

import base64
import gzip
import io
import re
import tarfile
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np

from etl.transform.cleaning.picture import TURN, hash_picture
from etl.transform.splitting.grouping import MAX_DISTANCE

_JPEG = b"\xff\xd8\xff"
_DATA_URL = re.compile(rb"data:image/jpeg;base64,([A-Za-z0-9+/=]+)")


def traces(
    roots: Mapping[str, Path], needles: Mapping[str, bytes], pictures: Mapping[str, bytes]
) -> dict[str, set[str]]:
    """Search every file and every name under *roots*.

    Args:
        roots: folders, by a name for each.
        needles: what to look for as bytes, by a name for each.
        pictures: JPEGs of which anything alike is looked for, whatever its size and its bytes, by a name for each.

    Returns:
        For each that was found, in which roots; the others are left out.
    """
    wanted = {name: _hash(picture) for name, picture in pictures.items()}
    found: defaultdict[str, set[str]] = defaultdict(set)
    for root, folder in roots.items():
        for piece in _pieces_under(folder):
            for name, needle in needles.items():
                if needle in piece:
                    found[name].add(root)
            if piece.startswith(_JPEG):
                looks = hash_picture(piece)
                for name, picture in wanted.items():
                    if isinstance(looks, bytes) and _distance(looks, picture) <= MAX_DISTANCE:
                        found[name].add(root)
    return dict(found)


def _pieces_under(folder: Path) -> Iterator[bytes]:
    for path in sorted(folder.rglob("*")):
        # Names count too, those of empty folders among them.
        yield str(path.relative_to(folder)).encode()
        # A server that runs may remove what was just listed.
        with suppress(FileNotFoundError):
            if path.is_file():
                yield from _pieces(path.read_bytes())


def _pieces(data: bytes) -> Iterator[bytes]:
    """Yield *data*, and what is packed in it, however deep."""
    yield data
    for match in _DATA_URL.finditer(data):
        yield base64.b64decode(match[1])
    if data.startswith(b"\x1f\x8b"):
        yield from _pieces(gzip.decompress(data))
    elif data.startswith(b"PAR1"):
        import pyarrow.parquet as pq

        yield repr(pq.read_table(io.BytesIO(data)).to_pylist()).encode()
    elif data[257:262] == b"ustar":
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for member in archive:
                content = archive.extractfile(member)
                yield member.name.encode()
                yield from _pieces(content.read() if content else b"")
    elif data.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                yield name.encode()
                yield from _pieces(archive.read(name))


def _hash(picture: bytes) -> bytes:
    found = hash_picture(picture)
    assert isinstance(found, bytes), found
    return found


def _distance(one: bytes, other: bytes) -> int:
    views = (np.frombuffer(looks[:TURN], np.uint8) for looks in (one, other))
    return int(np.bitwise_count(np.bitwise_xor(*views)).sum())
