"""A small zip around some bytes."""

import io
import zipfile


def zip_of(data: bytes) -> bytes:
    """Return a zip with *data* as its one member, not compressed."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(zipfile.ZipInfo("data"), data)  # the same bytes at any time
    return stream.getvalue()
